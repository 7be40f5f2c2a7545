"""What to do with an experiment after a drop: go on, extend, abort, or say that the challenger has passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ExperimentAction = Literal["go_on", "extend", "abort", "passed"]


@dataclass(frozen=True)
class MeasuredHarm:
    """One measure as it was compared: see `experiments/comparison.py`.

    `p_value` is of the challenger keeping its bound; `lower` and `upper` bound how much more it loses than it may.
    """

    measure: str
    worse_by: float
    lower: float
    upper: float
    p_value: float


@dataclass(frozen=True)
class ExperimentProgress:
    """How far an experiment has come.

    Attributes
    ----------
    n_drops
        Drops whose examples have matured.
    min_drops
        How many of them a verdict needs.
    is_over
        Whether the planned length is over.
    was_extended
        Whether it was extended already.
    mismatch
        Why the arms are not shared out as declared; empty where they are.
    """

    n_drops: int
    min_drops: int
    is_over: bool
    was_extended: bool
    mismatch: str = ""


@dataclass(frozen=True)
class ExperimentVerdict:
    """What to do, and why in a sentence."""

    action: ExperimentAction
    reason: str


def judge_experiment(measures: Sequence[MeasuredHarm], progress: ExperimentProgress, level: float) -> ExperimentVerdict:
    """Decide what to do with an experiment that was looked at after every drop.

    A challenger that surely loses more than it may, on any measure, is aborted; one that keeps all its bounds meets
    that with probability 1 - `level` at most, over all looks. Units that are not shared out as declared abort it too:
    nothing can be compared then.

    >>> harm = MeasuredHarm("log_loss", 0.05, 0.01, 0.09, 0.002)
    >>> judge_experiment([harm], ExperimentProgress(4, 3, False, False), 0.95).action
    'abort'
    >>> judge_experiment([harm], ExperimentProgress(2, 3, False, False), 0.95)
    ExperimentVerdict(action='go_on', reason='not enough data: 2 matured drops; a verdict needs 3')
    """
    if progress.mismatch:
        return ExperimentVerdict("abort", progress.mismatch)
    if progress.n_drops < progress.min_drops:
        said = f"not enough data: {progress.n_drops} matured drops; a verdict needs {progress.min_drops}"
        return ExperimentVerdict("go_on", said)
    harmed = [each for each in measures if each.p_value <= 1 - level]
    if harmed:
        worst = min(harmed, key=lambda each: each.p_value)
        said = f"{worst.measure} is surely worse than allowed, by {worst.worse_by:.4f} ({worst.lower:.4f} or more)"
        return ExperimentVerdict("abort", f"{said}, after {progress.n_drops} matured drops")
    if measures and all(each.upper <= 0 for each in measures):
        said = f"every measure surely keeps its bound after {progress.n_drops} matured drops"
        return ExperimentVerdict("passed", said)
    if progress.is_over and not progress.was_extended:
        return ExperimentVerdict("extend", "the planned length is over, and nothing is sure yet")
    return ExperimentVerdict("go_on", f"nothing is sure yet after {progress.n_drops} matured drops")
