"""One rule of the gate applied: what was measured against what, and whether it was kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# A rule has two codes: the first when it is kept, the second when it is broken.
ReasonCode = Literal[
    "gate_disabled",
    "gate_dry_run",
    "finite",
    "non_finite",
    "one_class",
    "too_few_positives",
    "too_little_variety",
    "gain_over_constant_sure",
    "gain_over_constant_unsure",
    "enough_data",
    "not_enough_data",
    "same_window",
    "windows_differ",
    "auc_enough",
    "auc_too_low",
    "auc_plausible",
    "auc_too_good",
    "ece_small",
    "ece_too_high",
    "bar_met",
    "bar_missed",
    "auc_held",
    "auc_dropped",
    "gain_enough",
    "gain_too_small",
    "loss_bounded",
    "may_be_worse",
    "beats_baseline",
    "worse_than_baseline",
    "beats_constant",
    "worse_than_constant",
    "scores_vary",
    "scores_constant",
    "champion_cannot_score",
    "newer_than_champion",
    "older_than_champion",
    "no_leak",
    "leak_found",
    "slices_held",
    "slice_worse",
    "behaves",
    "behaviour_broken",
    "guardrail_held",
    "guardrail_broken",
    "groups_alike",
    "groups_differ",
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


def at_least(codes: Codes, what: str, measured: float, threshold: float) -> Reason:
    """Ask for `measured >= threshold`; what is not a number breaks it."""
    message = f"{what}: {measured:.6g}, at least {threshold:.6g} is asked"
    return _reason(codes, message, measured, threshold, passed=measured >= threshold)


def at_most(codes: Codes, what: str, measured: float, threshold: float) -> Reason:
    """Ask for `measured <= threshold`; what is not a number breaks it."""
    message = f"{what}: {measured:.6g}, at most {threshold:.6g} is allowed"
    return _reason(codes, message, measured, threshold, passed=measured <= threshold)


def _reason(codes: Codes, message: str, measured: float, threshold: float, *, passed: bool) -> Reason:
    return Reason(codes[0 if passed else 1], message, _finite_or_none(measured), _finite_or_none(threshold), passed)


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def spell_reason(reason: Mapping[str, Any]) -> str:
    """Say a recorded reason in a line.

    >>> spell_reason({"passed": False, "code": "auc_too_low", "message": "AUC of the candidate 0.51, at least 0.6"})
    'broken auc_too_low: AUC of the candidate 0.51, at least 0.6'
    """
    return f"{'kept' if reason['passed'] else 'broken'} {reason['code']}: {reason['message']}"
