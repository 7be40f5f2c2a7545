"""The gate: whether a candidate may serve, from measures on a window that neither model trained on.

It measures nothing itself. Every rule leaves a reason, kept or broken, so that the record shows the whole evidence.
Rules about the evidence beside the measures (slices, behaviours, groups, leaks) are in `evidence.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from ml_assets.decisions.evidence import Evidence, evidence_reasons, one_class_reasons, unlabelled_reasons
from ml_assets.decisions.metric_bars import absolute_bars, champion_bars, excused, judged_metrics
from ml_assets.decisions.reasons import Codes, Reason, at_least, at_most
from ml_assets.spec.gate import GateMode, GateRule
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.window_measures import WindowMeasures

MOST_MONTHS = 3.0  # data that are newer by more are worth no more
Outcome = Literal["promoted", "refused", "awaiting_approval", "dry_run"]


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a candidate, under which mode, and every reason looked at.

    Attributes
    ----------
    outcome
        `promoted` serves from the next drop on. `awaiting_approval` kept every rule, and a person has the last word.
        `dry_run` was measured only. `refused` broke a rule, or can never serve.
    would_promote
        Whether every rule was kept, whatever the mode.
    """

    outcome: Outcome
    gate: GateMode
    would_promote: bool
    reasons: tuple[Reason, ...]

    @property
    def promoted(self) -> bool:
        """Whether it serves from now on."""
        return self.outcome == "promoted"


def judge(
    *,
    candidate: WindowMeasures,
    champion: WindowMeasures | None,
    baseline: WindowMeasures,
    gain: Interval | None,
    rule: GateRule,
    evidence: Evidence | None = None,
) -> Verdict:
    """Decide on promotion: all rules are applied, none stops the others.

    Always: enough data, finite measures, the floor and the ceiling on AUC, the ceiling on calibration error, a log
    loss that neither the baseline nor a constant undercuts, and the rules about the evidence. Against a champion:
    its AUC may not be missed by too much, the log loss must gain at least `min_gain` by estimate, and the interval's
    lower end must not fall below `-max_loss`, less what newer training rows are declared to be worth.

    The floor on AUC and the ceiling on calibration error do not refuse a candidate that beats a champion which misses
    them too on the same window: the champion is what would serve instead. Nor does a gain over baseline and constant
    that is not sure, where the champion does worse than these.

    Where the window or the training rows are of one class, that is the reason, and measures are not judged.

    A disabled gate promotes whatever it would have said, and the record holds both: that it was disabled, and the
    reasons. The one exception is a candidate with a measure that is not finite: it can never serve, because such a
    model may have no scores to give, and a window that leaves it undefined has shown nothing. The same holds of a
    candidate trained or measured on one class.

    Parameters
    ----------
    champion
        None before the first promotion.
    baseline
        Group history on the same window; only its log loss is used.
    gain
        (champion's log loss - candidate's) / champion's, with its day-block-bootstrap interval. None, with a
        champion, is "not enough data".
    evidence
        What was found beside the measures; None is a candidate of which only the measures are judged.
    """
    one_class = one_class_reasons(candidate, evidence)
    if one_class:
        reasons = [*_data_reasons(candidate, rule), *one_class]
        reasons += [] if evidence is None else unlabelled_reasons(evidence)
    else:
        reasons = _measured_reasons(candidate, champion, baseline, gain, rule, evidence)
    return _verdict(reasons, rule, is_servable=_is_finite(candidate, rule) and not one_class)


def _measured_reasons(
    candidate: WindowMeasures,
    champion: WindowMeasures | None,
    baseline: WindowMeasures,
    gain: Interval | None,
    rule: GateRule,
    evidence: Evidence | None,
) -> list[Reason]:
    against: list[Reason] = []
    if champion is not None:
        newer = evidence.newer_by if evidence is not None else timedelta(0)
        against = _champion_reasons(candidate, champion, gain, rule, newer)
    is_better = gain is not None and gain.estimate > 0 and all(reason.passed for reason in against)
    reasons = [*_data_reasons(candidate, rule), *_absolute_reasons(candidate, champion if is_better else None, rule)]
    reasons += [*_baseline_reasons(candidate, baseline, is_alone=champion is None), *against]
    if evidence is not None:
        found = evidence_reasons(candidate, evidence, rule)
        if champion is not None and is_better:
            simple = min(baseline.loss, evidence.constant_loss)
            found = [_excused_by_failing(reason, champion, simple) for reason in found]
        reasons += found
    return reasons


