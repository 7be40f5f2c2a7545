"""How often the monitors alarm when nothing has changed: resampled half-years, and placebo blocks of the real year.

    python -m ml_assets_tests.benchmarks.false_alarms DATA [--half-years 200]

DATA is a folder of state in which the flagship's whole year was run. A half-year without change is made of real weeks
drawn with replacement, so that days keep their order within a week and nothing else does: whatever alarms there is
false. The monitors, thresholds and persistence are those of the product; only bins are learned once, from all weeks.
An episode is a stretch of drops with at least one alarm of a family, which is what opens one incident.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ml_assets.monitoring.feature_drift import (
    LOG_PSI_FLOOR,
    OVERALL,
    ReferenceName,
)
from ml_assets.monitoring.feed_health import FeedHealth
from ml_assets.monitoring.feed_profile import CategoryCounts, Series, profile_source
from ml_assets.monitoring.placebo_family import MIN_WINDOWS, PlaceboFamily
from ml_assets.monitoring.placebo_z_score import FAMILIES, false_alarm_rate, moving_rate, persistent
from ml_assets.monitoring.window_psi import log_psi_of_windows, log_steady_psi, n_varying_windows
from ml_assets.pipeline.monitoring.drift import feature_rows_of
from ml_assets.spec.drop import DropKey, day_of_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.binning import histograms_by_group, learn_category_bins, learn_numeric_bins
from ml_assets.stores.lake import Lake
from ml_assets_tests.rehearsal import flagship

Value = TypeVar("Value")

WEEK = 7
LEARNED_WEEKS = 8  # of feeds, before they are judged
TRAINING_WEEKS = 13  # what the first champion was trained on
WEEKS = 26  # half a year that is judged
RETRAINED_AFTER = 6 * WEEK  # the reference then holds all that came before

Histograms = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Count:
    """Episodes in some half-years, and how many of them were false by construction."""

    family: str
    half_years: float
    episodes: int

    def row(self) -> str:
        rate = self.episodes / self.half_years
        low = stats.chi2.ppf(0.05, 2 * self.episodes) / 2 / self.half_years if self.episodes else 0.0
        high = stats.chi2.ppf(0.95, 2 * (self.episodes + 1)) / 2 / self.half_years
        return f"| {self.family} | {self.half_years:.0f} | {self.episodes} | {rate:.3f} ({low:.3f} to {high:.3f}) |"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--half-years", type=int, default=200)
    parser.add_argument("--feeds", type=int, default=None, help="half-years of feeds, which take longer")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    spec, lake = flagship(), Lake(asked.data / "lake" / "flight_delays")
    days = spec.calendar.drops_between(date(2013, 1, 1), date(2013, 12, 30))[: 52 * WEEK]
    rng = np.random.default_rng(asked.seed)
    begun = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        histograms = daily_histograms(connection, spec, lake, days)
        feeds = profiles(connection, spec, lake, days)
    say(f"{len(days)} real days read, {time.perf_counter() - begun:.0f} s")
    found = []
    lengths: dict[ReferenceName, int] = {"before": monitoring_weeks(spec) + 1, "training": TRAINING_WEEKS}
    for family, learned in lengths.items():
        found.append(count_features(spec, histograms, drawn_weeks(rng, asked.half_years, learned + WEEKS), family))
        say(f"features, {family}: {time.perf_counter() - begun:.0f} s")
    n = asked.half_years if asked.feeds is None else asked.feeds
    found.append(count_feeds(spec, feeds, days, drawn_weeks(rng, n, LEARNED_WEEKS + WEEKS)))
    say(f"feeds: {time.perf_counter() - begun:.0f} s")
    say("| family | half-years | false alarms | a half-year (90 % interval) |\n|---|---|---|---|")
    for count in found:
        say(count.row())
    total = sum(count.episodes / count.half_years for count in found)
    say(f"together {total:.3f} a half-year; the budget is 1, and {1 / FAMILIES:.3f} for each family")


def drawn_weeks(rng: np.random.Generator, n: int, weeks: int) -> list[NDArray[np.int64]]:
    """Draw n sequences of real weeks with replacement, as places of days."""
    return [np.concatenate([week * WEEK + np.arange(WEEK) for week in rng.integers(0, 52, weeks)]) for _ in range(n)]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def daily_histograms(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, days: Sequence[DropKey]
) -> dict[str, NDArray[np.int64]]:
    """Give the histogram of each feature on each day, under bins learned from all of them."""
    rows = feature_rows_of(connection, spec, lake, days[0], days[-1])
    found: dict[str, NDArray[np.int64]] = {}
    for name, values in rows.columns.items():
        bins = learn_category_bins(values) if values.dtype == object else learn_numeric_bins(values)
        found[name] = histograms_by_group(bins.code(values), rows.days, len(days), bins.n_bins)
    return found


def count_features(
    spec: UseCaseSpec, histograms: Histograms, draws: Sequence[NDArray[np.int64]], family: ReferenceName
) -> Count:
    """Count the episodes of features against the weeks before them, or against what a champion was trained on."""
    before = monitoring_weeks(spec) * WEEK
    first_day = before + WEEK if family == "before" else TRAINING_WEEKS * WEEK
    episodes = 0
    for drawn in draws:
        sequence = {name: by_day[drawn] for name, by_day in histograms.items()}
        ratios: dict[str, list[float]] = {}
        alarms = np.zeros(len(drawn), dtype=bool)
        learned: Learned | None = None
        for first in range(first_day, len(drawn), WEEK):
            if family == "before":
                learned = Learned(spec, sequence, first - WEEK - before + 1, first - WEEK + 1)
            elif learned is None or (first - first_day) % RETRAINED_AFTER == 0:
                learned, ratios = Learned(spec, sequence, 0, first), {}
            for day in range(first, min(first + WEEK, len(drawn))):
                for measure, ratio in learned.ratios(day).items():
                    recent = ratios.setdefault(measure, [])
                    recent.append(ratio)
                    persistence = spec.monitoring.persistence
                    alarms[day] |= persistent(recent[-persistence.of :], persistence.k, persistence.of) > 1
        episodes += stretches(alarms)
    return Count(f"features, {family}", (len(draws[0]) - first_day) / (26 * WEEK) * len(draws), episodes)


class Learned:
    """A stretch of a sequence as the reference of windows: what DriftReference learns, from histograms."""

    def __init__(self, spec: UseCaseSpec, sequence: Histograms, first: int, end: int) -> None:
        reference = {name: by_day[first:end] for name, by_day in sequence.items()}
        self._sequence = {name: by_day for name, by_day in sequence.items()
                          if n_varying_windows(reference[name], WEEK) >= MIN_WINDOWS}  # fmt: skip
        self._total = {name: reference[name].sum(axis=0) for name in self._sequence}
        placebos = [log_psi_of_windows(reference[name], WEEK) for name in self._sequence]
        self._family = PlaceboFamily(np.column_stack(placebos), LOG_PSI_FLOOR)
        monitoring = spec.monitoring
        window = timedelta(days=WEEK)
        rate = moving_rate(false_alarm_rate(monitoring.false_alarm_every, window, 2, FAMILIES), WEEK)
        self._weights = np.full(len(placebos), 1 / len(placebos))
        self._largest = self._family.largest_threshold(rate)
        self._mean = self._family.mean_threshold(rate, self._weights)

    def ratios(self, day: int) -> dict[str, float]:
        """Give z against threshold of each feature, and of all together, in the window that ends with a day."""
        log_psi = [log_steady_psi(self._total[name][np.newaxis], by_day[np.newaxis, day - WEEK + 1 : day + 1])[0]
                   for name, by_day in self._sequence.items()]  # fmt: skip
        z = self._family.standardised(np.array(log_psi))
        single = dict(zip(self._sequence, np.maximum(z, 0.0) / self._largest, strict=True))
        return single | {OVERALL: max(0.0, float(z @ self._weights)) / self._mean}


def monitoring_weeks(spec: UseCaseSpec) -> int:
    return spec.monitoring.reference_window // timedelta(days=WEEK)


def profiles(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, days: Sequence[DropKey]
) -> tuple[list[Series], list[CategoryCounts]]:
    series: list[Series] = []
    categories: list[CategoryCounts] = []
    for source in spec.sources:
        if source.arrives != "every_drop":
            continue
        for prefix in ("raw", "quarantine"):
            name = f"{prefix}_{source.name}"
            lake.relation(connection, name, (days[0], days[-1])).create_view(name)
        lake.relation(connection, f"raw_{source.name}", (days[0], days[9])).create_view(f"first_{source.name}")
        found = profile_source(connection, source, days)
        series += found[0]
        categories += found[1]
    return series, categories


def count_feeds(
    spec: UseCaseSpec,
    feeds: tuple[list[Series], list[CategoryCounts]],
    days: Sequence[DropKey],
    draws: Sequence[NDArray[np.int64]],
) -> Count:
    """Count the episodes of feeds against their own drops before."""
    episodes = 0
    for drawn in draws:
        drops: list[DropKey] = [day_of_key(days[0]) + timedelta(days=place) for place in range(len(drawn))]
        series = [
            Series(each.source, each.column, each.statistic, resampled(each.values, days, drawn, drops))
            for each in feeds[0]
        ]
        counted = [
            CategoryCounts(each.source, each.column, resampled(each.counts, days, drawn, drops)) for each in feeds[1]
        ]
        health = FeedHealth(spec, series, counted, {})
        ratios: dict[tuple[str, str, str], list[float]] = {}
        alarms = np.zeros(len(drawn), dtype=bool)
        k, n = spec.monitoring.persistence.k, spec.monitoring.persistence.of
        for place, drop in enumerate(drops):
            for reading in health.read(drop):
                recent = ratios.setdefault((reading.source, reading.column, reading.statistic), [])
                known = math.isfinite(reading.z_score.z) and math.isfinite(reading.z_score.threshold)
                recent.append(abs(reading.z_score.z) / reading.z_score.threshold if known else 0.0)
                alarms[place] |= persistent(recent[-n:], k, n) > 1
        alarms[: LEARNED_WEEKS * WEEK] = False  # the weeks that are learned from are not judged
        episodes += stretches(alarms)
    return Count("feeds", len(draws), episodes)


def resampled(
    values: Mapping[DropKey, Value], days: Sequence[DropKey], drawn: Iterable[int], drops: Sequence[DropKey]
) -> dict[DropKey, Value]:
    return {drop: values[days[place]] for drop, place in zip(drops, drawn, strict=True) if days[place] in values}


def stretches(alarms: NDArray[np.bool_]) -> int:
    """Count the stretches of drops that alarm."""
    return int((np.diff(np.concatenate([[0], alarms.astype(int)])) == 1).sum())


if __name__ == "__main__":
    main(sys.argv[1:])
