"""Runs the jobs of a use case on the instance that the UI shows, from any program."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import dagster as dg
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG

from ml_assets.graph import clock
from ml_assets.graph.assets.layout import BACKFILL_TAG, asset_key
from ml_assets.graph.automation.alerts import reconcile
from ml_assets.graph.automation.run_requests import range_tags, retrain_config
from ml_assets.graph.definitions.jobs import batch_job_name, retrain_job_name
from ml_assets.graph.definitions.use_case import build_use_case
from ml_assets.graph.runs.event_log import store_events_in_batches
from ml_assets.graph.runs.lost_runs import PROCESS_TAG, end_lost_runs
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.instance_settings import put_instance_settings
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.processes import this_process
from ml_assets.stores.project import find_project
from ml_assets.stores.state_version import begin_state
from ml_assets.stores.write_lock import write_lock

# the code location of workspace.yaml: the UI lists a job's runs by it
REPOSITORY = "__repository__@ml_assets"

OnEvent = Callable[[str, str], None]


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended. `failures` holds a step and its message each, `warned` a failed check that stopped nothing."""

    run_id: str
    succeeded: bool
    failures: tuple[tuple[str, str], ...]
    warned: tuple[tuple[str, str], ...] = ()

    def causes(self) -> dict[str, list[str]]:
        """Give each message of a failure once, with the steps that it stopped."""
        found: dict[str, list[str]] = {}
        for step, message in self.failures:
            found.setdefault(message, []).append(step)
        return found


@contextmanager
def open_instance(paths: StatePaths) -> Iterator[dg.DagsterInstance]:
    """Open the instance under `paths`, making its folder and settings on first use."""
    make_instance(paths)
    with dg.DagsterInstance.from_config(str(paths.dagster_home)) as instance:
        yield instance


def make_instance(paths: StatePaths) -> None:
    """Make the instance and its tables, one process at a time: several that start at once would corrupt them."""
    begin_state(paths)
    os.environ["DAGSTER_HOME"] = str(paths.dagster_home)  # where the event log looks
    store_events_in_batches()
    with write_lock(paths.locks, "dagster_home"):
        put_instance_settings(find_project().dagster_settings, paths.dagster_home)
        with dg.DagsterInstance.from_config(str(paths.dagster_home)) as instance:
            instance.get_runs(limit=1)
            instance.all_asset_keys()
            instance.all_instigator_state()


def migrate_instance(paths: StatePaths, *, is_dry_run: bool = False) -> list[str]:
    """Bring the tables of Dagster's instance to the schema of this Dagster, and say which were behind."""
    if not (paths.dagster_home / "dagster.yaml").exists():
        return []
    os.environ["DAGSTER_HOME"] = str(paths.dagster_home)
    with dg.DagsterInstance.from_config(str(paths.dagster_home)) as instance:
        stores: Mapping[str, Any] = {
            "runs": instance.run_storage, "events": instance.event_log_storage, "schedules": instance.schedule_storage
        }  # fmt: skip
        versions = {name: store.alembic_version() for name, store in stores.items()}
        behind = [f"Dagster's {name}: schema {v[0]} becomes {v[1]}" for name, v in versions.items() if v[0] != v[1]]
        if behind and not is_dry_run:
            instance.upgrade()
    return behind


def run_batch(
    spec: UseCaseSpec, paths: StatePaths, first: DropKey, last: DropKey, on_event: OnEvent | None = None
) -> RunOutcome:
    """Run the drops first..last as one range, from landing to the worklist."""
    return _run(spec, paths, _Work(batch_job_name(spec.name), range_tags(first, last), {}), on_event)


def run_retrain(spec: UseCaseSpec, paths: StatePaths, asked: Retraining, on_event: OnEvent | None = None) -> RunOutcome:
    """Retrain as of a drop: training set, candidate, evidence, verdict."""
    tags = {"ml_assets/as_of": asked.as_of or "newest"}
    ops = retrain_config(spec, asked)["ops"]
    return _run(spec, paths, _Work(retrain_job_name(spec.name), tags, ops), on_event)


def run_features(
    spec: UseCaseSpec, paths: StatePaths, first: DropKey, last: DropKey, on_event: OnEvent | None = None
) -> RunOutcome:
    """Draw the examples of the drops first..last and compute their features again, and nothing else."""
    tags = {**range_tags(first, last), BACKFILL_TAG: "features"}
    only = (asset_key(spec, "features", "examples"), asset_key(spec, "features", "features"))
    return _run(spec, paths, _Work(batch_job_name(spec.name), tags, {}, only), on_event)


@dataclass(frozen=True)
class _Work:
    """A job with its tags and configuration, all of its assets or `only` some."""

    job_name: str
    tags: Mapping[str, str]
    ops: Mapping[str, Any]
    only: tuple[dg.AssetKey, ...] = ()


def _run(spec: UseCaseSpec, paths: StatePaths, work: _Work, on_event: OnEvent | None) -> RunOutcome:
    definitions = build_use_case(spec, paths.root)
    job = definitions.resolve_job_def(work.job_name)
    quiet = {"console": {"config": {"log_level": "CRITICAL"}}}
    with open_instance(paths) as instance:
        end_lost_runs(instance)
        run_id = str(uuid4())
        tags = {REPOSITORY_LABEL_TAG: REPOSITORY, PROCESS_TAG: this_process(), **work.tags}
        if on_event is not None:
            instance.add_event_listener(run_id, lambda entry: _tell(entry, on_event))
        result = job.execute_in_process(
            instance=instance, run_id=run_id, tags=tags,
            run_config={"ops": dict(work.ops), "loggers": quiet}, raise_on_error=False,
            asset_selection=list(work.only) or None,
        )  # fmt: skip
        checks = definitions.resolve_asset_graph().asset_check_keys
        reconcile(spec, paths, instance, sorted(checks), clock.now())  # as the alert sensor would
    return outcome_of(work.job_name, result)


def outcome_of(job_name: str, result: dg.ExecuteInProcessResult) -> RunOutcome:
    """Say how a run ended, with a message at the root of each failure."""
    steps = [(event.step_key or "", _message(event)) for event in result.all_events if event.is_step_failure]
    run = [(job_name, _message(event)) for event in result.all_events if event.is_run_failure]
    blocked, warned = [], []
    for each in result.get_asset_check_evaluations():
        if not each.passed and each.blocking and each.severity == dg.AssetCheckSeverity.ERROR:
            blocked.append((each.asset_key.to_python_identifier(), f"{each.check_name}: {each.description}"))
        elif not each.passed:
            warned.append((each.check_name, each.description or "failed"))
    # a blocking check fails its step without saying why, and a run repeats what failed its steps
    failures = [failure for failure in steps if failure[0] not in dict(blocked)] + blocked
    return RunOutcome(result.run_id, result.success, tuple(failures or run), tuple(warned))


def _tell(entry: dg.EventLogEntry, on_event: OnEvent) -> None:
    event = entry.dagster_event
    if event is None:
        if entry.step_key is not None:
            on_event(entry.step_key, entry.user_message)
    elif event.is_step_start or event.is_step_success or event.is_step_failure:
        on_event(entry.step_key or "", event.event_type_value)


def _message(event: dg.DagsterEvent) -> str:
    error = getattr(event.event_specific_data, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else (event.message or "failed")
