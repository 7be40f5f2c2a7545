"""What the system does by itself about a finding of a drop: the line `what happens by itself` of its incident.

Input: the decision of the drop, and the trigger that the finding pulls, if it pulls one. A drop has one decision, and
it may rest on something else; what is said here is about the finding that it stands under.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml_assets.decisions.retraining import Trigger

Row = Mapping[str, Any]

_ASKED_BY: dict[Trigger, str] = {
    "performance": "what the champion lost", "drift": "drift", "staleness": "the champion's age",
}  # fmt: skip
_STARTS = "the retraining sensor, where `ml-assets ui` runs, trains a candidate; the gate decides whether that serves"

BROKEN_FEED = (
    "drops in which the source looks broken are not trained on, no retraining starts meanwhile, and scoring goes on; "
    "repair the feed and run them again"
)
CHANGED_FEED = (
    "nothing: it may be real, so training and scoring go on; if it is a fault, repair the feed and run the drops"
)
ABRUPT = "nothing: an abrupt change alone starts no retraining, and scoring goes on"
DRIFT = "nothing: too little of what the champion leans on has moved for a retraining, and scoring goes on"
PERFORMANCE = "nothing in this drop: no retraining is asked for because of it"
FIRST = "nothing: the first champion comes back by a rollback alone; the next candidate is judged against what serves"
PRIOR = "scores are corrected only where the model declares `prior_correction`; this alone starts no retraining"
CALIBRATION = "nothing: this alone starts no retraining; the next candidate is calibrated anew"
COVERAGE = "the bounds of the next drops follow what has matured; this alone starts no retraining"
AGE = "nothing by itself"


def response_to(decision: Row | None, trigger: Trigger | None, otherwise: str) -> str:
    """Say what is done about a finding.

    Parameters
    ----------
    decision
        The drop's row of `decisions`: action, trigger and would_change; None when it has none.
    trigger
        Of the retraining that the finding asks for; None where it asks for none.
    otherwise
        What is so where no retraining is asked for because of it.

    Examples
    --------
    >>> waits = {"action": "wait", "trigger": "drift", "would_change": "the cooldown ends with drop 2024-07-20"}
    >>> response_to(waits, "drift", DRIFT)
    'retraining waits: the cooldown ends with drop 2024-07-20'
    >>> response_to(waits, None, ABRUPT) == ABRUPT
    True
    """
    decision = decision or {"action": "nothing"}
    action, asked_by = decision["action"], decision.get("trigger")
    if trigger is None or action == "nothing":
        return otherwise
    if action == "fix_upstream":
        return "no retraining starts while a source is at fault, which has an incident of its own; scoring goes on"
    if asked_by == trigger:
        return _STARTS if action == "retrain" else f"retraining waits: {decision['would_change']}"
    if action == "retrain" and asked_by is not None:
        return f"a retraining is asked for by {_ASKED_BY[asked_by]}, and learns from these rows as well: {_STARTS}"
    return otherwise
