"""The route of each predicted example: the machine decides, a person, or nobody; and the evidence for the threshold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.pipeline.labeling.reviewed_labels import show_labels_that_judge
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.serving.selective import NOBODY, RiskCoverage, find_threshold
from ml_assets.serving.worklist import ranked_sql
from ml_assets.spec.drop import DropKey, key_sql
from ml_assets.spec.routes import ABSTAINED, DECIDED, ESCALATED, Routes
from ml_assets.spec.tables import of_use_case
from ml_assets.spec.tables.routes import RISK_COVERAGE, ROUTES
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import show_tables
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@dataclass(frozen=True)
class RoutedDrops:
    """The routes of drops. `notes` count them by drop; `evidence` is the curve of each drop."""

    rows: pa.Table
    notes: Mapping[DropKey, Mapping[str, object]]
    evidence: Mapping[DropKey, RiskCoverage]

    @property
    def check(self) -> CheckOutcome:
        """Whether there is a threshold in the newest drop that keeps the risk."""
        newest = max(self.evidence)
        found = self.evidence[newest]
        decides = math.isfinite(found.threshold)
        said = f"drop {newest}: " + (f"decides from confidence {found.threshold:.3f} on; " if decides else "decides "
               "nothing; ") + found.reason  # fmt: skip
        counts = {str(name): n for name, n in self.notes[newest].items()}
        return CheckOutcome("routed", decides, said, counts)


def store_routes(spec: UseCaseSpec, state: UseCaseState, routes: Routes, drops: Sequence[DropKey]) -> RoutedDrops:
    """Find the threshold of each of `drops` on what had matured by it, route its examples, and store both.

    Evidence are predictions as they were served, of any model, whose examples matured in the window before a drop, with
    labels that had landed by it; none that a person was asked about by a strategy alone.
    """
    with state.connect() as connection:
        _read(connection, spec, state, routes, drops)
        evidence = {drop: _evidence(connection, spec, routes, drop) for drop in drops}
        rows = [row for drop in drops for row in _route(connection, routes, drop, evidence[drop])]
    table = arrow_rows(of_use_case(ROUTES, spec), rows)
    state.lake.replace_drops(ROUTES.name, table, drops)
    points = [row for drop in drops for row in _point_rows(drop, evidence[drop])]
    state.lake.replace_drops(RISK_COVERAGE.name, arrow_rows(of_use_case(RISK_COVERAGE, spec), points), drops)
    counts: dict[DropKey, Counter[str]] = {drop: Counter() for drop in drops}
    for row in rows:
        counts[row["batch_date"]][row["route"]] += 1
    notes = {drop: {each: counts[drop][each] for each in (DECIDED, ESCALATED, ABSTAINED)} for drop in drops}
    return RoutedDrops(table, notes, evidence)


def with_routes(listed: pa.Table, routed: RoutedDrops) -> pa.Table:
    """Add the route to the rows of a worklist."""
    route_of = {(row["batch_date"], row["example_id"]): row["route"] for row in routed.rows.to_pylist()}
    import pyarrow as pa

    keys = zip(listed["batch_date"].to_pylist(), listed["example_id"].to_pylist(), strict=True)
    return listed.append_column("route", pa.array([route_of.get(key) for key in keys], pa.string()))


def _read(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: UseCaseState,
    routes: Routes,
    drops: Sequence[DropKey],
) -> None:
    """Load the predictions and labels that the drops and their evidence need."""
    calendar = spec.calendar
    oldest = calendar.earlier(calendar.previous_drop(drops[0]), routes.window + spec.labels.matures_after)
    first = max(calendar.first_drop, oldest)
    lake, bounds = state.lake, (first, drops[-1])
    show_tables(connection, {"_all_predictions": lake.files("predictions", drops=bounds)})
    show_labels_that_judge(connection, lake.files("labels", drops=bounds))
    connection.execute("CREATE TEMP TABLE _scored AS SELECT * FROM _all_predictions")
    connection.execute(f"CREATE TEMP VIEW predictions AS SELECT * FROM _scored WHERE batch_date >= {key_sql(drops[0])}")
    held = connection.view("predictions").columns
    connection.execute(f"CREATE TEMP TABLE _ranked AS {ranked_sql(spec.worklist, held)}")
    connection.execute(
        "CREATE TEMP TABLE _outcomes AS SELECT p.example_id, p.prediction_at, p.score, l.label, l.known_at, "
        "l.batch_date AS labeled_in FROM _scored AS p JOIN labels AS l USING (example_id) WHERE p.abstained IS NULL"
    )


def _evidence(connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, routes: Routes, drop: DropKey) -> RiskCoverage:
    until = spec.matured_by(drop)
    found = connection.execute(
        "SELECT any_value(score) AS score, arg_max(label, (known_at, labeled_in)) AS label FROM _outcomes WHERE "
        "prediction_at <= ?::TIMESTAMPTZ AND prediction_at > ?::TIMESTAMPTZ AND labeled_in <= ? GROUP BY example_id, "
        "prediction_at ORDER BY prediction_at, example_id",
        [until, until - routes.window, drop],
    ).fetchnumpy()
    scores = np.asarray(found["score"], dtype=np.float64)
    return find_threshold(scores, np.asarray(found["label"], dtype=np.float64), routes.max_risk, routes.level)


def _route(
    connection: duckdb.DuckDBPyConnection, routes: Routes, drop: DropKey, evidence: RiskCoverage
) -> list[dict[str, Any]]:
    """Give the route of each example of a drop, in the order of the worklist."""
    rows = connection.execute(
        "SELECT p.example_id, p.score, p.abstained, r.rank FROM _scored AS p JOIN _ranked AS r USING (batch_date, "
        "example_id) WHERE p.batch_date = ? ORDER BY r.rank",
        [drop],
    ).fetchall()
    left, found = routes.escalate, []
    for example_id, score, abstained, rank in rows:
        sure = max(score, 1 - score)
        is_decided = abstained is None and sure >= evidence.threshold
        route = DECIDED if is_decided else ESCALATED if left > 0 else ABSTAINED
        left -= route == ESCALATED
        found.append({
            "batch_date": drop, "example_id": example_id, "score": score, "confidence": sure,
            "threshold": evidence.threshold, "route": route, "decision": int(score >= 0.5) if is_decided else None,
            "rank": rank, "reason": _reason(abstained, sure, evidence),
        })  # fmt: skip
    return found


def _reason(abstained: str | None, sure: float, evidence: RiskCoverage) -> str:
    if abstained is not None:
        return f"the model abstains: {abstained}"
    if evidence.threshold == NOBODY:
        return f"the machine decides nothing: {evidence.reason}"
    if sure >= evidence.threshold:
        return f"sure enough: {sure:.3f}, at least {evidence.threshold:.3f}; {evidence.reason}"
    return f"not sure enough: {sure:.3f}, below {evidence.threshold:.3f}"


def _point_rows(drop: DropKey, evidence: RiskCoverage) -> list[dict[str, Any]]:
    return [
        {"batch_date": drop, **vars(each), "is_chosen": each.confidence == evidence.threshold}
        for each in evidence.points
    ]
