from __future__ import annotations

from typing import Any

from ml_assets.pipeline.monitoring.decisions import parts_to_tell, stale_parts
from ml_assets_tests.rehearsal import small_spec

SPEC = small_spec()
STALE = {"training_age_days": 50.0, "stale_after_days": 49.0, "is_scored": True, "is_reported": True}


def told(**found: Any) -> list[str]:
    return parts_to_tell(SPEC, {**STALE, "action": "nothing", **found})


def test_age_for_which_a_retraining_is_asked_is_not_told_but_stays_a_fact() -> None:
    assert told(action="retrain") == []
    assert len(stale_parts(SPEC, {**STALE, "action": "retrain"})) == 1


def test_age_is_told_where_nothing_is_done_about_it() -> None:
    assert len(told(action="wait")) == len(told(action="nothing")) == 1


def test_age_is_told_where_the_retraining_that_is_asked_for_does_not_come() -> None:
    assert told(action="retrain", training_age_days=56.0) == []
    assert told(action="retrain", training_age_days=57.0) == [
        "the champion's newest training row is 57 days older than what has matured; allowed: 49"
    ]


def test_what_else_is_missing_is_told_at_once() -> None:
    assert told(action="retrain", is_reported=False) == ["the drop has no drift report"]
