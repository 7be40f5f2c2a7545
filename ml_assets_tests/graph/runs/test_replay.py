"""A replay on a real slice: in one go, in two halves, and killed twice on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from pathlib import Path
from typing import Any

import pytest

from ml_assets.cli.replay.run import ReplayOptions, page_path, run_replay
from ml_assets.graph.runs import replay as replaying
from ml_assets.graph.runs.launch import open_instance
from ml_assets.graph.runs.replay import replay
from ml_assets.pipeline.runs.replay_steps import ReplayStoppedError, StepOutcome
from ml_assets.spec.monitoring import RetrainingSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets_tests.rehearsal import Rehearsal, _forgetful_instance, day, go_on_from, rehearse, small_spec

pytestmark = [
    pytest.mark.slow,  # whole replays through the graph, and processes killed on the way
    pytest.mark.xdist_group("replaying"),  # one worker runs the shared histories once
]

LAST, AS_OF = 12, 9
TABLES = ("predictions", "decisions", "drift_report", "champion", "labels", "shadow_predictions", "performance_report")
KILLED = 86  # no exit code that Python gives by itself


def _spec() -> UseCaseSpec:
    """Give the small spec, with a first champion after eight days."""
    rule = RetrainingSpec(first_after=timedelta(days=8))
    return small_spec().model_copy(update={"retraining": rule})


SPEC = _spec()
STEPS = [[day(number) for number in range(first, last + 1)] for first, last in ((1, 6), (7, AS_OF), (10, LAST))]


@dataclass(frozen=True)
class Replayed:
    """A replay and what its steps said."""

    state: Rehearsal
    outcomes: list[StepOutcome]


@pytest.fixture(scope="module", autouse=True)
def _home() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")  # a replay sets both; restored after
        patch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
        yield


def quick_replay(state: Rehearsal, steps: Sequence[Sequence[date]] = STEPS) -> list[StepOutcome]:
    """Replay on an instance that forgets asset events, which takes half the time; a killed replay needs a real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replaying, "open_instance", lambda _: _forgetful_instance())
        return replay(SPEC, state.paths, steps)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Replay the first step; all has landed already."""
    state = Rehearsal(SPEC, rehearse(tmp_path_factory.mktemp("half"), last=LAST).root)
    quick_replay(state, STEPS[:1])
    return state


@pytest.fixture(scope="module")
def whole(half: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    state = Rehearsal(SPEC, rehearse(tmp_path_factory.mktemp("whole"), half.landing, LAST).root)
    return Replayed(state, quick_replay(state))


def contents(state: Rehearsal) -> dict[str, str]:
    return {table: state.content(table) for table in TABLES}


def incidents_of(state: Rehearsal) -> list[tuple[str, str, str]]:
    """List the incidents of data time; those of runs and checks tell the wall's."""
    found = AlertOutbox(state.paths).incidents(SPEC.name)
    return [(each.monitor, each.kind, each.opened_at) for each in found if len(each.opened_at) == len("2013-01-01")]


def runs_of(state: Rehearsal) -> Counter[tuple[str, str]]:
    with open_instance(state.paths) as instance:
        return Counter((run.job_name.rpartition("_")[2], run.status.value) for run in instance.get_runs())


def test_sensors_ask_for_each_batch_and_for_the_first_champion(whole: Replayed) -> None:
    assert [(outcome.drops[-1], outcome.decision, len(outcome.runs)) for outcome in whole.outcomes] == [
        (day(6), "nothing", 1),
        (day(AS_OF), "retrain", 2),
        (day(LAST), "nothing", 1),
    ]
    assert all(outcome.seconds["batch"] > 0 for outcome in whole.outcomes)
    (verdict,) = whole.state.rows("champion", "SELECT as_of, verdict FROM t")
    assert verdict == {"as_of": day(AS_OF), "verdict": "promoted"}
    assert {row["batch_date"] for row in whole.state.rows("predictions")} == {day(10), day(11), day(12)}


