"""Drift of features against references whose truth is known."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from ml_assets.monitoring.coded_rows import FeatureRows
from ml_assets.monitoring.feature_drift import (
    OVERALL,
    DriftReading,
    DriftReference,
    block_of,
    learn_columns,
    learn_reference,
    window_rows,
)
from ml_assets.monitoring.reference_columns import columns_from_bytes, columns_to_bytes
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import day_of_key
from ml_assets.spec.monitoring import MonitoringSpec
from ml_assets.stats.binning import learn_numeric_bins
from ml_assets.stats.divergence import psi
from ml_assets.stats.not_computed import collecting

DAY, WEEK = timedelta(days=1), timedelta(days=7)
START = date(2013, 1, 1)
RATE = 1e-3
A_DAY = 200


def rows(n_drops: int, seed: int = 1, **changed: np.ndarray) -> FeatureRows:
    rng = np.random.default_rng(seed)
    n = n_drops * A_DAY
    levels = np.repeat(rng.normal(0, 0.3, n_drops), A_DAY)  # days share their weather
    columns = {
        "level": rng.normal(size=n) + levels,
        "rain": np.where(rng.random(n) < 0.9, 0.0, rng.exponential(size=n)),
        "carrier": rng.choice(np.array(["AA", "B6", "UA"], dtype=object), n, p=[0.2, 0.3, 0.5]),
        "silent": np.full(n, np.nan),
    }
    drops = tuple(START + number * DAY for number in range(n_drops))
    return FeatureRows(drops, np.repeat(np.arange(n_drops), A_DAY), {**columns, **changed})


@pytest.fixture(scope="module")
def reference() -> DriftReference:
    return learn_reference("before", rows(56), 7)


def compare(reference: DriftReference, window: FeatureRows) -> dict[str, DriftReading]:
    found = reference.compare(START + 60 * DAY, window, RATE, {})
    return {reading.feature: reading for reading in found if reading.feature != OVERALL}


def test_window_like_the_reference_is_not_over(reference: DriftReference) -> None:
    for seed in range(2, 12):
        readings = compare(reference, rows(7, seed))
        assert not [name for name, reading in readings.items() if reading.z_score.z > reading.z_score.threshold]


def test_shift_is_over_and_its_psi_is_that_of_the_histograms(reference: DriftReference) -> None:
    window = rows(7, 2)
    moved = FeatureRows(window.drops, window.days, {**window.columns, "level": window.columns["level"] + 3})
    reading = compare(reference, moved)["level"]

    values = rows(56).columns["level"]
    bins = learn_numeric_bins(values)
    counts = [np.bincount(bins.code(each), minlength=bins.n_bins) for each in (values, moved.columns["level"])]
    assert reading.psi == pytest.approx(psi(*counts))
    assert reading.z_score.is_over
    assert reading.ks > 0.8
    assert reading.wasserstein == pytest.approx(3, abs=0.5)


def test_zero_inflated_column_that_loses_its_zeros_is_over(reference: DriftReference) -> None:
    window = rows(7, 2)
    wet = np.where(window.columns["rain"] == 0, 0.01, window.columns["rain"])
    reading = compare(reference, FeatureRows(window.drops, window.days, {**window.columns, "rain": wet}))["rain"]

    assert reading.z_score.is_over
    assert reading.psi > 1


def test_category_never_seen_is_counted(reference: DriftReference) -> None:
    window = rows(7, 2)
    renamed = np.where(window.columns["carrier"] == "UA", "U2", window.columns["carrier"]).astype(object)
    reading = compare(reference, FeatureRows(window.drops, window.days, {**window.columns, "carrier": renamed}))[
        "carrier"
    ]

    assert reading.unseen_share == pytest.approx(0.5, abs=0.05)
    assert reading.z_score.is_over
    assert np.isnan(reading.ks)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full(7 * A_DAY, np.nan), "all null"),
        (np.full(7 * A_DAY, 4.0), "constant: > "),
        (np.full(7 * A_DAY, np.inf), "1400 infinite"),
    ],
)
def test_odd_column_is_named_and_does_not_end_the_report(
    reference: DriftReference, values: np.ndarray, said: str
) -> None:
    window = rows(7, 2)
    readings = compare(reference, FeatureRows(window.drops, window.days, {**window.columns, "level": values}))

    assert readings["level"].detail.startswith(said)
    assert readings["level"].z_score.is_over
    assert len(readings) == 4


def test_new_and_gone_columns_are_named(reference: DriftReference) -> None:
    window = rows(7, 2)
    columns = {name: values for name, values in window.columns.items() if name != "rain"}
    readings = compare(reference, FeatureRows(window.drops, window.days, {**columns, "fresh": columns["level"]}))

    assert readings["rain"].detail == "gone: not in the window"
    assert readings["fresh"].detail == "new: not in the reference"
    assert not readings["rain"].z_score.is_over


def test_reference_shorter_than_three_windows_is_not_enough_data() -> None:
    short = learn_reference("before", rows(20), 7)

    assert compare(short, rows(7, 2))["level"].z_score.threshold == np.inf


def test_placebos_are_windows_side_by_side_against_the_rest_of_the_reference() -> None:
    known = rows(23)
    learned = learn_reference("before", known, 7)
    bins = learn_numeric_bins(known.columns["level"])
    codes = bins.code(known.columns["level"])
    inside = (known.days >= 9) & (known.days < 16)
    without = [
        psi(*(np.bincount(codes[mask], minlength=bins.n_bins) for mask in (~inside, inside & (known.days != left_out))))
        for left_out in range(9, 16)
    ]

    assert learned.placebos("level").size == 3
    assert np.exp(learned.placebos("level")[1]) == pytest.approx(min(without), abs=1e-5)


def test_one_odd_drop_decides_nothing_and_two_do(reference: DriftReference) -> None:
    window = rows(7, 2)
    steady = []
    for odd in ((), (3,), (3, 4)):
        level = np.where(np.isin(window.days, odd), 9.0, window.columns["level"])
        moved = FeatureRows(window.drops, window.days, {**window.columns, "level": level})
        steady.append(compare(reference, moved)["level"].steady_psi)

    assert steady[1] <= steady[0] + 0.01
    assert steady[2] > 5 * steady[0]


@pytest.mark.parametrize(
    ("usual", "other", "label"),
    [
        (0.0, 1.0, "0"),
        (5.0, 500.0, "5"),
        (np.nan, 1.0, "null"),
        (1.0, np.nan, "1"),
        ("N", "S", "N"),
        (None, "a", "null"),
    ],
)
def test_constant_that_takes_another_value_is_over_in_the_second_drop(usual: object, other: object, label: str) -> None:
    dtype = object if isinstance(other, str) else float
    before = rows(56, still=np.full(56 * A_DAY, usual, dtype=dtype))
    learned = learn_reference("before", before, 7)
    window = rows(7, 2)
    found = []
    for changed in range(4):
        still = np.full(7 * A_DAY, usual, dtype=dtype)
        still[window.days >= 7 - changed] = other
        moved = FeatureRows(window.drops, window.days, {**window.columns, "still": still})
        found.append(compare(learned, moved)["still"])

    assert [reading.z_score.is_over for reading in found] == [False, False, True, True]  # one drop may be a holiday
    assert found[2].statistic == "constant_changed"
    assert np.isfinite(found[2].z_score.z / found[2].z_score.threshold)
    assert found[2].detail == f"was {label} in all 11,200 rows of the reference and is other in 29 % of the window"


def test_constant_of_a_reference_below_three_windows_is_not_enough_data() -> None:
    learned = learn_reference("before", rows(20), 7)
    window = rows(7, 2)
    moved = FeatureRows(window.drops, window.days, {**window.columns, "silent": np.ones(7 * A_DAY)})

    assert compare(learned, moved)["silent"].z_score.threshold == np.inf  # eight dry days do not make rain a change


def test_column_that_varied_in_a_fifth_of_two_windows_has_no_constant() -> None:
    before, window = rows(28), rows(7, 2)
    rain = np.where(np.isin(before.days, (1, 2, 8, 9, 10)), 1.0, 0.0)
    learned = learn_reference("before", FeatureRows(before.drops, before.days, {**before.columns, "wet": rain}), 7)
    moved = FeatureRows(window.drops, window.days, {**window.columns, "wet": np.ones(7 * A_DAY)})

    assert compare(learned, moved)["wet"].z_score.threshold == np.inf


def test_holiday_that_one_week_of_the_reference_had_is_no_change() -> None:
    def flag(days: np.ndarray, *holidays: int) -> np.ndarray:
        return np.isin(days, holidays).astype(float)

    before = rows(56)
    before = FeatureRows(before.drops, before.days, {**before.columns, "holiday": flag(before.days, 20)})
    learned, window = learn_reference("before", before, 7), rows(7, 2)
    over = []
    for holidays in ((3,), (3, 4), (3, 4, 5)):
        moved = {**window.columns, "holiday": flag(window.days, *holidays)}
        over.append(compare(learned, FeatureRows(window.drops, window.days, moved))["holiday"].z_score.is_over)

    assert over == [False, False, True]


def test_unseen_categories_of_half_the_rows_are_over_at_once_also_among_ten_thousand_values() -> None:
    rng = np.random.default_rng(3)
    names = np.array([f"shop {number}" for number in range(10_000)], dtype=object)
    before = rows(56, shop=rng.choice(names, 56 * A_DAY))
    learned, window = learn_reference("before", before, 7), rows(7, 2)
    usual, half = (rng.choice(names, 7 * A_DAY) for _ in range(2))
    half[rng.random(half.size) < 0.9] = "elsewhere"
    calm, moved = (
        compare(learned, FeatureRows(window.drops, window.days, {**window.columns, "shop": shop}))["shop"]
        for shop in (usual, half)
    )

    assert not calm.z_score.is_over
    assert calm.unseen_share > 0.2  # so many values are new in any week
    assert moved.z_score.is_over
    assert moved.statistic == "constant_changed"


def test_unseen_categories_of_half_the_rows_of_a_column_with_few_are_named_by_their_share(
    reference: DriftReference,
) -> None:
    window = rows(7, 2)
    renamed = np.where(window.columns["carrier"] == "UA", "U2", window.columns["carrier"]).astype(object)
    moved = FeatureRows(window.drops, window.days, {**window.columns, "carrier": renamed})
    reading = compare(reference, moved)["carrier"]

    assert reading.statistic == "constant_changed"
    assert "of the window hold values that the reference does not have (usual 0.0%)" in reading.detail


@pytest.mark.parametrize("a_day", [1, 2, 5, 20])
def test_thin_window_like_the_reference_is_not_over(a_day: int) -> None:
    rng = np.random.default_rng(8)
    n = 56 * A_DAY
    plain = {name: rng.normal(size=n) for name in "abc"}
    drops = tuple(START + number * DAY for number in range(56))
    learned = learn_reference("before", FeatureRows(drops, np.repeat(np.arange(56), A_DAY), plain), 7)
    over = 0
    for seed in range(40):
        draw = np.random.default_rng(100 + seed)
        few = {name: draw.normal(size=7 * a_day) for name in "abc"}
        window = FeatureRows(drops[:7], np.repeat(np.arange(7), a_day), few)
        *single, together = learned.compare(START, window, RATE, {})
        over += any(each.z_score.z > each.z_score.threshold for each in [*single, together])

    assert over <= 1


def test_all_features_together_name_no_feature_that_is_not_over_alone(reference: DriftReference) -> None:
    calm, window = rows(7, 3), rows(7, 2)
    moved = FeatureRows(window.drops, window.days, {**window.columns, "level": window.columns["level"] + 3})

    assert reference.compare(START, calm, RATE, {})[-1].detail == "none alone"
    named = reference.compare(START, moved, RATE, {})[-1].detail
    assert named.startswith("most: level (z ")
    assert "rain" not in named


def test_all_features_together_are_the_mean_z_by_importance_and_name_what_contributes(
    reference: DriftReference,
) -> None:
    window = rows(7, 2)
    moved = FeatureRows(window.drops, window.days, {**window.columns, "level": window.columns["level"] + 3})
    weights = {"level": 3.0, "rain": 1.0}
    *single, together = reference.compare(START, moved, RATE, weights)
    z = {reading.feature: reading.z_score.z for reading in single}

    assert together.feature == OVERALL
    assert together.z_score.z == pytest.approx((3 * z["level"] + z["rain"]) / 4)
    assert together.z_score.is_over
    assert together.detail.startswith("most: level (z ")


def test_order_of_rows_changes_nothing() -> None:
    known = rows(30)
    order = np.random.default_rng(5).permutation(known.days.size)
    order = order[np.argsort(known.days[order], kind="stable")]  # shuffled within each drop
    shuffled = FeatureRows(known.drops, known.days[order], {k: v[order] for k, v in known.columns.items()})

    first, second = (learn_reference("before", each, 7) for each in (known, shuffled))

    assert repr(first.compare(START, rows(7, 2), RATE, {})) == repr(second.compare(START, rows(7, 2), RATE, {}))


def test_blocks_are_anchored_on_the_calendar_and_end_before_the_first_window_begins() -> None:
    calendar = Calendar.model_validate({"start": START, "at": "04:00", "timezone": "America/New_York"})
    monitoring = MonitoringSpec(window=WEEK, reference_window=8 * WEEK)
    found = {block_of(START + number * DAY, calendar, monitoring) for number in range(70, 77)}

    (block,) = found
    assert (block.first, block.last) == (START + 70 * DAY, START + 76 * DAY)
    assert block.reference_last == day_of_key(block.first) - WEEK  # the window of the first drop begins a day later
    assert block.reference_first == START + 8 * DAY


def test_window_is_cut_by_drops() -> None:
    cut = window_rows(rows(20), START + 4 * DAY, START + 10 * DAY)

    assert (cut.drops[0], cut.drops[-1], len(cut.days)) == (START + 4 * DAY, START + 10 * DAY, 7 * A_DAY)
    assert (int(cut.days.min()), int(cut.days.max())) == (0, 6)


def test_measure_of_one_feature_that_fails_is_named_and_the_others_stand(
    reference: DriftReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = rows(7)
    whole = compare(reference, window)
    real = DriftReference._compare

    def failing(self: DriftReference, drop: date, feature: str, *more: Any) -> DriftReading:
        if feature == "level":
            raise FloatingPointError("overflow")
        return real(self, drop, feature, *more)

    monkeypatch.setattr(DriftReference, "_compare", failing)
    with collecting() as failed:
        found = compare(reference, window)

    assert [each.measure for each in failed] == ["drift of level"]
    assert found["level"].detail == "not computed: the measure failed"
    others = [name for name in whole if name not in {"level", OVERALL}]
    assert [str(found[name]) for name in others] == [str(whole[name]) for name in others]


def test_reference_read_back_from_its_file_compares_to_the_bit() -> None:
    known = rows(
        56, shop=np.random.default_rng(5).choice(np.array([f"shop {n}" for n in range(900)], object), 56 * A_DAY)
    )
    learned = learn_columns(known, 7)

    content = columns_to_bytes(learned)
    again = DriftReference("training", columns_from_bytes(content), 7)

    assert columns_to_bytes(columns_from_bytes(content)) == content
    window = rows(7, 2, level=np.full(7 * A_DAY, np.inf), shop=np.full(7 * A_DAY, "elsewhere", dtype=object))
    first = DriftReference("training", learned, 7)
    assert repr(again.compare(START, window, RATE, {})) == repr(first.compare(START, window, RATE, {}))


@pytest.mark.parametrize("damage", [b"", b"PK", b"not a file of columns"])
def test_damaged_file_of_a_reference_is_no_reference(damage: bytes) -> None:
    with pytest.raises(ValueError, match="no columns of a drift reference"):
        columns_from_bytes(damage)
    whole = columns_to_bytes(learn_columns(rows(20), 7))
    with pytest.raises(ValueError, match="no columns of a drift reference"):
        columns_from_bytes(whole[: len(whole) // 2])


def test_windows_cut_from_a_stretch_read_as_windows_alone(reference: DriftReference) -> None:
    stretch = rows(20, seed=3)
    unseen = stretch.columns["carrier"].copy()
    unseen[::37] = "ZZ"
    stretch = FeatureRows(stretch.drops, stretch.days, {**stretch.columns, "carrier": unseen})
    coded = reference.code(stretch)

    for last in range(6, 20):
        window = window_rows(stretch, stretch.drops[last - 6], stretch.drops[last])
        alone = reference.compare(stretch.drops[last], window, RATE, {"level": 0.7})
        cut = reference.compare(stretch.drops[last], window, RATE, {"level": 0.7}, coded)
        assert repr(cut) == repr(alone)  # NaN is no number, and reads the same
