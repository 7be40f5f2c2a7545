"""The bounds of each prediction of a drop, moved by how far what matured by its batch lay beyond them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import plain_keys
from ml_assets.spec.model import Intervals
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.conformal import Beyond, Margin, Margins, adapt_margins, nonconformity
from ml_assets.stores.model_store import ModelBundle

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

NO_MARGIN = Margin(float("nan"), float("nan"), float("nan"), 0)
COLUMNS = ("lower", "upper")


@dataclass(frozen=True)
class _Outcomes:
    """The labels of a drop's examples, by example and in the order they became known: when each can be used."""

    ready: NDArray[np.datetime64]
    beyond: Beyond
    examples: NDArray[np.object_]

    def known_at(self, moment: np.datetime64) -> Beyond:
        """Give how far each outcome lay beyond its bounds, by the newest label that could be used at a moment."""
        places = np.flatnonzero(self.ready <= moment)
        names = self.examples[places]
        is_last = np.ones(places.size, dtype=bool)
        is_last[:-1] = names[1:] != names[:-1]
        newest = places[is_last]
        groups = self.beyond.groups
        return Beyond(self.beyond.scores[newest], None if groups is None else groups[newest])


@dataclass
class IntervalMargins:
    """Learns margins drop by drop; the bounds of one model of one drop are computed once.

    `connection` has a view `features_<version>` of each version asked for, and `labels`.
    """

    connection: DuckDBPyConnection
    spec: UseCaseSpec
    _known: dict[tuple[str, int, DropKey], _Outcomes] = field(default_factory=dict, init=False)

    def bounded(
        self, frame: pd.DataFrame, rows: pd.DataFrame, drop: DropKey, bundle: ModelBundle, version: str, features: int
    ) -> tuple[pd.DataFrame, Margin]:
        """Give a drop's scores with their bounds, and the margin that moved these.

        Null where the baseline serves in the place of the model, and of a model that has no bounds.

        Parameters
        ----------
        frame, rows
            Scores of the drop as `score_drop` gives them, and the features they were made of.
        """
        asked = self.spec.model.intervals
        if asked is None:
            return frame, NO_MARGIN
        if bundle.intervals is None:
            return frame.assign(**dict.fromkeys(COLUMNS, np.nan)), NO_MARGIN
        margins = self._margins(asked, drop, bundle, version, features)
        ordered = rows.sort_values("example_id", kind="stable")
        lower, upper = bundle.intervals.interval(ordered, margins.values(bundle.intervals.groups(ordered)))
        is_own = (frame["served_by"] == "model").to_numpy()
        return frame.assign(lower=np.where(is_own, lower, np.nan), upper=np.where(is_own, upper, np.nan)), margins.whole

    def _margins(self, asked: Intervals, drop: DropKey, bundle: ModelBundle, version: str, features: int) -> Margins:
        calendar = self.spec.calendar
        trained_until = datetime.fromisoformat(bundle.trained_until)
        first = max(calendar.first_drop, calendar.earlier(drop, asked.window + self.spec.labels.matures_after))
        newest = self.spec.matured_by(drop)
        earlier = calendar.drops_between(first, calendar.previous_drop(drop))
        ends = [calendar.batch_at(each) for each in earlier]  # each begins where the one before ends
        starts = [calendar.drop(earlier[0]).start, *ends[:-1]] if earlier else []
        drops = [each for each, start in zip(earlier, starts, strict=True) if trained_until <= start < newest]
        at = np.datetime64(calendar.batch_at(drop).replace(tzinfo=None), "ns")
        matured = [self._bounds(each, bundle, version, features).known_at(at) for each in drops]
        ahead = bundle.intervals.beyond_ahead() if bundle.intervals is not None else Beyond(np.empty(0))
        return adapt_margins(ahead, matured, asked.level, calendar.drops_in(asked.window))

    def _bounds(self, drop: DropKey, bundle: ModelBundle, version: str, features: int) -> _Outcomes:
        """Give how far the outcomes of a drop's examples lay beyond its bounds, whenever they became known."""
        key = (version, features, drop)
        if key not in self._known and bundle.intervals is not None:
            rows = self.connection.execute(
                f"SELECT * FROM features_{features} WHERE batch_date = ? ORDER BY example_id", [drop]
            ).df()
            lower, upper = bundle.intervals.bounds(rows)
            bounds = rows[["example_id", "prediction_at"]].assign(lower=lower, upper=upper)
            groups = bundle.intervals.groups(rows)
            self.connection.register("_bounds", bounds if groups is None else bounds.assign(margin_group=groups))
            found = self.connection.sql(
                "SELECT b.*, l.label, l.known_at, l.batch_date AS landed FROM _bounds AS b JOIN labels AS l "
                "USING (example_id) ORDER BY b.example_id, l.known_at, l.batch_date"
            ).df()
            self.connection.unregister("_bounds")
            self._known[key] = self._outcomes(found)
        return self._known[key]

    def _outcomes(self, found: pd.DataFrame) -> _Outcomes:
        landed = plain_keys(found["landed"])
        batches = np.array([self.spec.calendar.batch_at(key).replace(tzinfo=None) for key in landed], "datetime64[ns]")
        moments = [found[name].dt.tz_convert(UTC).dt.tz_localize(None).to_numpy("datetime64[ns]")
                   for name in ("prediction_at", "known_at")]  # fmt: skip
        matured = moments[0] + np.timedelta64(self.spec.labels.matures_after)
        scores = nonconformity(found["label"], found["lower"], found["upper"])
        groups = found["margin_group"].to_numpy(dtype=object) if "margin_group" in found else None
        return _Outcomes(
            # known by then and landed by then: a file that came late says when it was known, and was not there
            np.maximum(np.maximum(matured, moments[1]), batches),
            Beyond(scores, groups),
            found["example_id"].to_numpy(),
        )


def describe_margin(margin: Margin) -> Mapping[str, float]:
    """Give what a person wants to see of a margin beside a drop; nothing where there is none."""
    if margin is NO_MARGIN:
        return {}
    found = {"interval margin": margin.value, "coverage of matured": margin.coverage}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def drops_of_intervals(spec: UseCaseSpec, drops: Sequence[DropKey]) -> DropKey:
    """Give the first drop whose features and labels are read for the margins of `drops`."""
    asked = spec.model.intervals
    if asked is None:
        return drops[0]
    return spec.calendar.earlier(drops[0], asked.window + spec.labels.matures_after)
