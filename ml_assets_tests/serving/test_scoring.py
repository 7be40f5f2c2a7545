from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ml_assets.serving.scoring import NO_SCORE, ScoringModel, TrainedTooLateError, score_drop
from ml_assets.training.applicability_domain import Envelope

DROP = date(2013, 4, 2)


@dataclass(frozen=True)
class Scaled:
    """A model whose score is a multiple of the one feature."""

    factor: float

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        return features["wind"].to_numpy(dtype=float) * self.factor


@pytest.fixture
def features() -> pd.DataFrame:
    at = pd.Timestamp("2013-04-02T08:00:00Z")
    rows = [(DROP, name, at, wind) for name, wind in (("c", 3.0), ("a", 1.0), ("b", 2.0))]
    return pd.DataFrame(rows, columns=["batch_date", "example_id", "prediction_at", "wind"], index=[7, 8, 9])


def test_rows_are_scored_in_order_of_id_with_the_baseline_beside(features: pd.DataFrame) -> None:
    before = features.copy()

    scored = score_drop(features, DROP, ScoringModel(date(2013, 4, 1), "m", Scaled(0.1), Scaled(0.01)))

    at = pd.Timestamp("2013-04-02T08:00:00Z")
    expected = {
        "batch_date": [DROP] * 3, "example_id": ["a", "b", "c"], "prediction_at": [at] * 3,
        "score": [0.1, 0.2, pytest.approx(0.3)], "model_score": [0.1, 0.2, pytest.approx(0.3)],
        "baseline_score": [0.01, 0.02, 0.03], "prior_shift": [0.0] * 3, "abstained": [None] * 3,
        "served_by": ["model"] * 3, "model_version": ["m"] * 3,
    }  # fmt: skip
    assert scored.to_dict("list") == expected
    pd.testing.assert_frame_equal(features, before)


@pytest.mark.parametrize("as_of", [DROP, date(2013, 4, 3)])
def test_model_trained_as_of_the_drop_or_later_may_not_score_it(as_of: date, features: pd.DataFrame) -> None:
    with pytest.raises(TrainedTooLateError, match=f"m was trained as of {as_of}; allowed for {DROP}: as of an earlier"):
        score_drop(features, DROP, ScoringModel(as_of, "m", Scaled(0.1), Scaled(0.1)))


@pytest.mark.parametrize(("wrong", "count"), [(0.5, 1), (-0.1, 3), (float("nan"), 3)])
def test_baseline_that_gives_no_probability_is_refused(wrong: float, count: int, features: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=f"m gave {count} values of baseline_score that are no probability on {DROP}"):
        score_drop(features, DROP, ScoringModel(date(2013, 4, 1), "m", Scaled(0.1), Scaled(wrong)))


@pytest.mark.parametrize(("wrong", "lost"), [(0.5, [2]), (-0.1, [0, 1, 2]), (float("nan"), [0, 1, 2])])
def test_where_the_model_gives_no_probability_the_baseline_serves(
    wrong: float, lost: list[int], features: pd.DataFrame
) -> None:
    scored = score_drop(features, DROP, ScoringModel(date(2013, 4, 1), "m", Scaled(wrong), Scaled(0.01)), 1.0)

    assert [place for place, why in enumerate(scored["abstained"]) if why == NO_SCORE["binary"]] == lost
    assert [place for place, by in enumerate(scored["served_by"]) if by == "baseline"] == lost
    assert scored["score"].to_numpy()[lost].tolist() == scored["baseline_score"].to_numpy()[lost].tolist()
    assert scored["model_score"].isna().sum() == len(lost)


def test_baseline_serves_as_the_fallback_with_the_models_own_score_beside(features: pd.DataFrame) -> None:
    server = ScoringModel(date(2013, 4, 1), "m", Scaled(0.1), Scaled(0.01), serves="baseline")

    scored = score_drop(features, DROP, server, prior_shift=1.0)

    assert scored["score"].tolist() == scored["baseline_score"].tolist() == [0.01, 0.02, 0.03]
    assert scored["model_score"].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert set(scored["served_by"]) == {"baseline"}


def test_prior_shift_moves_log_odds_and_leaves_the_models_own_score_beside(features: pd.DataFrame) -> None:
    scored = score_drop(
        features, DROP, ScoringModel(date(2013, 4, 1), "m", Scaled(0.1), Scaled(0.01)), prior_shift=-0.5
    )

    odds = [p / (1 - p) * np.exp(-0.5) for p in (0.1, 0.2, 0.3)]
    assert scored["score"].tolist() == pytest.approx([each / (1 + each) for each in odds])
    assert scored["model_score"].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert scored["prior_shift"].tolist() == [-0.5] * 3


def test_where_the_model_abstains_the_baseline_is_served_without_a_shift(features: pd.DataFrame) -> None:
    bounds = Envelope({"wind": (0.0, 2.5)})
    server = ScoringModel(date(2013, 4, 1), "m", Scaled(0.1), Scaled(0.01), bounds)

    scored = score_drop(features, DROP, server, prior_shift=1.0)

    assert scored["abstained"].tolist() == [None, None, "wind"]
    assert scored["score"].tolist()[2] == 0.03
    assert scored["score"].tolist()[0] > 0.1
