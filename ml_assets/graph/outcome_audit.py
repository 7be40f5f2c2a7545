"""What the columns of a training set say about the outcome, beside what they may know of it."""

from typing import TYPE_CHECKING, Any

import numpy as np
from dagster_duckdb import DuckDBResource

from ml_assets.features.outcome_leakage import (
    Finding,
    find_disguised_labels,
    find_filled_afterwards,
    find_telling_absence,
    report_twins,
)
from ml_assets.stores.lake import Lake
from ml_assets.stores.sandbox import shut_in
from ml_assets.training.training_set import DrawPlan

if TYPE_CHECKING:
    import duckdb

_OWN = {"batch_date", "example_id", "prediction_at", "label", "split"}


def audit_outcomes(lake: Lake, duckdb: DuckDBResource) -> list[Finding]:
    """Look at the newest training set, and at the columns of the examples it was drawn from.

    Single columns against the label, out of time; nulls against what became of an example; columns that only matured
    examples have; rows that both splits hold. Nothing is found where there are fewer than thirty rows to judge by.
    """
    recorded = lake.metadata("training_set")
    if "plan" not in recorded:
        return []
    plan = DrawPlan.from_json(recorded["plan"])
    with duckdb.get_connection() as connection:
        shut_in(connection, {name: lake.files(name) for name in ("training_set", "labels", "examples", "features")})
        _join(connection, plan)
        drawn = connection.sql("SELECT * FROM training_set JOIN _of_examples USING (example_id)").df()
        columns = [name for name in drawn.columns if name not in _OWN and not name.startswith("_")]
        found = find_disguised_labels(drawn, columns)
        found += find_telling_absence(*_absence(connection, plan))
        found += find_filled_afterwards(*_filled(connection, plan))
        found += report_twins(drawn, [name for name in plan.features if name in columns])
    return found


def _join(connection: "duckdb.DuckDBPyConnection", plan: DrawPlan) -> None:
    """Make `_of_examples`, the columns that no feature repeats, and `_all`: them with the features."""
    features = set(plan.features)
    own = [name for name in connection.view("examples").columns if name not in _OWN | features and name[0] != "_"]
    listed = "".join(f', "{name}"' for name in own)
    connection.execute(f"CREATE TEMP VIEW _of_examples AS SELECT example_id{listed} FROM examples")
    connection.execute("CREATE TEMP VIEW _all AS SELECT * FROM features JOIN _of_examples USING (example_id)")


def _told(connection: "duckdb.DuckDBPyConnection") -> list[str]:
    return [name for name in connection.view("_all").columns if name not in _OWN and name[0] != "_"]


def _absence(connection: "duckdb.DuckDBPyConnection", plan: DrawPlan) -> tuple[dict[str, Any], Any]:
    nulls = ", ".join(f'"{name}" IS NULL AS "{name}"' for name in _told(connection))
    found = connection.sql(
        f"SELECT coalesce(l.label, -1)::BIGINT AS _outcome, a.* FROM (SELECT example_id AS _id, prediction_at AS _at, "
        f"{nulls} FROM _all) AS a LEFT JOIN (SELECT example_id, arg_max(label, known_at) AS label FROM labels WHERE "
        f"known_at <= TIMESTAMPTZ '{plan.known_until}' GROUP BY example_id) AS l ON l.example_id = a._id "
        f"WHERE a._at <= TIMESTAMPTZ '{plan.matured_until}'"
    ).fetchnumpy()
    absent = {name: np.asarray(found[name], dtype=bool) for name in _told(connection)}
    return absent, np.asarray(found["_outcome"], dtype=np.int64)


def _filled(
    connection: "duckdb.DuckDBPyConnection", plan: DrawPlan
) -> tuple[dict[str, tuple[float, float]], tuple[int, int]]:
    columns = _told(connection)
    shares = ", ".join(f'count("{name}") / greatest(count(*), 1)' for name in columns)
    rows = {}
    for is_open, side in ((False, "<="), (True, ">")):
        query = f"SELECT count(*), {shares} FROM _all WHERE prediction_at {side} TIMESTAMPTZ '{plan.matured_until}'"
        rows[is_open] = connection.sql(query).fetchall()[0]
    pairs = zip(rows[False][1:], rows[True][1:], strict=True)
    return dict(zip(columns, pairs, strict=True)), (rows[False][0], rows[True][0])
