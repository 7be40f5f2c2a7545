"""Tables of what the machine decides and what it leaves to people; of use cases that declare `worklist.routes`."""

from __future__ import annotations

from ml_assets.spec.tables.ingestion import DROP
from ml_assets.spec.tables.table import Table, read_columns

ROUTES = Table(
    "worklist_routes",
    asset="predictions/worklist",
    grain="predicted example",
    columns=DROP
    + read_columns("""
    example_id | VARCHAR | the example
    score      | DOUBLE  | as in predictions
    confidence | DOUBLE  | the greater of score and 1 - score
    threshold  | DOUBLE  | confidence from which on the machine decides in this drop | | it decides nothing
    route      | VARCHAR | decided by the machine, escalated to people, or abstained: decided by nobody
    decision   | INTEGER | what the machine decides, 0 or 1 | | it does not decide
    rank       | BIGINT  | place in the order of the worklist among all of the drop
    reason     | VARCHAR | why it goes this way
"""),
)
RISK_COVERAGE = Table(
    "risk_coverage",
    asset="predictions/worklist",
    grain="drop x threshold that was tried on examples matured by then",
    columns=DROP
    + read_columns("""
    confidence | DOUBLE  | the threshold
    coverage   | DOUBLE  | matured examples that it decides | share
    n          | BIGINT  | as a number | rows
    errors     | BIGINT  | wrong decisions among them | rows
    risk       | DOUBLE  | share of wrong decisions | share
    upper      | DOUBLE  | its upper bound, one-sided, at the declared level | share
    is_chosen  | BOOLEAN | whether it is the threshold of the drop
"""),
)
TABLES = (ROUTES, RISK_COVERAGE)
OF_WORKLIST = read_columns("route | VARCHAR | the way of the example, as in worklist_routes")
