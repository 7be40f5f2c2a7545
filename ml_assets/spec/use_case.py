"""The use case as a whole: everything a folder under defs/ declares."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Literal

from pydantic import Field, model_validator

from ml_assets.spec.calendar import Calendar, Duration
from ml_assets.spec.contract import Source
from ml_assets.spec.features import FeatureSpec
from ml_assets.spec.model import Declared, ModelSpec
from ml_assets.spec.names import Identifier


class SqlTable(Declared):
    """A table that one DuckDB SELECT draws from the sources' rows of one drop."""

    sources: tuple[Identifier, ...] = Field(alias="from", min_length=1)
    sql: str = Field(description="the text of the SELECT; a declaration names its file")


class Examples(SqlTable):
    """The rows to predict: example_id, optionally prediction_at, and what is known of each by then.

    Without a `prediction_at` column, it is the moment of the batch.
    """


class Labels(SqlTable):
    """Outcomes as they became known: example_id, label (0 or 1), known_at.

    An example counts as matured once `prediction_at + matures_after` has passed; matured without a
    label is resolved without label, and is never a negative.
    """

    matures_after: Duration


class Worklist(Declared):
    """How many examples of a day people can act on, and what they are shown of them."""

    capacity: int = Field(ge=1)
    columns: tuple[Identifier, ...] = ()


class UseCaseSpec(Declared):
    """One use case, validated once and passed to whoever needs it."""

    name: Identifier
    description: str = ""
    owners: tuple[str, ...] = ()
    clock: Literal["wall", "data"] = "wall"
    calendar: Calendar
    sources: tuple[Source, ...] = Field(min_length=1)
    examples: Examples
    labels: Labels
    features: FeatureSpec
    model: ModelSpec
    worklist: Worklist

    def source(self, name: str) -> Source:
        """Find a source by its name."""
        for source in self.sources:
            if source.name == name:
                return source
        raise KeyError(name)

    def matured_by(self, as_of: date) -> datetime:
        """Give the latest `prediction_at` that is matured at the batch of `as_of`, in UTC."""
        return self.calendar.batch_at(as_of) - self.labels.matures_after

    def longest_lookback(self) -> timedelta | None:
        """Give the longest lookback of any view; None is without bound."""
        lookbacks = [view.lookback for view in self.features.views]
        if any(lookback is None for lookback in lookbacks):
            return None
        return max((lookback for lookback in lookbacks if lookback is not None), default=timedelta(0))

    @model_validator(mode="after")
    def _owners_read(self) -> UseCaseSpec:
        for owner in self.owners:
            if not re.fullmatch(r"team:[\w-]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner):
                raise ValueError(f"owners: found {owner!r}; allowed: team:NAME or an e-mail address")
        return self

    @model_validator(mode="after")
    def _references_exist(self) -> UseCaseSpec:
        known = [source.name for source in self.sources]
        if len(set(known)) < len(known):
            raise ValueError("sources: a name is used twice")
        self._sources_exist(known)
        self._view_columns_exist()
        self._ladder_stands()
        return self

    def _sources_exist(self, known: list[str]) -> None:
        asked = [("examples.from", name) for name in self.examples.sources]
        asked += [("labels.from", name) for name in self.labels.sources]
        asked += [(f"features.views.{view.name}.from", view.source) for view in self.features.views]
        for where, name in asked:
            if name not in known:
                raise ValueError(f"{where}: found {name!r}; allowed: {', '.join(known)}{did_you_mean(name, known)}")

    def _view_columns_exist(self) -> None:
        for view in self.features.views:
            columns = [*self.source(view.source).columns, *view.derive, "event_at", "known_at"]
            for name in (*view.entity, *view.latest):
                if name not in columns:
                    hint = did_you_mean(name, columns)
                    raise ValueError(f"features.views.{view.name}: found {name!r}; allowed: {', '.join(columns)}{hint}")

    def _ladder_stands(self) -> None:
        names = self.features.feature_names()
        for rung in self.model.ladder:
            for name in rung.group_by:
                if name not in names:
                    hint = did_you_mean(name, names)
                    raise ValueError(f"model.ladder.{rung.name}.group_by: found {name!r}; allowed: a feature{hint}")
        if self.model.ladder[0].kind != "group_history":
            raise ValueError(
                f"model.ladder: the first rung is the heuristic to beat; found {self.model.ladder[0].kind!r}; "
                "allowed: group_history"
            )


def did_you_mean(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Suggest the nearest known name, or nothing.

    Examples
    --------
    >>> did_you_mean("wether", ["weather", "planes"])
    '; nearest: weather'
    """
    nearest = get_close_matches(name, known, n=1)
    return f"; nearest: {nearest[0]}" if nearest else ""
