"""The bounds of each prediction of a drop, moved by how far what matured by its batch lay beyond them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.spec.drop import DropKey
from ml_assets.spec.model import Intervals
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.conformal import Margin, adapt_margin, nonconformity
from ml_assets.stores.model_store import ModelBundle

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

NO_MARGIN = Margin(float("nan"), float("nan"), float("nan"), 0)
COLUMNS = ("lower", "upper")


@dataclass
class IntervalMargins:
    """Learns margins drop by drop; the bounds of one model of one drop are computed once.

    `connection` has a view `features_<version>` of each version asked for, and `labels`.
    """

    connection: DuckDBPyConnection
    spec: UseCaseSpec
    _known: dict[tuple[str, int, DropKey], pd.DataFrame] = field(default_factory=dict, init=False)

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
        margin = self._margin(asked, drop, bundle, version, features)
        ordered = rows.sort_values("example_id", kind="stable")
        lower, upper = bundle.intervals.interval(ordered, margin.value)
        is_own = (frame["served_by"] == "model").to_numpy()
        return frame.assign(lower=np.where(is_own, lower, np.nan), upper=np.where(is_own, upper, np.nan)), margin

    def _margin(self, asked: Intervals, drop: DropKey, bundle: ModelBundle, version: str, features: int) -> Margin:
        calendar = self.spec.calendar
        trained_until = datetime.fromisoformat(bundle.trained_until)
        first = max(calendar.start, calendar.earlier(drop, asked.window + self.spec.labels.matures_after))
        newest = self.spec.matured_by(drop)
        drops = [
            each
            for each in calendar.drops_between(first, calendar.previous_drop(drop))
            if calendar.drop(each).start >= trained_until and calendar.drop(each).start < newest
        ]
        matured = [self._matured(each, drop, bundle, version, features) for each in drops]
        ahead = np.array(bundle.intervals.ahead if bundle.intervals is not None else ())
        return adapt_margin(ahead, matured, asked.level, calendar.drops_in(asked.window))

    def _matured(self, each: DropKey, drop: DropKey, bundle: ModelBundle, version: str, features: int):  # noqa: ANN202 - an array
        """Give how far the outcomes of a drop lay beyond its bounds, of those known by the batch of `drop`."""
        known = self._bounds(each, bundle, version, features)
        # known by then and landed by then: a file that came late says when it was known, and was not there
        is_known = (
            (known["prediction_at"] <= self.spec.matured_by(drop))
            & (known["known_at"] <= self.spec.calendar.batch_at(drop))
            & (known["landed"] <= drop)
        )
        rows = known.loc[is_known.to_numpy(dtype=bool)].drop_duplicates("example_id", keep="last")
        values = (rows[name].to_numpy(dtype=np.float64) for name in ("label", *COLUMNS))
        return nonconformity(*values)

    def _bounds(self, drop: DropKey, bundle: ModelBundle, version: str, features: int) -> pd.DataFrame:
        """Give the bounds of a drop's examples, a row a label that became known of them, in the order they did."""
        key = (version, features, drop)
        if key not in self._known and bundle.intervals is not None:
            rows = self.connection.execute(
                f"SELECT * FROM features_{features} WHERE batch_date = ? ORDER BY example_id", [drop]
            ).df()
            lower, upper = bundle.intervals.bounds(rows)
            self.connection.register("_bounds", rows[["example_id", "prediction_at"]].assign(lower=lower, upper=upper))
            found = self.connection.sql(
                "SELECT b.*, l.label, l.known_at, l.batch_date AS landed FROM _bounds AS b JOIN labels AS l "
                "USING (example_id) ORDER BY b.example_id, l.known_at, l.batch_date"
            ).df()
            self.connection.unregister("_bounds")
            found["landed"] = found["landed"].dt.date
            self._known[key] = found
        return self._known[key]


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
