"""Feature values of drops, as known at the moment of each prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ml_assets.features.feature_table import iterate_features
from ml_assets.features.lookback import first_needed
from ml_assets.pipeline.features.closed_drops import refuse_open_drops
from ml_assets.pipeline.features.examples import stored_counts, stretches
from ml_assets.pipeline.features.versions import declared_set, drops_to_compute
from ml_assets.pipeline.ingestion.contract_changes import follow_contract
from ml_assets.pipeline.results import DropResult
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables import of_use_case
from ml_assets.spec.tables.features import CLOSED_DROPS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    pass


def store_features(
    spec: UseCaseSpec,
    state: UseCaseState,
    drops: Sequence[DropKey],
    *,
    is_backfill: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> DropResult:
    """Compute the features of `drops` by what is declared now, and close the drops. Grain: an example.

    Closed drops of other definitions are left as they are, unless `is_backfill`.

    Raises
    ------
    DropsNotFinalError
        While an earlier drop has no final state.
    """
    refuse_open_drops(spec, state, drops[-1])
    with state.connect() as connection:
        computed, notes = drops_to_compute(connection, state.lake, spec, drops, is_backfill=is_backfill)
    for stretch in stretches(computed, spec.calendar):
        _compute(spec, state, stretch, tell)
    counts, columns = stored_counts(state, "features", drops)
    return DropResult(counts, notes, columns)


def _compute(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey], tell: Callable[[str], None]) -> None:
    """Compute the features of drops that follow each other by what is declared now."""
    import pyarrow as pa

    lake = state.lake
    for name in sorted({view.source for view in spec.features.views}):  # a backfill may come before the next batch
        follow_contract(state, spec.source(name), ["validated"])
    with state.connect() as connection:
        number = declared_set(connection, lake, spec)
    counts: Counter[DropKey] = Counter()
    with state.connect_apart() as connection:
        tables = {
            f"validated_{source}": lake.files(
                f"validated_{source}", drops=(first_needed(spec, source, drops[0]), drops[-1])
            )
            for source in sorted({view.source for view in spec.features.views})
        }
        restrict_to_tables(connection, tables | {"examples": lake.files("examples", drops=(drops[0], drops[-1]))})
        connection.execute("CREATE TEMP TABLE _examples AS SELECT * FROM examples ORDER BY batch_date, example_id")
        parts = iterate_features(connection, spec, drops, on_scope=lambda source: tell(f"features of {source}"))
        for part, rows in parts:  # one, unless the drops hold more examples than are computed at once
            sets = pa.array([number] * rows.num_rows, pa.int64())
            lake.replace_drops("features", rows.append_column("_feature_set", sets), part)
            counts.update(rows["batch_date"].to_pylist())
    closed = [{"batch_date": drop, "examples": counts[drop], "_feature_set": number} for drop in drops]
    lake.replace_drops(CLOSED_DROPS.name, arrow_rows(of_use_case(CLOSED_DROPS, spec), closed), drops)
