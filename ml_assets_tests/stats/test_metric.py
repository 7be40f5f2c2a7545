"""A metric that a package adds: found by its name, measured with an interval, held to what every metric has to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_assets.decisions.evidence import Evidence, evidence_reasons
from ml_assets.spec.extensions import ExtensionError
from ml_assets.spec.gate import Guardrail
from ml_assets.spec.metrics import metric_faults
from ml_assets.stats.added_metrics import added_metric
from ml_assets.stats.binary import BINARY
from ml_assets.stats.classification import brier
from ml_assets.stats.measured_intervals import measured_intervals
from ml_assets.stats.metric import Draw, Metric, metric_interval
from ml_assets.stats.metric_conformance import CHECKS
from ml_assets.stats.tasks import task_of
from ml_assets_tests.added_package import install, installed
from ml_assets_tests.decisions.test_evidence import SOUND
from ml_assets_tests.decisions.test_promotion import CANDIDATE, RULE
from ml_assets_tests.rehearsal import REPOSITORY

EXAMPLE = (REPOSITORY / "docs" / "examples" / "f1_metric.py").read_text()
ADDS = {"f1_at_half": "f1_metric:METRIC", "gone": "nowhere:METRIC", "text": "f1_metric:__doc__"}


@pytest.fixture
def package(tmp_path: Path) -> Iterator[None]:
    with installed(install(tmp_path, {"f1_metric.py": EXAMPLE}, {"ml_assets.metrics": ADDS})):
        yield


def scored(n: int = 2000) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(3)
    scores = rng.uniform(0, 1, n)
    return (rng.random(n) < scores).astype(float), scores, rng.integers(0, 20, n)


@pytest.mark.usefixtures("package")
def test_metric_of_a_package_is_found_and_one_that_cannot_be_used_is_named() -> None:
    assert added_metric("f1_at_half").of([1, 0, 1], [0.9, 0.6, 0.1]) == 0.5
    with pytest.raises(ExtensionError, match=r"'gone' of added-package \(nowhere:METRIC\) cannot be loaded"):
        added_metric("gone")
    with pytest.raises(ExtensionError, match="allowed: a Metric of that name"):
        added_metric("text")


@pytest.mark.usefixtures("package")
def test_mistakes_of_declared_metrics_are_named_with_their_place() -> None:
    found = list(metric_faults({"metrics": ["f1_at_half", "f1_at_half", "auc", "f1_at_hal", "gone"]}))

    assert [path for path, _ in found] == [("metrics", place) for place in (1, 2, 3, 4)]
    said = [message for _, message in found]
    assert said[0] == "found 'f1_at_half' again; allowed: once"
    assert "always measured" in said[1]
    assert "nearest: f1_at_half" in said[2]
    assert "cannot be loaded" in said[3]


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_example_of_the_documentation_conforms(check) -> None:
    check(added_metric("f1_at_half"))


@pytest.mark.parametrize("metric", [BINARY.loss_metric, *BINARY.metrics], ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_metrics_of_the_binary_task_conform(check, metric: Metric) -> None:
    check(metric)


@pytest.mark.parametrize(
    ("check", "of"),
    [(0, lambda *_: "high"), (1, lambda y, _: float(np.asarray(y)[:1].sum())), (2, lambda y, _: float(y.sort() or 0))],
)
def test_conformance_sees_what_does_not_conform(check: int, of) -> None:
    with pytest.raises(AssertionError, match="bad"):
        CHECKS[check](Metric("bad", of, is_better_high=True))


def test_interval_by_resampled_days_is_that_of_the_quick_way() -> None:
    labels, scores, days = scored()

    own = metric_interval(Metric("b", brier, is_better_high=False), labels, scores, days,
                          Draw(np.random.default_rng(0), 300, 0.9))  # fmt: skip
    quick = measured_intervals(labels, scores, days, rng=np.random.default_rng(0), resamples=300, level=0.9)["brier"]

    assert own.estimate == pytest.approx(quick.estimate, abs=1e-12)
    assert (own.lower, own.upper) == pytest.approx((quick.lower, quick.upper), abs=1e-12)  # the same draws
    assert (own.n, own.n_days) == (2000, 20)


def test_interval_has_no_bounds_on_one_day_or_where_every_draw_is_undefined() -> None:
    never = Metric("never", lambda *_: float("nan"), is_better_high=True)
    draw = Draw(np.random.default_rng(0), 50, 0.9)
    labels, scores, days = scored(50)

    one_day = metric_interval(BINARY.loss_metric, labels, scores, np.zeros(50), draw)
    undefined = metric_interval(never, labels, scores, days, draw)

    assert np.isnan([one_day.lower, one_day.upper, undefined.estimate, undefined.lower]).all()


@pytest.mark.parametrize(("better_high", "passed"), [(True, False), (False, True)])
def test_guardrail_on_an_added_metric_knows_which_way_is_worse(*, better_high: bool, passed: bool) -> None:
    rule = RULE.model_copy(update={"guardrails": (Guardrail(measure="f1_at_half", max_worse=0.01),)})
    measures = {"f1_at_half": (0.40, 0.45)}  # the candidate's, the champion's
    evidence = Evidence(**{**vars(SOUND), "measures": measures, "better_high": {"f1_at_half": better_high}})

    (reason,) = [each for each in evidence_reasons(CANDIDATE, evidence, rule) if each.code.startswith("guardrail")]

    assert reason.passed is passed


def test_unknown_task_is_named_with_those_that_are_there() -> None:
    with pytest.raises(ValueError, match="task: found 'binry'; allowed: binary"):
        task_of("binry")
