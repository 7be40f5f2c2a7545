"""Scores of windows ahead, kept by the content of what they were fitted on.

Retrainings that follow each other fit the same windows again: the second newest window of one is the newest window of
the one before. A fit is named by the candidate, by what the recipe does to training rows, and by every value of the
rows before the window and in it; the same name gives the same scores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.training.time_folds import Fold

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]
KeptScoresAhead = MutableMapping[str, FloatArray]  # by the name of the fit


@dataclass(frozen=True, eq=False)
class AheadMemo:
    """Gives the scores of a window that was scored before, else works them out and keeps them.

    `rows` holds a hash of each training row, in order; see `ahead_memo`.
    """

    kept: KeptScoresAhead
    recipe: TrainingRecipe
    rows: NDArray[np.uint64]
    labels: FloatArray

    def scored(
        self, candidate: ModelCandidate, fold: Fold, work: Callable[[], tuple[FloatArray, FloatArray]]
    ) -> tuple[FloatArray, FloatArray]:
        """Give scores and labels of a window; raises what `work` raises."""
        name = self._name(candidate, fold)
        scores = self.kept.get(name)
        if scores is None or scores.size != int(fold.test.sum()):
            scores = work()[0]
            self.kept[name] = scores
        return scores, self.labels[fold.test]

    def _name(self, candidate: ModelCandidate, fold: Fold) -> str:
        made_of = {"candidate": candidate.model_dump(mode="json"), "seed": self.recipe.seed,
                   "imbalance": self.recipe.imbalance,
                   "augmentation": None if self.recipe.augmentation is None
                   else self.recipe.augmentation.model_dump(mode="json")}  # fmt: skip
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode())
        digest.update(self.rows[fold.train].tobytes())
        digest.update(self.rows[fold.test].tobytes())
        return digest.hexdigest()[:40]


def ahead_memo(kept: KeptScoresAhead, recipe: TrainingRecipe, train: pd.DataFrame, names: Sequence[str]) -> AheadMemo:
    """Give the memo of a training set: its rows are hashed with their label, weight and features."""
    from pandas.util import hash_pandas_object

    weighed = [name for name in train.columns if name.startswith("label")]
    columns = list(dict.fromkeys([*weighed, "prediction_at", *names]))
    hashed = hash_pandas_object(train[columns], index=False).to_numpy()
    return AheadMemo(kept, recipe, hashed.astype(np.uint64), train["label"].to_numpy(dtype=np.float64))
