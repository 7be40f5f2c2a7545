"""Tables of candidates, evidence, verdicts and predictions."""

from __future__ import annotations

from ml_assets.spec.tables.ingestion import DROP
from ml_assets.spec.tables.table import Table, read_columns

REASONS = "STRUCT(code VARCHAR, passed BOOLEAN, message VARCHAR, measured DOUBLE, threshold DOUBLE)[]"
_AS_OF = read_columns("as_of | DATE | the drop up to which everything was known")
_MADE_FROM = read_columns("""
    _training_set_version | BIGINT  | lake version of the training set
    _mlflow_run_id        | VARCHAR | the run in MLflow; empty where MLflow could not be told
    _registry_version     | VARCHAR | the registered version in MLflow; empty where MLflow could not be told
""")
# columns of earlier releases, by table, and what they are called now
FORMER_COLUMNS = {table: {"rung": "candidate"} for table in ("candidate_model", "evaluation", "champion")}
CANDIDATE_MODEL = Table(
    "candidate_model",
    asset="models/candidate_model",
    grain="declared candidate, of the newest training",
    columns=_AS_OF
    + read_columns("""
    candidate       | VARCHAR | name of the candidate, as declared
    kind            | VARCHAR | kind of model
    is_chosen       | BOOLEAN | whether it was taken
    n               | DOUBLE  | examples of the holdout | rows
    label_share [binary] | DOUBLE | share of positives among them
    mean_label [regression, count] | DOUBLE | mean label of them
    mean_score      | DOUBLE  | mean score on them
    auc [binary]    | DOUBLE  | area under the ROC curve there | | one class alone
    log_loss [binary] | DOUBLE | log loss there | nats
    brier [binary]  | DOUBLE  | Brier score there
    ece [binary]    | DOUBLE  | expected calibration error there
    mse [regression] | DOUBLE | mean squared error there
    deviance [count] | DOUBLE | mean Poisson deviance there
    mae [regression, count] | DOUBLE | mean absolute error there
    r2 [regression] | DOUBLE  | share of the variance explained there | | labels do not vary
    explained_deviance [count] | DOUBLE | share of the deviance explained there | | labels do not vary
    rank_correlation [regression, count] | DOUBLE | rank correlation of labels and scores | | either does not vary
    ahead_n         | DOUBLE  | examples of the windows ahead of the training rows | rows | the history is too short
    ahead_log_loss [binary] | DOUBLE | log loss there | nats | the history is too short
    ahead_auc [binary] | DOUBLE | AUC there | | the history is too short
    ahead_ece [binary] | DOUBLE | expected calibration error there | | the history is too short
    ahead_mse [regression] | DOUBLE | mean squared error there | | the history is too short
    ahead_deviance [count] | DOUBLE | mean Poisson deviance there | | the history is too short
    ahead_mae [regression, count] | DOUBLE | mean absolute error there | | the history is too short
    model_version   | VARCHAR | as-of drop, name and content | | not the one taken
    artifact_sha256 | VARCHAR | of its manifest, checked before it is loaded | | not the one taken
""")
    + _MADE_FROM,
    is_by_drop=False,
)
EVALUATION_MEASURES = Table(
    "evaluation_measures",
    asset="models/evaluation_measures",
    grain="role x measure",
    columns=_AS_OF
    + read_columns("""
    role          | VARCHAR | candidate, champion or baseline
    model_version | VARCHAR | of the model | | the baseline
    measure       | VARCHAR | what was measured
    estimate      | DOUBLE  | on the window; `<loss>_on_old_rows` on rows the champion was trained on | | undefined
    lower         | DOUBLE  | lower bound from resampled days | | the measure has no interval
    upper         | DOUBLE  | upper bound | | the measure has no interval
    level         | DOUBLE  | coverage that the interval aims at
    n             | BIGINT  | examples of the window | rows
    n_days        | BIGINT  | their days | days | not counted
"""),
    is_by_drop=False,
)
EVALUATION_SLICES = Table(
    "evaluation_slices",
    asset="models/evaluation_slices",
    grain="slice of the window",
    columns=_AS_OF
    + read_columns("""
    kind          | VARCHAR | declared, or discovered: a part where the candidate is wrong beyond chance
    column        | VARCHAR | the column that cuts it
    value         | VARCHAR | its value or range
    n             | BIGINT  | examples | rows
    n_days        | BIGINT  | their days | days
    label_share [binary] | DOUBLE | share of positives | | discovered
    mean_label [regression, count] | DOUBLE | mean label | | discovered
    mean_score    | DOUBLE  | mean score of the candidate | | discovered
    log_loss [binary] | DOUBLE | of the candidate | nats
    mse [regression] | DOUBLE | squared error of the candidate
    deviance [count] | DOUBLE | Poisson deviance of the candidate
    loss_lower    | DOUBLE  | lower bound of the loss from resampled days | | fewer than two days, or discovered
    loss_upper    | DOUBLE  | upper bound | | fewer than two days, or discovered
    rest_log_loss [binary] | DOUBLE | of the rows outside the slice | nats | there is none
    rest_mse [regression] | DOUBLE | of the rows outside the slice | | there is none
    rest_deviance [count] | DOUBLE | of the rows outside the slice | | there is none
    surprise      | DOUBLE  | loss above what scores like these have elsewhere, or expect | | declared
    p_value       | DOUBLE  | adjusted for how many slices were looked at | | declared
    against       | VARCHAR | what the gain is over: champion or baseline | | discovered
    gain          | DOUBLE  | share of that model's loss that the candidate saves | | discovered
    gain_lower    | DOUBLE  | lower bound | | fewer than two days, or discovered
    gain_upper    | DOUBLE  | upper bound | | fewer than two days, or discovered
"""),
    is_by_drop=False,
)
BEHAVIOURS = Table(
    "behaviours",
    asset="models/behaviours",
    grain="declared behaviour, or gap between groups",
    columns=_AS_OF
    + read_columns("""
    name      | VARCHAR | as declared
    kind      | VARCHAR | what is tried
    severity  | VARCHAR | error, which the gate refuses, or warning
    state     | VARCHAR | kept, broken, or why it could not be tried
    n         | BIGINT  | rows it was tried on | rows
    measured  | DOUBLE  | what was measured | | it could not be tried
    threshold | DOUBLE  | what is allowed | | it could not be tried
    message   | VARCHAR | both in words
"""),
    is_by_drop=False,
)
_VERDICT = (
    _AS_OF
    + read_columns(f"""
    verdict            | VARCHAR | promoted, refused, awaiting_approval or dry_run
    gate               | VARCHAR | enabled, dry_run or disabled
    candidate          | VARCHAR | name of it, as declared
    model_version      | VARCHAR | of the candidate
    artifact_sha256    | VARCHAR | of its manifest
    champion_before    | VARCHAR | what it was compared with | | there was no champion
    window_from        | VARCHAR | first drop of the window | | the window is empty
    window_until       | VARCHAR | last drop of the window | | the window is empty
    n                  | BIGINT  | examples of the window | rows
    n_days             | BIGINT  | their days | days
    candidate_log_loss [binary] | DOUBLE | on the window | nats | undefined
    candidate_auc [binary] | DOUBLE | on the window | | undefined
    candidate_ece [binary] | DOUBLE | on the window | | undefined
    candidate_mse [regression] | DOUBLE | on the window | | undefined
    candidate_deviance [count] | DOUBLE | on the window | | undefined
    candidate_mae [regression, count] | DOUBLE | on the window | | undefined
    champion_log_loss [binary] | DOUBLE | on the window | nats | there was no champion, or it could not score
    champion_auc [binary] | DOUBLE | on the window | | there was no champion, or it could not score
    champion_ece [binary] | DOUBLE | on the window | | there was no champion, or it could not score
    champion_mse [regression] | DOUBLE | on the window | | there was no champion, or it could not score
    champion_deviance [count] | DOUBLE | on the window | | there was no champion, or it could not score
    champion_mae [regression, count] | DOUBLE | on the window | | there was no champion, or it could not score
    baseline_log_loss [binary] | DOUBLE | on the window | nats | undefined
    baseline_auc [binary] | DOUBLE | on the window | | undefined
    baseline_ece [binary] | DOUBLE | on the window | | undefined
    baseline_mse [regression] | DOUBLE | on the window | | undefined
    baseline_deviance [count] | DOUBLE | on the window | | undefined
    baseline_mae [regression, count] | DOUBLE | on the window | | undefined
    gain               | DOUBLE  | share of the champion's loss that the candidate saves | | no champion
    gain_lower         | DOUBLE  | lower bound from resampled days | | no champion, or fewer than two days
    gain_upper         | DOUBLE  | upper bound | | no champion, or fewer than two days
    reasons            | {REASONS} | each rule of the gate: whether it was kept, what was measured against what
""")
    + _MADE_FROM
)
EVALUATION = Table("evaluation", "models/evaluation", "the newest verdict", _VERDICT, is_by_drop=False)
CHAMPION = Table(
    "champion",
    asset="models/champion",
    grain="verdict of the gate, or decision of a person, the fallback or an experiment; append only",
    columns=_VERDICT
    + read_columns("""
    sequence     | BIGINT      | order in which they were recorded, from 1
    decided_by   | VARCHAR     | gate, fallback, experiment, or the person
    serves_after | DATE        | a promotion serves the drops after this one
    serves       | VARCHAR     | what of it scores: model, or baseline where the model has failed
    note         | VARCHAR     | what the person said, or why the fallback or an experiment decided | | the gate decided
    asked_by     | VARCHAR     | what asked for the retraining: a trigger, schedule, or by hand | | no retraining
    _recorded_at | TIMESTAMPTZ | when it was recorded
    _run_id      | VARCHAR     | the run that recorded it; empty for a person
"""),
    is_by_drop=False,
)
MODEL_CARD = Table(
    "model_card",
    asset="models/model_card",
    grain="the newest candidate",
    columns=_AS_OF
    + read_columns("""
    model_version | VARCHAR | of the candidate
    markdown      | VARCHAR | the card
"""),
    is_by_drop=False,
)
PREDICTIONS = Table(
    "predictions",
    asset="predictions/predictions",
    grain="example",
    columns=DROP
    + read_columns("""
    example_id     | VARCHAR     | the example
    prediction_at  | TIMESTAMPTZ | the moment it is predicted for
    score          | DOUBLE      | what is acted on: the champion's with its prior shift, the baseline's, or of an arm
    model_score    | DOUBLE      | the champion's own, before the prior shift
    baseline_score | DOUBLE      | the same by the baseline, fitted on the champion's training rows
    prior_shift    | DOUBLE      | added to the champion's score, as positives became rarer or more | log odds
    abstained      | VARCHAR     | inputs too far from the training rows, or that the score was none | | it was scored
    served_by      | VARCHAR     | what gave the score: model, baseline (abstained, or the fallback), or challenger
    model_version  | VARCHAR     | the champion of the drop
    arm            | VARCHAR     | champion, or challenger in an experiment
    scored_by      | VARCHAR     | the model of the arm
    propensity     | DOUBLE      | probability with which the example got this arm
    policy_version | VARCHAR     | hash of what decided arm and score: models, and the design of an experiment
    _features_version | BIGINT   | lake version of the features that were read
"""),
)
SHADOW_PREDICTIONS = Table(
    "shadow_predictions",
    asset="predictions/shadow_predictions",
    grain="example x role",
    columns=DROP
    + read_columns("""
    example_id        | VARCHAR | the example
    role              | VARCHAR | first_champion, as it would be without retraining, or last_refused
    model_version     | VARCHAR | of that model
    score             | DOUBLE  | what it would have said
    _features_version | BIGINT  | lake version of the features that were read
"""),
)
WORKLIST = Table(
    "worklist",
    asset="predictions/worklist",
    grain="place on the list of a drop",
    columns=DROP
    + read_columns("""
    rank       | BIGINT  | 1 is acted on first
    example_id | VARCHAR | the example
    score      | DOUBLE  | as in predictions
"""),
)
TABLES = (
    CANDIDATE_MODEL, EVALUATION_MEASURES, EVALUATION_SLICES, BEHAVIOURS, EVALUATION, CHAMPION, MODEL_CARD, PREDICTIONS,
    SHADOW_PREDICTIONS, WORKLIST,
)  # fmt: skip
