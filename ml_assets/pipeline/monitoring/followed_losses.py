"""The losses of one model followed drop by drop, against what was usual for it before it served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from ml_assets.monitoring.loss_rise import (
    UNKNOWN_PRIOR,
    UNKNOWN_RISE,
    Rises,
    learn_losses,
    learn_margins,
    learn_residuals,
    loss_rise,
    margin_rise,
    prior_rise,
)
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.sequential import DailyMeans, Reference
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.stores.model_store import UnseenDay


@dataclass(frozen=True)
class UsualLosses:
    """What is usual for a model: its losses, these less the baseline's, labels less scores.

    `margin` is the mean loss less the baseline's on rows that it had not seen before it served.
    """

    losses: Reference
    margin: float
    margins: Reference | None
    residuals: Reference | None
    task: Task

    def rises(self, rows: Sequence[Mapping[str, Any]], begun: DropKey, drop: DropKey) -> Rises:
        """Say by what matured up to `drop` whether the losses of the model have risen since it began to serve.

        Parameters
        ----------
        rows
            Rows of the performance report of the model and its baseline, as `loss_rise` reads them.
        begun
            The drop after which it began to serve.
        """
        own, loss = [row for row in rows if row["prediction_batch_date"] > begun], self.task.loss_metric.name
        margins, residuals = self.margins, self.residuals
        return Rises(
            loss_rise(own, self.losses, drop, loss),
            UNKNOWN_RISE if margins is None else margin_rise(own, margins, drop, self.margin, loss),
            UNKNOWN_PRIOR if residuals is None else prior_rise(own, residuals, drop, self.task, self.losses.mean),
        )


def learn_usual(spec: UseCaseSpec, days: Sequence[UnseenDay]) -> UsualLosses | None:
    """Learn what is usual for a model from how it did before it served; None where nothing of that is recorded."""
    if not days:
        return None
    n, *measured = np.array([astuple(day)[1:] for day in days], dtype=np.float64).T
    losses, margins, residuals = (DailyMeans(n, *measured[place : place + 2]) for place in (0, 2, 4))
    return UsualLosses(
        learn_losses(spec, losses),
        float(np.average(margins.means, weights=margins.n)),
        learn_margins(spec, margins) if np.isfinite(margins.means).all() else None,
        learn_residuals(spec, residuals) if np.isfinite(residuals.means).all() else None,
        task_of(spec.task),
    )
