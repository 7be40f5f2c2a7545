"""Assets of what is predicted and from what: labels, examples, features."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.features.examples import settle_examples
from ml_assets.features.feature_table import iterate_features
from ml_assets.graph.computed import COMPUTED, computed_drops
from ml_assets.graph.described_columns import describe_columns, feature_descriptions
from ml_assets.graph.feature_sets import declared_set, drops_to_compute, standing_of_features
from ml_assets.graph.layout import (
    SINGLE_RUN,
    asset_key,
    described,
    history_mapping,
    partition_keys,
    partitions_of,
    table_schema,
    view_lookback,
)
from ml_assets.graph.resources import StateResource
from ml_assets.graph.row_counts import describe_drops
from ml_assets.ingestion.ledger import find_gaps, require_computed, require_final
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.sandbox import select_by_drop, shut_in
from ml_assets.training.labels import settle_labels

if TYPE_CHECKING:
    import pyarrow as pa

_LABEL_COLUMNS = {"example_id": "VARCHAR", "label": "INTEGER", "known_at": "TIMESTAMPTZ"}


def build_feature_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build labels, examples and features."""
    return [_labels(spec), _examples(spec), _features(spec)]


def refuse_open_drops(spec: UseCaseSpec, lake: Lake, duckdb: DuckDBResource, last: date) -> None:
    """Refuse to run while a drop up to `last` has no final state; a closed drop had one, by what was declared then."""
    closed = computed_drops(lake, duckdb)
    with duckdb.get_connection() as connection:
        shut_in(connection, {"drops": lake.files("drops")})
        require_final([gap for gap in find_gaps(connection, spec, last) if gap.drop not in closed], spec.name)


def _labels(spec: UseCaseSpec) -> dg.AssetsDefinition:
    sources = spec.labels.sources
    columns = _LABEL_COLUMNS | dict.fromkeys(spec.labels.measures, "DOUBLE")

    @dg.asset(
        key=asset_key(spec, "training", "labels"),
        deps=[asset_key(spec, "validated", source) for source in sources],
        description="Outcomes as they became known, in the drop that brought them; one row an example.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        metadata={"dagster/column_schema": table_schema(columns)},
        **described(spec, "training", "delta", "duckdb"),
    )  # fmt: skip
    def labels(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> None:
        state = store.of(spec.name)
        drops = partition_keys(context)
        bounds = (drops[0], drops[-1])
        with duckdb.get_connection() as connection:
            shut_in(connection, {f"validated_{s}": state.lake.files(f"validated_{s}", drops=bounds) for s in sources})
            select_by_drop(connection, spec.labels.sql, sources, drops, spec.calendar)
            rows = settle_labels(connection, spec.labels.measures).to_arrow_table()
        state.lake.replace_drops("labels", rows, drops)
        days, values = rows["batch_date"].to_pylist(), rows["label"].to_pylist()
        counts = Counter(days)
        positive = Counter(day for day, label in zip(days, values, strict=True) if label)
        shares = {drop: {"positive share": positive[drop] / counts[drop]} for drop in counts}
        shown = describe_columns(spec, "training", "labels", columns)
        describe_drops(context, drops, counts, shares, on_last=shown)

    return labels


def _examples(spec: UseCaseSpec) -> dg.AssetsDefinition:
    sources = spec.examples.sources
    every = spec.calendar.every

    @dg.asset(
        key=asset_key(spec, "features", "examples"),
        deps=[
            *(asset_key(spec, "validated", source) for source in sources),
            asset_key(spec, "raw", "drops"),
            dg.AssetDep(asset_key(spec, "training", "labels"), partition_mapping=history_mapping(None, every)),
        ],
        description="The rows to predict, and what is known of each by then. A row whose outcome is already known is "
        "quarantined.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        **described(spec, "features", "delta", "duckdb"),
    )
    def examples(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> None:
        state = store.of(spec.name)
        drops, lake = partition_keys(context), state.lake
        refuse_open_drops(spec, lake, duckdb, drops[-1])
        require_computed(spec, computed_drops(lake, duckdb), spec.calendar.previous_drop(drops[0]))
        with duckdb.get_connection() as connection:
            drawn, notes = drops_to_compute(connection, lake, spec, drops, context.run.tags)
        for stretch in stretches(drawn, spec.calendar):
            notes |= _draw_examples(spec, lake, duckdb, stretch)
        counts, columns = _stored_counts(lake, duckdb, "examples", drops)
        shown = describe_columns(spec, "features", "examples", columns)
        describe_drops(context, drops, counts, notes, on_last=shown)

    return examples


def _draw_examples(
    spec: UseCaseSpec, lake: Lake, duckdb: DuckDBResource, drops: Sequence[date]
) -> dict[date, dict[str, object]]:
    """Draw the examples of drops that follow each other; note how many of each are in quarantine."""
    sources, first, last = spec.examples.sources, spec.calendar.start, drops[-1]
    with duckdb.get_connection() as connection:
        tables = {
            f"validated_{source}": lake.files(f"validated_{source}", drops=(drops[0], last)) for source in sources
        }
        tables["_labels"] = lake.files("labels", drops=(first, last))
        if lake.has("examples"):
            tables["_earlier"] = lake.files("examples", drops=(first, spec.calendar.previous_drop(drops[0])))
        shut_in(connection, tables)
        if "_earlier" not in tables:
            connection.execute("CREATE TEMP TABLE _earlier (example_id VARCHAR, batch_date DATE)")
        select_by_drop(connection, spec.examples.sql, sources, drops, spec.calendar)
        settled = settle_examples(connection, spec.calendar, drops)
        accepted, quarantined = settled.accepted.to_arrow_table(), settled.quarantined.to_arrow_table()
    lake.replace_drops("examples", accepted, drops)
    lake.replace_drops("quarantine_examples", quarantined, drops)
    refused = Counter(quarantined["batch_date"].to_pylist())
    return {drop: {"quarantined": refused[drop]} for drop in drops}


def _stored_counts(
    lake: Lake, duckdb: DuckDBResource, table: str, drops: Sequence[date]
) -> tuple[Counter[date], dict[str, str]]:
    """Count the rows of each drop in the lake, and name the columns with their types."""
    with duckdb.get_connection() as connection:
        rows = lake.relation(connection, table, (drops[0], drops[-1]))
        counts = Counter(dict(rows.aggregate("batch_date, count(*)", "batch_date").fetchall()))
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))
        return counts, {name: kind for name, kind in types.items() if not name.startswith("_")}


