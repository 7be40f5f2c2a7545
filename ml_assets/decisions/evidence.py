"""What the gate is told beside the measures, and the rules about it: slices, behaviours, groups, leaks, age."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ml_assets.decisions.reasons import Reason, at_least, at_most
from ml_assets.spec.gate import GateRule
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.task import Task
from ml_assets.stats.window_measures import SimpleGain, WindowMeasures

LEAST_OF_A_CLASS = 20  # fewer give an interval that says nothing; windows ahead of the training rows ask for as many
LEAST_SPREAD = 1e-4  # standard deviation of scores below which a model says the same of everybody


@dataclass(frozen=True)
class SliceGain:
    """How the candidate does beside the champion on a part of the window; above zero is better."""

    column: str
    value: str
    gain: Interval


@dataclass(frozen=True)
class GroupGap:
    """How far a measure differs between the groups of a sensitive column, and how far it may."""

    name: str
    difference: float
    allowed: float


@dataclass(frozen=True)
class ClassCounts:
    """Examples of a split, and the positives among them."""

    n: int
    positives: int

    @property
    def is_one_class(self) -> bool:
        """Whether there are examples, and all are positives or all are negatives."""
        return self.n > 0 and self.positives in (0, self.n)


@dataclass(frozen=True)
class Evidence:
    """What was found about a candidate beside its measures on the window.

    Attributes
    ----------
    constant_loss
        Loss on the window of the mean label of the candidate's training rows.
    score_spread
        Standard deviation of its scores on the window; of scores that are no probabilities, in that of the labels.
    trained_until, champion_trained_until
        The newest `prediction_at` that either may have trained on; the champion's is None before the first.
    leaks
        What the audit of its training set proved.
    slices
        Parts of the window; those with fewer than `min_slice` examples are not judged.
    measures
        By name, the candidate's and the champion's, for guardrails.
    broken_behaviours
        Names of declared behaviours, of severity error, that it does not keep or that could not be tried.
    champion_lacks
        Features that the champion takes and that are declared otherwise by now, or not at all: it can score nothing.
    trained_on
        The classes of the candidate's training rows; None where they were not counted.
    better_high
        Of metrics that packages add: whether more of them is better.
    over_simple
        Its gain over the better of constant and baseline; None where it was not measured.
    """

    constant_loss: float
    score_spread: float
    trained_until: datetime
    champion_trained_until: datetime | None = None
    leaks: tuple[str, ...] = ()
    slices: tuple[SliceGain, ...] = ()
    broken_behaviours: tuple[str, ...] = ()
    n_behaviours: int = 0
    groups: tuple[GroupGap, ...] = ()
    measures: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    champion_lacks: tuple[str, ...] = ()
    trained_on: ClassCounts | None = None
    over_simple: SimpleGain | None = None
    better_high: Mapping[str, bool] = field(default_factory=dict[str, bool])

    @property
    def newer_by(self) -> timedelta:
        """How much newer the candidate's newest training rows are than the champion's."""
        before = self.champion_trained_until
        return timedelta(0) if before is None else self.trained_until - before


def evidence_reasons(candidate: WindowMeasures, evidence: Evidence, rule: GateRule) -> list[Reason]:
    """Apply the rules about the evidence, each leaving its reason."""
    return [
        at_most(
            ("beats_constant", "worse_than_constant"),
            f"{candidate.task.loss_metric} of the candidate, against that of a constant, the "
            f"{'share in' if candidate.task.has_classes else 'mean of'} its training rows",
            candidate.loss,
            evidence.constant_loss,
        ),
        at_least(
            ("scores_vary", "scores_constant"),
            "standard deviation of the candidate's scores"
            + ("" if candidate.task.has_classes else ", in that of the labels"),
            evidence.score_spread,
            LEAST_SPREAD,
        ),
        *_sure_gain(candidate, evidence),
        *_lost_champion(evidence),
        *_age_reasons(evidence),
        _named("no_leak", "leak_found", "leaks found in its training set", evidence.leaks),
        *_slice_reasons(evidence.slices, rule),
        *_behaviour_reasons(evidence),
        *_guardrail_reasons(candidate.task, evidence, rule),
        *(
            at_most(
                ("groups_alike", "groups_differ"),
                f"difference between groups of {gap.name}",
                gap.difference,
                gap.allowed,
            )
            for gap in evidence.groups
        ),
    ]


def one_class_reasons(candidate: WindowMeasures, evidence: Evidence | None) -> list[Reason]:
    """Give a broken reason a split whose examples are all of one class: nothing can be learned or compared there."""
    splits: dict[str, ClassCounts | None] = {
        "training": None if evidence is None else evidence.trained_on,
        "holdout": None if candidate.positives is None else ClassCounts(candidate.n, candidate.positives),
    }
    return [_one_class(split, counts) for split, counts in splits.items() if counts is not None and counts.is_one_class]


def _one_class(split: str, counts: ClassCounts) -> Reason:
    what = "candidates that learn could not be fitted" if split == "training" else "AUC and gains are not judged"
    message = f"the {split} split has {counts.positives} positives of {counts.n} examples, one class alone: {what}. "
    message += "Check labels.sql if both outcomes happen; else retrain once examples of both have matured"
    message += ", or declare a longer model.holdout" if split == "holdout" else ""
    return Reason("one_class", message, counts.positives, None, False)


def unlabelled_reasons(evidence: Evidence) -> list[Reason]:
    """Apply the rules about the evidence that need no outcomes: leaks, behaviours, age."""
    return [
        *_lost_champion(evidence),
        *_age_reasons(evidence),
        _named("no_leak", "leak_found", "leaks found in its training set", evidence.leaks),
        *_behaviour_reasons(evidence),
    ]


def _sure_gain(candidate: WindowMeasures, evidence: Evidence) -> Iterator[Reason]:
    """Ask of a candidate that is more than a constant that it surely beats what is simpler, at the declared level."""
    if not candidate.task.has_classes and candidate.varied < LEAST_OF_A_CLASS:
        message = f"the labels of {candidate.varied} of {candidate.n} examples of the holdout are not the commonest "
        message += f"one, and {LEAST_OF_A_CLASS} are asked: with fewer, no interval tells a model from chance. Declare "
        message += "a longer model.holdout, or retrain once more have matured"
        yield Reason("too_little_variety", message, candidate.varied, LEAST_OF_A_CLASS, False)
        return
    if candidate.rarer is not None and candidate.rarer < LEAST_OF_A_CLASS:
        message = f"the holdout has {candidate.positives} positives of {candidate.n} examples, and {LEAST_OF_A_CLASS} "
        message += "of either class are asked: with fewer, no interval tells a model from chance. Declare a longer "
        message += "model.holdout, or retrain once more have matured"
        yield Reason("too_few_positives", message, candidate.rarer, LEAST_OF_A_CLASS, False)
        return
    found, adjective = evidence.over_simple, candidate.task.loss_metric.adjective
    if found is not None and evidence.score_spread >= LEAST_SPREAD:
        yield at_least(
            ("gain_over_constant_sure", "gain_over_constant_unsure"),
            f"lower end of the {found.gain.level:.0%} interval of the {adjective} gain over the {found.reference}, the "
            "better of constant and baseline",
            found.gain.lower,
            0.0,
        )


def _lost_champion(evidence: Evidence) -> Iterator[Reason]:
    if evidence.champion_lacks:
        message = "the champion can score nothing any more, and is not compared: declared otherwise by now, or not at "
        message += f"all, are {', '.join(evidence.champion_lacks)}"
        yield Reason("champion_cannot_score", message, len(evidence.champion_lacks), None, True)


def _age_reasons(evidence: Evidence) -> Iterator[Reason]:
    before = evidence.champion_trained_until
    if before is None:
        return
    is_newer = evidence.trained_until >= before
    message = f"trained until {evidence.trained_until:%Y-%m-%d %H:%M}, the champion until {before:%Y-%m-%d %H:%M}"
    yield Reason("newer_than_champion" if is_newer else "older_than_champion", message, None, None, is_newer)


def _slice_reasons(slices: Sequence[SliceGain], rule: GateRule) -> Iterator[Reason]:
    judged = [each for each in slices if each.gain.n >= rule.min_slice]
    if not judged:
        return
    # surely worse: by more than is allowed as estimated, and no chance, at the declared level, that it is none
    worse = [each for each in judged if each.gain.estimate < -rule.max_slice_loss and each.gain.upper < 0]
    worst = min(judged, key=lambda each: each.gain.estimate)
    if not worse:
        message = f"no slice of {rule.min_slice} examples or more is surely worse than the champion by "
        message += f"{rule.max_slice_loss:.0%}; the least gain of {len(judged)} is at {worst.column} {worst.value}"
        yield Reason("slices_held", message, worst.gain.estimate, -rule.max_slice_loss, True)
    for each in worse:
        message = f"{each.column} {each.value} ({each.gain.n} examples) gets worse: relative gain "
        message += f"{each.gain.estimate:+.1%} ({each.gain.lower:+.1%} to {each.gain.upper:+.1%})"
        yield Reason("slice_worse", message, each.gain.estimate, -rule.max_slice_loss, False)


def _behaviour_reasons(evidence: Evidence) -> Iterator[Reason]:
    if evidence.n_behaviours:
        what = f"declared behaviours that it does not keep, of {evidence.n_behaviours}"
        yield _named("behaves", "behaviour_broken", what, evidence.broken_behaviours)


def _guardrail_reasons(task: Task, evidence: Evidence, rule: GateRule) -> Iterator[Reason]:
    """Without a champion, or one that gives the measure, there is nothing to be worse than.

    A candidate that does not give what the champion does, or what nobody gives, breaks its guardrail.
    """
    if evidence.champion_trained_until is None:
        return
    for guardrail in rule.guardrails:
        name = guardrail.measure
        if name == f"{task.loss_metric.name}_on_old_rows" and name not in evidence.measures:
            message = "the candidate did not go on from the champion, and so has forgotten nothing"
            yield Reason("guardrail_held", message, None, guardrail.max_worse, True)
            continue
        own, champion = evidence.measures.get(name, (float("nan"), float("nan")))
        if math.isfinite(own) and math.isnan(champion):
            message = f"{name} of {own:.6g}; the champion does not give it"
            yield Reason("guardrail_held", message, None, guardrail.max_worse, True)
            continue
        is_high = evidence.better_high.get(name, is_better_high(task, name))
        worse = champion - own if is_high else own - champion
        yield at_most(
            ("guardrail_held", "guardrail_broken"),
            f"{name} of {own:.6g} beside the champion's {champion:.6g}, worse by",
            worse,
            guardrail.max_worse,
        )


def is_better_high(task: Task, measure: str) -> bool:
    """Say whether more of a measure is better.

    >>> from ml_assets.stats.binary import BINARY
    >>> names = ("auc", "log_loss", "average_precision", "arrival_delay_min_on_list", "minutes_mae")
    >>> [is_better_high(BINARY, name) for name in names]
    [True, False, True, True, False]
    """
    known = task.by_name().get(measure)
    if known is not None:
        return known.is_better_high
    return measure == "average_precision" or measure.endswith(("_at_capacity", "_on_list"))


def _named(kept: str, broken: str, what: str, names: Sequence[str]) -> Reason:
    message = f"{what}: {', '.join(names) or 'none'}"
    code = broken if names else kept
    return Reason(code, message, len(names), 0, not names)  # pyright: ignore[reportArgumentType] - one of the codes
