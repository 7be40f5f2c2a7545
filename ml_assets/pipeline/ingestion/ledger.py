"""The ledger: what each drop and source was expected to bring, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ml_assets.ingestion.ledger import ledger_rows
from ml_assets.pipeline.ingestion.ready_drops import ACCEPTED_GAPS, refuse_undue_drops
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import show_tables
from ml_assets.stores.use_case_state import UseCaseState


def build_ledger(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey], now: datetime) -> DropResult:
    """Give every source of every drop its state, with counts and reasons. Grain: drop x source.

    A drop that has not come by `now`, the wall's moment, is refused as `refuse_undue_drops` does.
    """
    refuse_undue_drops(spec, state, drops, now)
    kinds = ("received", "raw", "validated", "quarantine", "contract")
    bounds = (drops[0], drops[-1])
    views = {
        f"{kind}_{source.name}": state.lake.files(f"{kind}_{source.name}", drops=bounds)
        for source in spec.sources
        for kind in kinds
    }
    if state.lake.has(ACCEPTED_GAPS):
        views[ACCEPTED_GAPS] = state.lake.files(ACCEPTED_GAPS)
    with state.connect() as connection:
        show_tables(connection, views)
        if ACCEPTED_GAPS not in views:
            connection.execute(
                f"CREATE TEMP TABLE {ACCEPTED_GAPS} "
                f"(batch_date {spec.calendar.key_type}, source VARCHAR, reason VARCHAR)"
            )
        ledger = ledger_rows(connection, spec, drops).to_arrow_table()
    state.lake.replace_drops("drops", ledger, drops)
    rows = ledger.to_pylist()
    notes: dict[DropKey, dict[str, object]] = {drop: {} for drop in drops}
    for row in rows:
        notes[row["batch_date"]][row["source"]] = row["state"]
    return DropResult(Counter(row["batch_date"] for row in rows), notes, checks=_outcomes(state, rows))


def _outcomes(state: UseCaseState, rows: Sequence[Mapping[str, Any]]) -> tuple[CheckOutcome, CheckOutcome]:
    missing = [f"{row['source']} of {row['batch_date']}" for row in rows if row["state"] == "missing"]
    states = Counter(row["state"] for row in rows)
    named = f"{len(missing)} missing: {', '.join(missing[:5])}" if missing else f"{len(rows)} states final"
    counted = {f"state/{name}": count for name, count in states.items()}
    admitted = f"{states['admitted']} of {len(rows)} admitted; has anything landed in {state.landing}?"
    is_empty = set(states) <= {"missing_accepted", "not_expected"}  # nothing came, and the declaration goes on without
    return (
        CheckOutcome("final", not missing, named, counted),  # features refuse by themselves, and say what to do
        CheckOutcome("admitted", states["admitted"] > 0 or is_empty, admitted, is_error=True),
    )
