"""How many gold labels the weak labels of a use case are worth, by what is known as of the newest training labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.labeling.gold_worth import GoldWorth, find_gold_worth
from ml_assets.pipeline.labeling.training_labels import TABLE
from ml_assets.spec.model import ModelCandidate
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.classification import auc
from ml_assets.stores.lake import MissingTableError
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.candidate_parameters import FitOptions
from ml_assets.training.estimators import fit_candidate, needs_both_classes

if TYPE_CHECKING:
    import pandas as pd

LEAST = 10  # gold labels of the first point, and of each class that are held out
DRAWS, POINTS = 12, 7


class TooLittleGoldError(LookupError):
    """Too few gold labels to draw a curve."""


def measure_gold_worth(spec: UseCaseSpec, state: UseCaseState, *, seed: int = 0) -> GoldWorth:
    """Train the first candidate that learns on more and more gold labels, and on weak labels alone; compare their AUC.

    The newer half of the gold labels is held out. The older half is drawn from, 12 times for each of up to 7 sizes.
    Weak labels are those of drops before the first held-out one. Nothing known after the drop of the training labels is
    used.

    Raises
    ------
    MissingTableError
        Where there are no training labels yet.
    TooLittleGoldError
        On fewer than 10 held-out gold labels of a class, or too few to draw two sizes from.
    """
    rows = _labeled_features(spec, state)
    gold = rows.loc[rows["origin"] == "gold"]
    older, held_out = gold.iloc[: len(gold) // 2], gold.iloc[len(gold) // 2 :]
    positives = int(held_out["label"].sum())
    sizes = _sizes(len(older))
    if min(positives, len(held_out) - positives) < LEAST or len(sizes) < 2 or older["label"].nunique() < 2:
        raise TooLittleGoldError(
            f"{spec.name}: {len(gold)} gold labels, {positives} positives among the {len(held_out)} held out; "
            f"{LEAST} of each class there, and {2 * LEAST} older ones, are needed"
        )
    weak = rows.loc[(rows["origin"] == "weak") & (rows["batch_date"] < held_out["batch_date"].min())]
    candidate = learning_candidate(spec)
    names, rng = list(candidate.features or spec.features.feature_names()), np.random.default_rng(seed)

    def scores(train: pd.DataFrame, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        labels = train["label"].to_numpy(dtype=np.float64)
        model = fit_candidate(candidate, train[names], labels, seed=seed, options=FitOptions(weights))
        return model.predict(held_out[names])

    by_gold = {size: np.array([scores(_draw(older, size, rng)) for _ in range(DRAWS)]) for size in sizes}
    of_set = scores(weak, weak["weight"].to_numpy(dtype=np.float64))
    return find_gold_worth(held_out["label"].to_numpy(dtype=np.float64), by_gold, of_set, auc, rng=rng)


def learning_candidate(spec: UseCaseSpec) -> ModelCandidate:
    """Give the first candidate that learns from both classes and is no blend."""
    return next(each for each in spec.model.candidates if needs_both_classes(each) and each.kind != "blend")


def _labeled_features(spec: UseCaseSpec, state: UseCaseState) -> pd.DataFrame:
    """Read the training labels with the features of their examples, in order of drop and id."""
    lake = state.lake
    if not lake.has(TABLE):
        raise MissingTableError(f"{spec.name} has no training labels yet; run `ml-assets labels {spec.name} --fit`")
    with state.connect() as connection:
        lake.relation(connection, TABLE).create_view("_labels")
        lake.relation(connection, "features").create_view("_features")
        return connection.sql(
            "SELECT l.label, l.weight, l.origin, f.* FROM _labels AS l JOIN _features AS f USING (batch_date, "
            "example_id) ORDER BY f.batch_date, f.example_id"
        ).df()


def _sizes(n: int) -> list[int]:
    """Give numbers of gold labels from 10 to `n`, evenly on a log scale."""
    if n < 2 * LEAST:
        return []
    return sorted({round(float(size)) for size in np.geomspace(LEAST, n, POINTS)})


def _draw(rows: pd.DataFrame, size: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw rows without replacement until both classes are among them."""
    while True:
        drawn = rows.iloc[np.sort(rng.choice(len(rows), size=size, replace=False))]
        if drawn["label"].nunique() > 1:
            return drawn
