"""Feature views and row expressions: what is computed of an example, never how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, cast

from pydantic import Field, field_validator, model_validator

from ml_assets.spec.calendar import Duration, format_duration
from ml_assets.spec.model import Declared
from ml_assets.spec.names import Identifier

AggregateFunction = Literal["count", "sum", "mean", "min", "max"]
_AGGREGATE = re.compile(r"^\s*(count|sum|mean|min|max)\s*\((.*)\)\s*$", re.DOTALL)


@dataclass(frozen=True)
class Aggregate:
    """One aggregate of a windowed view: a function over a row expression, `*` for the row itself."""

    name: str
    function: AggregateFunction
    expression: str

    @property
    def counts_rows(self) -> bool:
        """Say whether this is count(*)."""
        return self.expression == "*"


def parse_aggregate(name: str, text: str) -> Aggregate:
    """Read `mean(arrival_delay_min >= 15)` or `count(*)`.

    Examples
    --------
    >>> parse_aggregate("late_share", "mean(arrival_delay_min >= 15)").expression
    'arrival_delay_min >= 15'
    """
    match = _AGGREGATE.match(text)
    if match is None or not match[2].strip() or (match[2].strip() == "*" and match[1] != "count"):
        raise ValueError(f"{name}: found {text!r}; allowed: count(*), or count, sum, mean, min, max of an expression")
    return Aggregate(name, cast("AggregateFunction", match[1]), match[2].strip())


class FeatureView(Declared):
    """Values of an entity as known at `prediction_at`: windowed aggregates, or the latest fact.

    A window w covers the facts with `known_at` in (prediction_at - w, prediction_at]. The latest
    fact is the one with the greatest time of happening (or of becoming known, where that is
    earlier); as old as `max_age`, or older, it is null. `derive` names row expressions over the source's
    columns, so that an entity can be something the source does not store. A null entity matches
    nothing.
    """

    name: Identifier
    description: str = ""
    source: Identifier = Field(alias="from")
    entity: tuple[Identifier, ...] = ()
    derive: dict[Identifier, str] = Field(default_factory=dict)
    where: str | None = None
    windows: tuple[Duration, ...] = ()
    aggregates: dict[Identifier, str] = Field(default_factory=dict)
    latest: tuple[Identifier, ...] = ()
    max_age: Duration | None = None
    with_age: bool = False

    @field_validator("aggregates")
    @classmethod
    def _aggregates_read(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            parse_aggregate(name, text)
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> FeatureView:
        if bool(self.windows) != bool(self.aggregates):
            raise ValueError(f"{self.name}: windows and aggregates go together; one of them is missing")
        if bool(self.windows) == bool(self.latest):
            raise ValueError(f"{self.name}: a view has either windows and aggregates, or latest")
        if self.windows and (self.max_age is not None or self.with_age):
            raise ValueError(f"{self.name}: max_age and with_age belong to latest, not to windows")
        return self

    def parsed_aggregates(self) -> tuple[Aggregate, ...]:
        """Give the aggregates in the order of their declaration."""
        return tuple(parse_aggregate(name, text) for name, text in self.aggregates.items())

    @property
    def lookback(self) -> timedelta | None:
        """Give how far before `prediction_at` a fact can still matter; None is without bound."""
        return max(self.windows) if self.windows else self.max_age

    def feature_names(self) -> tuple[str, ...]:
        """List the feature columns of this view, in order."""
        if self.windows:
            return tuple(
                f"{self.name}_{aggregate}_{format_duration(window)}"
                for window in self.windows
                for aggregate in self.aggregates
            )
        names = [f"{self.name}_{column}" for column in self.latest]
        return tuple([*names, f"{self.name}_age_h"] if self.with_age else names)


class RowExpression(Declared):
    """A feature computed from one example's own columns and the view features beside them."""

    name: Identifier
    sql: str
    description: str = ""


class FeatureSpec(Declared):
    """All features of a use case."""

    holidays: str | None = Field(default=None, description="ISO country whose holidays row expressions can ask for")
    views: tuple[FeatureView, ...] = ()
    expressions: tuple[RowExpression, ...] = ()

    def feature_names(self) -> tuple[str, ...]:
        """List every feature column, views first, in order of declaration."""
        names = [name for view in self.views for name in view.feature_names()]
        return (*names, *(expression.name for expression in self.expressions))

    @model_validator(mode="after")
    def _names_are_unique(self) -> FeatureSpec:
        names = self.feature_names()
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"feature names must be unique; found twice: {', '.join(twice)}")
        if not names:
            raise ValueError("found no feature; allowed: at least one view or expression")
        return self
