"""Broken feeds: made-up sources whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from ml_assets.monitoring.diagnosis import diagnose_feeds
from ml_assets.monitoring.drift_report import Row, feed_rows, set_alarm_states
from ml_assets.monitoring.feed_health import FeedHealth, FeedReading
from ml_assets.monitoring.feed_profile import NO_ROWS, CategoryCounts, Series
from ml_assets.spec.drop import DropKey
from ml_assets_tests.rehearsal import small_spec

START = date(2013, 1, 1)
DROPS = [START + timedelta(days=number) for number in range(60)]
FAULT = DROPS[40]


def series(statistic: str, values: np.ndarray, column: str = "temp_f") -> Series:
    named = "" if statistic in ("rows", "duplicate_share", "repeated_share", "quarantined_share") else column
    return Series("weather", named, statistic, {drop: float(v) for drop, v in zip(DROPS, values, strict=True)})


def rows_of_drops() -> Series:
    rng = np.random.default_rng(1)
    return series("rows", np.log(72 + rng.integers(-2, 3, len(DROPS))))


def health(*found: Series, categories: tuple[CategoryCounts, ...] = ()) -> FeedHealth:
    return FeedHealth(small_spec(), [rows_of_drops(), *found], categories, {})


def read(watched: FeedHealth, statistic: str, source: str = "weather") -> dict[DropKey, FeedReading]:
    every = [reading for drop in DROPS for reading in watched.read(drop)]
    return {each.drop: each for each in every if (each.source, each.statistic) == (source, statistic)}


def after_fault(clean: np.ndarray, broken: float) -> np.ndarray:
    return np.where(np.array(DROPS) >= FAULT, broken, clean)


def test_column_that_becomes_mostly_null_is_over_from_its_first_drop_on_and_never_before() -> None:
    rng = np.random.default_rng(2)
    found = read(health(series("null_share", after_fault(rng.uniform(0, 0.03, len(DROPS)), 0.9))), "null_share")

    over = [drop for drop in DROPS if found[drop].z_score.is_over]
    assert over == DROPS[40:]


def test_drop_that_was_over_is_no_placebo_for_those_after_it() -> None:
    found = read(health(series("null_share", after_fault(np.zeros(len(DROPS)), 0.9))), "null_share")

    assert found[DROPS[59]].usual == 0.0
    assert found[DROPS[59]].z_score.is_over


def test_fault_that_ends_is_not_over_any_more() -> None:
    values = np.where((np.array(DROPS) >= FAULT) & (np.array(DROPS) < DROPS[46]), 0.9, 0.01)
    found = read(health(series("null_share", values)), "null_share")

    assert [drop for drop in DROPS if found[drop].z_score.is_over] == DROPS[40:46]


@pytest.mark.parametrize(
    ("end", "examples_go_on", "is_told"),
    [
        (DROPS[59], False, False),
        (DROPS[59], True, True),  # drops with examples are not there for labels alone
        (DROPS[59] + timedelta(days=30), False, True),
        (None, False, True),
    ],
)
def test_a_source_that_has_ended_is_no_fault_in_the_drops_that_only_labels_come_in(
    end: date | None, examples_go_on: bool, is_told: bool
) -> None:
    spec = small_spec()
    calendar = spec.calendar.model_copy(update={"end": end})
    labels = spec.labels.model_copy(update={"matures_after": timedelta(days=4)})
    values = np.where(np.array(DROPS) > DROPS[55], NO_ROWS, np.log(72.0))
    examples = np.full(len(DROPS), np.log(900.0)) if examples_go_on else values
    (name,) = spec.examples.sources
    ended = FeedHealth(
        spec.model_copy(update={"calendar": calendar, "labels": labels}),
        [series("rows", values), replace(series("rows", examples), source=name)], (), {},
    )  # fmt: skip

    over = [drop for drop, reading in read(ended, "rows", "weather").items() if reading.z_score.is_over]

    assert over == (DROPS[56:] if is_told else [])


def test_change_that_stays_longer_than_any_repair_becomes_usual() -> None:
    days = [START + timedelta(days=number) for number in range(140)]
    rng = np.random.default_rng(3)
    level = np.where(np.arange(140) >= 40, 0.6, 0.0) + rng.uniform(0, 0.02, 140)
    shares = Series("weather", "temp_f", "null_share", {d: float(v) for d, v in zip(days, level, strict=True)})
    rows = Series("weather", "", "rows", dict.fromkeys(days, float(np.log(72))))
    watched = FeedHealth(small_spec(), [rows, shares], [], {})

    over = [drop for drop in days if any(r.z_score.is_over for r in watched.read(drop) if r.statistic == "null_share")]

    assert over[0] == days[40]
    assert days[80] in over  # within relearn_after, 42 days
    assert days[139] not in over


def test_a_source_that_sends_nothing_is_never_usual_and_what_was_before_tells_when_it_is_back() -> None:
    days = [START + timedelta(days=number) for number in range(260)]
    rng = np.random.default_rng(5)
    numbers = np.where((np.arange(260) >= 40) & (np.arange(260) < 250), NO_ROWS, np.log(72) + rng.normal(0, 0.02, 260))
    rows = Series("weather", "", "rows", {day: float(number) for day, number in zip(days, numbers, strict=True)})
    watched = FeedHealth(small_spec(), [rows], [], {})

    over = {day for day in days if any(reading.z_score.is_over for reading in watched.read(day))}

    assert set(days[40:250]) <= over
    assert not over & set(days[250:])


def test_first_drops_are_not_enough_data() -> None:
    found = read(health(series("null_share", after_fault(np.zeros(len(DROPS)), 0.9))), "null_share")

    assert found[DROPS[11]].z_score.threshold == np.inf
    assert found[DROPS[12]].z_score.threshold < np.inf  # ten drops before the newest two


def test_range_does_not_change_a_reading() -> None:
    rng = np.random.default_rng(4)
    shares = series("null_share", after_fault(rng.uniform(0, 0.03, len(DROPS)), 0.9))
    whole = read(health(shares), "null_share")
    over = {("weather", "temp_f", "null_share"): [drop for drop in DROPS[:50] if whole[drop].z_score.is_over]}
    resumed = FeedHealth(small_spec(), [rows_of_drops(), shares], [], over)

    again = {r.drop: r for drop in DROPS[50:] for r in resumed.read(drop) if r.statistic == "null_share"}

    assert again == {drop: whole[drop] for drop in DROPS[50:]}


def counted(rename_from: date | None) -> CategoryCounts:
    counts = {}
    for drop in DROPS:
        third = "JFQ" if rename_from is not None and drop >= rename_from else "JFK"
        counts[drop] = {"EWR": 24, "LGA": 24, third: 24}
    return CategoryCounts("weather", "origin", counts)


def diagnosed(watched: FeedHealth, drop: date, ratios: dict[str, dict[DropKey, float]]) -> list[Row]:
    rows = set_alarm_states(feed_rows(watched.read(drop)), ratios, small_spec().monitoring, small_spec().calendar)
    diagnose_feeds(rows)
    return rows


def test_renamed_category_is_unseen_and_vanished_and_called_renamed() -> None:
    watched = health(categories=(counted(FAULT),))
    ratios: dict[str, dict[DropKey, float]] = {}
    said = {}
    for drop in DROPS:
        said[drop] = [row for row in diagnosed(watched, drop, ratios) if row["state"] == "alarm"]

    assert not [drop for drop in DROPS[:41] if said[drop]]  # an alarm needs two of three drops
    first = {row["statistic"]: row for row in said[DROPS[41]]}
    assert set(first) == {"unseen_share", "vanished_share"}
    assert first["unseen_share"]["kind"] == "broken_feed"
    assert first["unseen_share"]["meaning"] == "JFK fell silent while JFQ appeared: renamed?"


def test_categories_that_stay_are_neither_unseen_nor_vanished() -> None:
    watched = health(categories=(counted(None),))

    assert max(abs(r.z_score.z) for drop in DROPS[20:] for r in watched.read(drop) if r.column == "origin") < 0.5


@pytest.mark.parametrize(
    ("statistic", "clean", "broken", "kind", "said"),
    [
        ("repeated_share", 0.0, 1.0, "broken_feed", "rows equal to those of the drop before: 100.0%"),
        ("quarantined_share", 0.0, 0.5, "broken_feed", "rows that broke the contract: 50.0%"),
        ("null_share", 0.1, 1.0, "broken_feed", "missing values: 100.0% where 10.0% is usual"),
        ("null_share", 0.7, 1.0, "cannot_tell", "missing values: 100.0% where 70.0% is usual"),
        ("spread", np.log(80.0), np.log(80.0 / 60), "broken_feed", "another unit, by a factor of 60?"),
        ("spread", np.log(80.0), np.log(80.0 / 4), "cannot_tell", "the distance of the 10 % and 90 % quantiles: 20"),
    ],
)
def test_alarm_says_what_it_looks_like(statistic: str, clean: float, broken: float, kind: str, said: str) -> None:
    watched = health(series(statistic, after_fault(np.full(len(DROPS), clean), broken)))
    ratios: dict[str, dict[DropKey, float]] = {}
    found = [diagnosed(watched, drop, ratios) for drop in DROPS[:43]]

    (row,) = [row for row in found[-1] if row["state"] == "alarm"]
    assert row["kind"] == kind
    assert said in row["meaning"]


def test_fewer_nulls_than_usual_is_no_fault() -> None:
    watched = health(series("null_share", after_fault(np.full(len(DROPS), 0.4), 0.0)))
    ratios: dict[str, dict[DropKey, float]] = {}
    found = [diagnosed(watched, drop, ratios) for drop in DROPS[:43]]

    (row,) = [row for row in found[-1] if row["state"] == "alarm"]
    assert row["kind"] == "cannot_tell"


def test_broken_drops_are_no_placebos_for_the_other_monitors_of_their_source() -> None:
    rng = np.random.default_rng(6)
    calm = rng.normal(50, 5, len(DROPS))
    frozen = calm.copy()
    frozen[41:47] = frozen[40]  # repeated rows have one and the same median
    is_frozen = (np.arange(len(DROPS)) >= 41) & (np.arange(len(DROPS)) < 47)
    repeated = series("repeated_share", is_frozen.astype(float))
    spread = series("spread", np.full(len(DROPS), np.log(20.0)))

    kept = read(
        FeedHealth(small_spec(), [rows_of_drops(), repeated, spread, series("center", frozen)], [], {}), "center"
    )
    clean = read(FeedHealth(small_spec(), [rows_of_drops(), spread, series("center", calm)], [], {}), "center")

    assert kept[DROPS[47]].z_score.n_placebos == clean[DROPS[43]].z_score.n_placebos
    assert kept[DROPS[47]].z_score.placebo_sd == pytest.approx(clean[DROPS[43]].z_score.placebo_sd)


def test_rows_that_come_a_day_late_are_a_broken_feed() -> None:
    watched = health(series("age_h", after_fault(np.full(len(DROPS), 12.0), 36.0)))
    ratios: dict[str, dict[DropKey, float]] = {}
    found = [diagnosed(watched, drop, ratios) for drop in DROPS[:42]]

    (row,) = [row for row in found[-1] if row["state"] == "alarm"]
    assert (row["kind"], row["meaning"]) == ("broken_feed", "hours from the events to the drop: 36 where 12 is usual")


def test_category_that_is_rare_on_its_poorest_days_may_be_absent() -> None:
    counts: dict[DropKey, dict[str, int]] = {
        drop: {"completed": 800, "cancelled": 2 if place % 5 == 0 else 40} for place, drop in enumerate(DROPS)
    }
    for drop in DROPS[40:43]:
        del counts[drop]["cancelled"]
    watched = health(categories=(CategoryCounts("weather", "status", counts),))

    found = {r.drop: r for drop in DROPS for r in watched.read(drop) if r.statistic == "vanished_share"}

    assert not [drop for drop in DROPS[20:] if found[drop].z_score.is_over]


def test_monitor_that_cannot_be_judged_is_no_alarm_whatever_came_before() -> None:
    calendar, monitoring = small_spec().calendar, small_spec().monitoring
    earlier: dict[str, dict[DropKey, float]] = {"feed/x": {DROPS[0]: 3.0, DROPS[1]: 2.0}}
    row = {"monitor": "feed/x", "batch_date": DROPS[2], "ratio": 0.0, "state": "not enough data"}

    assert set_alarm_states([row], earlier, monitoring, calendar)[0]["state"] == "not enough data"


def test_readings_before_a_gap_do_not_count_towards_an_alarm() -> None:
    calendar, monitoring = small_spec().calendar, small_spec().monitoring
    states = []
    for since in (2, 5):  # two and five drops after the first one that was over
        row = {"monitor": "feed/x", "batch_date": DROPS[since], "ratio": 2.0, "state": "ok"}
        states.append(set_alarm_states([row], {"feed/x": {DROPS[0]: 3.0}}, monitoring, calendar)[0]["state"])

    assert states == ["alarm", "over"]


def test_source_that_stops_is_a_broken_feed_in_the_second_drop() -> None:
    counts = [72.0] * 40 + [0.5] * 5
    rows = Series("weather", "", "rows", {drop: float(np.log(n)) for drop, n in zip(DROPS, counts, strict=False)})
    watched = FeedHealth(small_spec(), [rows], [], {})
    ratios: dict[str, dict[DropKey, float]] = {}
    found = [diagnosed(watched, drop, ratios) for drop in DROPS[:42]]

    (row,) = [row for row in found[-1] if row["state"] == "alarm"]
    assert (row["kind"], row["meaning"]) == ("broken_feed", "the number of rows: 0 where 72 is usual")


def alarms_of(*found: Series, last: int = 60) -> list[Row]:
    watched, ratios = health(*found), {}
    return [row for drop in DROPS[:last] for row in diagnosed(watched, drop, ratios) if row["state"] == "alarm"]


def test_flag_stuck_at_one_of_its_values_alarms_in_the_second_drop() -> None:
    rng = np.random.default_rng(7)
    stuck = after_fault(rng.binomial(72, 0.48, len(DROPS)) / 72, 0.0)

    first, *_ = alarms_of(series("other_share", stuck, "late"))

    assert (first["batch_date"], first["kind"]) == (DROPS[41], "cannot_tell")
    assert first["meaning"].startswith("rows with the other of its values: 0.0% where 46.")


def test_share_of_a_thin_drop_is_compared_at_its_number_of_rows() -> None:
    counts = np.array([72.0] * len(DROPS))
    counts[40:43] = 1.0
    rows = series("rows", np.log(counts))
    calm = {"null_share": 0.0, "quarantined_share": 0.0}
    watched = FeedHealth(small_spec(), [rows, *(series(k, np.full(len(DROPS), v)) for k, v in calm.items())], [], {})

    over = {(drop, r.statistic) for drop in DROPS for r in watched.read(drop) if r.z_score.is_over}

    assert over == {(drop, "rows") for drop in DROPS[40:43]}


def test_medians_that_spike_now_and_then_are_no_alarm() -> None:
    spread = series("spread", np.full(len(DROPS), np.log(10.0)))
    over = judged = 0
    for seed in range(20):
        center = 10 * np.exp(np.random.default_rng(seed).normal(0, 2, len(DROPS)))
        found = list(read(health(spread, series("center", center)), "center").values())[20:]
        over += sum(each.z_score.is_over for each in found)
        judged += len(found)

    assert (over / judged) < 0.01
