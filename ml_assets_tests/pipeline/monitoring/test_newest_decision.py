from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml_assets.pipeline.monitoring.newest_decision import newest_decision
from ml_assets.spec.tables.monitoring import DECISIONS
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_rows import arrow_rows
from ml_assets_tests.rehearsal import day, small_spec

SPEC = small_spec()
ASKED = {"action": "retrain", "trigger": "drift", "reason": "wind moved", "monitor": "training/wind",
         "measurement": 9.0, "threshold": 4.0}  # fmt: skip


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return StatePaths(tmp_path)


def decide(paths: StatePaths, **by_day: dict[str, Any]) -> None:
    """Store decisions of drops, as `_3={...}`; what is not said is that nothing is to be done."""
    nothing = {"action": "nothing", "reason": "no trigger fires", "would_change": "", "evidence": []}
    rows = [{**nothing, "batch_date": day(int(name[1:])), **given} for name, given in by_day.items()]
    drops = [row["batch_date"] for row in rows]
    Lake(paths.lake / SPEC.name).replace_drops("decisions", arrow_rows(DECISIONS, rows), drops)


def judge(paths: StatePaths, as_of: date) -> None:
    Lake(paths.lake / SPEC.name).append("champion", pa.table({"as_of": [as_of], "_at": [datetime(2024, 1, 1)]}))  # noqa: DTZ001


def found(paths: StatePaths) -> tuple[Any, ...]:
    row = newest_decision(SPEC, paths)
    assert row is not None
    return row["batch_date"], row["action"], row["trigger"], row["asked_in"], row["is_judged"]


def test_request_of_a_drop_that_was_run_together_with_later_ones_is_not_lost(paths: StatePaths) -> None:
    decide(paths, _1={}, _2=ASKED, _3={}, _4={})

    assert found(paths) == (day(4), "retrain", "drift", day(2), False)
    row = newest_decision(SPEC, paths)
    assert row is not None
    assert row["reason"] == "wind moved (asked for in drop 2013-01-02)"


def test_request_that_was_judged_is_none_any_more(paths: StatePaths) -> None:
    decide(paths, _1={}, _2=ASKED, _3={}, _4={})
    judge(paths, day(4))

    assert found(paths) == (day(4), "nothing", None, day(4), True)


def test_request_before_a_verdict_is_none_any_more(paths: StatePaths) -> None:
    decide(paths, _1={}, _2=ASKED, _3={}, _4={})
    judge(paths, day(3))

    assert found(paths)[1] == "nothing"


def test_drops_and_verdicts_after_the_one_looked_at_do_not_count(paths: StatePaths) -> None:
    decide(paths, _1={}, _2=ASKED, _3={}, _4={"action": "wait"})
    judge(paths, day(4))

    row = newest_decision(SPEC, paths, day(2))

    assert row is not None
    assert (row["batch_date"], row["action"], row["is_judged"]) == (day(2), "retrain", False)


@pytest.mark.parametrize("action", ["fix_upstream", "wait"])
def test_newest_decision_that_holds_back_holds_back(action: str, paths: StatePaths) -> None:
    decide(paths, _2=ASKED, _3={"action": action})

    assert found(paths)[1] == action


def test_request_of_long_ago_is_not_acted_on(paths: StatePaths) -> None:
    steps = SPEC.retraining.replay_every // SPEC.calendar.mean_length
    decide(paths, **{"_1": ASKED, **{f"_{number}": {} for number in range(2, steps + 2)}})

    assert found(paths)[1] == "nothing"
