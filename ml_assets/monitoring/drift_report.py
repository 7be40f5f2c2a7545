"""The rows of the drift report: every monitor of a drop, what it measured, and what that seems to mean.

Grain: drop x family x monitor. Families are `feed` (a source as it was read), `before` and `training` (features and
the score against the two references). A monitor is over when its |z| exceeds its threshold, and alarms when it was
over in k of the last n drops.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Literal

from ml_assets.monitoring.feature_drift import DriftReading
from ml_assets.monitoring.feed_health import MEANINGS, FeedReading
from ml_assets.monitoring.standing import persistent
from ml_assets.spec.monitoring import MonitoringSpec
from ml_assets.spec.use_case import UseCaseSpec

Kind = Literal["broken_feed", "abrupt", "drift", "cannot_tell"]
Row = dict[str, Any]

# What no season does to a column: such an alarm is a fault of the feed until a person says otherwise.
_MECHANICAL = frozenset(
    {"rows", "duplicate_share", "repeated_share", "quarantined_share", "null_alone_share", "vanished_share"}
)
# Factors between units that are taken for one another: minutes and hours, and seconds; inches; miles; kilo.
_FACTORS = {60.0: "60", 3600.0: "3,600", 24.0: "24", 1000.0: "1,000", 25.4: "25.4 (mm for in)", 1.609: "1.609 (km, mi)",
            1.8: "1.8 (°C for °F)"}  # fmt: skip
_ALL_NULL = 0.99  # fewer may be missing for a reason, as the outcomes of a day of snow are
_BEYOND_SEASONS = 5.0  # no season makes a column so many times wider or narrower
_FACTOR_TOLERANCE = 0.25  # of a natural logarithm


def feed_rows(readings: Iterable[FeedReading]) -> list[Row]:
    """Give the rows of one drop's feed readings; persistence is added by `settle_alarms`."""
    rows: list[Row] = []
    for reading in readings:
        place = reading.source if not reading.column else f"{reading.source}.{reading.column}"
        rows.append(
            _row(reading.drop, "feed", f"{place} {reading.statistic}", reading.standing)
            | {
                "source": reading.source,
                "column_name": reading.column or None,
                "statistic": reading.statistic,
                "value": reading.shown,
                "usual": reading.usual,
                "detail": reading.detail or None,
            }
        )
    return rows


def feature_rows(
    readings: Iterable[DriftReading],
    importance: Mapping[str, float],
    model_version: str | None,
    placebo: Mapping[str, float],
) -> list[Row]:
    """Give the rows of one drop's comparison with one reference.

    `importance` is the share of the champion's importance by feature, `placebo` the median PSI of the placebos.
    """
    return [
        _row(reading.drop, reading.reference, reading.feature, reading.standing, one_sided=True)
        | {
            "column_name": reading.feature,
            "statistic": "psi",
            "value": reading.psi,
            "usual": placebo.get(reading.feature, math.nan),
            "jensen_shannon": reading.jensen_shannon,
            "ks": reading.ks,
            "wasserstein": reading.wasserstein,
            "null_share": reading.null_share,
            "reference_null_share": reading.reference_null_share,
            "unseen_share": reading.unseen_share,
            "n_window": reading.n_window,
            "n_reference": reading.n_reference,
            "importance": importance.get(reading.feature, 0.0),
            "model_version": model_version if reading.reference == "training" else None,
            "detail": reading.detail or None,
        }
        for reading in readings
    ]


def _row(drop: date, family: str, monitor: str, standing: Any, *, one_sided: bool = False) -> Row:
    z = max(0.0, standing.z) if one_sided else abs(standing.z)
    known = math.isfinite(z) and math.isfinite(standing.threshold)
    return {
        "batch_date": drop,
        "family": family,
        "monitor": f"{family}/{monitor}",
        "z": standing.z,
        "threshold": standing.threshold,
        "ratio": z / standing.threshold if known else 0.0,
        "placebo_mean": standing.placebo_mean,
        "placebo_sd": standing.placebo_sd,
        "n_placebos": standing.n_placebos,
        "n_independent": standing.n_independent,
        "state": "ok" if known else "not enough data",
    }


def settle_alarms(rows: Sequence[Row], earlier: dict[str, list[float]], monitoring: MonitoringSpec) -> list[Row]:
    """Give each row of one drop its state, and add its ratio to `earlier` for the drops after.

    `earlier` holds the ratios of the drops before, by monitor (and by champion, for `training`). A monitor over its
    threshold is `over`, and `alarm` once it was so in k of the last n drops.
    """
    k, n = monitoring.persistence.k, monitoring.persistence.of
    for row in rows:
        key = history_key(row["monitor"], row.get("model_version"))
        recent = earlier.setdefault(key, [])
        recent.append(row["ratio"])
        del recent[:-n]
        if row["state"] != "not enough data":
            row["state"] = "over" if row["ratio"] > 1 else "ok"
        if persistent(recent, k, n) > 1:
            row["state"] = "alarm"
    return list(rows)


