"""Tables of experiments: who is in which arm, what each arm's model says, how they compare, and what was decided."""

from __future__ import annotations

from ml_assets.spec.tables.ingestion import DROP
from ml_assets.spec.tables.table import Table, read_columns

ASSIGNMENTS = Table(
    "assignments",
    asset="experiments/assignments",
    grain="example x experiment that runs in its drop",
    columns=DROP
    + read_columns("""
    experiment     | VARCHAR | as declared
    example_id     | VARCHAR | the example
    unit           | VARCHAR | what it is assigned by: itself, its drop, or the value of a column
    arm            | VARCHAR | challenger, champion, or empty where the experiment does not take the unit
    propensity     | DOUBLE  | probability with which the unit got this arm
    policy_version | VARCHAR | hash of the experiment's design and of both models
"""),
)
ARM_PREDICTIONS = Table(
    "arm_predictions",
    asset="experiments/assignments",
    grain="example x experiment x arm, whether or not the example is in it",
    columns=DROP
    + read_columns("""
    experiment        | VARCHAR     | as declared
    example_id        | VARCHAR     | the example
    prediction_at     | TIMESTAMPTZ | the moment it is predicted for
    arm               | VARCHAR     | challenger or champion
    model_version     | VARCHAR     | the model of the arm
    score             | DOUBLE      | what this arm acts on
    abstained         | VARCHAR     | inputs too far from its training rows, or "no probability" | | the model scored it
    _features_version | BIGINT      | lake version of the features that were read
"""),
)
EXPERIMENT_REPORTS = Table(
    "experiment_reports",
    asset="experiments/assignments",
    grain="experiment x measure, in each drop that it runs in",
    columns=DROP
    + read_columns("""
    experiment    | VARCHAR | as declared
    measure       | VARCHAR | log_loss, or a guardrail
    challenger    | DOUBLE  | mean over the examples compared | | nothing has matured
    champion      | DOUBLE  | the same of the champion | | nothing has matured
    worse_by      | DOUBLE  | how much more than allowed the challenger loses; below zero it keeps the bound | | unknown
    lower         | DOUBLE  | lower bound of worse_by, which holds at all looks together | | too few drops
    upper         | DOUBLE  | upper bound | | too few drops
    p_value       | DOUBLE  | of worse_by being at most zero, valid at any look, for several measures (Holm) | | unknown
    n             | BIGINT  | matured examples with a label that are compared | rows
    n_units       | BIGINT  | independent pieces of evidence
    design_effect | DOUBLE  | of the log loss: times more rows are needed, as rows of a drop are alike | | unknown
    verdict       | VARCHAR | go_on, extend, abort or passed
    reason        | VARCHAR | why
"""),
)
EXPERIMENT_RECORD = Table(
    "experiment_record",
    asset="experiments/assignments",
    grain="event of an experiment; append only",
    columns=read_columns("""
    sequence          | BIGINT      | order in which they were recorded, from 1
    experiment        | VARCHAR     | as declared
    event             | VARCHAR     | started, extended, passed, aborted, concluded or ended
    after             | DATE        | it holds for the drops after this one
    challenger        | VARCHAR     | model version
    challenger_sha256 | VARCHAR     | of its manifest
    champion          | VARCHAR     | model version it is compared with
    design            | VARCHAR     | JSON of what was declared when it started; it does not change until it is over
    decided_by        | VARCHAR     | experiment, or the person
    note              | VARCHAR     | why
    _recorded_at      | TIMESTAMPTZ | when it was recorded
"""),
    is_by_drop=False,
)
TABLES = (ASSIGNMENTS, ARM_PREDICTIONS, EXPERIMENT_REPORTS, EXPERIMENT_RECORD)
