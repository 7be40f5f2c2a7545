"""The gate: whether a candidate may serve, from measures on a window that neither model trained on.

It measures nothing itself. Every rule leaves a reason, kept or broken, so that the record shows the whole evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ml_assets.spec.model import GateMode, GateRule
from ml_assets.stats.day_blocks import Interval
from ml_assets.stats.window_measures import WindowMeasures

# A rule has two codes: the first when it is kept, the second when it is broken.
ReasonCode = Literal[
    "gate_disabled",
    "finite",
    "non_finite",
    "enough_data",
    "not_enough_data",
    "same_window",
    "windows_differ",
    "auc_enough",
    "auc_too_low",
    "ece_small",
    "ece_too_high",
    "auc_held",
    "auc_dropped",
    "gain_enough",
    "gain_too_small",
    "loss_bounded",
    "may_be_worse",
    "beats_heuristic",
    "worse_than_heuristic",
]
Codes = tuple[ReasonCode, ReasonCode]


@dataclass(frozen=True)
class Reason:
    """One rule applied: what was measured against what, and whether it was kept.

    Attributes
    ----------
    measured, threshold
        In the unit of the rule; None where there is no finite number to give.
    """

    code: ReasonCode
    message: str
    measured: float | None
    threshold: float | None
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """Whether the candidate serves from now on, under which mode of the gate, and every reason looked at."""

    promoted: bool
    gate: GateMode
    reasons: tuple[Reason, ...]


def judge(
    *,
    candidate: WindowMeasures,
    champion: WindowMeasures | None,
    heuristic: WindowMeasures,
    gain: Interval | None,
    rule: GateRule,
    gate: GateMode,
) -> Verdict:
    """Decide on promotion: all rules are applied, none stops the others.

    Always: enough data, finite measures, the floor on AUC and the ceiling on calibration error. Against a champion:
    its AUC may not be missed by too much, the log loss must gain at least `min_gain` by estimate, and the interval's
    lower end must not fall below `-max_loss`. Without a champion: the log loss must not exceed the heuristic's.

    A disabled gate promotes whatever it would have said, and the record holds both: that it was disabled, and the
    reasons. The one exception is a candidate with a measure that is not finite: it can never serve, because such a
    model may have no scores to give, and a window that leaves it undefined has shown nothing.

    Parameters
    ----------
    champion
        None before the first promotion.
    heuristic
        Group history on the same window; only its log loss is used, and only without a champion.
    gain
        (champion's log loss - candidate's) / champion's, with its day-block-bootstrap interval. None, with a
        champion, is "not enough data".
    """
    reasons = [*_data_reasons(candidate, rule), *_absolute_reasons(candidate, rule)]
    if champion is None:
        reasons += _heuristic_reasons(candidate, heuristic)
    else:
        reasons += _champion_reasons(candidate, champion, gain, rule)
    if gate == "enabled":
        return Verdict(all(reason.passed for reason in reasons), gate, tuple(reasons))
    is_servable = _is_finite(candidate)
    message = "the gate is disabled: the other reasons are what it would have said"
    if not is_servable:
        message = "the gate is disabled, but a candidate with measures that are not finite can never serve"
    return Verdict(is_servable, gate, (Reason("gate_disabled", message, None, None, is_servable), *reasons))


def _data_reasons(candidate: WindowMeasures, rule: GateRule) -> list[Reason]:
    codes: Codes = ("enough_data", "not_enough_data")
    return [
        _at_least(codes, "labelled examples in the window", candidate.n, rule.min_examples),
        _at_least(codes, "days in the window", candidate.n_days, rule.min_days),
    ]


def _absolute_reasons(candidate: WindowMeasures, rule: GateRule) -> list[Reason]:
    return [
        _finite_reason("candidate", candidate),
        _at_least(("auc_enough", "auc_too_low"), "AUC of the candidate", candidate.auc, rule.min_auc),
        _at_most(("ece_small", "ece_too_high"), "calibration error of the candidate", candidate.ece, rule.max_ece),
    ]


def _heuristic_reasons(candidate: WindowMeasures, heuristic: WindowMeasures) -> list[Reason]:
    codes: Codes = ("beats_heuristic", "worse_than_heuristic")
    what = "log loss of the candidate, against the heuristic's (there is no champion)"
    return [
        _same_window_reason("heuristic", candidate, heuristic),
        _at_most(codes, what, candidate.log_loss, heuristic.log_loss),
    ]


def _champion_reasons(
    candidate: WindowMeasures, champion: WindowMeasures, gain: Interval | None, rule: GateRule
) -> list[Reason]:
    lowest_auc = champion.auc - rule.max_auc_drop
    reasons = [
        _finite_reason("champion", champion),
        _same_window_reason("champion", candidate, champion),
        _at_least(
            ("auc_held", "auc_dropped"), "AUC of the candidate, against the champion's", candidate.auc, lowest_auc
        ),
    ]
    if gain is None:
        return [*reasons, Reason("not_enough_data", "no gain over the champion was measured", None, None, False)]
    bound = f"lower end of the {gain.level:.0%} interval of the gain"
    return [
        *reasons,
        _at_least(
            ("gain_enough", "gain_too_small"), "relative log-loss gain over the champion", gain.estimate, rule.min_gain
        ),
        _at_least(("loss_bounded", "may_be_worse"), bound, gain.lower, -rule.max_loss),
    ]


def _is_finite(measures: WindowMeasures) -> bool:
    return all(math.isfinite(value) for value in (measures.log_loss, measures.auc, measures.ece))


def _finite_reason(who: str, measures: WindowMeasures) -> Reason:
    if _is_finite(measures):
        return Reason("finite", f"log loss, AUC and calibration error of the {who} are finite", None, None, True)
    found = f"log loss {measures.log_loss}, AUC {measures.auc}, calibration error {measures.ece}"
    return Reason("non_finite", f"a measure of the {who} is not finite: {found}", None, None, False)


def _same_window_reason(who: str, candidate: WindowMeasures, other: WindowMeasures) -> Reason:
    is_same = (candidate.n, candidate.n_days) == (other.n, other.n_days)
    message = f"candidate and {who} were measured on {candidate.n} and {other.n} examples"
    message += f" of {candidate.n_days} and {other.n_days} days"
    return Reason("same_window" if is_same else "windows_differ", message, candidate.n, other.n, is_same)


def _at_least(codes: Codes, what: str, measured: float, threshold: float) -> Reason:
    return _reason(codes, f"{what}: {measured:.6g}, at least {threshold:.6g} is asked", measured, threshold,
                   passed=measured >= threshold)  # fmt: skip


def _at_most(codes: Codes, what: str, measured: float, threshold: float) -> Reason:
    return _reason(codes, f"{what}: {measured:.6g}, at most {threshold:.6g} is allowed", measured, threshold,
                   passed=measured <= threshold)  # fmt: skip


def _reason(codes: Codes, message: str, measured: float, threshold: float, *, passed: bool) -> Reason:
    return Reason(codes[0 if passed else 1], message, _finite_or_none(measured), _finite_or_none(threshold), passed)


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
