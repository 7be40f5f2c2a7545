"""Whether a feed is broken: today's profile of each source beside its own drops just before.

What is found here is mechanical: columns that fell silent, categories that vanished while others appeared, rows that
repeat or are missing, values on another scale. It must not be learned from, so a drop that was over the threshold is
no placebo for the drops after it, until it has been so for longer than any repair takes (`relearn_after`). A source
that sends nothing is never taken for usual.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from statistics import median, stdev

from ml_assets.monitoring.feed_profile import NO_ROWS, CategoryCounts, Series, monitor_count
from ml_assets.monitoring.placebo_z_score import (
    FAMILIES,
    PlaceboZScore,
    false_alarm_rate,
    independent_count,
    standing_of,
)
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.not_computed import measured

# Least deviations that count as one, in the unit of each statistic. Shares are compared as log odds, medians by their
# distance from the usual one, far ones as logarithms.
_SHARE_FLOOR = 0.5  # log odds: a share of 1 % that becomes 1.6 %
_LOG_FLOOR = 0.1  # natural logarithm: a tenth more or fewer rows, or a tenth wider
_CENTER_FLOOR = 0.15  # of the distance between the column's 10 % and 90 % quantiles
_AGE_FLOOR = 1 / 12  # of the time between two drops: two hours of a day
_NONE: frozenset[DropKey] = frozenset()
_COMMON = 0.02  # a category with a smaller share of the rows can be absent by chance
_FEW = 5  # rows on its poorest days below which a category can fall silent by chance
_SHARES = (
    "null_share",
    "null_alone_share",
    "other_share",
    "duplicate_share",
    "repeated_share",
    "quarantined_share",
    "unseen_share",
    "vanished_share",
)

# What no season does to a column: such an alarm is a fault of the feed until a person says otherwise.
MECHANICAL = frozenset(
    {
        "rows", "age_h", "duplicate_share", "repeated_share", "quarantined_share", "null_alone_share",
        "vanished_share",
    }
)  # fmt: skip
MEANINGS = {
    "rows": "the number of rows",
    "age_h": "hours from the events to the drop",
    "duplicate_share": "rows whose key was there already",
    "repeated_share": "rows equal to those of the drop before",
    "quarantined_share": "rows that broke the contract",
    "null_share": "missing values",
    "null_alone_share": "missing values in rows that are else complete",
    "other_share": "rows with the other of its values",
    "center": "the median",
    "spread": "the distance of the 10 % and 90 % quantiles",
    "unseen_share": "rows of categories not seen before",
    "vanished_share": "categories that fell silent, by their usual share of rows",
}


@dataclass(frozen=True)
class FeedReading:
    """One monitor of a feed in one drop. `z_score.value` is in the unit of the statistic.

    `shown` and `usual` are the value and the placebos' mean as people read them: shares and counts, not log odds.
    """

    drop: DropKey
    source: str
    column: str
    statistic: str
    z_score: PlaceboZScore
    shown: float
    usual: float
    detail: str


class FeedHealth:
    """Reads profiles drop by drop, in order.

    Parameters
    ----------
    earlier_over
        By monitor (source, column, statistic), the earlier drops that were over their threshold.
    """

    def __init__(
        self,
        spec: UseCaseSpec,
        series: Sequence[Series],
        categories: Sequence[CategoryCounts],
        earlier_over: Mapping[tuple[str, str, str], Iterable[DropKey]],
    ) -> None:
        self._spec = spec
        self._series = list(series)
        self._categories = list(categories)
        self._over: dict[tuple[str, str, str], set[DropKey]] = {}
        self._broken: dict[str, set[DropKey]] = {}
        self._before = _DropsBefore(spec, spec.calendar.first_drop)
        for monitor, drops in earlier_over.items():
            self._note(monitor, drops)
        self._rows = {each.source: each.values for each in series if each.statistic == "rows"}
        self._spreads = {(each.source, each.column): each.values for each in series if each.statistic == "spread"}
        n_monitors = sum(monitor_count(source) for source in spec.sources if source.arrives == "every_drop")
        # the days of a fault are alike, and so are those of a storm: that an alarm needs several earns no credit
        self._rate = false_alarm_rate(
            spec.monitoring.false_alarm_every, spec.calendar.mean_length, n_monitors, FAMILIES
        )

    def read(self, drop: DropKey) -> list[FeedReading]:
        """Read every monitor in `drop`; a source that sent nothing in it has no reading."""
        read = [
            measured(f"{each.statistic} of {each.source}", lambda one=each: self._read_series(drop, one), None)
            for each in self._series
            if drop in each.values and not self._is_over_and_silent(drop, each)
        ]
        found = [reading for reading in read if reading is not None]
        # which columns are categories is known once the first drops are there
        calendar = self._spec.calendar
        is_known = drop >= calendar.same_time_before(calendar.first_drop, -self._spec.monitoring.min_placebos)
        for counted in self._categories:
            if is_known and drop in counted.counts:
                name = f"categories of {counted.source}.{counted.column}"
                found += measured(name, lambda one=counted: self._read_categories(drop, one), [])
        for reading in found:
            if reading.z_score.is_over:
                self._note((reading.source, reading.column, reading.statistic), [drop])
        return found

    def _is_over_and_silent(self, drop: DropKey, series: Series) -> bool:
        """Say whether a source sent no row in a last drop of a calendar that ends, which is there for labels alone.

        It is where no source of examples sends a row either. While examples come, a source that sends none is missed
        in the last drops as in any other.
        """
        end = self._spec.calendar.last_drop
        is_last = end is not None and drop > self._spec.calendar.earlier(end, self._spec.labels.matures_after)
        if not is_last or series.statistic != "rows" or series.values[drop] != NO_ROWS:
            return False
        of_examples = [self._rows[name] for name in self._spec.examples.sources if name in self._rows]
        return all(rows.get(drop, NO_ROWS) == NO_ROWS for rows in of_examples)

    def _note(self, monitor: tuple[str, str, str], drops: Iterable[DropKey]) -> None:
        """Keep that a monitor was over: no placebo for itself, nor, if its source was broken, for any monitor of it."""
        self._over.setdefault(monitor, set()).update(drops)
        if monitor[2] in MECHANICAL:
            self._broken.setdefault(monitor[0], set()).update(drops)

    def _history(self, drop: DropKey, monitor: tuple[str, str, str], known: Container[DropKey]) -> list[DropKey]:
        """List the drops to compare with: not over, no older than is still worth comparing.

        Where a day has several drops, those of the same time of day alone: a night is not compared with a morning.
        The newest ones are left out, as many as an alarm looks back on: a fault that has just begun is no placebo. A
        drop without a row, where that was over, never becomes one, and those before it stay worth comparing.
        """
        calendar = self._spec.calendar
        own, broken = self._over.get(monitor, _NONE), self._broken.get(monitor[0], _NONE)
        before = self._before if self._before.drop == drop else _DropsBefore(self._spec, drop)
        self._before = before  # the same for every monitor
        oldest = before.oldest
        rows, found = self._rows.get(monitor[0], {}), list[DropKey]()
        for day in before.days():
            if day < oldest or day < before.first:
                break
            is_over = day in own or day in broken
            is_empty = is_over and rows.get(day) == NO_ROWS
            oldest = calendar.same_time_before(oldest) if is_empty else oldest
            stretch = is_empty or (is_over and not self._has_stayed(day, own | broken, before.relearned))
            if day in known and not stretch:
                found.append(day)
            if len(found) == before.most:
                break
        return found[::-1]

    def _has_stayed(self, day: DropKey, over: Set[DropKey], relearned: DropKey) -> bool:
        """Say whether the stretch of drops over the threshold that holds `day` began before `relearned`."""
        while day in over:
            day = self._spec.calendar.same_time_before(day)
        return day < relearned

    def _read_series(self, drop: DropKey, series: Series) -> FeedReading:
        monitor = (series.source, series.column, series.statistic)
        history = self._history(drop, monitor, series.values)
        values = [series.values[day] for day in [*history, drop]]
        if series.statistic == "center":
            spreads = self._spreads[series.source, series.column]
            known = sorted(spreads[day] for day in history if day in spreads)
            # without a spread in most drops (no rain) a median says nothing
            is_told = 2 * len(known) > len(history)
            floor = _CENTER_FLOOR if is_told else math.inf
            scaled = _signed_logs(values, math.exp(known[len(known) // 2])) if is_told else values
        elif series.statistic in _SHARES:
            scaled, floor = self._scaled_shares(series.source, values, [*history, drop])
        else:
            is_age = series.statistic == "age_h"
            floor = self._age_floor() if is_age else self._rows_floor(values)
            scaled = values
        z_score = self._z_score(scaled[-1], scaled[:-1], floor)
        return FeedReading(drop, *monitor, z_score, values[-1], _mean(values[:-1]), series.details.get(drop, ""))

    def _age_floor(self) -> float:
        return self._spec.calendar.duration_of(1) / timedelta(hours=1) * _AGE_FLOOR

    def _rows_floor(self, logs: Sequence[float]) -> float:
        """Give the least deviation of numbers of rows, as logarithms; drops of a part of a day hold few, by chance."""
        if self._spec.calendar.has_dates or len(logs) < 2:
            return _LOG_FLOOR
        return max(_LOG_FLOOR, 1 / math.sqrt(math.exp(median(logs[:-1])) + 0.5))

    def _scaled_shares(
        self, source: str, shares: Sequence[float], drops: Sequence[DropKey]
    ) -> tuple[list[float], float]:
        """Give shares as log odds at equal numbers of rows, those of the last drop, and the least deviation.

        The log odds of 0 of 5 rows lie nearer to even than those of 0 of 72. What five rows vary more than the usual
        number widens the deviation.
        """
        numbers = [math.exp(self._rows[source][day]) for day in drops]
        usual = median(numbers[:-1] or numbers)
        n = min(usual, numbers[-1])
        scaled = [_log_odds(share, min(n, number)) for share, number in zip(shares, numbers, strict=True)]
        mean = _mean(shares[:-1]) if len(shares) > 1 else 0.0
        excess = max(0.0, _log_odds_variance(mean, n) - _log_odds_variance(mean, usual))
        deviation = stdev(scaled[:-1]) if len(scaled) > 2 else 0.0
        return scaled, math.hypot(max(_SHARE_FLOOR, deviation), math.sqrt(excess)) if excess else _SHARE_FLOOR

    def _read_categories(self, drop: DropKey, counted: CategoryCounts) -> list[FeedReading]:
        source, column = counted.source, counted.column
        rows = self._rows[source]
        readings: list[FeedReading] = []
        for statistic in ("unseen_share", "vanished_share"):
            monitor = (source, column, statistic)
            history = [day for day in self._history(drop, monitor, counted.counts) if day in rows]
            totals = _totals(counted, history)
            least = _least(counted, history, totals)
            share, which = _measure(statistic, counted.counts[drop], totals, least)
            shown = [_measure(statistic, counted.counts[day], totals, least, is_in_totals=True)[0] for day in history]
            scaled, floor = self._scaled_shares(source, [*shown, share], [*history, drop])
            z_score = self._z_score(scaled[-1], scaled[:-1], floor)
            readings.append(FeedReading(drop, *monitor, z_score, share, _mean(shown), ", ".join(which[:5])))
        return readings

    def _z_score(self, value: float, placebos: Sequence[float], floor: float) -> PlaceboZScore:
        enough = len(placebos) >= self._spec.monitoring.min_placebos and math.isfinite(floor)
        known = placebos if enough else []
        return standing_of(value, known, rate=self._rate, floor=floor, n_independent=independent_count(known))


class _DropsBefore:
    """The drops of the same time of day before a drop, newest first, and how far back they are compared with."""

    def __init__(self, spec: UseCaseSpec, drop: DropKey) -> None:
        monitoring, self._calendar = spec.monitoring, spec.calendar
        self.drop, self.first = drop, self._calendar.first_drop
        self.relearned = self._calendar.earlier(drop, monitoring.relearn_after)
        self.oldest = self._calendar.earlier(self.relearned, monitoring.feed_history)
        self.most = self._calendar.days_in(monitoring.feed_history)
        self._days = [self._calendar.same_time_before(drop, monitoring.persistence.of)]

    def days(self) -> Iterator[DropKey]:
        """Give them without an end."""
        place = 0
        while True:
            if place == len(self._days):
                self._days.append(self._calendar.same_time_before(self._days[-1]))
            yield self._days[place]
            place += 1


def _totals(counted: CategoryCounts, days: Sequence[DropKey]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for day in days:
        for name, number in counted.counts[day].items():
            totals[name] = totals.get(name, 0) + number
    return totals


def _least(counted: CategoryCounts, days: Sequence[DropKey], totals: Mapping[str, int]) -> dict[str, int]:
    """Give the fewest rows of each common category in any of `days` but the poorest one."""
    common = _COMMON / 2 * sum(totals.values())
    place = min(1, len(days) - 1)
    return {
        name: sorted(counted.counts[day].get(name, 0) for day in days)[place]
        for name, number in totals.items()
        if number >= common
    }


def _measure(
    statistic: str,
    today: Mapping[str, int],
    totals: Mapping[str, int],
    least: Mapping[str, int],
    *,
    is_in_totals: bool = False,
) -> tuple[float, list[str]]:
    """Give the share of rows that is unseen, or the usual share of what is silent, and which categories those are.

    `is_in_totals` leaves today out of the totals first: a placebo is compared with the other days.
    """
    n = sum(today.values())
    if statistic == "unseen_share":
        unseen = [name for name, number in today.items() if totals.get(name, 0) == (number if is_in_totals else 0)]
        unseen.sort(key=lambda name: (-today[name], name))
        return (sum(today[name] for name in unseen) / n if totals else 0.0), unseen
    everything = sum(totals.values()) - (n if is_in_totals else 0)
    silent = [
        name
        for name, number in totals.items()
        if name not in today and number >= _COMMON * everything and least.get(name, 0) >= _FEW
    ]
    silent.sort(key=lambda name: (-totals[name], name))
    return sum(totals[name] for name in silent) / max(1, everything), silent


def _log_odds(share: float, n: float) -> float:
    """Give the log odds of a share of n rows, half a row added to both sides so that 0 and 1 are finite."""
    return math.log((share * n + 0.5) / ((1 - share) * n + 0.5))


def _log_odds_variance(share: float, n: float) -> float:
    """Give the variance of the log odds of a share of n rows."""
    return 1 / (share * n + 0.5) + 1 / ((1 - share) * n + 0.5)


def _signed_logs(medians: Sequence[float], spread: float) -> list[float]:
    """Give the distance of each median from the middle one of those before the last, in spreads.

    Beyond one spread it grows as the logarithm: where medians spike now and then, the spikes do not hide all the rest.

    >>> [round(value, 2) for value in _signed_logs([10, 11, 10, 9, 510], 10.0)]
    [0.0, 0.1, 0.0, -0.1, 4.91]
    """
    middle = median(medians[:-1])
    distances = [(value - middle) / spread for value in medians]
    return [each if abs(each) <= 1 else math.copysign(1 + math.log(abs(each)), each) for each in distances]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
