"""Forecasts by vintage: how they were revised, and what a backtest with their final values would flatter by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ml_assets.features.final_values import final_features, forecast_features, forecast_views
from ml_assets.features.outcome_leakage import LeakageSign
from ml_assets.features.revisions import (
    RevisionBand,
    VintageCounts,
    count_vintages,
    find_final_values,
    lay_revisions,
    measure_revisions,
)
from ml_assets.pipeline.training.training_set import TABLE, read_newest
from ml_assets.spec.contract import Source
from ml_assets.spec.drop import key_sql, read_key
from ml_assets.spec.features import FeatureView
from ml_assets.spec.sql_lineage import columns_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.final_values import Flattery, measure_flattery
from ml_assets.training.training_set import DrawPlan

if TYPE_CHECKING:
    import pandas as pd

_NUMERIC = ("float", "integer")


class NoForecastError(LookupError):
    """A use case no view of which reads a forecast."""


@dataclass(frozen=True)
class SourceVintages:
    """One forecast as of a drop: its vintages, how they were revised by lead, and columns that hardly were."""

    source: str
    counts: VintageCounts
    bands: tuple[RevisionBand, ...]
    signs: tuple[LeakageSign, ...]


@dataclass(frozen=True)
class VintageReport:
    """All forecasts that views read, and what final values flatter by, as of the newest training set."""

    as_of: str
    sources: tuple[SourceVintages, ...]
    flattery: Flattery


def report_vintages(
    spec: UseCaseSpec, state: UseCaseState, candidate: str, tell: Callable[[str], None] = lambda _: None
) -> VintageReport:
    """Measure on the newest training set; nothing is stored.

    Raises
    ------
    NoForecastError
        Where no view reads a forecast.
    MissingTableError
        Where no training set was drawn yet.
    ValueError
        On a training set without the features of now, or too short a history to look ahead.
    """
    if not forecast_views(spec):
        raise NoForecastError(
            f"{spec.name} has no view over a forecast; allowed: a source with `forecast: {{issued_at, for}}`, and a "
            "view that reads it"
        )
    newest = read_newest(spec, state)
    plan = DrawPlan.from_json(newest.plan)
    lacking = [name for name in forecast_features(spec) if name not in newest.rows.columns]
    if lacking:
        raise ValueError(
            f"the training set as of {plan.as_of} has no {', '.join(lacking[:5])}, which is declared now; run "
            f"`ml-assets backfill {spec.name} --features` and `ml-assets retrain {spec.name}` first"
        )
    sources = forecast_vintages(spec, state, plan)
    tell("vintages are counted")
    rows = newest.rows.loc[newest.rows["split"] == "train"].reset_index(drop=True)
    final = _with_final_values(spec, state, plan, rows)
    tell("features have their final values")
    flattery = measure_flattery(spec.recipe(), candidate, (rows, final), plan.features)
    return VintageReport(plan.as_of, sources, flattery)


def forecast_vintages(spec: UseCaseSpec, state: UseCaseState, plan: DrawPlan) -> tuple[SourceVintages, ...]:
    """Count and measure the vintages of each forecast that was received by the drop of a plan."""
    found: list[SourceVintages] = []
    for name in dict.fromkeys(view.source for view in forecast_views(spec)):
        source, table = spec.source(name), f"validated_{name}"
        columns = read_columns(spec, source)
        with state.connect_apart() as connection:
            drops = (spec.calendar.first_drop, read_key(plan.as_of))
            restrict_to_tables(connection, {table: state.lake.files(table, drops=drops)})
            lay_revisions(connection, source, columns)
            bands = tuple(measure_revisions(connection, columns))
            is_judged = source.forecast is not None and source.forecast.unrevised is None
            signs = tuple(find_final_values(connection, columns)) if is_judged else ()
            found.append(SourceVintages(name, count_vintages(connection), bands, signs))
    return tuple(found)


def read_columns(spec: UseCaseSpec, source: Source) -> tuple[str, ...]:
    """Name the numeric columns of a forecast that features are made of."""
    numeric = [name for name, column in source.columns.items() if column.type in _NUMERIC and name not in source.key]
    views = [view for view in forecast_views(spec) if view.source == source.name]
    return tuple(name for name in numeric if any(features_of_column(view, name, numeric) for view in views))


def features_of_column(view: FeatureView, column: str, columns: list[str]) -> list[str]:
    """Name the features of a view whose values a column gives, derived columns followed."""
    made_of = {name: set(columns_of(text, columns)) for name, text in view.derive.items()}

    def reads(text: str) -> bool:
        derived = columns_of(text, list(made_of))
        return column in columns_of(text, columns) or any(column in made_of[name] for name in derived)

    if view.latest:
        per_step = len(view.feature_names()) // len(view.steps)
        names = view.feature_names()
        return [
            names[step * per_step + place]
            for step in range(len(view.steps))
            for place, taken in enumerate(view.latest)
            if reads(f'"{taken}"')
        ]
    asked = [aggregate for _ in view.spans for aggregate in view.parsed_aggregates()]
    pairs = zip(view.feature_names(), asked, strict=True)
    return [name for name, each in pairs if not each.counts_rows and reads(each.expression)]


def _with_final_values(spec: UseCaseSpec, state: UseCaseState, plan: DrawPlan, rows: pd.DataFrame) -> pd.DataFrame:
    """Give the training rows with the features that forecasts decide as they ended, by the drop of the plan."""
    as_of = read_key(plan.as_of)
    with state.connect() as connection:
        trained = state.lake.relation(connection, TABLE).filter("split = 'train'")
        first, last = trained.aggregate("min(batch_date), max(batch_date)").fetchall()[0]
    lake, known_by = state.lake, datetime.fromisoformat(plan.known_until)
    with state.connect_apart() as connection:
        tables: dict[str, Any] = {
            f"validated_{name}": lake.files(f"validated_{name}", drops=(spec.calendar.first_drop, as_of))
            for name in dict.fromkeys(view.source for view in forecast_views(spec))
        }
        tables["examples"] = lake.files("examples", drops=(first, last))
        restrict_to_tables(connection, tables | {TABLE: lake.files(TABLE)})
        connection.execute(f"CREATE TEMP TABLE _stored AS SELECT * FROM {TABLE} WHERE split = 'train'")
        connection.execute(
            "CREATE TEMP TABLE _examples AS SELECT e.* FROM examples AS e SEMI JOIN _stored USING (batch_date, "
            f"example_id) WHERE batch_date BETWEEN {key_sql(first)} AND {key_sql(last)} ORDER BY batch_date, example_id"
        )
        drops = spec.calendar.drops_between(first, last)
        final = final_features(connection, spec, drops, known_by)
        connection.register("_final", final)
        changed = connection.sql("SELECT * FROM _final ORDER BY batch_date, example_id").df()
    if not (changed["example_id"].to_numpy() == rows["example_id"].to_numpy()).all():
        raise ValueError("the examples of the training set are no longer those that are stored; retrain first")
    offered = [name for name in forecast_features(spec) if name in rows.columns]
    return rows.assign(**{name: changed[name].to_numpy() for name in offered})
