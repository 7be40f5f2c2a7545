"""How a model's errors differ between the groups of a sensitive column."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.training.evaluation import implied_threshold

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.spec.use_case import UseCaseSpec

# the outcome that a rate is a share of: without one it is undefined, and fairlearn would say 0
_GIVEN = {"true_positive_rate": 1.0, "false_positive_rate": 0.0}


def group_gaps(spec: UseCaseSpec, window: pd.DataFrame, scores: NDArray[np.float64]) -> Iterator[dict[str, Any]]:
    """Give a row a sensitive column: the largest difference between its groups, by fairlearn's MetricFrame.

    Acting is at the threshold that the declared costs imply. Groups below `min_group`, and those in which the measure
    is undefined (a true positive rate without a positive), are named and not judged; with fewer than two groups left,
    the state is `not enough data`.
    """
    threshold = implied_threshold(spec.monitoring.costs)
    labels = window["label"].to_numpy(dtype=np.float64)
    for each in spec.model.sensitive:
        groups = window[each.column].astype(object).where(window[each.column].notna(), "unknown").astype(str).to_numpy()
        names, counts = np.unique(groups, return_counts=True)
        judgeable = _GIVEN.get(each.metric)
        has_any = [judgeable is None or bool((labels[groups == name] == judgeable).any()) for name in names]
        large = names[(counts >= each.min_group) & np.array(has_any, dtype=bool)]
        is_judged = np.isin(groups, large)
        row = {"name": f"{each.column}_{each.metric}", "kind": "groups", "severity": "error",
               "n": int(is_judged.sum()), "threshold": each.max_difference}  # fmt: skip
        if large.size < 2:
            message = f"fewer than two groups have {each.min_group} labelled examples and a measure"
            yield {**row, "state": "not enough data", "measured": float("nan"), "message": message}
            continue
        difference, by_group = _difference(
            task_of(spec.task), each.metric, labels[is_judged], scores[is_judged], groups[is_judged], threshold
        )
        low, high = min(by_group, key=by_group.__getitem__), max(by_group, key=by_group.__getitem__)
        message = f"{each.metric} from {by_group[low]:.4f} ({low}) to {by_group[high]:.4f} ({high}), "
        message += f"apart {difference:.4f}, allowed {each.max_difference:.4f}"
        if large.size < names.size:
            message += (
                f"; not judged, too few or undefined: {', '.join(sorted(set(names.tolist()) - set(large.tolist())))}"
            )
        state = "kept" if difference <= each.max_difference else "broken"
        yield {**row, "state": state, "measured": difference, "message": message}


def _difference(
    task: Task,
    metric: str,
    labels: NDArray[np.float64],
    scores: NDArray[np.float64],
    groups: NDArray[Any],
    threshold: float,
) -> tuple[float, dict[str, float]]:
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

    metrics: dict[str, Callable[..., Any]] = {
        "true_positive_rate": true_positive_rate,
        "false_positive_rate": false_positive_rate,
        "selection_rate": selection_rate,
    }
    if metric == task.loss_metric.name:
        frame = MetricFrame(
            metrics=task.loss,
            y_true=labels,
            y_pred=scores,
            sensitive_features=groups,
        )
    else:
        acted = (scores >= threshold).astype(int)
        frame = MetricFrame(metrics=metrics[metric], y_true=labels.astype(int), y_pred=acted, sensitive_features=groups)
    by_group: Any = frame.by_group
    difference: Any = frame.difference()
    return float(difference), {str(name): float(value) for name, value in by_group.items()}
