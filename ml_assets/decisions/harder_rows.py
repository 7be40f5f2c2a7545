"""Whether a champion's log loss has risen because its rows became harder to predict for the baseline too.

Input: a row of `performance_verdicts`. Two models that lose together are still a loss, so the incident stays; but a
retraining mends only what the model does worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_AS_MUCH = 0.8  # of the champion's rise, from which on the baseline has risen by as much


@dataclass(frozen=True)
class SharedRise:
    """A rise of the log loss that the baseline shares: its log loss before the model served, and in the window."""

    baseline_before: float
    baseline_now: float


def find_shared_rise(verdict: Mapping[str, Any]) -> SharedRise | None:
    """Give the baseline's rise where it is as large as the champion's; None where not, or where it is not known.

    >>> rows = {"loss_now": 0.52, "loss_at_gate": 0.44, "gain": 0.1, "baseline_at_gate": 0.49}
    >>> shared = find_shared_rise(rows)
    >>> round(shared.baseline_now, 4)
    0.5778
    >>> find_shared_rise({**rows, "gain": 0.0}) is None
    True
    """
    names = ("loss_now", "loss_at_gate", "gain", "baseline_at_gate")
    now, before, gain, baseline_before = (verdict.get(name) for name in names)
    if now is None or before is None or gain is None or baseline_before is None or gain >= 1 or now <= before:
        return None
    baseline_now = now / (1 - gain)
    if baseline_now - baseline_before < _AS_MUCH * (now - before):
        return None
    return SharedRise(baseline_before, baseline_now)
