"""Which drops are closed: their features are stored, and what they received is what was recorded."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ml_assets.ingestion.ledger import DropsNotFinalError, Gap, find_gaps, require_final
from ml_assets.pipeline.ingestion.ready_drops import accepted_gaps
from ml_assets.spec.drop import DropKey, nearest_key
from ml_assets.spec.tables.features import CLOSED_DROPS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.landing import has_landed
from ml_assets.stores.rows import read_rows
from ml_assets.stores.sandbox import show_tables
from ml_assets.stores.use_case_state import UseCaseState


def closed_drops(state: UseCaseState) -> set[DropKey]:
    """Give the drops whose features are stored, also where a drop had no example."""
    return {row["batch_date"] for row in read_rows(state.lake, CLOSED_DROPS.name, ["batch_date"])}


def refuse_drop_not_run(spec: UseCaseSpec, closed: Collection[DropKey], drop: DropKey | None, named: str) -> None:
    """Refuse a drop that is not among the `closed` ones; without a drop, that there is none.

    Raises
    ------
    ValueError
        Saying what `named` may be, and which is nearest.
    """
    if not closed:
        found = f"{named}: found {drop}, and no drop was run yet" if drop else "no drop was run yet"
        start = spec.calendar.first_drop
        raise ValueError(f"{found}. Run `ml-assets batch {spec.name} --from {start} --to …` first")
    if drop is not None and drop not in closed:
        nearest = nearest_key(closed, drop)
        raise ValueError(
            f"{named}: found {drop}, which was not run; allowed: a drop that was run, from {min(closed)} to "
            f"{max(closed)}; nearest: {nearest}"
        )


def refuse_open_drops(spec: UseCaseSpec, state: UseCaseState, last: DropKey) -> None:
    """Refuse to run while a drop up to `last` has no final state; a closed drop had one, by what was declared then."""
    closed = closed_drops(state)
    with state.connect() as connection:
        show_tables(connection, {"drops": state.lake.files("drops")})
        gaps = [gap for gap in find_gaps(connection, spec, last) if gap.drop not in closed]
    accepted = accepted_gaps(state.lake) if gaps else set[tuple[DropKey, str]]()
    absent = [gap for gap in gaps if (gap.drop, gap.source) not in accepted and _is_awaited(spec, state, gap)]
    require_final(gaps, absent, spec.name, last, str(state.landing))


def _is_awaited(spec: UseCaseSpec, state: UseCaseState, gap: Gap) -> bool:
    """Say whether a source has not landed for a drop that waits for it."""
    source = spec.source(gap.source)
    is_waited = source.when_missing == "wait" and source.is_expected_in(gap.drop, spec.calendar.first_drop)
    return is_waited and not has_landed(state.landing, gap.drop, source.expected_file)


def require_features(state: UseCaseState, drops: Sequence[DropKey]) -> None:
    """Refuse to predict, watch or decide in a drop whose features were not computed: its batch has not come.

    Raises
    ------
    DropsNotFinalError
        Naming the drops.
    """
    bounds = (min(drops), max(drops))
    closed = {row["batch_date"] for row in read_rows(state.lake, CLOSED_DROPS.name, ["batch_date"], bounds)}
    missing = [drop for drop in drops if drop not in closed]
    if missing:
        named = f"{missing[0]}" + (f" and {len(missing) - 1} more" if missing[1:] else "")
        raise DropsNotFinalError(
            f"no features yet for drop {named}. Run the whole batch once its files have landed: "
            f"ml-assets batch {state.use_case} --from {missing[0]} --to {missing[-1]}"
        )
