"""The estimate of a drop rests on what was known at its batch, and says when nothing can be told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ml_assets.pipeline.monitoring.expected_quality import (
    LEAST_ROWS,
    ExpectedQuality,
    coverage,
    expected_quality,
    expected_under_shift,
)
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.logit import sigmoid
from ml_assets_tests.dates import dates_of
from ml_assets_tests.rehearsal import Rehearsal, small_spec
from ml_assets_tests.second_use_case.machine import DECLARED

FIRST = date(2013, 1, 1)


def drops(spec: UseCaseSpec, n: int) -> list[date]:
    return dates_of(spec.calendar.shift(spec.calendar.first_drop, number) for number in range(n))


def write(made: Rehearsal, days: Sequence[date], *, rows: int = 120, lifted: Sequence[date] = ()) -> None:
    """Write predictions that are right, and their outcomes; scores of `lifted` drops are near one."""
    spec, scored, known = made.spec, [], []
    for number, drop in enumerate(days):
        rng = np.random.default_rng(number)
        scores = np.full(rows, 0.995) if drop in lifted else sigmoid(rng.normal(-1, 1, rows))
        for place, score in enumerate(scores):
            name, at = f"{drop}-{place:04d}", spec.calendar.batch_at(drop)
            scored.append({"batch_date": drop, "example_id": name, "prediction_at": at, "score": float(score)})
            label = float(rng.random() < score)
            arrives = spec.calendar.shift(drop, spec.calendar.drops_waited(spec.labels.matures_after))
            known.append({"batch_date": arrives, "example_id": name, "label": label,
                          "known_at": at + spec.labels.matures_after})  # fmt: skip
    made.lake.replace_drops("predictions", pa.Table.from_pylist(scored), list(days))
    arrived = sorted({row["batch_date"] for row in known})
    made.lake.replace_drops("labels", pa.Table.from_pylist(known), arrived)


@pytest.fixture(params=["flights", "loans"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Rehearsal:
    from ml_assets.spec.declaration import load_use_case

    return Rehearsal(small_spec() if request.param == "flights" else load_use_case(DECLARED), tmp_path)


def of_drop(found: Sequence[ExpectedQuality], drop: date) -> ExpectedQuality:
    return next(each for each in found if each.drop == drop)


def test_right_scores_are_expected_to_lose_what_they_lose_and_the_band_holds_it(made: Rehearsal) -> None:
    days = drops(made.spec, 70)
    write(made, days)

    found = expected_quality(made.spec, made.state, days[0], days[-1])

    told = [each for each in found if not each.why_not]
    assert len(told) > 30
    errors = [each.loss.estimate - each.realised_loss for each in told if each.loss and each.realised_loss is not None]
    assert abs(float(np.mean(errors))) < 0.02
    share, n = coverage(found)["loss"]
    assert n == len(errors)
    assert 0.75 <= share <= 1.0
    assert found[-1].realised_loss is None  # its outcomes are not due


def test_drop_with_few_matured_drops_before_it_cannot_be_told(made: Rehearsal) -> None:
    days = drops(made.spec, 30)
    write(made, days)

    first = of_drop(expected_quality(made.spec, made.state, days[0], days[-1]), days[5])

    assert first.why_not.startswith("cannot tell: ")
    assert f"{LEAST_ROWS} of 19 are needed" in first.why_not
    assert (first.loss, first.ranking, first.cost) == (None, None, None)


def test_scores_that_never_matured_before_cannot_be_told(made: Rehearsal) -> None:
    days = drops(made.spec, 60)
    write(made, days, lifted=days[-1:])

    assert (
        "of its scores lie outside of those that have matured"
        in of_drop(expected_quality(made.spec, made.state, days[0], days[-1]), days[-1]).why_not
    )


def test_estimate_of_a_drop_is_the_same_whatever_came_later(made: Rehearsal) -> None:
    days = drops(made.spec, 60)
    write(made, days)
    later = of_drop(expected_quality(made.spec, made.state, days[0], days[-1]), days[45])

    then = expected_quality(made.spec, made.state, days[45], days[45])[-1]

    assert (then.loss, then.ranking, then.cost) == (later.loss, later.ranking, later.cost)
    assert then.realised_loss is None


def test_drop_without_predictions_is_refused_under_a_shift(made: Rehearsal) -> None:
    days = drops(made.spec, 3)
    write(made, days)

    with pytest.raises(LookupError, match="has no predictions: no champion served it"):
        expected_under_shift(made.spec, made.state, days[-1])
