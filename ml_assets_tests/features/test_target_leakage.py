from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.features.target_leakage import auc_within, find_target_leakage, pairs_within, score_cheaply
from ml_assets.features.training_sample import DrawnRows, Values, Words
from ml_assets.stats.classification import auc

DAYS, A_DAY, HELD_FROM = 30, 60, 20
RNG = np.random.default_rng(7)
DAY = np.repeat(np.arange(DAYS), A_DAY)
IS_LATE = RNG.random(DAY.size) < np.where(DAY < HELD_FROM, 0.2, 0.5)
NUMBER = np.arange(DAY.size)
ROWS = list(zip(NUMBER.tolist(), IS_LATE.tolist(), strict=True))


def drawn(columns: Mapping[str, Values]) -> DrawnRows:
    """Give thirty days of sixty examples, the last ten held out; in those more are positive."""
    is_train = DAY < HELD_FROM
    return DrawnRows(is_train, IS_LATE.astype(np.float64), DAY, columns, int(is_train.sum()), NUMBER[~is_train])


def words(texts: Sequence[str | None]) -> Words:
    names = {text: place for place, text in enumerate(dict.fromkeys(text for text in texts if text is not None))}
    return Words(np.array([-1 if text is None else names[text] for text in texts]), tuple(names))


def found_in(values: Values) -> tuple[float, str]:
    (found,) = find_target_leakage(drawn({"column": values}))
    return found.value, found.says.partition(", by its ")[2]


CODES = {
    "status that says it": (words(np.where(IS_LATE, "L", "O").tolist()), ""),
    "null that says it": (words([None if late else "on time" for late in IS_LATE]), ""),
    "one of two hundred statuses": (words([f"S{2 * (n % 100) + late}" for n, late in ROWS]), ""),
    "letter in a code that no row shares": (
        words([f"{n * 7919 % 10**6:06}{'KQ'[int(late)]}{n % 97:02}" for n, late in ROWS]),
        "letter 7",
    ),
    "deep inside of a code": (
        words([f"{n * 7919 % 10**6:06}-{n * 104729 % 10**9:09}-{'ac'[int(late)]}{n:09}" for n, late in ROWS]),
        "",
    ),
    "eighth from the end": (
        words([f"{'x' * (n % 9)}{n * 7919 % 97}{'24'[int(late)]}{n * 104729 % 10**7:07}" for n, late in ROWS]),
        "letter 8 from the end",
    ),
    "ending of a code": (words([f"{n:05}-{'LT' if late else 'OK'}" for n, late in ROWS]), ""),
    "words around numbers": (
        words([f"flight {n} {'left ' + str(n % 9) if late else 'is ' + str(n % 9)} min" for n, late in ROWS]),
        "",
    ),
    "length": (words([f"{n:04}" + "x" * int(late) + f"{n % 7}" for n, late in ROWS]), ""),
    "number": (IS_LATE * 3.0 + RNG.normal(size=DAY.size) * 0.1, ""),
    "whole numbers as codes": (2.0 * RNG.integers(0, 100, DAY.size) + IS_LATE, ""),
    "last digit of a number of its own": (NUMBER * 10.0 + np.where(IS_LATE, 7, 3), "last digit"),
}  # fmt: skip


@pytest.mark.parametrize("name", CODES)
def test_label_in_disguise_is_an_alarm(name: str) -> None:
    values, reading = CODES[name]

    value, by = found_in(values)

    assert value > 0.9
    assert by.startswith(reading)


def test_column_that_tells_a_bad_week_from_a_good_one_gives_nothing_away() -> None:
    (regime,) = find_target_leakage(
        drawn({"regime": np.where(DAY < HELD_FROM, 0.2 + DAY / 1000, 0.9).astype(np.float64)})
    )

    assert (regime.value, regime.is_alarm) == (0.5, False)


@pytest.mark.parametrize("seed", range(20))
def test_columns_without_meaning_are_no_alarm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 10**6, DAY.size)
    columns: dict[str, Values] = {
        "number": rng.normal(size=DAY.size),
        "whole": codes.astype(np.float64),
        "code": words([f"{'ABCDEFG'[code % 7]}{code:06}" for code in codes]),
        "null": np.full(DAY.size, np.nan),
        "nothing": words([None] * DAY.size),
        "infinite": np.where(codes % 2 == 0, np.inf, -np.inf),
    }

    assert max(each.value for each in find_target_leakage(drawn(columns))) < 0.65


def test_too_few_rows_are_not_judged() -> None:
    rows = drawn({"told": IS_LATE.astype(np.float64)})
    few = rows.is_train | (DAY == HELD_FROM) & (NUMBER % 60 < 20)

    cut = replace(
        rows, is_train=rows.is_train[few], labels=rows.labels[few], drops=DAY[few], columns={"told": IS_LATE[few] * 1.0}
    )

    assert find_target_leakage(cut) == []


def test_holdout_of_one_example_a_drop_is_compared_as_a_whole() -> None:
    rows = replace(drawn({"told": IS_LATE.astype(np.float64)}), drops=NUMBER)

    (found,) = find_target_leakage(rows)

    assert found.is_alarm
    assert found.says == "alone it ranks the holdout, drops being small, with AUC 1.000"


def test_cheap_model_adds_up_what_columns_say() -> None:
    half = [np.where(side == NUMBER % 2, IS_LATE * 1.0, np.nan) for side in (0, 1)]
    rows = drawn({"even": half[0], "odd": half[1]})
    held = ~rows.is_train

    alone = max(each.value for each in find_target_leakage(rows))

    assert alone < 0.9
    assert auc_within(DAY[held], rows.labels[held], score_cheaply(rows, rows.columns)) == 1.0


@given(
    cells=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from([0.1, 0.2, 0.5, 0.9])), max_size=60),
)
def test_pairs_within_groups_are_those_of_each_group(cells: list[tuple[int, bool, float]]) -> None:
    groups, labels, score = (np.array([cell[place] for cell in cells], dtype=np.float64) for place in range(3))

    right, pairs, positive, negative = pairs_within(groups.astype(np.int64), labels, score)

    for place, group in enumerate(np.unique(groups)):
        mine = groups == group
        assert (positive[place], negative[place]) == (labels[mine].sum(), (1 - labels[mine]).sum())
        if pairs[place]:
            assert right[place] / pairs[place] == pytest.approx(auc(labels[mine], score[mine]))