def test_replay_in_two_halves_is_the_replay_in_one(half: Rehearsal, whole: Replayed, tmp_path: Path) -> None:
    state = go_on_from(half, tmp_path)

    outcomes = quick_replay(state)

    assert contents(state) == contents(whole.state)
    assert [len(outcome.runs) for outcome in outcomes] == [0, 2, 1]
    again = quick_replay(state)
    assert [outcome.runs for outcome in again] == [()] * 3
    assert [outcome.reason for outcome in again] == [outcome.reason for outcome in whole.outcomes]
    assert contents(state) == contents(whole.state)


def die_in(function: str, root: Path) -> None:
    """Replay all steps in a process that ends without a word when it calls `function`."""
    module, _, name = function.rpartition(".")
    script = f"""
import os, {module}
{module}.{name} = lambda *_, **__: os._exit({KILLED})
from pathlib import Path
from ml_assets.graph.runs.replay import replay
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.graph.runs.test_replay import SPEC, STEPS
replay(SPEC, StatePaths(Path({str(root)!r})), STEPS)
"""
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert killed.returncode == KILLED, killed.stderr.decode()[-2000:]


def test_replay_killed_in_a_batch_and_in_a_retraining_goes_on_to_the_same_tables(
    half: Rehearsal, whole: Replayed, tmp_path: Path
) -> None:
    state = go_on_from(half, tmp_path)

    die_in("ml_assets.pipeline.monitoring.decisions.decide_drops", tmp_path)
    assert runs_of(state) == {("batch", "STARTED"): 1}
    die_in("ml_assets.pipeline.champion.promote.append_verdict", tmp_path)
    assert runs_of(state) == {("batch", "CANCELED"): 1, ("batch", "SUCCESS"): 1, ("retrain", "STARTED"): 1}
    replay(SPEC, state.paths, STEPS)

    assert runs_of(state) == {
        ("batch", "CANCELED"): 1, ("batch", "SUCCESS"): 2, ("retrain", "CANCELED"): 1, ("retrain", "SUCCESS"): 1,
    }  # fmt: skip
    assert contents(state) == contents(whole.state)
    assert incidents_of(state) == incidents_of(whole.state)


def test_page_and_json_of_a_replay_say_why_the_model_was_trained(
    whole: Replayed, capsys: pytest.CaptureFixture[str]
) -> None:
    run_replay(SPEC, whole.state.paths, ReplayOptions(day(1), day(LAST), as_json=True))

    summary = json.loads(capsys.readouterr().out)
    (retraining,) = summary["retrainings"]
    assert retraining["asked_by"]["trigger"] == "staleness"
    assert retraining["asked_by"]["reason"] == whole.outcomes[1].reason
    assert summary["decisions"] == {"nothing": 11, "retrain": 1}
    assert summary["weeks"][0]["n"] > 500  # of January 10th, matured by the 12th
    assert 0 < summary["weeks"][0]["champion"]["log_loss"] < 1
    assert set(summary["seconds"]) == {"retrain", "alerts", "total"}  # the last step is looked at again
    page = page_path(whole.state.paths, SPEC.name, day(1), day(LAST)).read_text()
    assert escape(retraining["asked_by"]["reason"]) in page
    assert "http" not in page.replace("http-equiv=", "")
    assert "<script" not in page


def test_drop_that_does_not_come_stops_the_replay_and_says_what_it_waits_for(half: Rehearsal, tmp_path: Path) -> None:
    state = go_on_from(half, tmp_path)
    state.landed(7, "schedule").unlink()

    with pytest.raises(ReplayStoppedError) as stopped:
        quick_replay(state)

    assert "2013-01-07 to 2013-01-09: up to 2013-01-09 drop 2013-01-07 waits for schedule" in str(stopped.value)
    assert state.content("decisions") == half.content("decisions")
