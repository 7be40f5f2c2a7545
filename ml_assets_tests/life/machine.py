"""The machine of a life: Dagster's instance, its daemons and the code location, in this process, on an injected clock.

The daemons are Dagster's own: the scheduler with its catch-up, the sensors with their cursors and run keys, the queue
with the limits and pools of dagster.yaml, the monitor of runs. Only two things differ from production: nothing happens
between two calls of `look`, and a launched run waits until `execute` runs it.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import sqlalchemy
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import ScheduleIterationTimes, launch_scheduled_runs
from dagster._utils.interrupts import capture_interrupts

from ml_assets.graph.assets.layout import WRITE_TAG
from ml_assets.graph.automation.run_requests import retrain_config
from ml_assets.graph.definitions.jobs import retrain_job_name
from ml_assets.graph.runs.event_log import store_events_in_batches
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.project import find_project
from ml_assets.stores.state_version import begin_state
from ml_assets_tests.life.launcher import WaitingLauncher
from ml_assets_tests.life.location import DEFS_VARIABLE
from ml_assets_tests.life.time_machine import LifeClock

_STORAGES = (
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
    "dagster._core.storage.schedules.sqlite.sqlite_schedule_storage",
)
_LOG = logging.getLogger("ml_assets_tests.life")
_SETTINGS = """# The settings of the project, with what a life needs.
run_launcher:
  module: ml_assets_tests.life.launcher
  class: WaitingLauncher
# what a run prints is kept by processes that take longer to start than a step takes
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


@dataclass(frozen=True)
class Mishap:
    """What goes wrong in a run: `failed`, `cancelled` or `killed`, when it has come as far as `share` of its steps."""

    kind: str
    share: float