def history_key(monitor: str, model_version: str | None) -> str:
    """Name a monitor with the champion it was measured against: another champion is another history."""
    return f"{monitor}@{model_version}" if model_version else monitor


def diagnose(rows: Sequence[Row], spec: UseCaseSpec) -> list[Row]:
    """Say of each row that is over or alarms what kind of change it looks like, and why: `kind`, `meaning`."""
    troubled: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["family"] == "feed" and row["state"] in ("over", "alarm"):
            troubled[row["source"]].append(row)
    for source_rows in troubled.values():
        renamed = _renamed(source_rows)
        for row in source_rows:
            row["kind"], row["meaning"] = _diagnose_feed(row, renamed.get(row["column_name"]))
    broken = {row["source"]: row for rows_ in troubled.values() for row in rows_ if row["kind"] == "broken_feed"}
    sources_of = feature_sources(spec)
    known = "".join(f"; {said}" for said in known_changes(spec, rows[0]["batch_date"])) if rows else ""
    for row in rows:
        if row["family"] == "feed" or row["state"] not in ("over", "alarm"):
            continue
        follows = sorted(set(sources_of.get(row["column_name"], ())) & set(broken))
        if follows:
            row["kind"], row["meaning"] = (
                "broken_feed",
                f"follows {broken[follows[0]]['monitor'].removeprefix('feed/')}",
            )
        elif row["family"] == "before":
            row["kind"] = "abrupt"
            row["meaning"] = f"changed within weeks, and its sources show no fault: real, or cannot be told{known}"
        else:
            row["kind"], row["meaning"] = "drift", f"has moved away from what the champion was trained on{known}"
    return list(rows)


def known_changes(spec: UseCaseSpec, drop: date) -> list[str]:
    """Name what is known to have changed inside the window of `drop`: declared changes, and the clocks of its zone.

    A change is looked for over two windows, since the reference `before` ends where the window begins.
    """
    calendar, since = spec.calendar, drop - 2 * spec.monitoring.window
    found = [
        f"{change.what} on {change.date}" for change in spec.monitoring.known_changes if since < change.date <= drop
    ]
    found += [
        f"the clocks of {calendar.timezone} changed on {day}"
        for day in calendar.drops_between(max(since + calendar.every, calendar.start), drop)
        if calendar.batch_at(day) - calendar.batch_at(calendar.previous_drop(day)) != calendar.every
    ]
    return found


def feature_sources(spec: UseCaseSpec) -> dict[str, tuple[str, ...]]:
    """Give the sources each feature comes from; an expression may come from those of the examples and of all views.

    The score comes from every source.
    """
    of_view = {name: (view.source,) for view in spec.features.views for name in view.feature_names()}
    every = tuple(sorted({*spec.examples.sources, *(view.source for view in spec.features.views)}))
    found: dict[str, tuple[str, ...]] = {"score": every}
    for name in spec.features.feature_names():
        found[name] = of_view.get(name, ())
    for expression in spec.features.expressions:
        named = {source for feature, sources in of_view.items() if feature in expression.sql for source in sources}
        found[expression.name] = tuple(sorted(named or set(spec.examples.sources)))
    return found


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
    said = f"{MEANINGS[statistic]}: {_spell(statistic, value)} where {_spell(statistic, usual)} is usual"
    if row["detail"]:
        said += f" ({row['detail']})"
    if statistic in _MECHANICAL:
        is_improved = statistic not in ("rows", "vanished_share") and row["z"] < 0
        return ("cannot_tell" if is_improved else "broken_feed"), said
    if statistic == "null_share" and value > _ALL_NULL:
        return "broken_feed", said
    change = abs(value - usual)
    if statistic == "spread" and change > math.log(_BEYOND_SEASONS):
        factor = next((name for f, name in _FACTORS.items() if abs(change - math.log(f)) < _FACTOR_TOLERANCE), "")
        return "broken_feed", said + (f": another unit, by a factor of {factor}?" if factor else ": another unit?")
    return "cannot_tell", said


def _spell(statistic: str, value: float) -> str:
    if statistic in ("rows", "spread"):
        return f"{math.exp(value):,.4g}"
    return f"{value:.4g}" if statistic == "center" else f"{value:.1%}"
