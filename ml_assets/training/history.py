"""How much of the past to train on: all of it, its newest part, or what came since a change.

After a change of the relation between features and label, rows from before it teach what is no longer true. Without a
change, more rows are better. So every choice is tried on the newest training rows, and less than everything is taken
only where it does better there by more than the days of that window differ by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.stats.block_bootstrap import paired_day_block_bootstrap
from ml_assets.stats.task import varied
from ml_assets.stats.tasks import task_of
from ml_assets.training.candidate import fit_bare
from ml_assets.training.fit_pool import fit_side_by_side
from ml_assets.training.model_kinds import model_kind

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]
LENGTHS = (timedelta(days=28), timedelta(days=84), timedelta(days=182))
LEVEL = 0.8
LEAST_GAIN = 0.01  # relative log loss that leaving rows out must save
_LEAST_ROWS, _LEAST_VARIED, _RESAMPLES = 100, 10, 500
_PROBES = 2  # model candidates that each choice is tried with, the first ones that learn from more than shares


@dataclass(frozen=True)
class HistoryChoice:
    """The moment after which rows are trained on (None: all rows), and what was found of each choice."""

    after: datetime | None
    reason: str


def choose_history(
    recipe: TrainingRecipe, train: pd.DataFrame, features: Sequence[str], changes: Sequence[datetime] = ()
) -> HistoryChoice:
    """Try lengths of history on the newest training rows, with the first model candidates of the recipe.

    Parameters
    ----------
    train
        Training rows, without the holdout: `prediction_at`, `batch_date`, `label` and the feature columns.
    changes
        Moments at which a monitor saw a change begin.
    """
    moments = train["prediction_at"]
    probes = [
        candidate for candidate in recipe.candidates if candidate.kind != "blend" and model_kind(candidate.kind).learns
    ][:_PROBES]
    if not probes or len(train) < 2 * _LEAST_ROWS:
        return HistoryChoice(None, "all: too few rows to try less")
    oldest, newest = moments.min().to_pydatetime(), moments.max().to_pydatetime()
    inside = sorted({change for change in changes if oldest < change < newest})
    cuts = [(change, f"since {change:%Y-%m-%d}") for change in inside]
    cuts += [(newest - length, f"the last {length.days}d") for length in LENGTHS if newest - oldest > 2 * length]
    window = _window(moments, newest - max(inside) if inside else None, recipe.folds.length)
    before = train.loc[~window]
    if "label_origin" in train.columns:
        window &= (train["label_origin"] == "gold").to_numpy()  # what functions say measures nothing
    test = train.loc[window]
    if not cuts or not _is_enough(before) or test["label"].nunique() < 2:
        return HistoryChoice(None, "all: nothing to compare with")
    kept_by_name = {"all": before} | {name: before.loc[before["prediction_at"] > cut] for cut, name in cuts}
    enough = {name: kept for name, kept in kept_by_name.items() if _is_enough(kept)}
    losses = _losses(recipe, probes, enough, test, list(features))
    tried: list[tuple[float, datetime, str]] = []
    said: list[str] = []
    days = test["batch_date"].astype(str).str[:10].to_numpy()
    for cut, name in cuts:
        if name not in losses:
            said.append(f"{name}: too few rows")
            continue
        gain = paired_day_block_bootstrap(
            losses["all"], losses[name], days, rng=np.random.default_rng(recipe.seed), resamples=_RESAMPLES, level=LEVEL
        )
        said.append(f"{name}: {gain.estimate:+.1%} ({gain.lower:+.1%} to {gain.upper:+.1%})")
        if gain.estimate >= LEAST_GAIN and gain.lower > 0:
            tried.append((gain.estimate, cut, name))
    found = "; ".join(said)
    if not tried:
        return HistoryChoice(None, f"all: nothing shorter is surely better on {int(window.sum())} rows ({found})")
    _, after, name = max(tried)
    return HistoryChoice(
        after,
        f"{name}: {task_of(recipe.task).loss_metric} gained over all history on {int(window.sum())} rows ({found})",
    )


def within_history(recipe: TrainingRecipe, rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out training rows that are older than the recipe wants; the holdout stays."""
    if recipe.history_after is None:
        return rows
    return rows.loc[((rows["split"] != "train") | (rows["prediction_at"] > recipe.history_after)).to_numpy()]


def _window(moments: pd.Series[datetime], since_change: timedelta | None, length: timedelta) -> NDArray[np.bool_]:
    """Give the newest rows, of one window's length, or a third of what came since the newest change."""
    held = length if since_change is None else min(length, since_change / 3)
    return (moments > moments.max() - held).to_numpy()


def _is_enough(rows: pd.DataFrame) -> bool:
    return len(rows) >= _LEAST_ROWS and varied(rows["label"].to_numpy()) >= _LEAST_VARIED


def _losses(
    recipe: TrainingRecipe,
    probes: Sequence[ModelCandidate],
    kept: Mapping[str, pd.DataFrame],
    test: pd.DataFrame,
    names: list[str],
) -> dict[str, FloatArray]:
    """Give, for each choice of training rows, the loss of each row of `test` under the probe that does best there."""
    labels, features = test["label"].to_numpy(dtype=np.float64), test[names]
    losses_of = task_of(recipe.task).losses

    def lose(candidate: ModelCandidate, train: pd.DataFrame) -> FloatArray:
        return losses_of(labels, fit_bare(recipe, candidate, train, names).predict(features))

    fits = [partial(lose, candidate, train) for train in kept.values() for candidate in probes]
    losses = iter(fit_side_by_side(fits, recipe.threads))
    tried = {name: [next(losses) for _ in probes] for name in kept}
    return {name: min(each, key=lambda loss: float(loss.mean())) for name, each in tried.items()}
