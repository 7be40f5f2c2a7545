"""What every metric that a package adds has to do. Import CHECKS into the tests of one that you add.

A check takes a Metric and raises ConformanceError, with a message, where it does not conform.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_metric_conforms(check):
        check(METRIC)
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.conformance import require, require_a_number, require_unchanged
from ml_assets.stats.metric import Metric

FloatArray = NDArray[np.float64]


def _examples() -> Iterator[tuple[FloatArray, FloatArray]]:
    """Labels and scores as windows hold them: many and few, of one class, of one score, certain ones, none at all."""
    rng = np.random.default_rng(20261130)
    for n in (1000, 50, 2):
        scores = rng.uniform(0, 1, n)
        yield (rng.random(n) < scores).astype(np.float64), scores
    yield np.zeros(10), rng.uniform(0, 1, 10)
    yield np.ones(10), rng.uniform(0, 1, 10)
    yield np.array([0.0, 1.0] * 5), np.full(10, 0.3)
    yield np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0])
    yield np.empty(0), np.empty(0)


def _described(metric: Metric, labels: FloatArray) -> str:
    return f"{metric.name} of {labels.size} examples, {int(labels.sum())} of them positive"


def gives_a_number(metric: Metric) -> None:
    """Any examples give one number; NaN stands for undefined, as of no examples."""
    for labels, scores in _examples():
        require_a_number(metric.of(labels, scores), _described(metric, labels))


def is_the_same_in_any_order(metric: Metric) -> None:
    """The order of the examples changes nothing beyond rounding, and asking again nothing at all."""
    rng = np.random.default_rng(1)
    for labels, scores in _examples():
        order = rng.permutation(labels.size)
        one, again, other = (
            float(metric.of(*given)) for given in ((labels, scores), (labels, scores), (labels[order], scores[order]))
        )
        require(
            one == again or (math.isnan(one) and math.isnan(again)),
            f"{_described(metric, labels)}: {one}, then {again}",
        )
        is_close = math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
        require(is_close, f"{_described(metric, labels)}: {one}, in another order {other}")


def changes_nothing(metric: Metric) -> None:
    """Labels and scores stay as they are."""
    for examples in _examples():
        require_unchanged(metric.of, examples, _described(metric, examples[0]))


CHECKS = (gives_a_number, is_the_same_in_any_order, changes_nothing)
