"""The tasks by name."""

from __future__ import annotations

from ml_assets.spec.names import not_among
from ml_assets.stats.binary import BINARY
from ml_assets.stats.regression import COUNT, REGRESSION
from ml_assets.stats.task import Task

TASKS = {task.name: task for task in (BINARY, REGRESSION, COUNT)}


def task_of(name: str) -> Task:
    """Find a task by its name; raises ValueError naming those that are there."""
    if name not in TASKS:
        raise ValueError(f"task: {not_among(name, list(TASKS))}")
    return TASKS[name]
