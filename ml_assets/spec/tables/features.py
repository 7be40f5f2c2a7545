"""Tables of examples, features, labels and training sets."""

from __future__ import annotations

from ml_assets.spec.tables.ingestion import DROP
from ml_assets.spec.tables.table import Table, read_columns

_EXAMPLE = read_columns("""
    example_id    | VARCHAR     | the row to predict
    prediction_at | TIMESTAMPTZ | the moment it is predicted for; nothing known later is used
""")
LABELS = Table(
    "labels",
    asset="training/labels",
    grain="drop x example x outcome that became known",
    columns=DROP
    + read_columns("""
    example_id | VARCHAR     | the example
    label [binary] | INTEGER | the outcome, 0 or 1
    label [regression, count] | DOUBLE | the outcome
    known_at   | TIMESTAMPTZ | when it became known
"""),
)
EXAMPLES = Table("examples", asset="features/examples", grain="row to predict", columns=DROP + _EXAMPLE)
QUARANTINED_EXAMPLES = Table(
    "quarantine_examples",
    asset="features/examples",
    grain="drawn row that is no example",
    columns=DROP + _EXAMPLE + read_columns("reason | VARCHAR | why it is none, such as an outcome known already"),
)
FEATURES = Table(
    "features",
    asset="features/features",
    grain="example",
    columns=DROP
    + _EXAMPLE
    + read_columns("_feature_set | BIGINT | the set of definitions it was computed by, in feature_versions"),
)
CLOSED_DROPS = Table(
    "closed_drops",
    asset="features/features",
    grain="drop whose features are stored: it keeps what it received",
    columns=DROP
    + read_columns("""
    examples     | BIGINT | examples of the drop | rows
    _feature_set | BIGINT | the set of definitions they were computed by
"""),
)
FEATURE_VERSIONS = Table(
    "feature_versions",
    asset="features/features",
    grain="set of definitions x feature",
    columns=read_columns("""
    feature_set | BIGINT  | number of the set
    feature     | VARCHAR | name of the feature
    definition  | VARCHAR | how it is computed, as text
    version     | BIGINT  | its version: another definition has the next number
"""),
    is_by_drop=False,
)
TRAINING_SET = Table(
    "training_set",
    asset="training/training_set",
    grain="matured, labelled example",
    columns=read_columns("""
    example_id    | VARCHAR     | the example
    batch_date    | DATE        | the drop it was predicted in
    prediction_at | TIMESTAMPTZ | the moment it was predicted for
    label [binary] | INTEGER    | the outcome, 0 or 1
    label [regression, count] | DOUBLE | the outcome
    split         | VARCHAR     | train, or holdout: the newest rows, for the gate
"""),
    is_by_drop=False,
)
TRAINING_SET_AUDIT = Table(
    "training_set_audit",
    asset="training/training_set",
    grain="finding about the newest training set that the gate refuses a candidate for: proven, or implausibly strong",
    columns=read_columns("""
    training_set_version | BIGINT  | lake version of the training set
    finding              | VARCHAR | what was found
"""),
    is_by_drop=False,
)
ACCEPTED_FEATURES = Table(
    "accepted_features",
    asset="training/training_set",
    grain="decision of a person that a suspected feature is right; append only, the last of a feature counts",
    columns=read_columns("""
    feature      | VARCHAR     | name of the feature
    reason       | VARCHAR     | why its values are known as of the prediction
    accepted_by  | VARCHAR     | who said so
    _recorded_at | TIMESTAMPTZ | when that was said
"""),
    is_by_drop=False,
)
TABLES = (
    LABELS, EXAMPLES, QUARANTINED_EXAMPLES, FEATURES, CLOSED_DROPS, FEATURE_VERSIONS, TRAINING_SET, TRAINING_SET_AUDIT,
    ACCEPTED_FEATURES,
)  # fmt: skip
