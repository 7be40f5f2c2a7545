"""What the machine decides in a drop, what goes to people, and the evidence for the threshold."""

from __future__ import annotations

from typing import Any

from ml_assets.cli.console import fail, next_steps, plain_rows, print_json, say
from ml_assets.cli.tables import print_table
from ml_assets.reports.routes_page import write_routes_page
from ml_assets.spec.drop import DropKey
from ml_assets.spec.routes import ABSTAINED, DECIDED, ESCALATED
from ml_assets.spec.tables.routes import RISK_COVERAGE, ROUTES
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

_IN_WORDS = {
    DECIDED: "decided by the machine", ESCALATED: "escalated to people", ABSTAINED: "abstained: decided by nobody",
}  # fmt: skip


def run_routes(spec: UseCaseSpec, state: UseCaseState, drop: DropKey | None, *, as_json: bool) -> None:
    """Print the routes of a drop, by default the newest, and the curve of risk and coverage; write its page."""
    if spec.worklist.routes is None:
        raise fail(f"{spec.name} declares no routes; add worklist.routes to its defs.yaml, as in {{max_risk: 0.05}}")
    lake = state.pinned().lake
    drops = lake.files(ROUTES.name).drops() if lake.has(ROUTES.name) else set[DropKey]()
    if not drops or (drop is not None and drop not in drops):
        found = f"--drop: found {drop}; " if drop else ""
        allowed = f"allowed: {min(drops)} to {max(drops)}" if drops else "no drop with predictions was run yet"
        raise fail(f"{found}{allowed}")
    asked = drop or max(drops)
    rows = read_rows(lake, ROUTES.name, None, (asked, asked))
    points = read_rows(lake, RISK_COVERAGE.name, None, (asked, asked))
    points.sort(key=lambda row: row["coverage"])
    page = write_routes_page(spec, state, asked, rows, points)
    if as_json:
        print_json({"drop": asked, "routes": _plain(rows), "risk_coverage": _plain(points), "page": page})
        return
    for route, words in _IN_WORDS.items():
        n = sum(row["route"] == route for row in rows)
        say(f"{n} of {len(rows)} {words}")
    curve = [
        [row["confidence"], f"{row['coverage']:.1%}", row["n"], row["errors"], row["risk"], row["upper"],
         "chosen" if row["is_chosen"] else ""]
        for row in points
    ]  # fmt: skip
    if curve:
        allowed = f"at most {spec.worklist.routes.max_risk:g} is allowed"
        heads = ["confidence", "coverage", "decided", "wrong", "risk", "at most", ""]
        print_table(f"risk and coverage on what had matured by {asked}; {allowed}", heads, curve)
    say(f"page {page}")
    next_steps({
        f"ml-assets sql \"SELECT * FROM {spec.name}.worklist_routes WHERE batch_date = '{asked}'\"": "each example",
    })  # fmt: skip


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return plain_rows(list(rows[0]), [list(row.values()) for row in rows]) if rows else []
