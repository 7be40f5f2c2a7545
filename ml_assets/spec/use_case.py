"""The use case as a whole: everything a folder under defs/ declares."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Literal

from pydantic import Field, model_validator

from ml_assets.spec.calendar import Calendar, Duration
from ml_assets.spec.contract import Source
from ml_assets.spec.features import FeatureSpec
from ml_assets.spec.model import Declared, ModelSpec
from ml_assets.spec.monitoring import MonitoringSpec, RetrainingSpec
from ml_assets.spec.names import Identifier

KeyPath = tuple[str | int, ...]
WrongReference = tuple[KeyPath, str]


class WrongReferencesError(ValueError):
    """Every name in a use case that refers to nothing, each with where it stands."""

    def __init__(self, found: Sequence[WrongReference]) -> None:
        self.found = tuple(found)
        super().__init__("; ".join(f"{spell_path(path)}: {message}" for path, message in found))


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
    monitoring: MonitoringSpec = MonitoringSpec()
    retraining: RetrainingSpec = RetrainingSpec()

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
    def _references_exist(self) -> UseCaseSpec:
        found = [
            *self._wrong_owners(),
            *self._wrong_sources(),
            *self._wrong_columns(),
            *self._wrong_ladder(),
            *self._wrong_slices(),
        ]
        if found:
            raise WrongReferencesError(found)
        return self

    def _wrong_owners(self) -> Iterator[WrongReference]:
        for place, owner in enumerate(self.owners):
            if not re.fullmatch(r"team:[\w-]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner):
                yield ("owners", place), f"found {owner!r}; allowed: team:NAME or an e-mail address"

    def _wrong_sources(self) -> Iterator[WrongReference]:
        known = [source.name for source in self.sources]
        for place, name in enumerate(known):
            if name in known[:place]:
                yield ("sources", place, "name"), f"found {name!r} again; allowed: a name once"
        asked: list[tuple[KeyPath, str]] = []
        asked += [(("examples", "from", place), name) for place, name in enumerate(self.examples.sources)]
        asked += [(("labels", "from", place), name) for place, name in enumerate(self.labels.sources)]
        asked += [(("features", "views", place, "from"), view.source) for place, view in enumerate(self.features.views)]
        for path, name in asked:
            if name not in known:
                yield path, f"found {name!r}; allowed: {', '.join(known)}{did_you_mean(name, known)}"

    def _wrong_columns(self) -> Iterator[WrongReference]:
        columns_of = {source.name: list(source.columns) for source in self.sources}
        for place, view in enumerate(self.features.views):
            if view.source not in columns_of:
                continue
            columns = [*columns_of[view.source], *view.derive, "event_at", "known_at"]
            for part, names in (("entity", view.entity), ("latest", view.latest)):
                for position, name in enumerate(names):
                    if name not in columns:
                        found = f"found {name!r}; allowed: {', '.join(columns)}{did_you_mean(name, columns)}"
                        yield ("features", "views", place, part, position), found

    def _wrong_slices(self) -> Iterator[WrongReference]:
        names = self.features.feature_names()
        for position, name in enumerate(self.monitoring.slices):
            if name not in names:
                found = f"found {name!r}; allowed: a feature{did_you_mean(name, names)}"
                yield ("monitoring", "slices", position), found

    def _wrong_ladder(self) -> Iterator[WrongReference]:
        names = self.features.feature_names()
        for place, rung in enumerate(self.model.ladder):
            for position, name in enumerate(rung.group_by):
                if name not in names:
                    found = f"found {name!r}; allowed: a feature{did_you_mean(name, names)}"
                    yield ("model", "ladder", place, "group_by", position), found
        kind = self.model.ladder[0].kind
        if kind != "group_history":
            found = f"the first rung is the heuristic to beat; found {kind!r}; allowed: group_history"
            yield ("model", "ladder", 0, "kind"), found


def spell_path(path: KeyPath) -> str:
    """Write a place in a declaration as people do.

    Examples
    --------
    >>> spell_path(("features", "views", 2, "windows"))
    'features.views[2].windows'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "attributes"


def did_you_mean(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Suggest the nearest known name, or nothing.

    Examples
    --------
    >>> did_you_mean("wether", ["weather", "planes"])
    '; nearest: weather'
    """
    nearest = get_close_matches(name, known, n=1)
    return f"; nearest: {nearest[0]}" if nearest else ""
