"""The worklist of drops: the examples to act on, as many as the capacity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date

from ml_assets.pipeline.results import DropResult
from ml_assets.pipeline.scoring.deliveries import deliver_drop
from ml_assets.serving.worklist import draw_worklist
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.use_case_state import UseCaseState


def store_worklist(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[date]) -> DropResult:
    """Draw the worklist of `drops` from their predictions, store it and deliver it. Grain: a place on a list."""
    bounds = (drops[0], drops[-1])
    with state.connect() as connection:
        tables = {name: state.lake.files(name, drops=bounds) for name in ("predictions", "examples")}
        restrict_to_tables(connection, tables)
        rows = draw_worklist(connection, spec.worklist).to_arrow_table()
    state.lake.replace_drops("worklist", rows, drops)
    notes = {drop: deliver_drop(spec, state, "worklist", drop, rows) for drop in drops}
    columns = {field.name: str(field.type) for field in rows.schema}
    return DropResult(Counter(rows["batch_date"].to_pylist()), notes, columns)
