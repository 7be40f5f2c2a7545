"""How much worse than the first champion, never retrained, the champion does: one figure, wherever it is told.

Input: a row of `performance_verdicts`. The figure is the share by which the champion's log loss exceeds that of the
first champion on the same rows, those of the last matured window that both scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORSE_FROM = 0.01  # of log loss: many rows prove also what is of no use to anyone


def excess_over_first(verdict: Mapping[str, Any]) -> float | None:
    """Give the share of log loss above the first champion's, negative where it is below; None where it is not known.

    >>> excess_over_first({"first_gain": -0.03}), excess_over_first({})
    (0.03, None)
    """
    gain = verdict.get("first_gain")
    return None if gain is None else -gain


def is_surely_worse(verdict: Mapping[str, Any]) -> bool:
    """Say whether the excess is at least 1 %, and more than chance gives once in the budget of false alarms.

    >>> is_surely_worse({"first_gain": -0.03, "first_gain_upper": -0.01})
    True
    >>> is_surely_worse({"first_gain": -0.003, "first_gain_upper": -0.001})
    False
    """
    excess, upper = excess_over_first(verdict), verdict.get("first_gain_upper")
    return excess is not None and upper is not None and upper < 0 and excess >= WORSE_FROM
