"""A replay of a use case that is killed again and again and started again, beside one that is not.

Each attempt is a forked process: it has everything imported and nothing begun, so that an attempt costs what it does.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any

from ml_assets.cli.operate.history import Options, run_history
from ml_assets.graph.runs.launch import make_instance
from ml_assets.graph.runs.replay import replay
from ml_assets.pipeline.monitoring.status import content_hashes
from ml_assets.pipeline.runs.replay_steps import StepOutcome, replay_steps
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.commit_record import FILE
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.kills.fail_points import FailPoint, Watch
from ml_assets_tests.rehearsal import give_registry
from ml_assets_tests.second_use_case.generate import write_past

DECLARED = Path(__file__).parents[1] / "second_use_case" / "late_loans"
_SLOW = (
    "ml_assets",
    "mlflow",
    "sklearn",
    "scipy",
    "pandas",
    "xgboost",
    "pyarrow",
    "deltalake",
    "evidently",
    "matplotlib",
)
_OF_EACH_DROP = ("raw_applications", "drops", "features", "drift_report", "decisions")
STOPPED = 3  # how an attempt ends that an error stopped
MISSED = 4  # and one that did not come by its fail point in as many steps as it was given
ENOUGH = 1  # steps in which a fail point of every step is met


@dataclass(frozen=True)
class Plan:
    """Which drops are replayed: `drops` of them in steps of `every`, with a retraining each `retrain_after` steps."""

    drops: int = 30
    every: int = 3
    retrain_after: int = 10

    @property
    def steps(self) -> int:
        """How many steps that is."""
        return -(-self.drops // self.every)


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: the signal or exit code, how long it took, and what it came by."""

    code: int
    seconds: float
    passed: dict[str, int]


def prepare(root: Path) -> UseCaseSpec:
    """Land the whole past under `root`."""
    spec, paths = load_use_case(DECLARED), StatePaths(root)
    root.mkdir(parents=True)
    files = write_past(root)
    given = [f"{file.stem}={file}" for file in files]
    ended = _fork(lambda: run_history(spec, paths, Options(given), datetime(2024, 6, 1, tzinfo=UTC)))
    if ended != 0:
        raise RuntimeError(f"landing ended with {ended}")
    give_registry(paths)
    return spec


def attempt(
    spec: UseCaseSpec,
    root: Path,
    plan: Plan,
    target: FailPoint | None = None,
    *,
    after: float | None = None,
    most_steps: int | None = None,
) -> Ended:
    """Replay from where it stands, and be killed at a fail point or `after` so many seconds, if given.

    It stops by itself after `most_steps` that had anything to do.
    """
    passed = root / "passed.json"
    passed.unlink(missing_ok=True)
    begun = time.perf_counter()
    code = _fork(lambda: _replay(spec, StatePaths(root), plan, Watch(target), passed, most_steps), after)
    counts = json.loads(passed.read_text()) if passed.exists() else {}
    return Ended(code, time.perf_counter() - begun, counts)


def run_unkilled(spec: UseCaseSpec, landed: Path, root: Path, plan: Plan) -> Ended:
    """Replay a copy of what has landed, to its end."""
    shutil.copytree(landed, root)
    ended = attempt(spec, root, plan)
    if ended.code != 0:
        raise RuntimeError(f"the replay that nobody killed ended with {ended.code}")
    for name in json.loads((root / "modules.json").read_text()):
        with contextlib.suppress(Exception):  # a part of a package that is not imported by itself
            importlib.import_module(name)
    return ended


