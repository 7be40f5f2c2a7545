"""The table of drift of texts; of use cases that declare `features.text`."""

from __future__ import annotations

from ml_assets.spec.tables.ingestion import DROP
from ml_assets.spec.tables.table import Table, read_columns

TEXT_DRIFT = Table(
    "text_drift",
    asset="monitoring/drift_report",
    grain="drop x text feature",
    columns=DROP
    + read_columns("""
    encoder        | VARCHAR | name of the text feature
    n              | BIGINT  | examples of the window that were compared | rows
    n_reference    | BIGINT  | examples before the window that were compared | rows
    mean_distance  | DOUBLE  | between the mean encodings, root mean square | standard deviations | not enough data
    usual_distance | DOUBLE  | the same between the halves of what came before | standard deviations | not enough data
    auc            | DOUBLE  | of a classifier that tells window from before | | not enough data
    auc_low        | DOUBLE  | its lower bound, one-sided at 95 % | | not enough data
    usual_auc      | DOUBLE  | of a classifier between the halves of what came before | | not enough data
    state          | VARCHAR | alike, changed or not enough data
"""),
)
