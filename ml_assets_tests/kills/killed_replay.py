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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any

from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.graph.runs.launch import make_instance
from ml_assets.graph.runs.replay import replay
from ml_assets.pipeline.monitoring.status import content_hashes
from ml_assets.pipeline.runs.replay_steps import StepOutcome, replay_steps
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.drop import day_of_key
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
_AHEAD, _BEHIND = 0.5, 1.6  # of the seconds of a step, at most until a kill


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
    """How an attempt ended.

    Attributes
    ----------
    code
        The exit code, or minus the signal that ended it.
    passed
        How often it came by each place, by step; empty where it was killed.
    step
        Steps of the replay that are done.
    met
        The number of the target it was killed at.
    """

    code: int
    seconds: float
    passed: dict[int, dict[str, int]]
    step: int
    met: int | None


def prepare(root: Path) -> UseCaseSpec:
    """Land the whole past under `root`."""
    spec, paths = load_use_case(DECLARED), StatePaths(root)
    root.mkdir(parents=True)
    files = write_past(root)
    given = [f"{file.stem}={file}" for file in files]
    ended = _fork(lambda: run_history(spec, paths, HistoryOptions(given), datetime(2024, 6, 1, tzinfo=UTC)))
    if ended != 0:
        raise RuntimeError(f"landing ended with {ended}")
    give_registry(paths)
    return spec


def attempt(
    spec: UseCaseSpec, root: Path, plan: Plan, targets: Sequence[FailPoint] = (), *, after: float | None = None
) -> Ended:
    """Replay from where it stands, and be killed at the first of `targets` that is met, or `after` so many seconds."""
    passed, met, step = (root / name for name in ("passed.json", "met.txt", "step.txt"))
    for file in (passed, met):
        file.unlink(missing_ok=True)
    begun = time.perf_counter()
    code = _fork(lambda: _replay(spec, StatePaths(root), plan, Watch(targets, met), passed, step), after)
    counts = json.loads(passed.read_text()) if passed.exists() else {}
    return Ended(
        code,
        time.perf_counter() - begun,
        {int(number): places for number, places in counts.items()},
        int(step.read_text() or 0) if step.exists() else 0,
        int(met.read_text()) if met.exists() else None,
    )


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


def choose_fail_points(passed: Mapping[int, Mapping[str, int]], random: Random) -> list[FailPoint]:
    """Choose one passage of every place, before or after it: in any step that comes by it, one of the first three."""
    steps: dict[str, list[int]] = {}
    for step, places in passed.items():
        for place in places:
            steps.setdefault(place, []).append(step)
    found: list[FailPoint] = []
    for place, those in steps.items():
        step = random.choice(those)
        found.append(FailPoint(step, place, random.randint(1, min(3, passed[step][place])), random.random() < 0.5))
    return found


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


def _replay(spec: UseCaseSpec, paths: StatePaths, plan: Plan, watch: Watch, passed: Path, step: Path) -> None:
    make_instance(paths)  # whoever begins a machine
    watch.begin()

    def count(_: StepOutcome) -> None:
        watch.step += 1
        step.write_text(str(watch.step))

    steps = replay_steps(spec, spec.calendar.start, _last(spec, plan), plan.every)
    replay(spec, paths, steps, retrain_after=plan.retrain_after, on_step=count)
    modules = [name for name in sys.modules if name.partition(".")[0] in _SLOW]
    passed.write_text(json.dumps(watch.passed))
    passed.with_name("modules.json").write_text(json.dumps(modules))


def _last(spec: UseCaseSpec, plan: Plan) -> date:
    drop = spec.calendar.start
    for _ in range(plan.drops - 1):
        drop = spec.calendar.next_drop(drop)
    return day_of_key(drop)


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


def kill_at_points(spec: UseCaseSpec, root: Path, plan: Plan, points: Sequence[FailPoint]) -> list[FailPoint]:
    """Kill one replay at every one of `points`, and let it end; give those that it did not come by.

    Each attempt is killed at the first point that it meets of those that are left, so that no attempt passes by one and
    none works in vain: a step is begun again until all of its points are done.
    """
    left = list(points)
    for _ in range(len(points)):
        ended = attempt(spec, root, plan, left)
        require_sound(spec, root, ended, left)
        if ended.met is None:
            return left
        del left[ended.met]
    require_sound(spec, root, attempt(spec, root, plan), "the last attempt")
    return left


def kill_at_random(spec: UseCaseSpec, root: Path, plan: Plan, random: Random, kills: int, step_s: float) -> int:
    """Kill one replay so many times, each after a drawn time, and let it end; give how many kills hit.

    A step takes `step_s` seconds. Times are drawn shorter while the replay is ahead of the kills, so that it does not
    end before all are done.
    """
    done, step = 0, 0
    for number in range(kills):
        is_ahead = (step + 1) / plan.steps > number / kills  # so the last step, the longest, ends after all kills
        seconds = random.uniform(0, step_s * (_AHEAD if is_ahead else _BEHIND))
        ended = attempt(spec, root, plan, after=seconds)
        require_sound(spec, root, ended, f"{seconds:.1f} s")
        done, step = done + (ended.code == -signal.SIGKILL), ended.step
        if ended.code == 0:
            break
    require_sound(spec, root, attempt(spec, root, plan), "the last attempt")
    return done


def require_sound(spec: UseCaseSpec, root: Path, ended: Ended, what: object) -> None:
    """Refuse an attempt that an error stopped, and a drop of which readers see a part."""
    if ended.code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{what}: the replay ended with {ended.code}")
    if _fork(lambda: _refuse_half_drops(root, spec.name)) != 0:
        raise RuntimeError(f"{what}: readers see a part of a drop")
