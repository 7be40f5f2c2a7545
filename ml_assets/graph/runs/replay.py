"""Replays history: the same sensors and jobs as in production, ticked step by step instead of by the clock."""

import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any
from uuid import uuid4

import dagster as dg
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG

from ml_assets.decisions.retraining import TRIGGERS
from ml_assets.graph.assets.layout import TRIGGER_TAG, WRITE_TAG
from ml_assets.graph.automation.run_requests import REASON_TAG, REPLAY_TAG, retrain_config
from ml_assets.graph.definitions.jobs import batch_job_name, retrain_job_name
from ml_assets.graph.definitions.use_case import build_use_case
from ml_assets.graph.runs.launch import REPOSITORY, open_instance, outcome_of
from ml_assets.pipeline.monitoring.newest_decision import newest_decision
from ml_assets.pipeline.runs.replay_steps import ReplayStoppedError, StepOutcome
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows

_RUNS_A_STEP = 6  # a batch, one retraining a trigger, and room for a drop that was landed again


def replay(
    spec: UseCaseSpec,
    paths: StatePaths,
    steps: Sequence[Sequence[date]],
    *,
    land: Callable[[Sequence[date]], None] | None = None,
    retrain_after: int | None = None,
    on_step: Callable[[StepOutcome], None] | None = None,
) -> list[StepOutcome]:
    """Take each step in turn: land its drops, then tick the landing, the retraining and the alert sensors.

    What is done already is not done again, so a replay that was killed goes on where it stood.

    Parameters
    ----------
    land
        Brings the files of a step into the landing folder; None where they are there.
    retrain_after
        Retrain every so many steps instead of asking the sensors: the control that a policy is compared with.
    """
    with open_instance(paths) as instance:
        session = _Session(spec, paths, instance)
        session.end_orphans()
        outcomes: list[StepOutcome] = []
        for number, step in enumerate(steps, start=1):
            is_due = retrain_after is not None and number % retrain_after == 0
            outcome = session.take(list(step), land, None if retrain_after is None else is_due)
            outcomes.append(outcome)
            if on_step is not None:
                on_step(outcome)
        return outcomes


class _Session:
    """One instance and one set of definitions for all steps."""

    def __init__(self, spec: UseCaseSpec, paths: StatePaths, instance: dg.DagsterInstance) -> None:
        self._spec, self._paths, self._instance = spec, paths, instance
        self._definitions = build_use_case(spec, paths.root)
        self._repository = self._definitions.get_repository_def()
        self._lake = Lake(paths.lake / spec.name)

    def end_orphans(self) -> None:
        """Cancel what a killed replay left behind as running: it runs nowhere, and would block its own drops."""
        statuses = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
        tags = {WRITE_TAG: self._spec.name, REPLAY_TAG: "yes"}
        for run in self._instance.get_runs(dg.RunsFilter(tags=tags, statuses=statuses)):
            self._instance.report_run_canceled(run, message="the replay that ran this was killed")

    def take(
        self, drops: list[date], land: Callable[[Sequence[date]], None] | None, is_due: bool | None
    ) -> StepOutcome:
        """Take one step. `is_due` is None where the sensors decide."""
        seconds: dict[str, float] = {}
        runs: list[str] = []
        if not self._is_done(drops):
            if land is not None:
                self._timed(seconds, "land", lambda: land(drops))
            self._timed(seconds, "batch", lambda: runs.extend(self._batch(drops)))
        row = self._decision(drops[-1])
        newest = newest_decision(self._spec, self._paths)
        if newest is not None and newest["batch_date"] == drops[-1]:
            row = newest
            self._timed(seconds, "retrain", lambda: runs.extend(self._retrain(drops[-1], is_due)))
            self._timed(seconds, "alerts", lambda: self._tick(f"{self._spec.name}_alerts"))
        return StepOutcome(tuple(drops), row["action"], row["reason"], tuple(runs), seconds)

    def _is_done(self, drops: Sequence[date]) -> bool:
        decided = {
            row["batch_date"] for row in read_rows(self._lake, "decisions", ["batch_date"], (drops[0], drops[-1]))
        }
        return set(drops) <= decided

    def _decision(self, drop: date) -> dict[str, Any]:
        return read_rows(self._lake, "decisions", None, (drop, drop))[0]

    def _batch(self, drops: Sequence[date]) -> list[str]:
        done: list[str] = []
        said = ""
        while not self._is_done(drops) and len(done) < _RUNS_A_STEP:
            said = self._tick(f"{self._spec.name}_landing", cursor=drops[-1].isoformat(), ran=done)
            if said:
                break
        if not self._is_done(drops):
            raise ReplayStoppedError(f"drops {drops[0]} to {drops[-1]}: {said or 'the batch left no decision'}")
        return done

    def _retrain(self, drop: date, is_due: bool | None) -> list[str]:
        done: list[str] = []
        if is_due is None:
            for trigger in TRIGGERS:
                self._tick(f"{self._spec.name}_retrain_on_{trigger}", ran=done)
        elif is_due and drop not in {row["as_of"] for row in read_rows(self._lake, "champion", ["as_of"])}:
            request = dg.RunRequest(
                run_config=retrain_config(self._spec, Retraining(as_of=drop.isoformat())),
                tags={TRIGGER_TAG: "schedule", REASON_TAG: "a plain schedule"},
            )
            done.append(self._run(retrain_job_name(self._spec.name), request))
        return done

    def _tick(self, name: str, *, cursor: str | None = None, ran: list[str] | None = None) -> str:
        """Evaluate a sensor and run what it asks for; give why it asked for nothing."""
        sensor = self._repository.get_sensor_def(name)
        with dg.build_sensor_context(
            instance=self._instance, cursor=cursor, repository_def=self._repository, sensor_name=name
        ) as context:
            tick = sensor.evaluate_tick(context)
        job = retrain_job_name(self._spec.name) if "_retrain_on_" in name else batch_job_name(self._spec.name)
        for request in tick.run_requests or []:
            run_id = self._run(job, request)
            if ran is not None:
                ran.append(run_id)
        return tick.skip_message or ""

    def _run(self, job_name: str, request: dg.RunRequest) -> str:
        run_id = str(uuid4())
        quiet = {"console": {"config": {"log_level": "CRITICAL"}}}
        tags = {**request.tags, WRITE_TAG: self._spec.name, REPLAY_TAG: "yes", REPOSITORY_LABEL_TAG: REPOSITORY}
        result = self._definitions.resolve_job_def(job_name).execute_in_process(
            instance=self._instance, run_id=run_id, tags=tags, raise_on_error=False,
            run_config={**request.run_config, "loggers": quiet},
        )  # fmt: skip
        outcome = outcome_of(job_name, result)
        if not outcome.succeeded:
            said = "; ".join(f"{steps[0]}: {message}" for message, steps in list(outcome.causes().items())[:3])
            raise ReplayStoppedError(f"run {run_id} of {job_name} failed: {said}")
        return run_id

    @staticmethod
    def _timed(seconds: dict[str, float], name: str, work: Callable[[], object]) -> None:
        begun = time.perf_counter()
        work()
        seconds[name] = time.perf_counter() - begun