def stretches(drops: Sequence[date], calendar: Calendar) -> Iterator[list[date]]:
    """Cut drops where one is left out between them."""
    found: list[date] = []
    for drop in drops:
        if found and calendar.next_drop(found[-1]) != drop:
            yield found
            found = []
        found.append(drop)
    if found:
        yield found


def _features(spec: UseCaseSpec) -> dg.AssetsDefinition:
    views, every = spec.features.views, spec.calendar.every
    sources = sorted({view.source for view in views})

    @dg.asset(
        key=asset_key(spec, "features", "features"),
        deps=[
            asset_key(spec, "features", "examples"),
            asset_key(spec, "raw", "drops"),
            *(
                dg.AssetDep(
                    asset_key(spec, "validated", source),
                    partition_mapping=history_mapping(view_lookback(views, source), every),
                )
                for source in sources
            ),
        ],
        description="Every feature of every example, as known at its prediction_at, whoever computed it and when.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        **described(spec, "features", "delta", "duckdb", "numpy"),
    )
    def features(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> None:
        state = store.of(spec.name)
        drops, lake = partition_keys(context), state.lake
        refuse_open_drops(spec, lake, duckdb, drops[-1])
        with duckdb.get_connection() as connection:
            due, notes = drops_to_compute(connection, lake, spec, drops, context.run.tags)
        for stretch in stretches(due, spec.calendar):
            _compute(spec, lake, duckdb, stretch, context.log.info)
        counts, columns = _stored_counts(lake, duckdb, "features", drops)
        with duckdb.get_connection() as connection:
            said = feature_descriptions(spec, standing_of_features(connection, lake, spec))
        shown = describe_columns(spec, "features", "features", columns, said)
        describe_drops(context, drops, counts, notes, on_last=shown)

    return features


def first_needed(spec: UseCaseSpec, source: str, first: date) -> date:
    """Give the first drop whose facts can matter to features of drop `first`: a drop costs what its windows cost."""
    lookback = view_lookback(spec.features.views, source)
    if lookback is None:
        return spec.calendar.start
    return max(spec.calendar.drop_receiving(spec.calendar.interval_of(first)[0] - lookback), spec.calendar.start)


def _compute(
    spec: UseCaseSpec, lake: Lake, duckdb: DuckDBResource, drops: Sequence[date], done: Callable[[str], None]
) -> None:
    """Compute the features of drops that follow each other by what is declared now."""
    import pyarrow as pa

    with duckdb.get_connection() as connection:
        number = declared_set(connection, lake, spec)
    counts: Counter[date] = Counter()
    with duckdb.get_connection() as connection:
        tables = {
            f"validated_{source}": lake.files(
                f"validated_{source}", drops=(first_needed(spec, source, drops[0]), drops[-1])
            )
            for source in sorted({view.source for view in spec.features.views})
        }
        shut_in(connection, tables | {"examples": lake.files("examples", drops=(drops[0], drops[-1]))})
        connection.execute("CREATE TEMP TABLE _examples AS SELECT * FROM examples ORDER BY batch_date, example_id")
        parts = iterate_features(connection, spec, drops, on_scope=lambda source: done(f"features of {source}"))
        for part, rows in parts:  # one, unless the drops hold more examples than are computed at once
            sets = pa.array([number] * rows.num_rows, pa.int64())
            lake.replace_drops("features", rows.append_column("_feature_set", sets), part)
            counts.update(rows["batch_date"].to_pylist())
    lake.replace_drops(COMPUTED, _computed_table(drops, counts, number), drops)


def _computed_table(drops: Sequence[date], counts: Counter[date], feature_set: int) -> "pa.Table":
    import pyarrow as pa

    schema = pa.schema({"batch_date": pa.date32(), "examples": pa.int64(), "_feature_set": pa.int64()})
    rows = [{"batch_date": drop, "examples": counts[drop], "_feature_set": feature_set} for drop in drops]
    return pa.Table.from_pylist(rows, schema)
