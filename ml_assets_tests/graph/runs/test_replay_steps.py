"""A replay leaves the same promotions, predictions and decisions whatever the length of its steps, on two use cases."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.graph.runs import replay as replaying
from ml_assets.graph.runs.replay import replay
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.replay_steps import StepOutcome, replay_steps
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.monitoring import RetrainingSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import _forgetful_instance, day, give_registry, rehearse
from ml_assets_tests.second_use_case.generate import write_past
from ml_assets_tests.second_use_case.machine import DECLARED

pytestmark = [
    pytest.mark.xdist_group("replay_steps"),
    pytest.mark.slow,  # two replays through the graph, drop by drop in one of them
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = ("predictions", "shadow_predictions", "worklist", "drift_report", "performance_report", "decisions")


@dataclass(frozen=True)
class World:
    """A use case with a past under `root`, and the drops to replay."""

    spec: UseCaseSpec
    root: Path
    first: date
    last: date


def flights(folder: Path) -> World:
    """Give eight days and a champion that says the same of everybody, which two more drops prove."""
    made = rehearse(folder, last=13)
    made.batch(1, 8)
    made.retrain(8, candidate="constant", gate="disabled")
    return World(made.spec, made.root, day(9), day(13))


def loans(folder: Path) -> World:
    """Give 35 weeks without a champion; the 37th is old enough for the first, and soon for another."""
    rule = RetrainingSpec(first_after=timedelta(weeks=36), stale_after=timedelta(days=1), cooldown=timedelta(weeks=2))
    spec = load_use_case(DECLARED).model_copy(update={"retraining": rule})
    last = date(2022, 10, 16)
    folder.mkdir(exist_ok=True)
    history = [f"{source.name}={file}" for source, file in zip(spec.sources, write_past(folder), strict=True)]
    run_history(spec, StatePaths(folder), HistoryOptions(history, last=str(last)), NOW)
    give_registry(StatePaths(folder))
    before = spec.calendar.drops_between(spec.calendar.start, date(2022, 9, 4))
    run_batch_steps(spec, UseCaseState(spec.name, StatePaths(folder)), before, BatchContext(NOW))
    return World(spec, folder, date(2022, 9, 11), last)


def run(world: World, root: Path, every: int) -> tuple[UseCaseState, list[StepOutcome]]:
    """Replay a copy of a world in steps of so many drops."""
    shutil.copytree(world.root, root)
    return go_on(world, root, every)


def go_on(world: World, root: Path, every: int) -> tuple[UseCaseState, list[StepOutcome]]:
    """Replay what stands under `root`, on an instance that forgets asset events."""
    paths = StatePaths(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")  # a replay sets both; restored after
        patch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
        patch.setattr(replaying, "open_instance", lambda _: _forgetful_instance())
        outcomes = replay(world.spec, paths, replay_steps(world.spec, world.first, world.last, every))
    return UseCaseState(world.spec.name, paths), outcomes


def record_of(state: UseCaseState) -> list[dict[str, Any]]:
    names = [
        "sequence",
        "as_of",
        "verdict",
        "decided_by",
        "asked_by",
        "serves",
        "serves_after",
        "model_version",
        "note",
    ]
    return sorted(read_rows(state.lake, "champion", names), key=lambda row: row["sequence"])


def contents(state: UseCaseState) -> dict[str, str]:
    with state.connect() as connection:
        return {name: content_hash(state.lake.relation(connection, name)) for name in TABLES}


@pytest.fixture(scope="module")
def lenders(tmp_path_factory: pytest.TempPathFactory) -> World:
    return loans(tmp_path_factory.mktemp("lenders") / "past")


@pytest.fixture(scope="module")
def lenders_by_week(lenders: World, tmp_path_factory: pytest.TempPathFactory) -> UseCaseState:
    return run(lenders, tmp_path_factory.mktemp("lenders_by_week") / "state", 1)[0]


def test_failed_champion_is_replaced_and_retrained_on_the_same_drops_in_a_step_of_all(tmp_path: Path) -> None:
    world = flights(tmp_path / "past")

    daily, _ = run(world, tmp_path / "daily", 1)
    at_once, (outcome,) = run(world, tmp_path / "at_once", 7)

    fallback, retrained = day(10), day(11)  # both inside the step
    assert [(row["decided_by"], row["serves_after"]) for row in record_of(at_once)] == [
        ("gate", day(8)), ("fallback", fallback), ("gate", retrained),
    ]  # fmt: skip
    assert record_of(at_once) == record_of(daily)
    assert contents(at_once) == contents(daily)
    assert [drop for drop, _ in outcome.acted] == [retrained]
    assert len(outcome.runs) == 4  # all drops; those after the fallback; the retraining; those after it


def test_stale_champion_is_retrained_on_the_same_drops_in_a_step_of_all(
    lenders: World, lenders_by_week: UseCaseState, tmp_path: Path
) -> None:
    at_once, (outcome,) = run(lenders, tmp_path / "at_once", 7)

    assert record_of(at_once) == record_of(lenders_by_week)
    assert contents(at_once) == contents(lenders_by_week)
    asked = [drop for drop, _ in outcome.acted]
    assert lenders.first < asked[0] < asked[1] < lenders.last
    assert [row["as_of"] for row in record_of(at_once)] == [*asked, lenders.last]


def test_replay_killed_before_the_later_drops_were_run_again_runs_them_when_it_goes_on(
    lenders: World, lenders_by_week: UseCaseState, tmp_path: Path
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replaying._Session, "_run_again", die)
        with pytest.raises(KeyboardInterrupt):
            run(lenders, tmp_path / "killed", 7)
    state, _ = go_on(lenders, tmp_path / "killed", 7)

    assert record_of(state) == record_of(lenders_by_week)
    assert contents(state) == contents(lenders_by_week)
    assert go_on(lenders, tmp_path / "killed", 7)[1][0].runs == ()
