"""What a model leans on: two measures of it, whether they agree, and whether another seed says the same.

Permutation importance asks what the loss would be without what a column says; SHAP asks what moves the score. Neither
says what causes an outcome, and columns that say the same share what they are worth, or hide one another: so whole
groups of columns are shuffled too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.features import FeatureSpec
from ml_assets.stats.task import Task

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.training.model_kind import FittedModel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How alike two rankings of the same names are.

    Attributes
    ----------
    spearman
        Rank correlation over all names; NaN where a side ranks nothing above another.
    top
        Share of the first k of one side that are among the first k of the other.
    """

    spearman: float
    top: float


@dataclass(frozen=True)
class Stability:
    """How alike the rankings of several fits are, over all pairs of them."""

    mean_spearman: float
    least_spearman: float
    mean_top: float
    n_fits: int


def views_of(features: FeatureSpec, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Give the features of each view among `names`, and the row expressions together as `= expressions`."""
    groups = {view.name: tuple(name for name in view.feature_names() if name in names) for view in features.views}
    groups["= expressions"] = tuple(each.name for each in features.expressions if each.name in names)
    return {group: columns for group, columns in groups.items() if columns}


def permutation_importance(
    task: Task,
    model: FittedModel,
    rows: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    *,
    rng: np.random.Generator,
    repeats: int,
) -> dict[str, FloatArray]:
    """By group, how much the task's loss rises when its columns are shuffled among the rows, one a repeat.

    The columns of a group are shuffled together, so that what they say of one another stays; Breiman, "Random forests"
    (2001), as "model reliance" of groups in Fisher, Rudin and Dominici (2019). The rows are to be ones that the model
    was not fitted on. A column that the model does not take, or that is shuffled in vain, is 0.

    Parameters
    ----------
    rows
        Grain: a labelled example; `label` and the model's columns. Not mutated.

    Raises
    ------
    ValueError
        On no rows or no repeats.
    """
    if not len(rows) or repeats < 1:
        raise ValueError(f"found {len(rows)} rows and {repeats} repeats; allowed: one of each, or more")
    labels = rows["label"].to_numpy(dtype=np.float64)
    taken = rows[list(model.feature_names)]
    plain = task.loss(labels, model.predict(taken))
    rises: dict[str, FloatArray] = {}
    for name, columns in groups.items():
        own = [column for column in columns if column in model.feature_names]
        rises[name] = np.zeros(repeats)
        for repeat in range(repeats if own else 0):
            places = rng.permutation(len(rows))
            shuffled = taken.assign(**{column: taken[column].to_numpy()[places] for column in own})
            rises[name][repeat] = task.loss(labels, model.predict(shuffled)) - plain
    return rises


def shap_importance(
    model: FittedModel, rows: pd.DataFrame, groups: Mapping[str, Sequence[str]]
) -> dict[str, float] | None:
    """By group, the mean absolute part of it in the log odds of a row (Lundberg et al., 2020); None without parts.

    The parts of a group's columns are added up before: what they take from one another moves no score.
    """
    found = model.contributions(rows)
    if found is None:
        return None
    nothing = np.zeros(len(rows))
    return {
        name: float(np.abs(np.sum([found[0].get(column, nothing) for column in columns], axis=0)).mean())
        for name, columns in groups.items()
    }


def agreement(one: Mapping[str, float], other: Mapping[str, float], top: int) -> Agreement:
    """Compare two rankings of the same names; the greater is the more important, ties stand in order of names.

    >>> agreement({"a": 3, "b": 2, "c": 1}, {"a": 9, "b": 1, "c": 2}, top=2)
    Agreement(spearman=0.5, top=0.5)

    Raises
    ------
    ValueError
        On other names on one side than on the other.
    """
    from scipy.stats import spearmanr

    names = sorted(one)
    if names != sorted(other):
        raise ValueError(f"only one side ranks {', '.join(sorted(set(one) ^ set(other)))}")
    a, b = ([side[name] for name in names] for side in (one, other))
    ranks_both = len(set(a)) > 1 and len(set(b)) > 1
    found: Any = spearmanr(a, b) if ranks_both else None
    spearman = float("nan") if found is None else float(found.statistic)
    k = max(min(top, len(names)), 1)
    both = set(ranked(one)[:k]) & set(ranked(other)[:k])
    return Agreement(round(spearman, 12), len(both) / k)


def stability(fits: Sequence[Mapping[str, float]], top: int) -> Stability | None:
    """Compare the rankings of several fits, pair by pair; None of fewer than two."""
    pairs = [agreement(one, other, top) for one, other in combinations(fits, 2)]
    if not pairs:
        return None
    correlations = [pair.spearman for pair in pairs]
    return Stability(
        float(np.mean(correlations)), float(np.min(correlations)), float(np.mean([p.top for p in pairs])), len(fits)
    )


def ranked(importance: Mapping[str, float]) -> list[str]:
    """Name them by importance, the greatest first; ties in order of names."""
    return sorted(importance, key=lambda name: (-importance[name], name))
