"""Rows made up inside a fit: of the rarer class between neighbours, or copies with noise; given rows stay."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from ml_assets.spec.augmentation import Augmentation
from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.training.augmentation import FitRows, augmented
from ml_assets.training.candidate import fit_bare
from ml_assets_tests.rehearsal import flagship

SMOTE = Augmentation(method="smote")


def rows(n: int = 400, positive: float = 0.1, seed: int = 0) -> FitRows:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < positive).astype(float)
    features = pd.DataFrame(
        {
            "delay": rng.normal(10 * labels, 2.0),
            "seats": rng.integers(50, 200, n),
            "is_late": labels > 0,
            "flag": rng.integers(0, 2, n),
            "carrier": pd.Series(np.where(labels > 0, "UA", "OO"), dtype=object),
            "wind": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        }
    )
    return FitRows(features, labels, rng.uniform(0.5, 1.5, n))


def test_smote_fills_the_rarer_class_up_between_its_own_rows() -> None:
    given = rows()
    before = given.features.copy()

    found = augmented(SMOTE, given, np.random.default_rng(1))

    n, few = len(given.labels), given.features[given.labels == 1]
    made = found.features.iloc[n:]
    assert (found.labels[n:] == 1).all()
    assert found.labels.sum() == (found.labels == 0).sum()
    pd.testing.assert_frame_equal(found.features.iloc[:n], before, check_dtype=False)
    pd.testing.assert_frame_equal(given.features, before)  # what was given is not changed
    assert found.labels[:n].tolist() == given.labels.tolist()
    for name in ("delay", "seats"):
        assert made[name].between(few[name].min(), few[name].max()).all()
        assert made[name].nunique() > few[name].nunique() / 2
    assert (made["seats"] == made["seats"].round()).all()
    assert set(made["carrier"]) == {"UA"}
    assert made["is_late"].all()
    assert set(made["flag"]) == {0, 1}  # yes or no: from one of both rows
    assert 0.05 < made["wind"].isna().mean() < 0.6


def test_share_says_how_many_and_weights_are_those_of_the_rows_made_of() -> None:
    given = rows()
    half = augmented(Augmentation(method="smote", share=0.5), given, np.random.default_rng(1))

    assert half.labels.sum() == round(0.5 * (given.labels == 0).sum())
    assert half.weights is not None
    assert given.weights is not None
    assert set(half.weights[len(given.labels) :]) <= set(given.weights[given.labels == 1])
    evenly = augmented(SMOTE, FitRows(given.features, given.labels, None), np.random.default_rng(1))
    assert evenly.weights is None


@pytest.mark.parametrize("positives", [0, 1, 200])
def test_smote_makes_nothing_where_there_is_nothing_to_make(positives: int) -> None:
    labels = np.r_[np.ones(positives), np.zeros(200)]
    given = FitRows(pd.DataFrame({"x": np.arange(len(labels), dtype=float)}), labels, None)

    assert augmented(SMOTE, given, np.random.default_rng(0)) is given


def test_copies_of_one_point_and_features_without_a_number_are_no_trouble() -> None:
    labels = np.r_[np.ones(8), np.zeros(80)]
    features = pd.DataFrame({"x": np.zeros(88), "word": pd.Series(["a", "b"] * 44, dtype=object)})

    found = augmented(SMOTE, FitRows(features, labels, None), np.random.default_rng(0))

    assert len(found.labels) == 160
    assert set(found.features["word"]) == {"a", "b"}


def test_perturbation_copies_rows_of_both_classes_with_a_little_noise_inside_their_range() -> None:
    given = rows()

    found = augmented(Augmentation(method="perturbation", share=0.5, noise=0.1), given, np.random.default_rng(2))

    made, n = found.features.iloc[400:], len(given.labels)
    assert len(found.labels) == 600
    assert 0 < found.labels[n:].mean() < 0.3
    assert set(found.features["carrier"]) == {"UA", "OO"}
    assert made["delay"].between(given.features["delay"].min(), given.features["delay"].max()).all()
    moved = made["delay"].to_numpy()[:, None] - given.features["delay"].to_numpy()[None, :]
    assert 0 < np.abs(moved).min(axis=1).mean() < 0.2 * given.features["delay"].std()


def test_same_seed_makes_the_same_rows() -> None:
    one, same, other = (augmented(SMOTE, rows(), np.random.default_rng(seed)).features for seed in (1, 1, 2))

    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


def test_model_learns_from_made_up_rows_and_a_recipe_without_them_is_as_it_was() -> None:
    given = rows()
    train = given.features.drop(columns=["is_late"]).assign(label=given.labels)
    names = ["delay", "seats", "flag", "carrier", "wind"]
    plain = flagship().recipe()
    candidate = ModelCandidate(name="line", kind="logistic_regression")

    scores = {
        name: fit_bare(recipe, candidate, train, names).predict(train[names]).mean()
        for name, recipe in {"plain": plain, "smote": with_smote(plain)}.items()
    }

    assert scores["plain"] == pytest.approx(given.labels.mean(), abs=0.02)
    assert scores["smote"] > scores["plain"]


def with_smote(recipe: TrainingRecipe) -> TrainingRecipe:
    return recipe.model_copy(update={"augmentation": SMOTE, "imbalance": "none"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"calibration": "none", "imbalance": "none"}, "found smote without calibration; allowed: with calibration"),
        (
            {"calibration": "platt", "imbalance": "weights"},
            "found smote with imbalance 'weights'; allowed: one of both",
        ),
    ],
)
def test_smote_that_would_move_scores_unseen_is_refused(changes: dict[str, str], said: str) -> None:
    model = flagship().model.model_dump(by_alias=True)

    with pytest.raises(ValidationError) as refused:
        type(flagship().model).model_validate({**model, **changes, "augmentation": {"method": "smote"}})

    assert said in str(refused.value)
