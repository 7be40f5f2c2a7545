"""Evidence: each measure of candidate, champion and baseline, with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from ml_assets.pipeline.evaluation.comparison import Comparison
from ml_assets.pipeline.evaluation.evidence import Row, write_evidence
from ml_assets.serving.worklist import priority_of
from ml_assets.spec.objectives import OUTCOME, SCORE
from ml_assets.spec.tables.models import EVALUATION_MEASURES
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.added_metrics import added_metric
from ml_assets.stats.conformal import adapt_margins, interval_score
from ml_assets.stats.decision_costs import cost_curve, lists_of_days
from ml_assets.stats.metric import Draw, metric_interval
from ml_assets.stores.use_case_state import UseCaseState

LEVEL = 0.9  # coverage of the intervals that are shown
RESAMPLES = 400
FloatArray = NDArray[np.float64]


def store_measures(spec: UseCaseSpec, state: UseCaseState, found: Comparison) -> list[Row]:
    """Measure every model of the comparison on its window, and store the rows. Grain: role x measure."""
    rows = list(measure_rows(spec, found))
    write_evidence(state, EVALUATION_MEASURES, rows, found)
    return rows


def measure_rows(spec: UseCaseSpec, found: Comparison) -> Iterator[Row]:
    """Give a row a model and measure: estimate and interval; cost and lists have no interval."""
    for role, loss in found.old_losses.items():
        yield {"as_of": found.row.as_of, "role": role, "model_version": _version(found, role), "level": LEVEL,
               "measure": f"{found.task.loss_metric.name}_on_old_rows", "estimate": loss, "lower": None, "upper": None,
               "n": found.n_old, "n_days": None}  # fmt: skip
    for role, scores in found.scores.items():
        same = {"as_of": found.row.as_of, "role": role, "model_version": _version(found, role), "level": LEVEL}
        rng = np.random.default_rng(spec.model.seed)
        intervals = found.task.intervals(found.labels, scores, found.days, rng=rng, resamples=RESAMPLES, level=LEVEL)
        for metric in map(added_metric, spec.model.metrics):
            draw = Draw(np.random.default_rng(spec.model.seed), RESAMPLES, LEVEL)
            intervals[metric.name] = metric_interval(metric, found.labels, scores, found.days, draw)
        for name, each in intervals.items():
            yield {**same, "measure": name, "estimate": each.estimate, "lower": each.lower, "upper": each.upper,
                   "n": each.n, "n_days": each.n_days}  # fmt: skip
        for name, value in decision_measures(spec, found, role).items():
            yield {**same, "measure": name, "estimate": value, "lower": None, "upper": None,
                   "n": int(found.labels.size), "n_days": len(set(found.days))}  # fmt: skip


def decision_measures(spec: UseCaseSpec, found: Comparison, role: str) -> dict[str, float]:
    """Measure what a model's scores come to as decisions: cost, the list of a day, bounds, and the amounts foretold."""
    if not found.labels.size:
        return {}
    costs, scores = spec.monitoring.costs, found.scores[role]
    foretold = _foretold(spec, found, role)
    priority = priority_of(spec.worklist, {SCORE: scores, **foretold})
    precision, recall = lists_of_days(found.labels, priority, found.days, spec.worklist.capacity)
    more = {found.task.at_capacity: precision}
    if found.task.has_classes:
        curve = cost_curve(found.labels, scores, false_alarm=costs.false_alarm, missed=costs.missed)
        more = {"cost_at_implied_threshold": curve.implied_cost, "implied_threshold": curve.implied_threshold, **more,
                "recall_at_capacity": recall}  # fmt: skip
    return {**more, **_coverage(spec, found, role), **_amounts(spec, found, foretold, priority)}


def _coverage(spec: UseCaseSpec, found: Comparison, role: str) -> dict[str, float]:
    """Measure the bounds of a model on the window, as they lie before any of its outcomes moved them; {} without."""
    bundle = {"candidate": found.candidate, "champion": found.champion}.get(role)
    held = None if bundle is None else bundle.judged_intervals
    if held is None or spec.model.intervals is None:
        return {}
    level = spec.model.intervals.level
    margins = adapt_margins(held.beyond_ahead(), [], level, 1)
    lower, upper = held.interval(found.window, margins.values(held.groups(found.window)))
    return {
        "coverage": float(((found.labels >= lower) & (found.labels <= upper)).mean()),
        "interval_width": float((upper - lower).mean()),
        "interval_score": float(interval_score(found.labels, lower, upper, level).mean()),
    }


def _version(found: Comparison, role: str) -> str | None:
    """Give the version of the model that stands in a role; the baseline has none."""
    if role == "champion" and found.incumbent is not None:
        return found.incumbent.model_version
    return found.row.model_version if role == "candidate" else None


def _foretold(spec: UseCaseSpec, found: Comparison, role: str) -> dict[str, FloatArray]:
    """What the objectives of a model foretell of the window, by name; of the baseline nothing."""
    bundle = {"candidate": found.candidate, "champion": found.champion}.get(role)
    if bundle is None:
        return {}
    held = [each.name for each in spec.model.objectives if each.name in bundle.objectives]
    return {name: bundle.objectives[name].predict(found.window) for name in held}


def _amounts(
    spec: UseCaseSpec, found: Comparison, foretold: Mapping[str, FloatArray], priority: FloatArray
) -> dict[str, float]:
    """What was foretold beside what came: the mean absolute error, and the mean of what comes true on a day's list."""
    measured: dict[str, float] = {}
    for objective in spec.model.objectives:
        if objective.name not in foretold or f"{OUTCOME}{objective.measure}" not in found.window:
            continue
        outcome = found.window[f"{OUTCOME}{objective.measure}"].to_numpy(dtype=np.float64, na_value=np.nan)
        limits = (-np.inf if objective.at_least is None else objective.at_least,
                  np.inf if objective.at_most is None else objective.at_most)  # fmt: skip
        error = np.abs(foretold[objective.name] - np.clip(outcome, *limits))
        measured[f"{objective.name}_mae"] = float(np.nanmean(error))
        mean, _ = lists_of_days(np.nan_to_num(outcome), priority, found.days, spec.worklist.capacity)
        measured[f"{objective.measure}_on_list"] = mean
    return measured
