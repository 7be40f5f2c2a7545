"""Which drops are closed: their features are stored, and what they received is what was recorded."""

from __future__ import annotations

from datetime import date

from ml_assets.ingestion.ledger import find_gaps, require_final
from ml_assets.spec.tables.features import CLOSED_DROPS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.rows import read_rows
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.use_case_state import UseCaseState


def closed_drops(state: UseCaseState) -> set[date]:
    """Give the drops whose features are stored, also where a drop had no example."""
    return {row["batch_date"] for row in read_rows(state.lake, CLOSED_DROPS.name, ["batch_date"])}


def refuse_open_drops(spec: UseCaseSpec, state: UseCaseState, last: date) -> None:
    """Refuse to run while a drop up to `last` has no final state; a closed drop had one, by what was declared then."""
    closed = closed_drops(state)
    with state.connect() as connection:
        restrict_to_tables(connection, {"drops": state.lake.files("drops")})
        require_final([gap for gap in find_gaps(connection, spec, last) if gap.drop not in closed], spec.name)
