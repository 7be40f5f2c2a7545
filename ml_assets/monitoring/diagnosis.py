"""What an alarm seems to mean: a broken feed, an abrupt change, drift, or that it cannot be told.

A broken feed explains what its features do, also after its repair for as long as their windows remember it. What is
measured, and whether it alarms, is in `drift_report`.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from ml_assets.monitoring.drift_report import Row, is_held
from ml_assets.monitoring.feature_drift import SCORE
from ml_assets.monitoring.feed_health import MEANINGS, MECHANICAL
from ml_assets.monitoring.sure_change import CONSTANT_CHANGED
from ml_assets.spec.drop import DropKey, day_of_key
from ml_assets.spec.features import FeatureView
from ml_assets.spec.use_case import UseCaseSpec

Kind = Literal["broken_feed", "abrupt", "drift", "cannot_tell"]

# Factors between units that are taken for one another: minutes and hours, and seconds; inches; miles; kilo.
_FACTORS = {
    60.0: "60", 3600.0: "3,600", 24.0: "24", 1000.0: "1,000", 1609.3: "1,609 (m for mi)", 25.4: "25.4 (mm for in)",
    1.609: "1.609 (km, mi)", 1.8: "1.8 (°C for °F)",
}  # fmt: skip
_HELD = "; measured in one of the drops before, in this one it is below its threshold"
_ALL_NULL = 0.99  # fewer may be missing for a reason, as the outcomes of a day of snow are
_MOSTLY_THERE = 0.5  # a column that is usually null may well be so throughout, as gusts are on calm days
_BEYOND_SEASONS = 5.0  # no season makes a column so many times wider or narrower
_FACTOR_TOLERANCE = 0.15  # of a natural logarithm: distributions vary, units do not


@dataclass(frozen=True)
class FaultyReading:
    """A monitor of a feed that looked broken in a drop: over its threshold, or alarming."""

    monitor: str
    source: str
    drop: DropKey
    is_alarm: bool


class FaultRecord:
    """Which feeds were broken when, as far as it was known."""

    def __init__(self, spec: UseCaseSpec, readings: Iterable[FaultyReading] = ()) -> None:
        self._spec = spec
        self._readings = list(readings)
        self._origins = feature_origins(spec)

    def note(self, rows: Iterable[Row]) -> None:
        """Add the rows of a drop that look like a broken feed."""
        self._readings += [
            FaultyReading(row["monitor"], row["source"], row["batch_date"], row["state"] == "alarm")
            for row in rows
            if row["family"] == "feed" and row.get("kind") == "broken_feed" and row["ratio"] > 1
        ]

    def broken(self, known_by: DropKey) -> dict[str, dict[DropKey, str]]:
        """Give the drops in which each source was broken, with the monitor that said so, as known by a drop.

        A drop counts when it was over the threshold in a stretch that had become an alarm by then.
        """
        calendar, of = self._spec.calendar, self._spec.monitoring.persistence.of
        alarms = {(each.monitor, each.drop) for each in self._readings if each.is_alarm and each.drop <= known_by}
        found: dict[str, dict[DropKey, str]] = defaultdict(dict)
        for each in self._readings:
            ahead = (calendar.shift(each.drop, number) for number in range(of))
            if each.drop <= known_by and any((each.monitor, drop) in alarms for drop in ahead):
                found[each.source].setdefault(each.drop, each.monitor)
        return dict(found)

    def broken_drops(self, known_by: DropKey) -> list[DropKey]:
        """List the drops in which any source was broken, as known by a drop."""
        return sorted({drop for drops in self.broken(known_by).values() for drop in drops})

    def followed(self, feature: str, drop: DropKey) -> str | None:
        """Say which fault a feature follows in a drop, in it or remembered; None without any.

        A feature follows a source it is derived from, and only one that alarms: what is over in one drop may be chance.
        """
        broken = self.broken(drop)
        for source, memory in sorted(self._origins.get(feature, {}).items()):
            if drop in broken.get(source, {}):
                return f"follows {broken[source][drop].removeprefix('feed/')}"
            since = self._spec.calendar.earlier(drop, memory + self._spec.monitoring.window)
            earlier = [day for day in broken.get(source, {}) if since < day <= drop]
            if earlier:
                return f"remembers {broken[source][max(earlier)].removeprefix('feed/')} of {max(earlier)}"
        return None


def diagnose_feeds(rows: Sequence[Row]) -> None:
    """Say of each row of a feed that is over or alarms what it looks like, and why: `kind`, `meaning`."""
    troubled: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["state"] in ("over", "alarm"):
            troubled[row["source"]].append(row)
    for source_rows in troubled.values():
        renamed = _renamed(source_rows)
        for row in source_rows:
            row["kind"], row["meaning"] = _diagnose_feed(row, renamed.get(row["column_name"]))
            if is_held(row):
                row["meaning"] += _HELD


def diagnose_features(rows: Sequence[Row], spec: UseCaseSpec, faults: FaultRecord) -> None:
    """Say the same of rows of features, given which feeds were broken up to their drop."""
    changes = "".join(f"; {said}" for said in known_changes(spec, rows[0]["batch_date"])) if rows else ""
    for row in rows:
        if row["state"] not in ("over", "alarm"):
            continue
        follows = faults.followed(row["column_name"] or SCORE, row["batch_date"])
        is_sure = row.get("statistic") == CONSTANT_CHANGED
        most = f"; {row['detail']}" if row["column_name"] is None or is_sure else ""
        known = f"{_HELD}{changes}" if is_held(row) else changes
        if follows is not None:
            row["kind"], row["meaning"] = "broken_feed", follows
        elif row["family"] == "before":
            said = "changed within weeks, and its sources show no fault: real, or cannot be told"
            row["kind"], row["meaning"] = "abrupt", f"{said}{most}{known}"
        else:
            moved = "has moved" if row["column_name"] else "have moved"
            row["kind"], row["meaning"] = "drift", f"{moved} away from what the champion was trained on{most}{known}"


def known_changes(spec: UseCaseSpec, drop: DropKey) -> list[str]:
    """Name what is known to have changed inside the window of `drop`: declared changes, and the clocks of its zone.

    A change is looked for over two windows, since the reference `before` ends where the window begins.
    """
    calendar = spec.calendar
    since = calendar.earlier(drop, 2 * spec.monitoring.window)
    found = [
        f"{change.what} on {change.date}"
        for change in spec.monitoring.known_changes
        if day_of_key(since) < change.date <= day_of_key(drop)
    ]
    found += [
        f"the clocks of {calendar.timezone} changed on {day}"
        for day in calendar.drops_between(max(calendar.next_drop(since), calendar.first_drop), drop)
        if calendar.has_clock_change(day)
    ]
    return found


def feature_origins(spec: UseCaseSpec) -> dict[str, dict[str, timedelta]]:
    """Give the sources each feature comes from, and how long before `prediction_at` a fact of theirs still matters.

    An expression comes from the features it names, else from the sources of the examples; the score from everything.
    """
    every: dict[str, timedelta] = dict.fromkeys(spec.examples.sources, timedelta(0))
    found: dict[str, dict[str, timedelta]] = {SCORE: every}
    for view in spec.features.views:
        memory = _memory(view, spec)
        every[view.source] = max(memory, every.get(view.source, memory))
        found |= {name: {view.source: memory} for name in view.feature_names()}
    of_views = {name: origins for name, origins in found.items() if name != SCORE}
    for expression in spec.features.expressions:
        named: dict[str, timedelta] = {}
        for feature, origins in of_views.items():
            if re.search(rf"\b{re.escape(feature)}\b", expression.sql):
                named |= {source: max(memory, named.get(source, memory)) for source, memory in origins.items()}
        found[expression.name] = named or dict.fromkeys(spec.examples.sources, timedelta(0))
    return found


def _memory(view: FeatureView, spec: UseCaseSpec) -> timedelta:
    """Give the lookback of a view in whole drops; without bound it is one, since the next fact takes its place."""
    calendar = spec.calendar
    return calendar.duration_of(1 if view.lookback is None else calendar.drops_waited(view.lookback))


def _renamed(rows: Sequence[Row]) -> dict[str, str]:
    """Find columns where categories fell silent while others appeared."""
    details: dict[tuple[str, str], str] = {
        (row["column_name"], row["statistic"]): row["detail"] or "" for row in rows if row["column_name"]
    }
    return {
        column: f"{details[column, 'vanished_share']} fell silent while {said} appeared: renamed?"
        for (column, statistic), said in details.items()
        if statistic == "unseen_share" and (column, "vanished_share") in details
    }


def _diagnose_feed(row: Row, renamed: str | None) -> tuple[Kind, str]:
    statistic, value, usual = row["statistic"], row["value"], row["usual"]
    if statistic in ("unseen_share", "vanished_share") and renamed:
        return "broken_feed", renamed
    said = f"{MEANINGS[statistic]}: {spell(statistic, value)} where {spell(statistic, usual)} is usual"
    if row["detail"]:
        said += f" ({row['detail']})"
    if statistic in MECHANICAL:
        is_improved = statistic not in ("rows", "vanished_share", "age_h") and row["z"] < 0
        return ("cannot_tell" if is_improved else "broken_feed"), said
    if statistic == "null_share" and value > _ALL_NULL and usual < _MOSTLY_THERE:
        return "broken_feed", said
    change = abs(value - usual)
    if statistic == "spread" and change > math.log(_BEYOND_SEASONS):
        factor = next((name for f, name in _FACTORS.items() if abs(change - math.log(f)) < _FACTOR_TOLERANCE), "")
        return "broken_feed", said + (f": another unit, by a factor of {factor}?" if factor else ": another unit?")
    return "cannot_tell", said


def spell(statistic: str, value: float | None) -> str:
    """Write a measurement as people read it: a number of rows, not its logarithm, a share in percent.

    >>> spell("rows", 4.28), spell("null_share", 0.5), spell("steady_psi", 0.0123)
    ('72.24', '50.0%', '0.0123')
    """
    if value is None or math.isnan(value):
        return ""
    if statistic in ("rows", "spread"):
        return "0" if statistic == "rows" and value < 0 else f"{math.exp(value):,.4g}"
    return f"{value:.1%}" if statistic.endswith("_share") or statistic == CONSTANT_CHANGED else f"{value:.4g}"
