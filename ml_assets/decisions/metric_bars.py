"""The bars of the gate on metrics of the task: those declared, and of the binary one how it ranks and is calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ml_assets.decisions.reasons import Codes, Reason, at_least, at_most
from ml_assets.spec.gate import Bar, GateRule
from ml_assets.stats.task import Task
from ml_assets.stats.window_measures import WindowMeasures


@dataclass(frozen=True)
class MetricBar:
    """What a metric of the candidate has to reach, or must not exceed.

    Attributes
    ----------
    is_ceiling
        Whether `bound` is the most that is allowed; else it is the least.
    is_excused
        Whether a candidate that beats a champion which misses the bar too is let through.
    """

    metric: str
    codes: Codes
    what: str
    bound: float
    is_ceiling: bool = False
    is_excused: bool = False

    def judge(self, candidate: WindowMeasures, beaten: WindowMeasures | None = None) -> Reason:
        """Hold the candidate against the bar; `beaten` is a champion that it beats."""
        compare = at_most if self.is_ceiling else at_least
        reason = compare(self.codes, self.what, candidate.measured[self.metric], self.bound)
        if beaten is None or not self.is_excused:
            return reason
        theirs = beaten.measured[self.metric]
        is_missed = theirs > self.bound if self.is_ceiling else theirs < self.bound
        return excused(reason, theirs) if is_missed else reason


def absolute_bars(rule: GateRule, task: Task) -> Sequence[MetricBar]:
    """Give the bars that hold whatever serves."""
    declared = tuple(each for bar in rule.bars for each in _of_bar(bar, task))
    if rule.min_auc is None or rule.max_ece is None:
        return declared
    return (
        MetricBar("auc", ("auc_enough", "auc_too_low"), "AUC of the candidate", rule.min_auc, is_excused=True),
        MetricBar(
            "auc",
            ("auc_plausible", "auc_too_good"),
            "AUC of the candidate, beyond which it knows what it cannot know",
            rule.max_auc,
            is_ceiling=True,
        ),
        MetricBar(
            "ece",
            ("ece_small", "ece_too_high"),
            "calibration error of the candidate",
            rule.max_ece,
            is_ceiling=True,
            is_excused=True,
        ),
        *declared,
    )


def _of_bar(bar: Bar, task: Task) -> Iterator[MetricBar]:
    """Give the bounds of a declared bar; the bound on the bad side is excused where the champion misses it too."""
    what, is_high = f"{task.metric(bar.metric)} of the candidate", task.metric(bar.metric).is_better_high
    codes: Codes = ("bar_met", "bar_missed")
    if bar.at_least is not None:
        yield MetricBar(bar.metric, codes, what, bar.at_least, is_excused=is_high)
    if bar.at_most is not None:
        yield MetricBar(bar.metric, codes, what, bar.at_most, is_ceiling=True, is_excused=not is_high)


def champion_bars(rule: GateRule, champion: WindowMeasures) -> Sequence[MetricBar]:
    """Give the bars that lie where the champion is."""
    if rule.max_auc_drop is None:
        return ()
    what = "AUC of the candidate, against the champion's"
    return (MetricBar("auc", ("auc_held", "auc_dropped"), what, champion.measured["auc"] - rule.max_auc_drop),)


def judged_metrics(rule: GateRule, task: Task) -> Sequence[str]:
    """Name the metrics that bars are about, each once."""
    return list(dict.fromkeys(bar.metric for bar in absolute_bars(rule, task)))


def excused(reason: Reason, of_champion: float) -> Reason:
    """Let a broken reason pass that the champion breaks too, and say so."""
    if reason.passed or reason.measured is None:
        return reason
    said = f"{reason.message}; the champion misses it too on this window ({of_champion:.6g}) and would serve instead, "
    return replace(reason, message=f"{said}and the candidate beats it: not held against it", passed=True)