def _verdict(reasons: Sequence[Reason], rule: GateRule, *, is_servable: bool) -> Verdict:
    is_sound = all(reason.passed for reason in reasons)
    gate = rule.mode
    if gate == "enabled":
        waits: Outcome = "awaiting_approval" if rule.approval else "promoted"
        return Verdict(waits if is_sound else "refused", gate, is_sound, tuple(reasons))
    if gate == "dry_run":
        message = "the gate runs dry: it measured and recorded, and nothing else changes"
        return Verdict("dry_run", gate, is_sound, (Reason("gate_dry_run", message, None, None, True), *reasons))
    message = "the gate is disabled: the other reasons are what it would have said"
    if not is_servable:
        message = (
            "the gate is disabled, but a candidate with measures that are not finite, or of one class, can never serve"
        )
    disabled = Reason("gate_disabled", message, None, None, is_servable)
    return Verdict("promoted" if is_servable else "refused", gate, is_sound, (disabled, *reasons))


def _data_reasons(candidate: WindowMeasures, rule: GateRule) -> list[Reason]:
    codes: Codes = ("enough_data", "not_enough_data")
    return [
        at_least(codes, "labelled examples in the window", candidate.n, rule.min_examples),
        at_least(codes, "days in the window", candidate.n_days, rule.min_days),
    ]


def _absolute_reasons(candidate: WindowMeasures, beaten: WindowMeasures | None, rule: GateRule) -> list[Reason]:
    """Hold the measures against fixed bars; one that the champion it beats misses too does not refuse it."""
    bars = [bar.judge(candidate, beaten) for bar in absolute_bars(rule, candidate.task)]
    return [_finite_reason("candidate", candidate, rule), *bars]


def _excused_by_failing(reason: Reason, champion: WindowMeasures, simple: float) -> Reason:
    """Do not ask a sure gain over what is simple of a candidate that beats a champion which loses to it."""
    if reason.code != "gain_over_constant_unsure" or not champion.loss > simple:
        return reason
    return excused(reason, 1 - champion.loss / simple)


def _baseline_reasons(candidate: WindowMeasures, baseline: WindowMeasures, *, is_alone: bool) -> list[Reason]:
    codes: Codes = ("beats_baseline", "worse_than_baseline")
    what = f"{candidate.task.loss_metric} of the candidate, against the baseline's"
    what += " (no champion to compare with)" if is_alone else ""
    same = [_same_window_reason("baseline", candidate, baseline)] if is_alone else []
    return [*same, at_most(codes, what, candidate.loss, baseline.loss)]


def _champion_reasons(
    candidate: WindowMeasures, champion: WindowMeasures, gain: Interval | None, rule: GateRule, newer: timedelta
) -> list[Reason]:
    reasons = [
        _finite_reason("champion", champion, rule),
        _same_window_reason("champion", candidate, champion),
        *(bar.judge(candidate) for bar in champion_bars(rule, champion)),
    ]
    if gain is None:
        return [*reasons, Reason("not_enough_data", "no gain over the champion was measured", None, None, False)]
    bound = f"lower end of the {gain.level:.0%} interval of the gain"
    months = min(max(newer / timedelta(days=30), 0.0), MOST_MONTHS)
    allowed = -(rule.max_loss + rule.max_loss_per_30d_newer * months)
    said = f"relative {candidate.task.loss_metric.adjective} gain over the champion"
    return [
        *reasons,
        at_least(("gain_enough", "gain_too_small"), said, gain.estimate, rule.min_gain),
        at_least(("loss_bounded", "may_be_worse"), bound, gain.lower, allowed),
    ]


def _judged(measures: WindowMeasures, rule: GateRule) -> dict[str, float]:
    """Give what the gate looks at, by its title: the loss, and the metrics that have a bar."""
    names = dict.fromkeys((measures.task.loss_metric.name, *judged_metrics(rule, measures.task)))
    return {str(measures.task.metric(name)): measures.measured[name] for name in names}


def _is_finite(measures: WindowMeasures, rule: GateRule) -> bool:
    return all(map(math.isfinite, _judged(measures, rule).values()))


def _finite_reason(who: str, measures: WindowMeasures, rule: GateRule) -> Reason:
    judged = _judged(measures, rule)
    if _is_finite(measures, rule):
        *others, last = judged
        said = f"{', '.join(others)} and {last} of the {who} are finite" if others else f"{last} of the {who} is finite"
        return Reason("finite", said, None, None, True)
    found = ", ".join(f"{name} {value}" for name, value in judged.items())
    return Reason("non_finite", f"a measure of the {who} is not finite: {found}", None, None, False)


def _same_window_reason(who: str, candidate: WindowMeasures, other: WindowMeasures) -> Reason:
    is_same = (candidate.n, candidate.n_days) == (other.n, other.n_days)
    message = f"candidate and {who} were measured on {candidate.n} and {other.n} examples"
    message += f" of {candidate.n_days} and {other.n_days} days"
    return Reason("same_window" if is_same else "windows_differ", message, candidate.n, other.n, is_same)