class _Shared:
    """Gives the one instance to a sensor, which would else open its own for each tick and look through migrations.

    A sensor that keeps it has the one of the machine as it is now, also after a restart.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine.instance, name)

    def __enter__(self) -> dg.DagsterInstance:
        return self._machine.instance

    def __exit__(self, *_: object) -> None:
        pass


class Machine:
    """A folder of state, and the processes over it."""

    def __init__(self, folder: Path, clock: LifeClock) -> None:
        self.folder, self.clock = folder, clock
        self.paths = StatePaths(folder / "state")
        self.defs = folder / "defs"
        self._open = ExitStack()
        self._ticks = 0

    def start(self) -> None:
        """Start the instance and its daemons, and load the code location."""
        begin_state(self.paths)
        home = self.paths.dagster_home
        home.mkdir(parents=True, exist_ok=True)
        settings = _SETTINGS + find_project().dagster_settings.read_text(encoding="utf-8")
        (home / "dagster.yaml").write_text(settings, encoding="utf-8")
        os.environ |= {"DAGSTER_HOME": str(home), "ML_ASSETS_DATA": str(self.paths.root), DEFS_VARIABLE: str(self.defs)}
        store_events_in_batches()
        for module in _STORAGES:  # Dagster makes a new engine for each query, and compiles each again
            self._open.enter_context(mock.patch(f"{module}.create_engine", cache(sqlalchemy.create_engine)))
        # the console: the event log keeps every line
        console = "dagster._core.execution.context_creation_job.default_system_loggers"
        self._open.enter_context(mock.patch(console, return_value=[]))
        self.instance = self._open.enter_context(dg.DagsterInstance.from_config(str(home)))
        self._queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
        self._open.callback(self._queue.__exit__, None, None, None)
        self._iterations: dict[str, ScheduleIterationTimes] = {}
        self.load()

    def load(self) -> None:
        """Load the code location, as its declaration is now."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            warnings.filterwarnings("ignore", message=".*`ScheduleDefinition.environment_vars`")  # Dagster's own use
            origin = InProcessCodeLocationOrigin(
                LoadableTargetOrigin(executable_path=sys.executable, module_name="ml_assets_tests.life.location",
                                     attribute="defs"),
                location_name="life",
            )  # fmt: skip
            from ml_assets_tests.life import location

            sys.modules.pop(location.__name__)  # definitions are built once a module
            self.workspace = self._open.enter_context(
                WorkspaceProcessContext(self.instance, InProcessWorkspaceLoadTarget(origin))
            )
            entry = self.workspace.create_request_context().get_code_location_entries()["life"]
            if entry.load_error is not None:
                raise RuntimeError(entry.load_error.to_string())
            location_: Any = entry.code_location
            (self.repository,) = location_._loaded_repositories.definitions_by_name.values()
            (self._remote,) = location_.get_repositories().values()

    def stop(self) -> None:
        """End every process."""
        self._open.close()

    def restart(self) -> None:
        """End every process and start again, from what is on the disk."""
        self.stop()
        self._open = ExitStack()
        self.start()

    @property
    def launcher(self) -> WaitingLauncher:
        """Give the launcher of the instance."""
        launcher = self.instance.run_launcher
        assert isinstance(launcher, WaitingLauncher)
        return launcher

    def switch_on_schedules(self) -> None:
        """Switch on the schedules that are off by default, as a person does in the UI."""
        for schedule in self._remote.get_schedules():
            if not schedule.get_current_instigator_state(None).is_running:
                self.instance.start_schedule(schedule)

    def look(self, *, sensors: bool = True) -> None:
        """Let each daemon look at the clock and at the disk once, the sensors only where asked to."""
        self._ticks += 1
        random.seed(self._ticks)  # the order of the sensors of one tick
        errors: list[Any] = []
        with warnings.catch_warnings(), ExitStack() as stack:
            warnings.simplefilter("ignore", dg.BetaWarning)
            shared = _Shared(self)
            stack.enter_context(mock.patch.object(dg.DagsterInstance, "from_ref", return_value=shared))
            errors += launch_scheduled_runs(self.workspace, _LOG, self.clock.moment, self._iterations)
            if sensors:
                errors += execute_sensor_iteration(self.workspace, _LOG, None, None)
            errors += self._queue.run_iteration(self.workspace, fixed_iteration_time=self.clock.moment.timestamp())
            errors += execute_run_monitoring_iteration(self.workspace, _LOG)
        found = [each for each in errors if each is not None and hasattr(each, "to_string")]
        if found:
            raise RuntimeError(f"a daemon met an error: {found[0].to_string()}")

    def execute(self, run_id: str, mishap: Mishap | None = None) -> dg.DagsterRun:
        """Execute a launched run, with what goes wrong in it; give it as it ended."""
        self.launcher.launched.remove(run_id)
        run = self.run(run_id)
        if run.is_finished:
            return run
        if mishap is not None and mishap.kind == "killed":
            self._execute_and_kill(run, mishap)
        else:
            with self._going_wrong(run, mishap), capture_interrupts():
                execute_run(InMemoryJob(self.repository.get_job(run.job_name)), run, self.instance)
        return self.run(run_id)

    def submit_retraining(self, spec: UseCaseSpec) -> None:
        """Put a retraining as of the newest drop into the queue, as the launchpad of the UI does."""
        job_name = retrain_job_name(spec.name)
        job = self._remote.get_full_job(job_name)
        run = self.instance.create_run_for_job(
            self.repository.get_job(job_name),
            run_config=retrain_config(spec, Retraining()),
            status=dg.DagsterRunStatus.NOT_STARTED,
            tags={WRITE_TAG: spec.name},
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
        )
        self.instance.submit_run(run.run_id, self.workspace.create_request_context())

    def run(self, run_id: str) -> dg.DagsterRun:
        """Give a run by its id."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def _execute_and_kill(self, run: dg.DagsterRun, mishap: Mishap) -> None:
        """Execute a run in a process of its own that is killed after one of its commits to the lake."""
        commits = 1 + int(mishap.share * (30 if run.job_name.endswith("_batch") else 6))
        done = subprocess.run(
            [sys.executable, "-m", "ml_assets_tests.life.killed_run", str(self.folder), run.run_id,
             self.clock.moment.isoformat(), str(commits)],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"the process of run {run.run_id} ended with {done.returncode}: {done.stderr[-2000:]}")

    @contextmanager
    def _going_wrong(self, run: dg.DagsterRun, mishap: Mishap | None) -> Iterator[None]:
        if mishap is None:
            yield
            return
        steps = len(self.repository.get_job(run.job_name).nodes)
        wanted = max(1, int(mishap.share * steps))
        broken = self.paths.lake / run.job_name.rpartition("_")[0]
        undo: list[Callable[[], object]] = []

        def go_wrong(entry: dg.EventLogEntry) -> None:
            nonlocal wanted
            event = entry.dagster_event
            if event is None or not event.is_step_start:
                return
            wanted -= 1
            if wanted == 0 and mishap.kind == "cancelled":
                self.instance.report_run_canceling(run)
                os.kill(os.getpid(), signal.SIGINT)
            elif wanted == 0:
                undo.append(_made_unusable(broken))

        self.instance.add_event_listener(run.run_id, go_wrong)
        try:
            yield
        finally:
            for each in undo:
                each()


def _made_unusable(folder: Path) -> Callable[[], object]:
    """Take a folder away, as a disk that was not mounted does; give how it comes back."""
    aside = folder.with_name(f"{folder.name}.aside")
    if folder.exists():
        folder.rename(aside)
    folder.write_text("no folder", encoding="utf-8")

    def undo() -> None:
        folder.unlink()
        if aside.exists():
            aside.rename(folder)

    return undo
