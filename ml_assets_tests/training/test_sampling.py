"""Training rows drawn as declared: who is drawn, how much each counts, and that weights undo what the draw prefers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml_assets.spec.sampling import Sampling
from ml_assets.training.sampling import SampledRows, sample_rows

RNG = np.random.default_rng(4)
N = 2000
NAMES = [f"e{number}" for number in range(N)]
AGES_S: NDArray[np.float64] = np.linspace(3600.0 * (N - 1), 0.0, N)
CARRIER = RNG.choice(["UA", "AA", "OO"], N, p=[0.6, 0.39, 0.01])
VALUE = RNG.lognormal(0, 1, N)
COLUMNS = {"carrier": CARRIER.tolist(), "value": VALUE.tolist()}


def draw(seed: int = 0, **declared: object) -> SampledRows:
    return sample_rows(Sampling.model_validate(declared), NAMES, AGES_S, COLUMNS, seed)


def test_reservoir_keeps_what_it_has_until_newer_rows_displace_it() -> None:
    declared = Sampling(method="reservoir", rows=300)
    earlier = {NAMES[p] for p in sample_rows(declared, NAMES[:1000], AGES_S[:1000], {}, 0).places}
    later = {NAMES[p] for p in sample_rows(declared, NAMES, AGES_S, {}, 0).places}

    old = set(NAMES[:1000])
    assert len(earlier) == len(later) == 300
    assert later & old <= earlier  # what was displaced does not come back
    assert 100 < len(later & old) < 200


def test_order_of_rows_plays_no_part() -> None:
    for declared in ({"method": "reservoir", "rows": 200}, {"method": "stratified", "rows": 200, "by": ["carrier"]},
                     {"method": "importance_weighted", "rows": 200, "importance": "value"}):  # fmt: skip
        turned = {name: values[::-1] for name, values in COLUMNS.items()}
        one = draw(**declared)
        other = sample_rows(Sampling.model_validate(declared), NAMES[::-1], AGES_S[::-1], turned, 0)

        by_name = dict(zip((NAMES[p] for p in one.places), one.weights, strict=True))
        assert by_name == dict(zip((NAMES[::-1][p] for p in other.places), other.weights, strict=True))


def test_strata_get_as_many_rows_and_weights_give_back_their_sizes() -> None:
    found = draw(method="stratified", rows=300, by=["carrier"])

    drawn = CARRIER[found.places]
    sizes = {name: CARRIER.tolist().count(name) for name in ("UA", "AA", "OO")}
    assert sizes["OO"] < 100
    assert (drawn == "OO").sum() == sizes["OO"]  # a rare one as a whole
    assert abs((drawn == "UA").sum() - (drawn == "AA").sum()) <= 1
    assert len(drawn) == 300
    for name, size in sizes.items():
        assert found.weights[drawn == name].sum() == pytest.approx(size)
    assert found.reasons[drawn == "OO"][0] == f"stratum OO: {sizes['OO']} of {sizes['OO']}"


def test_weights_of_importance_make_a_mean_of_the_draw_that_of_all_rows() -> None:
    target = VALUE * np.where(CARRIER == "UA", 1.2, 1.0)
    estimates = []
    for seed in range(300):
        found = draw(seed, method="importance_weighted", rows=100, importance="value")
        estimates.append(float((found.weights * target[found.places]).sum()))

    mean, error = np.mean(estimates), np.std(estimates) / np.sqrt(300)
    assert abs(mean - target.sum()) < 4 * error
    uniform = [N / 100 * target[draw(seed, method="reservoir", rows=100).places].sum() for seed in range(300)]
    assert np.std(estimates) < 0.9 * np.std(uniform)  # what it is for


def test_time_weights_halve_with_each_half_life() -> None:
    found = draw(method="time_weighted", half_life="10d")

    assert len(found.places) == N
    assert found.weights[-1] == 1
    assert found.weights[N - 1 - 240] == pytest.approx(0.5)
    few = draw(method="time_weighted", half_life="10d", rows=400)
    assert len(few.places) == 400
    assert set(few.weights) == {1.0}
    halves = [(few.places >= N - 240).sum(), ((few.places < N - 240) & (few.places >= N - 480)).sum()]
    assert halves[0] > 1.3 * halves[1]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["reservoir", "stratified", "importance_weighted"]), st.integers(1, 3000), st.integers(0, 9))
def test_never_more_rows_than_asked_for_nor_one_twice(method: str, rows: int, seed: int) -> None:
    more = {"stratified": {"by": ["carrier"]}, "importance_weighted": {"importance": "value"}}.get(method, {})

    found = draw(seed, method=method, rows=rows, **more)

    assert len(found.places) == len(set(found.places.tolist())) == len(found.weights) == len(found.reasons)
    assert len(found.places) <= max(rows, 3)  # each stratum has one at least
    assert (found.weights > 0).all()
    assert (np.diff(found.places) > 0).all()
    if rows >= N:
        assert len(found.places) == N
        assert found.weights == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_importance_that_is_none_is_refused_with_how_many(wrong: float) -> None:
    declared = Sampling(method="importance_weighted", rows=1, importance="value")

    with pytest.raises(ValueError, match="1 of 2 training rows have a value that is no number of 0 or more"):
        sample_rows(declared, ["a", "b"], np.zeros(2), {"value": [1.0, wrong]}, 0)
