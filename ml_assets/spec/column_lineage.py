"""From which columns each column of a use case is made: from raw to prediction, by what is declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ml_assets.spec.contract import RECEIVED, Source
from ml_assets.spec.declared_tables import DeclaredTables, DrawnTable, declared_tables
from ml_assets.spec.features import EXAMPLE_COLUMNS, FeatureView
from ml_assets.spec.sql_binding import Bench
from ml_assets.spec.sql_lineage import columns_of
from ml_assets.spec.table_sql import BATCH
from ml_assets.spec.use_case import UseCaseSpec


class ColumnAt(NamedTuple):
    """A column of a table of a use case, by the layer and name of its asset."""

    layer: str
    table: str
    column: str

    def __str__(self) -> str:
        """Write it as an asset and its column."""
        return f"{self.layer}/{self.table}.{self.column}"


Made = dict[str, tuple[ColumnAt, ...]]
Lineage = Mapping[tuple[str, str], Made]
EXAMPLES, FEATURES, LABELS = ("features", "examples"), ("features", "features"), ("training", "labels")
TRAINING_SET, PREDICTIONS = ("training", "training_set"), ("predictions", "predictions")


def column_lineage(spec: UseCaseSpec) -> Lineage:
    """Give for each table and column the columns it is made of, one step back.

    A feature of a view is made of what it measures, of the columns that decide which facts count (filter, entity, when
    they became known) and of the example's own entity and moment. A feature that is an expression is made of columns
    of the example and of features of views, which are in the same table.
    """
    with Bench() as bench:
        tables = declared_tables(spec, bench)
    made: dict[tuple[str, str], Made] = {("validated", source.name): _of_validated(source) for source in spec.sources}
    made[EXAMPLES] = _of_drawn(tables.examples)
    for own in ("batch_date", "prediction_at"):  # of the calendar, unless the SELECT gives a moment of its own
        made[EXAMPLES].setdefault(own, ())
    made[LABELS] = _of_drawn(tables.labels)
    made[FEATURES] = _of_features(spec, tables)
    names = spec.features.feature_names()
    as_before: Made = {name: (ColumnAt(*FEATURES, name),) for name in EXAMPLE_COLUMNS}
    of_model = tuple(ColumnAt(*FEATURES, name) for name in names)
    made[TRAINING_SET] = {
        **as_before,
        "label": (ColumnAt(*LABELS, "label"),),
        "split": (ColumnAt(*FEATURES, "prediction_at"),),
        **{name: (ColumnAt(*FEATURES, name),) for name in names},
    }
    made[PREDICTIONS] = {**as_before, "score": of_model, "baseline_score": _of_baseline(spec)}
    return made


def across_assets(lineage: Lineage, asset: tuple[str, str]) -> Made:
    """Give what the columns of an asset are made of in other assets, features of features followed through."""
    made = lineage[asset]
    return {name: tuple(dict.fromkeys(_beyond(made, asset, origins))) for name, origins in made.items()}


def _beyond(made: Made, asset: tuple[str, str], origins: Iterable[ColumnAt]) -> Iterator[ColumnAt]:
    for origin in origins:
        if (origin.layer, origin.table) == asset:
            yield from _beyond(made, asset, made[origin.column])
        else:
            yield origin


def trace(lineage: Lineage, column: ColumnAt, depth: int = 0) -> Iterator[tuple[int, ColumnAt]]:
    """Go back from a column to raw ones: each with how many steps it is away, the nearest first."""
    for origin in lineage.get((column.layer, column.table), {}).get(column.column, ()):
        yield depth + 1, origin
        yield from trace(lineage, origin, depth + 1)


def _of_validated(source: Source) -> Made:
    made: Made = {name: (ColumnAt("raw", source.name, name),) for name in source.columns}
    known_at = "" if source.known_at == RECEIVED else source.known_at
    for name, text in {"event_at": source.event_at or "", "known_at": known_at, "claimed_known_at": known_at}.items():
        read = columns_of(text, source.columns) if text else ()
        made[name] = tuple(ColumnAt("raw", source.name, column) for column in read)
    return made


def _of_drawn(drawn: DrawnTable) -> Made:
    return {
        name: tuple(ColumnAt("validated", table, column) for table, column in sorted(origins) if table != BATCH)
        for name, origins in drawn.lineage.items()
    }


def _of_features(spec: UseCaseSpec, tables: DeclaredTables) -> Made:
    made: Made = {name: (ColumnAt(*EXAMPLES, name),) for name in EXAMPLE_COLUMNS}
    for view in spec.features.views:
        made |= _of_view(view, spec.source(view.source), list(tables.sources[view.source]))
    of_views = {name for view in spec.features.views for name in view.feature_names()}
    for expression in spec.features.expressions:
        made[expression.name] = tuple(
            ColumnAt(*(FEATURES if name in of_views else EXAMPLES), name)
            for name in columns_of(expression.sql, tables.rows)
        )
    return made


def _of_view(view: FeatureView, source: Source, columns: list[str]) -> Made:
    deciding = [*([view.where] if view.where else []), *view.entity, "known_at", *(["event_at"] if view.latest else [])]
    moments = ["prediction_at"]
    if source.forecast is not None:
        deciding += ["event_at", source.forecast.valid_at]
        moments = list(dict.fromkeys([view.moment or "prediction_at", "prediction_at"]))
    asked = [*view.latest, *(["known_at"] if view.with_age else []), *(["event_at"] if view.with_lead else [])]
    asked *= len(view.steps)
    if view.aggregates:
        asked = [aggregate.expression for _ in view.spans for aggregate in view.parsed_aggregates()]
    of_example = [ColumnAt(*EXAMPLES, name) for name in (*view.entity, *moments)]
    made: Made = {}
    for name, text in zip(view.feature_names(), asked, strict=True):
        measured = [] if text == "*" else [text]
        read = dict.fromkeys(column for each in (*measured, *deciding) for column in _read(view, each, columns))
        made[name] = (*(ColumnAt("validated", view.source, column) for column in read), *of_example)
    return made


def _read(view: FeatureView, text: str, columns: list[str]) -> Iterator[str]:
    """Name the columns of the source that an expression of a view reads, through what it derives."""
    for name in columns_of(text, [*columns, *view.derive]):
        if name in view.derive:
            earlier = dict(list(view.derive.items())[: list(view.derive).index(name)])
            yield from _read(view.model_copy(update={"derive": earlier}), view.derive[name], columns)
        else:
            yield name


def _of_baseline(spec: UseCaseSpec) -> tuple[ColumnAt, ...]:
    """Give what the baseline to beat reads."""
    names = spec.recipe().baseline.group_by
    return tuple(ColumnAt(*FEATURES, name) for name in names)
