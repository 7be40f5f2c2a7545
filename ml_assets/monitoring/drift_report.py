"""The rows of the drift report: every monitor of a drop, what it measured, and what that seems to mean.

Grain: drop x family x monitor. Families are `feed` (a source as it was read), `before` and `training` (features and
the score against the two references). A monitor is over when its |z| exceeds its threshold, and alarms when it was
over in k of the last n drops. An alarm that holds in a quiet drop is told by the value that was over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from ml_assets.monitoring.feature_drift import OVERALL, DriftReading
from ml_assets.monitoring.feed_health import FeedReading
from ml_assets.monitoring.placebo_z_score import persistent
from ml_assets.monitoring.sure_change import CONSTANT_CHANGED
from ml_assets.spec.drop import DropKey
from ml_assets.spec.monitoring import MonitoringSpec

Row = dict[str, Any]
TOLD = ("statistic", "value", "usual", "z", "threshold", "detail")  # what an alarm is told by


def feed_rows(readings: Iterable[FeedReading]) -> list[Row]:
    """Give the rows of one drop's feed readings; persistence is added by `set_alarm_states`."""
    rows: list[Row] = []
    for reading in readings:
        place = reading.source if not reading.column else f"{reading.source}.{reading.column}"
        rows.append(
            _row(reading.drop, "feed", f"{place} {reading.statistic}", reading.z_score)
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
) -> list[Row]:
    """Give the rows of one drop's comparison with one reference.

    `importance` is the share of the champion's importance by feature. A row of one feature measures its steady PSI;
    that of all together the weighted mean z.
    """
    return [
        _row(reading.drop, reading.reference, reading.feature, reading.z_score, one_sided=True)
        | {
            "column_name": None if reading.feature == OVERALL else reading.feature,
            "statistic": "mean_z" if reading.feature == OVERALL else reading.statistic,
            "value": reading.steady_psi if _is_psi(reading) else reading.z_score.value,
            "usual": reading.usual if _is_psi(reading) else reading.z_score.placebo_mean,
            "psi": reading.psi,
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


def _is_psi(reading: DriftReading) -> bool:
    return reading.feature != OVERALL and reading.statistic != CONSTANT_CHANGED


def _row(drop: DropKey, family: str, monitor: str, z_score: Any, *, one_sided: bool = False) -> Row:
    z = max(0.0, z_score.z) if one_sided else abs(z_score.z)
    known = math.isfinite(z) and math.isfinite(z_score.threshold)
    return {
        "batch_date": drop,
        "family": family,
        "monitor": f"{family}/{monitor}",
        "z": z_score.z,
        "threshold": z_score.threshold,
        "ratio": z / z_score.threshold if known else 0.0,
        "placebo_mean": z_score.placebo_mean,
        "placebo_sd": z_score.placebo_sd,
        "n_placebos": z_score.n_placebos,
        "n_independent": z_score.n_independent,
        "state": "ok" if known else "not enough data",
    }


def set_alarm_states(
    rows: Sequence[Row],
    earlier: dict[str, dict[DropKey, float]],
    monitoring: MonitoringSpec,
    every: timedelta,
    measured: dict[str, dict[DropKey, Row]] | None = None,
) -> list[Row]:
    """Give each row of one drop its state, and add its ratio to `earlier` for the drops after.

    `earlier` holds the ratios of the drops before, by monitor (and by champion, for `training`). A monitor over its
    threshold is `over`, and `alarm` once it was so in k of the last n drops, a drop without a reading being none of
    them. It stays an alarm in a quiet drop after them, and is never one where it cannot be judged. Values that the
    reference does not have are an alarm at once.

    `measured` holds what was measured in these drops (`TOLD`), and is added to as well. An alarm in a quiet drop takes
    it from the drop that makes it an alarm: it is told by the value over its threshold. Its `ratio` stays that of its
    own drop.
    """
    k, n = monitoring.persistence.k, monitoring.persistence.of
    for row in rows:
        key, drop = history_key(row["monitor"], row.get("model_version")), row["batch_date"]
        known = earlier.setdefault(key, {})
        known[drop] = row["ratio"]
        told = {} if measured is None else measured.setdefault(key, {})
        told[drop] = {name: row.get(name) for name in TOLD}
        if row["state"] == "not enough data":
            continue
        last = {day: known.get(day, 0.0) for day in (drop - back * every for back in range(n))}
        deciding = persistent(list(last.values()), k, n)
        is_sure = row.get("statistic") == CONSTANT_CHANGED and row["ratio"] > 1
        row["state"] = "alarm" if is_sure or deciding > 1 else "over" if row["ratio"] > 1 else "ok"
        if row["state"] == "alarm" and row["ratio"] <= 1:
            row.update(told.get(next(day for day, ratio in last.items() if ratio == deciding), {}))
    return list(rows)


def is_held(row: Row) -> bool:
    """Say whether an alarm holds in a drop that is quiet, and is told by what was measured before."""
    return row.get("state") == "alarm" and row["ratio"] <= 1


def history_key(monitor: str, model_version: str | None) -> str:
    """Name a monitor with the champion it was measured against: another champion is another history."""
    return f"{monitor}@{model_version}" if model_version else monitor
