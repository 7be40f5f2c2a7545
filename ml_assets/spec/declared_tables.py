"""The tables that a sound declaration makes: their columns and types, before anything has run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import SQL_TYPES
from ml_assets.spec.features import WHOLE_NUMBERS, FeatureView
from ml_assets.spec.sql_binding import Bench, Columns
from ml_assets.spec.sql_lineage import Origins, select_lineage
from ml_assets.spec.table_sql import BATCH
from ml_assets.spec.use_case import SqlTable, UseCaseSpec

MOMENT = "TIMESTAMP WITH TIME ZONE"
TIMES: Columns = {"event_at": MOMENT, "known_at": MOMENT, "claimed_known_at": MOMENT}


def batch_columns(calendar: Calendar) -> Columns:
    """Give the columns of table `batch`, which has the row of the drop."""
    return {"batch_date": calendar.key_type, "batch_at": MOMENT, "previous_batch_at": MOMENT}


@dataclass(frozen=True)
class DrawnTable:
    """A table that a SELECT draws: types by column, and for each column what it is made of."""

    types: Mapping[str, str]
    lineage: Mapping[str, Origins]


@dataclass(frozen=True)
class DeclaredTables:
    """The sources with their times, what is drawn from them, and the features of views beside the examples."""

    sources: Mapping[str, Columns]
    examples: DrawnTable
    labels: DrawnTable
    rows: Columns


def declared_tables(spec: UseCaseSpec, bench: Bench) -> DeclaredTables:
    """Lay the tables of a declaration on `bench`: the sources by name, the examples with view features as `_rows`."""
    sources = {
        source.name: {**{name: SQL_TYPES[column.type] for name, column in source.columns.items()}, **TIMES}
        for source in spec.sources
    }
    for name, columns in {**sources, BATCH: batch_columns(spec.calendar)}.items():
        bench.lay(name, columns)
    batch = batch_columns(spec.calendar)
    drawn = {part: _drawn(bench, table, sources, batch) for part, table in (("e", spec.examples), ("l", spec.labels))}
    own: Columns = {"batch_date": spec.calendar.key_type, "example_id": "VARCHAR", "prediction_at": MOMENT}
    rows: Columns = {**drawn["e"].types, **own}
    for view in spec.features.views:
        rows |= view_types(view, sources[view.source])
    bench.lay("_rows", rows)
    if spec.features.holidays:
        bench.know_holidays()
    return DeclaredTables(sources, drawn["e"], drawn["l"], rows)


def view_types(view: FeatureView, source: Columns) -> Columns:
    """Give the types of the features of a view; None where a derived column is taken as it is."""
    whole = [aggregate.function in WHOLE_NUMBERS for aggregate in view.parsed_aggregates()]
    kinds: list[str | None] = ["BIGINT" if is_whole else "DOUBLE" for _ in view.spans for is_whole in whole]
    if view.latest:
        hours: list[str | None] = ["DOUBLE"] * (view.with_age + view.with_lead)
        kinds = [*(source.get(column) for column in view.latest), *hours] * len(view.steps)
    return dict(zip(view.feature_names(), kinds, strict=True))


def types_of(bench: Bench, table: str, texts: Iterable[str]) -> dict[str, str]:
    """Give the type of each expression over the rows of a table that was laid; without those of unknown type."""
    asked = list(dict.fromkeys(texts))
    if not asked:
        return {}
    said = ", ".join(f'({text}\n) AS "_{place}"' for place, text in enumerate(asked))
    bound = bench.bind(f'SELECT {said} FROM "{table}"', [table])
    return dict(zip(asked, (bound.columns or {}).values(), strict=False)) if bound.is_typed else {}


def _drawn(bench: Bench, table: SqlTable, sources: Mapping[str, Columns], batch: Columns) -> DrawnTable:
    may_read = {name: sources[name] for name in table.sources} | {BATCH: batch}
    bound = bench.bind(table.sql, list(may_read))
    types = bound.columns or {}
    return DrawnTable(types, select_lineage(table.sql, may_read, list(types)))
