from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from ml_assets.spec.tasks import TASK_METRICS
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.metric_conformance import changes_nothing, is_the_same_in_any_order
from ml_assets.stats.regression import COUNT, REGRESSION, losses_alike
from ml_assets.stats.tasks import TASKS, task_of

VECTORS = range(20)


def numbers(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.normal(10 * seed, 1 + seed, 30 + 10 * seed)
    return labels, labels + rng.normal(seed - 5, 2, labels.size)


def counts(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.gamma(2, 0.5 + seed, 30 + 10 * seed)
    return rng.poisson(scores).astype(float), scores


@pytest.mark.parametrize("seed", VECTORS)
def test_measures_of_amounts_are_those_of_scikit_learn_and_scipy(seed: int) -> None:
    labels, scores = numbers(seed)

    found = REGRESSION.measure(labels, scores)

    assert found == pytest.approx({
        "mse": metrics.mean_squared_error(labels, scores), "mae": metrics.mean_absolute_error(labels, scores),
        "r2": metrics.r2_score(labels, scores), "rank_correlation": stats.spearmanr(labels, scores)[0],
    }, rel=1e-12)  # fmt: skip


@pytest.mark.parametrize("seed", VECTORS)
def test_measures_of_counts_are_those_of_scikit_learn_and_scipy(seed: int) -> None:
    labels, scores = counts(seed)

    found = COUNT.measure(labels, scores)

    assert found == pytest.approx({
        "deviance": metrics.mean_poisson_deviance(labels, scores), "mae": metrics.mean_absolute_error(labels, scores),
        "explained_deviance": metrics.d2_tweedie_score(labels, scores, power=1),
        "rank_correlation": stats.spearmanr(labels, scores)[0],
    }, rel=1e-9)  # fmt: skip


def test_every_task_measures_what_its_declarations_may_name() -> None:
    assert {name: tuple(task.by_name()) for name, task in TASKS.items()} == TASK_METRICS


@pytest.mark.parametrize("task", [REGRESSION, COUNT], ids=lambda task: task.name)
def test_measures_depend_on_no_order_and_change_nothing(task) -> None:
    for metric in task.by_name().values():
        is_the_same_in_any_order(metric)
        changes_nothing(metric)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_gradient_of_a_tasks_loss_is_what_its_scale_says(name: str) -> None:
    """The loss of a score on the scale of the task is its cumulant less label times score, up to a constant."""
    task = task_of(name)
    labels = np.array([0.0, 1.0, 1.0])
    one, other = np.array([-0.4, 0.2, 1.1]), np.array([0.3, -0.6, 0.9])

    canonical = [task.scale.cumulant(each) - labels * each for each in (one, other)]
    losses = [task.losses(labels, task.scale.inverse(each)) for each in (one, other)]

    factor = {"binary": 1, "regression": 2, "count": 2}[name]
    assert factor * (canonical[0] - canonical[1]) == pytest.approx(losses[0] - losses[1], abs=1e-12)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_scale_and_its_inverse_undo_each_other(name: str) -> None:
    scale, scores = task_of(name).scale, np.array([0.01, 0.3, 0.99])

    assert scale.inverse(scale.link(scores)) == pytest.approx(scores, rel=1e-12)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_labels_that_cannot_be_right_are_told_by_sql_as_by_numpy(name: str) -> None:
    import duckdb

    given = [0.0, 1.0, 2.0, 0.5, -1.0, float("nan"), float("inf")]
    rule = task_of(name).labels
    asked = ", ".join(f"('{value}'::DOUBLE)" for value in given)
    by_sql = duckdb.execute(f"SELECT {rule.wrong} FROM (VALUES {asked}) AS t(label)").fetchall()

    assert [wrong for (wrong,) in by_sql] == rule.is_wrong(np.array(given)).tolist()


def test_intervals_hold_the_measure_and_draw_the_same_days_for_each() -> None:
    labels, scores = numbers(3)
    days = np.arange(labels.size) // 6

    found = REGRESSION.intervals(
        labels, scores, days, rng=np.random.default_rng(0), resamples=200, level=0.9
    )  # fmt: skip

    assert set(found) == set(TASK_METRICS["regression"])
    assert all(isinstance(each, Interval) and each.lower <= each.estimate <= each.upper for each in found.values())
    again = REGRESSION.intervals(labels, scores, days, rng=np.random.default_rng(0), resamples=200, level=0.9)
    assert again == found


def test_undefined_is_nan_and_invalid_is_refused() -> None:
    assert np.isnan(list(REGRESSION.measure([], []).values())).all()
    assert np.isnan(REGRESSION.measure([1.0, 1.0], [1.0, 2.0])["r2"])
    assert np.isnan(COUNT.measure([1.0, 2.0], [1.0, 1.0])["rank_correlation"])
    with pytest.raises(ValueError, match="scores must be finite: 1 are not, such as inf"):
        REGRESSION.losses([1.0], [float("inf")])
    with pytest.raises(ValueError, match=r"labels must be finite and not negative: 1 are not, such as -1\.0"):
        COUNT.losses([-1.0], [1.0])


def test_a_count_that_was_never_expected_costs_much_but_not_infinity() -> None:
    assert 30 < COUNT.loss([1.0], [0.0]) < 50


def test_what_a_shift_costs_is_told_as_a_share_of_the_usual_loss() -> None:
    assert REGRESSION.cost_of_shift(12.0, 10.0, 40.0) == pytest.approx(0.1)
    assert COUNT.cost_of_shift(3.0, 2.0, 1.0) == pytest.approx(2 * (3 * np.log(1.5) - 1))
    assert np.isnan(REGRESSION.cost_of_shift(1.0, 1.0, 0.0))


def test_losses_of_rows_with_like_scores_are_what_a_score_expects() -> None:
    scores, losses = np.repeat([1.0, 5.0], 50), np.repeat([2.0, 8.0], 50)

    assert losses_alike(scores, losses).tolist() == losses.tolist()
    assert losses_alike([], []).size == 0
