"""How labels and scores of a task are told in a sentence."""

from __future__ import annotations

from ml_assets.stats.task import Task


def labels_and_scores(task: Task, label: float | None, score: float | None) -> str:
    """Say the mean label beside the mean score.

    >>> from ml_assets.stats.tasks import task_of
    >>> labels_and_scores(task_of("binary"), 0.31, 0.25)
    '31.0% positives where scores average 25.0%'
    >>> labels_and_scores(task_of("regression"), 12.5, None)
    'labels average 12.5 where scores average unknown'
    """
    if task.has_classes:
        return f"{_share(label)} positives where scores average {_share(score)}"
    return f"labels average {_number(label)} where scores average {_number(score)}"


def shift_in_words(task: Task) -> str:
    """Say that labels have left the scores."""
    return "the prior has shifted" if task.has_classes else "labels have left the scores"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
