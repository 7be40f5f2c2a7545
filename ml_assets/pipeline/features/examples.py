"""Examples of drops: the rows to predict, and what is known of each by then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ml_assets.features.examples import validate_examples
from ml_assets.ingestion.ledger import require_computed
from ml_assets.pipeline.declaring.calendar_changes import keep_calendar
from ml_assets.pipeline.features.closed_drops import closed_drops, refuse_open_drops
from ml_assets.pipeline.features.versions import drops_to_compute
from ml_assets.pipeline.results import DropResult
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import restrict_to_tables, select_by_drop
from ml_assets.stores.use_case_state import UseCaseState


def store_examples(
    spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey], *, is_backfill: bool = False
) -> DropResult:
    """Draw the examples of `drops`; a row whose outcome is already known goes into quarantine.

    Closed drops of other definitions are left as they are, unless `is_backfill`.

    Raises
    ------
    DropsNotFinalError
        While an earlier drop has no final state, or no features.
    """
    keep_calendar(spec, state)
    refuse_open_drops(spec, state, drops[-1])
    require_computed(spec, closed_drops(state), spec.calendar.previous_drop(drops[0]))
    with state.connect() as connection:
        drawn, notes = drops_to_compute(connection, state.lake, spec, drops, is_backfill=is_backfill)
    for stretch in stretches(drawn, spec.calendar):
        notes |= _draw_examples(spec, state, stretch)
    counts, columns = stored_counts(state, "examples", drops)
    return DropResult(counts, notes, columns)


def _draw_examples(
    spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]
) -> dict[DropKey, dict[str, object]]:
    """Draw the examples of drops that follow each other; note how many of each are in quarantine."""
    lake, sources = state.lake, spec.examples.sources
    first, last = spec.calendar.first_drop, drops[-1]
    with state.connect_apart() as connection:
        tables = {
            f"validated_{source}": lake.files(f"validated_{source}", drops=(drops[0], last)) for source in sources
        }
        tables["_labels"] = lake.files("labels", drops=(first, last))
        if lake.has("examples"):
            tables["_earlier"] = lake.files("examples", drops=(first, spec.calendar.previous_drop(drops[0])))
        restrict_to_tables(connection, tables)
        if "_earlier" not in tables:
            connection.execute(f"CREATE TEMP TABLE _earlier (example_id VARCHAR, batch_date {spec.calendar.key_type})")
        select_by_drop(connection, spec.examples.sql, sources, drops, spec.calendar)
        settled = validate_examples(connection, spec.calendar, drops)
        accepted, quarantined = settled.accepted.to_arrow_table(), settled.quarantined.to_arrow_table()
    lake.replace_drops("examples", accepted, drops)
    lake.replace_drops("quarantine_examples", quarantined, drops)
    refused = Counter(quarantined["batch_date"].to_pylist())
    return {drop: {"quarantined": refused[drop]} for drop in drops}


def stored_counts(state: UseCaseState, table: str, drops: Sequence[DropKey]) -> tuple[Counter[DropKey], dict[str, str]]:
    """Count the rows of each drop in the lake, and name the columns with their types."""
    with state.connect() as connection:
        rows = state.lake.relation(connection, table, (drops[0], drops[-1]))
        counts = Counter(dict(rows.aggregate("batch_date, count(*)", "batch_date").fetchall()))
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))
        return counts, {name: kind for name, kind in types.items() if not name.startswith("_")}


def stretches(drops: Sequence[DropKey], calendar: Calendar) -> Iterator[list[DropKey]]:
    """Cut drops where one is left out between them."""
    found: list[DropKey] = []
    for drop in drops:
        if found and calendar.next_drop(found[-1]) != drop:
            yield found
            found = []
        found.append(drop)
    if found:
        yield found
