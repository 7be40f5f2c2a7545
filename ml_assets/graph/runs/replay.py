"""Replays history: the same sensors and jobs as in production, ticked step by step instead of by the clock."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import uuid4

import dagster as dg
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG

from ml_assets.decisions.retraining import TRIGGERS
from ml_assets.graph import clock
from ml_assets.graph.assets.layout import REPLAY_TAG, TRIGGER_TAG, WRITE_TAG, asset_key
from ml_assets.graph.automation.run_requests import REASON_TAG, range_tags, retrain_config
from ml_assets.graph.definitions.jobs import batch_job_name, retrain_job_name
from ml_assets.graph.definitions.use_case import build_use_case
from ml_assets.graph.runs.launch import REPOSITORY, open_instance, outcome_of
from ml_assets.pipeline.monitoring.newest_decision import are_decided, newest_decision
from ml_assets.pipeline.runs.replay_steps import ReplayStoppedError, StepOutcome, fall_back, find_stale, timed
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

_RUNS_A_STEP = 6  # a batch, one retraining a trigger, and room for a drop that was landed again


def replay(
    spec: UseCaseSpec,
    paths: StatePaths,
    steps: Sequence[Sequence[DropKey]],
    *,
    land: Callable[[Sequence[DropKey]], None] | None = None,
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
            is_due = None if retrain_after is None else number % retrain_after == 0
            outcomes.append(session.take(list(step), land, is_due))
            if on_step is not None:
                on_step(outcomes[-1])
        return outcomes


class _Session:
    """One instance and one set of definitions for all steps."""

    def __init__(self, spec: UseCaseSpec, paths: StatePaths, instance: dg.DagsterInstance) -> None:
        self._spec, self._paths, self._instance = spec, paths, instance
        self._definitions = build_use_case(spec, paths.root)
        self._repository = self._definitions.get_repository_def()
        self._lake, self._state = Lake(paths.lake / spec.name), UseCaseState(spec.name, paths)

    def end_orphans(self) -> None:
        """Cancel what a killed replay left behind as running: it runs nowhere, and would block its own drops."""
        statuses = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
        tags = {WRITE_TAG: self._spec.name, REPLAY_TAG: "yes"}
        for run in self._instance.get_runs(dg.RunsFilter(tags=tags, statuses=statuses)):
            self._instance.report_run_canceled(run, message="the replay that ran this was killed")

    def take(
        self, drops: list[DropKey], land: Callable[[Sequence[DropKey]], None] | None, is_due: bool | None
    ) -> StepOutcome:
        """Take one step. `is_due` is None where the sensors decide.

        Its drops are run together, then each is looked at on its own day, as if the later ones had not come. A
        retraining or a fallback as of one changes what serves the later ones, so they are run again.
        """
        seconds, runs, acted = dict[str, float](), list[str](), list[tuple[DropKey, str]]()
        if not are_decided(self._lake, drops):
            if land is not None:
                with timed(seconds, "land"):
                    land(drops)
            with timed(seconds, "batch"):
                runs += self._batch(drops)
        row = read_rows(self._lake, "decisions", None, (drops[-1], drops[-1]))[0]
        newest = newest_decision(self._spec, self._paths)
        if newest is not None and newest["batch_date"] == drops[-1]:
            for number, drop in enumerate(drops, start=1):
                fall_back(self._spec, self._state, drop, clock.now())
                row = newest_decision(self._spec, self._paths, drop) or row
                with timed(seconds, "retrain"):
                    done = self._retrain(row, None if is_due is None else is_due and drop == drops[-1])
                if done and drop != drops[-1]:
                    acted.append((drop, row["reason"]))
                later = find_stale(self._spec, self._state, drop, drops[number:])
                with timed(seconds, "batch" if later else "retrain"):
                    runs += [*done, *(self._run_again(drop, later) if later else ())]
            with timed(seconds, "alerts"):
                self._tick(f"{self._spec.name}_alerts", runs)
        return StepOutcome(tuple(drops), row["action"], row["reason"], tuple(runs), seconds, tuple(acted))

    def _batch(self, drops: Sequence[DropKey]) -> list[str]:
        done: list[str] = []
        said = ""
        while not are_decided(self._lake, drops) and len(done) < _RUNS_A_STEP:
            said = self._tick(f"{self._spec.name}_landing", done, str(drops[-1]))
            if said:
                break
        if not are_decided(self._lake, drops):
            raise ReplayStoppedError(f"drops {drops[0]} to {drops[-1]}: {said or 'the batch left no decision'}")
        return done

    def _retrain(self, decided: Mapping[str, Any], is_due: bool | None) -> list[str]:
        drop, done = decided["batch_date"], list[str]()
        if is_due is None:
            for trigger in TRIGGERS if decided["action"] == "retrain" else ():
                self._tick(f"{self._spec.name}_retrain_on_{trigger}", done, str(drop))
        elif is_due and drop not in {row["as_of"] for row in read_rows(self._lake, "champion", ["as_of"])}:
            config = retrain_config(self._spec, Retraining(as_of=str(drop)))
            tags = {TRIGGER_TAG: "schedule", REASON_TAG: "a plain schedule"}
            done.append(self._run(retrain_job_name(self._spec.name), dg.RunRequest(run_config=config, tags=tags)))
        return done

    def _run_again(self, drop: DropKey, later: Sequence[DropKey]) -> list[str]:
        """Run what follows from the champion in the drops after `drop`: what serves them has changed as of it."""
        tags = range_tags(later[0], later[-1]) | {REASON_TAG: f"what serves was decided again as of drop {drop}"}
        champion = dg.AssetSelection.assets(asset_key(self._spec, "models", "champion"))
        following = champion.downstream(include_self=False).resolve(self._repository.asset_graph)
        return [self._run(batch_job_name(self._spec.name), dg.RunRequest(tags=tags), following)]

    def _tick(self, name: str, ran: list[str], cursor: str | None = None) -> str:
        """Evaluate a sensor and run what it asks for; give why it asked for nothing."""
        sensor = self._repository.get_sensor_def(name)
        with dg.build_sensor_context(
            instance=self._instance, cursor=cursor, repository_def=self._repository, sensor_name=name
        ) as context:
            tick = sensor.evaluate_tick(context)
        job = retrain_job_name(self._spec.name) if "_retrain_on_" in name else batch_job_name(self._spec.name)
        ran.extend(self._run(job, request) for request in tick.run_requests or [])
        return tick.skip_message or ""

    def _run(self, job_name: str, request: dg.RunRequest, only: Collection[dg.AssetKey] = ()) -> str:
        run_id = str(uuid4())
        quiet = {"console": {"config": {"log_level": "CRITICAL"}}}
        tags = {**request.tags, WRITE_TAG: self._spec.name, REPLAY_TAG: "yes", REPOSITORY_LABEL_TAG: REPOSITORY}
        job = self._definitions.resolve_job_def(job_name)
        result = job.execute_in_process(
            instance=self._instance, run_id=run_id, tags=tags, raise_on_error=False,
            run_config={**request.run_config, "loggers": quiet},
            asset_selection=[key for key in only if key in job.asset_layer.selected_asset_keys] or None,
        )  # fmt: skip
        outcome = outcome_of(job_name, result)
        if not outcome.succeeded:
            said = "; ".join(f"{steps[0]}: {message}" for message, steps in list(outcome.causes().items())[:3])
            raise ReplayStoppedError(f"run {run_id} of {job_name} failed: {said}")
        return run_id
