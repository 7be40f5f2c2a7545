"""What can be predicted, what each task measures, and what of a declaration has no meaning for a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ml_assets.spec.declared import Fault
from ml_assets.spec.model_kinds import model_kind_names, tasks_of
from ml_assets.spec.names import did_you_mean, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts

TaskName = Literal["binary", "regression", "count"]
BINARY = "binary"
# the loss and the metrics of each task, which bars and guardrails may name; a test compares them with the tasks
TASK_METRICS: Mapping[str, tuple[str, ...]] = {
    BINARY: ("log_loss", "auc", "brier", "ece"),
    "regression": ("mse", "mae", "r2", "rank_correlation"),
    "count": ("deviance", "mae", "explained_deviance", "rank_correlation"),
}
# measures of the gate beside these
OTHER_MEASURES: Mapping[str, tuple[str, ...]] = {
    BINARY: ("average_precision", "log_loss_on_old_rows", "cost_at_implied_threshold", "precision_at_capacity",
             "recall_at_capacity"),
    "regression": ("mse_on_old_rows", "label_at_capacity", "coverage", "interval_width", "interval_score"),
    "count": ("deviance_on_old_rows", "label_at_capacity", "coverage", "interval_width", "interval_score"),
}  # fmt: skip
_OF_BINARY_GATE = ("min_auc", "max_auc_drop", "max_ece")
_OF_GROUPS: Mapping[str, tuple[str, ...]] = {
    BINARY: ("true_positive_rate", "false_positive_rate", "selection_rate", "log_loss"),
    "regression": ("mse",),
    "count": ("deviance",),
}
_ANY_OF_GROUPS = {name for names in _OF_GROUPS.values() for name in names}
# keys that only scores which are probabilities of an outcome give a meaning to
_BINARY_ONLY: tuple[tuple[tuple[str, ...], str], ...] = (
    (("labeling",), "labeling functions vote for one of two classes"),
    (("review",), "reviewers are asked for one of two classes"),
    (("experiments",), "experiments compare log losses of probabilities"),
    (("worklist", "routes"), "routes rest on the probability of being wrong"),
    (("monitoring", "costs"), "costs are of acting on an outcome that comes or does not"),
    (("model", "prior_correction"), "it moves the share of an outcome"),
    (("model", "imbalance"), "it balances two classes"),
    (("model", "calibration"), "it makes probabilities of scores"),
    (("model", "gate", "max_auc"), "AUC ranks two classes"),
    *((("model", "gate", name), "AUC and calibration error are of two classes") for name in _OF_BINARY_GATE),
)


def measures_of(task: str) -> tuple[str, ...]:
    """Name what a guardrail of a task may watch, beside added metrics and what objectives foretell.

    Of a task that nobody knows, what any task has: that the task is none is said where it stands.
    """
    tasks = (task,) if task in TASK_METRICS else tuple(TASK_METRICS)
    found = (name for each in tasks for name in (*TASK_METRICS[each], *OTHER_MEASURES[each]))
    return tuple(dict.fromkeys(found))


def task_faults(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find what has no meaning for the task of a use case that may not be sound, and what the task needs.

    Examples
    --------
    >>> list(task_faults({"task": "count", "model": {"calibration": "platt"}}))
    [(('model', 'calibration'), 'found with task: count; allowed: with task: binary, for it makes probabilities of
    scores')]
    """
    task = declared.get("task", BINARY)
    if task not in TASK_METRICS:
        return
    model = mapping_of(declared.get("model"))
    gate = mapping_of(model.get("gate"))
    yield from _without_meaning(declared, task)
    yield from _gate_faults(gate, task)
    for place, each in enumerate(list_of(model.get("sensitive"))):
        metric = mapping_of(each).get("metric", "true_positive_rate")
        if metric not in _OF_GROUPS[task] and metric in _ANY_OF_GROUPS:  # of others it is said where they stand
            where = ("model", "sensitive", place, "metric")
            yield where, f"found {metric!r} with task: {task}; allowed: {', '.join(_OF_GROUPS[task])}"
    yield from _kind_faults(model, task)
    if task == BINARY and model.get("intervals") is not None:
        allowed = ", ".join(name for name in TASK_METRICS if name != BINARY)
        yield (
            ("model", "intervals"),
            f"found with task: {task}; allowed: with task: {allowed}: labels are numbers",
        )


def _gate_faults(gate: Mapping[str, Any], task: str) -> Iterator[Fault]:
    if task == BINARY and gate:
        for name in _OF_BINARY_GATE:
            if gate.get(name) is None:
                yield ("model", "gate", name), "is required and missing"
    for place, bar in enumerate(list_of(gate.get("bars"))):
        metric = mapping_of(bar).get("metric")
        if isinstance(metric, str) and metric not in TASK_METRICS[task]:
            yield ("model", "gate", "bars", place, "metric"), not_among(metric, TASK_METRICS[task])


def _kind_faults(model: Mapping[str, Any], task: str) -> Iterator[Fault]:
    for place, _, candidate in named_parts(model.get("candidates")):
        kind = candidate.get("kind")
        if isinstance(kind, str) and kind in model_kind_names() and (known := tasks_of(kind)) and task not in known:
            others = [name for name in model_kind_names() if task in tasks_of(name)]
            said = f"found {kind}, which predicts {', '.join(known)}; allowed with task: {task}: {', '.join(others)}"
            yield ("model", "candidates", place, "kind"), said + did_you_mean(kind, others)


def _without_meaning(declared: Mapping[str, Any], task: str) -> Iterator[Fault]:
    if task == BINARY:
        return
    for path, why in _BINARY_ONLY:
        *outer, key = path
        part: Mapping[str, Any] = declared
        for name in outer:
            part = mapping_of(part.get(name))
        if part.get(key) not in (None, "none", []):
            yield path, f"found with task: {task}; allowed: with task: binary, for {why}"
    augmentation = mapping_of(mapping_of(declared.get("model")).get("augmentation"))
    if augmentation.get("method") == "smote":
        said = f"found smote with task: {task}; allowed: perturbation, for smote makes rows of the rarer class"
        yield ("model", "augmentation", "method"), said