def choose_fail_points(passed: dict[str, int], plan: Plan, random: Random) -> list[FailPoint]:
    """Choose one of the first passages of every place, before or after it, in the order in which they come."""
    return [
        FailPoint(place, random.randint(1, max(1, min(3, count // plan.steps))), random.random() < 0.5)
        for place, count in passed.items()
    ]


@dataclass(frozen=True)
class Left:
    """What a replay left: the hash of the rows of every table that readers see, and its incidents.

    Those of runs and of their checks tell what became of each attempt, so they are left out.
    """

    hashes: dict[str, str]
    incidents: list[list[Any]]


def look_at(spec: UseCaseSpec, root: Path) -> Left:
    """Give what a replay left."""
    target = root / "left.json"

    def look() -> None:
        hashes = content_hashes(spec, UseCaseState(spec.name, StatePaths(root)), None, None)
        found = AlertOutbox(StatePaths(root)).incidents(spec.name)
        listed = [
            [each.kind, each.monitor, each.opened_drop, each.closed_drop]
            for each in found
            if not each.is_event and each.monitor.partition("/")[0] not in ("run", "check")
        ]
        target.write_text(json.dumps([hashes, sorted(listed, key=str)]))

    if _fork(look) != 0:
        raise RuntimeError(f"{root} cannot be read")
    return Left(*json.loads(target.read_text()))


def _refuse_half_drops(root: Path, use_case: str) -> None:
    """Refuse a drop that readers see in some tables of a batch and not in the others."""
    lake = Lake(StatePaths(root).lake / use_case, is_pinned=True)
    if not (lake.folder / FILE).exists():
        return
    seen = {name: lake.files(name).drops() for name in _OF_EACH_DROP if lake.has(name)}
    if len(set(map(frozenset, seen.values()))) > 1 or len(seen) not in (0, len(_OF_EACH_DROP)):
        raise RuntimeError(f"readers see a part of a drop: {seen}")


def _replay(
    spec: UseCaseSpec, paths: StatePaths, plan: Plan, watch: Watch, passed: Path, most_steps: int | None
) -> None:
    make_instance(paths)  # whoever begins a machine
    watch.begin()
    worked: list[StepOutcome] = []

    def stop_after(outcome: StepOutcome) -> None:
        worked.extend([outcome] if outcome.runs else [])
        if len(worked) == most_steps:
            raise SystemExit(MISSED)

    steps = replay_steps(spec, spec.calendar.start, _last(spec, plan), plan.every)
    replay(spec, paths, steps, retrain_after=plan.retrain_after, on_step=stop_after)
    counts, modules = dict(watch.passed), [name for name in sys.modules if name.partition(".")[0] in _SLOW]
    passed.write_text(json.dumps(counts))
    passed.with_name("modules.json").write_text(json.dumps(modules))


def _last(spec: UseCaseSpec, plan: Plan) -> date:
    drop = spec.calendar.start
    for _ in range(plan.drops - 1):
        drop = spec.calendar.next_drop(drop)
    return drop


def _fork(work: Any, after: float | None = None) -> int:
    """Do `work` in a process of its own; give its exit code, or minus the signal that ended it."""
    process = os.fork()
    if process == 0:
        code = STOPPED
        try:
            with Path("/dev/null").open("w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                work()
            code = 0
        except SystemExit as asked:
            code = int(str(asked.code))
        except BaseException:  # noqa: BLE001 - whatever it is, the process must not go on as its parent
            traceback.print_exc()
        finally:
            os._exit(code)
    timer = threading.Timer(after, os.kill, (process, signal.SIGKILL)) if after is not None else None
    if timer is not None:
        timer.start()
    _, status = os.waitpid(process, 0)
    if timer is not None:
        timer.cancel()
    return os.waitstatus_to_exitcode(status)


def kill_at_points(
    spec: UseCaseSpec, root: Path, plan: Plan, points: Sequence[FailPoint], *, most_steps: int | None
) -> list[FailPoint]:
    """Kill one replay at each of `points` in turn, and let it end; give those that it did not come by.

    An attempt without `most_steps` that misses its point is the last: it has ended the replay.
    """
    missed: list[FailPoint] = []
    for position, point in enumerate(points):
        ended = attempt(spec, root, plan, point, most_steps=most_steps)
        require_sound(spec, root, ended, point)
        if ended.code == 0:
            missed += points[position:]
            break
        missed += [point] if ended.code == MISSED else []
    require_sound(spec, root, attempt(spec, root, plan), "the last attempt")
    return missed


def kill_at_random(spec: UseCaseSpec, root: Path, plan: Plan, random: Random, kills: int, most: float) -> int:
    """Kill one replay so many times, each after up to `most` seconds, and let it end; give how many kills hit."""
    done = 0
    for _ in range(kills):
        seconds = random.uniform(0, most)
        ended = attempt(spec, root, plan, after=seconds)
        require_sound(spec, root, ended, f"{seconds:.1f} s")
        done += ended.code == -signal.SIGKILL
        if ended.code == 0:
            break
    require_sound(spec, root, attempt(spec, root, plan), "the last attempt")
    return done


def require_sound(spec: UseCaseSpec, root: Path, ended: Ended, what: object) -> None:
    """Refuse an attempt that an error stopped, and a drop of which readers see a part."""
    if ended.code not in (0, MISSED, -signal.SIGKILL):
        raise RuntimeError(f"{what}: the replay ended with {ended.code}")
    if _fork(lambda: _refuse_half_drops(root, spec.name)) != 0:
        raise RuntimeError(f"{what}: readers see a part of a drop")
