"""The ladder climbed once: every rung fitted on the training rows and measured on the holdout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.model import ModelSpec, Rung
from ml_assets.stats.classification import summary
from ml_assets.training.estimators import FittedModel, fit_rung

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class MeasuredRung:
    """One fitted rung, its scores of the holdout in the order of its rows, and what they measure."""

    rung: Rung
    model: FittedModel
    holdout_scores: NDArray[np.float64]
    measures: dict[str, float]


def rungs_to_fit(spec: ModelSpec, only: str | None) -> tuple[Rung, ...]:
    """Give the rungs to fit: the whole ladder, or the named rung and the heuristic beside it.

    Raises
    ------
    ValueError
        If no rung has that name.
    """
    if only is None:
        return spec.ladder
    names = [rung.name for rung in spec.ladder]
    if only not in names:
        raise ValueError(f"rung: found {only!r}; allowed: {', '.join(names)}")
    return tuple(rung for rung in spec.ladder if rung is spec.ladder[0] or rung.name == only)


def climb(
    rungs: Sequence[Rung],
    rows: pd.DataFrame,
    features: Sequence[str],
    spec: ModelSpec,
    on_rung: Callable[[MeasuredRung], None] | None = None,
) -> list[MeasuredRung]:
    """Fit `rungs` on the rows of split `train`, and measure them on those of `holdout`.

    Nothing is refitted afterwards: what was measured is what may serve.

    Parameters
    ----------
    rows
        A training set: `split`, `label` and the feature columns.
    """
    is_train = (rows["split"] == "train").to_numpy()
    train, holdout = rows.loc[is_train], rows.loc[~is_train]
    names = list(features)
    measured = []
    for rung in rungs:
        model = fit_rung(rung, train[names], train["label"].to_numpy(), seed=spec.seed, threads=spec.threads)
        scores = model.predict(holdout[names])
        measured.append(MeasuredRung(rung, model, scores, summary(holdout["label"].to_numpy(), scores)))
        if on_rung is not None:
            on_rung(measured[-1])
    return measured
