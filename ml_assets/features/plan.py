"""What has to be computed for the views of a use case, as data: what is read once, and what is made of it.

A plan has no SQL of an engine beside the expressions that the declaration gives, no frame and no connection. Views
that read the same source share one reading (a scope); those with the same entity and condition share one order of
facts and one search (a group). An engine is what turns a plan, facts and examples into columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from ml_assets.spec.contract import Source
from ml_assets.spec.features import FeatureView
from ml_assets.spec.forecasts import series_columns
from ml_assets.spec.use_case import UseCaseSpec

ROWS = "*"


@dataclass(frozen=True)
class Reduction:
    """One windowed feature: `function` of `measure` over (prediction_at - window, prediction_at]."""

    feature: str
    function: str
    measure: str
    window: timedelta


@dataclass(frozen=True)
class WindowGroup:
    """Windowed features over the same facts of the same entity."""

    entity: tuple[str, ...]
    where: str | None
    reductions: tuple[Reduction, ...]


@dataclass(frozen=True)
class LatestGroup:
    """The newest fact of an entity: `columns` maps features to the columns they take, `age` names its age in hours."""

    entity: tuple[str, ...]
    where: str | None
    columns: Mapping[str, str]
    age: str | None
    max_age: timedelta | None


@dataclass(frozen=True)
class NearestForecast:
    """The forecast for the last moment in (asked + `ahead` - `within`, asked + `ahead`].

    `columns` maps features to the columns they take; `age` and `lead` name hours since the vintage was issued, and from
    then to the moment it is for.
    """

    columns: Mapping[str, str]
    age: str | None
    lead: str | None
    ahead: timedelta
    within: timedelta


@dataclass(frozen=True)
class ForecastGroup:
    """The features of one view over a forecast; a window of `reductions` is (asked, asked + window]."""

    entity: tuple[str, ...]
    where: str | None
    moment: str
    max_age: timedelta | None
    reductions: tuple[Reduction, ...]
    nearest: tuple[NearestForecast, ...]


@dataclass(frozen=True)
class VintageTimes:
    """What tells the vintages of a forecast apart: SQL of the moment they are for, and the columns of a series."""

    valid_at: str
    series: tuple[str, ...]


@dataclass(frozen=True)
class Scope:
    """All that is made of one reading of a source.

    `derive` names row expressions that the other expressions and entities may use. `lookback` is how far before the
    earliest `prediction_at` a fact can matter; None is without bound.
    """

    source: str
    key: tuple[str, ...]
    derive: Mapping[str, str]
    windows: tuple[WindowGroup, ...]
    latest: tuple[LatestGroup, ...]
    lookback: timedelta | None
    forecasts: tuple[ForecastGroup, ...] = ()
    vintages: VintageTimes | None = None

    def entity_columns(self) -> tuple[str, ...]:
        """Name the columns that any group is by."""
        return tuple(dict.fromkeys(name for group in self._groups() for name in group.entity))

    def _groups(self) -> tuple[WindowGroup | LatestGroup | ForecastGroup, ...]:
        return (*self.windows, *self.latest, *self.forecasts)

    def reductions(self) -> tuple[Reduction, ...]:
        """List the aggregates of all groups."""
        return tuple(each for group in (*self.windows, *self.forecasts) for each in group.reductions)

    def moments(self) -> tuple[str, ...]:
        """Name the moments of examples that forecasts are asked for."""
        return tuple(dict.fromkeys(group.moment for group in self.forecasts))

    def conditions(self) -> tuple[str, ...]:
        """List the conditions of the groups."""
        return tuple(dict.fromkeys(group.where for group in self._groups() if group.where))

    def measures(self) -> tuple[str, ...]:
        """List the expressions that are aggregated; counting rows needs none."""
        asked = (reduction.measure for reduction in self.reductions())
        return tuple(dict.fromkeys(measure for measure in asked if measure != ROWS))

    def distinct_measures(self) -> frozenset[str]:
        """Name the measures whose different values are counted."""
        return frozenset(each.measure for each in self.reductions() if each.function == "distinct")

    def taken_columns(self) -> tuple[str, ...]:
        """Name the columns that the newest facts give."""
        taken = (*self.latest, *(each for group in self.forecasts for each in group.nearest))
        return tuple(dict.fromkeys(column for each in taken for column in each.columns.values()))


@dataclass
class _OpenScope:
    source: Source
    derive: dict[str, str]
    views: list[FeatureView] = field(default_factory=list)

    def takes(self, view: FeatureView) -> bool:
        """Say whether `view` means the same in this scope: no name stands for two things."""
        columns = set(self.source.columns)
        mine, other = self.derive, view.derive
        clashing = any(mine[name] != other[name] for name in mine.keys() & other.keys())
        hiding = any(name in columns for name in mine.keys() ^ other.keys())
        return not clashing and not hiding


def compile_plan(spec: UseCaseSpec) -> tuple[Scope, ...]:
    """Compile the views of a use case, sharing what can be shared."""
    opened: list[_OpenScope] = []
    for view in spec.features.views:
        source = spec.source(view.source)
        scope = next((each for each in opened if each.source.name == source.name and each.takes(view)), None)
        if scope is None:
            opened.append(scope := _OpenScope(source, {}))
        scope.derive.update(view.derive)
        scope.views.append(view)
    return tuple(_close(scope) for scope in opened)


def _close(scope: _OpenScope) -> Scope:
    windows: dict[tuple[tuple[str, ...], str | None], list[Reduction]] = {}
    for view in scope.views:
        if view.windows:
            windows.setdefault((view.entity, view.where), []).extend(_reductions(view))
    forecast = scope.source.forecast
    latest = [_latest(view) for view in scope.views if view.latest and forecast is None]
    lookbacks = [view.lookback for view in scope.views]
    bounded = [lookback for lookback in lookbacks if lookback is not None]
    return Scope(
        source=scope.source.name,
        key=tuple(scope.source.key),
        derive=dict(scope.derive),
        windows=tuple(WindowGroup(entity, where, tuple(found)) for (entity, where), found in windows.items()),
        latest=tuple(latest),
        lookback=max(bounded) if len(bounded) == len(lookbacks) else None,
        forecasts=tuple(_forecast(view) for view in scope.views) if forecast is not None else (),
        vintages=VintageTimes(forecast.valid_at, series_columns(scope.source)) if forecast is not None else None,
    )


def _reductions(view: FeatureView) -> Sequence[Reduction]:
    asked = [(window, aggregate) for window in view.spans for aggregate in view.parsed_aggregates()]
    return [
        Reduction(name, aggregate.function, aggregate.expression, window)
        for name, (window, aggregate) in zip(view.feature_names(), asked, strict=True)
    ]


def _latest(view: FeatureView) -> LatestGroup:
    names = view.feature_names()
    columns = dict(zip(names, view.latest, strict=False))
    return LatestGroup(view.entity, view.where, columns, names[-1] if view.with_age else None, view.max_age)


def _forecast(view: FeatureView) -> ForecastGroup:
    reductions = tuple(_reductions(view)) if view.aggregates else ()
    nearest: list[NearestForecast] = []
    names = iter(view.feature_names())
    for step in view.steps if view.latest and view.within else ():
        columns = {next(names): column for column in view.latest}
        age, lead = (next(names) if is_asked else None for is_asked in (view.with_age, view.with_lead))
        nearest.append(NearestForecast(columns, age, lead, step or timedelta(0), view.within or timedelta(0)))
    moment = view.moment or "prediction_at"
    return ForecastGroup(view.entity, view.where, moment, view.max_age, reductions, tuple(nearest))
