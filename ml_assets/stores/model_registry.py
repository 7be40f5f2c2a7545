"""MLflow: every candidate with its parameters, metrics and plots, and a mirror of what serves.

What served which drop is recorded in the `champion` table; aliases have no history. Since MLflow is a mirror, it never
stops a retraining: what it could not be told is logged as a warning, and the tables of the lake stand.
"""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ml_assets.stores.database_copies import keep_copy
from ml_assets.stores.failed_measures import MIRROR, FailedMeasure, keep_failures
from ml_assets.stores.write_lock import write_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from ml_assets.training.tuning import Trial

T = TypeVar("T")
OUTCOME = "outcome"  # the tag that says what became of a candidate
ABANDONED = "abandoned"


@dataclass(frozen=True)
class CandidateLog:
    """What is told of one candidate; `trials` become runs below it. Metrics that are not finite are left out."""

    name: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    plots: Mapping[str, bytes] = field(default_factory=dict)
    artifacts: Path | None = None
    trials: Sequence[Trial] = ()


class ModelRegistry:
    """The experiment and the registered model of one use case, on SQLite under `folder`."""

    def __init__(self, folder: Path, use_case: str) -> None:
        self.folder = folder
        self.use_case = use_case

    def log_candidate(self, log: CandidateLog) -> tuple[str, str]:
        """Record a candidate as a run and a registered version; give the ids of both, empty where MLflow failed.

        A model that has a version already, of an attempt that died, keeps it: a retraining makes the same model again.
        """
        return self._mirror(f"the candidate {log.name}", lambda client: self._log(client, log), ("", ""))

    def _log(self, client: MlflowClient, log: CandidateLog) -> tuple[str, str]:
        model_version = log.tags.get("model_version")
        for known in client.search_model_versions(f"name = '{self.use_case}'"):
            if model_version is not None and known.tags.get("model_version") == model_version:
                if OUTCOME in known.tags:
                    client.delete_model_version_tag(self.use_case, known.version, OUTCOME)
                client.set_registered_model_alias(self.use_case, "challenger", known.version)
                return str(known.run_id), str(known.version)
        experiment = self._experiment(client)
        run_id = client.create_run(experiment, run_name=log.name, tags=dict(log.tags)).info.run_id
        _log_values(client, run_id, log.parameters, log.metrics)
        for number, trial in enumerate(log.trials):
            tags = {"mlflow.parentRunId": run_id, "candidate": trial.candidate, "trial": trial.outcome}
            nested = client.create_run(experiment, run_name=f"{trial.candidate}-{number}", tags=tags).info.run_id
            _log_values(client, nested, trial.parameters, {"log_loss": trial.loss, "windows": trial.windows})
            client.set_terminated(nested, "FINISHED" if trial.outcome != "failed" else "FAILED")
        if log.artifacts is not None:
            client.log_artifacts(run_id, str(log.artifacts), "model")
        with tempfile.TemporaryDirectory() as folder:
            for name, content in log.plots.items():
                path = Path(folder) / name
                path.write_bytes(content)
                client.log_artifact(run_id, str(path), "plots")
        client.set_terminated(run_id)
        source = client.get_run(run_id).info.artifact_uri
        version = client.create_model_version(self.use_case, f"{source}/model", run_id, tags=dict(log.tags))
        client.set_registered_model_alias(self.use_case, "challenger", version.version)
        return run_id, str(version.version)

    def name_champion(self, version: str) -> None:
        """Point the alias `champion` to a registered version, for people who look there."""
        if version:
            self._mirror(
                f"that version {version} serves",
                lambda client: client.set_registered_model_alias(self.use_case, "champion", version),
                None,
            )

    def mark_abandoned(self, recorded: Mapping[str, str]) -> list[str]:
        """Mark what an earlier process left half done, and name it: runs still open, candidates without a verdict.

        For whoever is about to write, who holds the lock: no other process can be in the middle of one. `recorded`
        gives the verdict of each model that has one: a process may have died between the record and this mirror.
        """
        return self._mirror("what an earlier retraining left", lambda client: self._settle(client, recorded), [])

    def _settle(self, client: MlflowClient, recorded: Mapping[str, str]) -> list[str]:
        self._experiment(client)
        found: list[str] = []
        for version in client.search_model_versions(f"name = '{self.use_case}'"):
            if OUTCOME not in version.tags:
                name = str(version.tags.get("model_version", version.version))
                client.set_model_version_tag(self.use_case, version.version, OUTCOME, recorded.get(name, ABANDONED))
                found += [] if name in recorded else [name]
        experiment = client.get_experiment_by_name(self.use_case)
        if experiment is not None:
            for run in client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
                client.set_tag(run.info.run_id, OUTCOME, ABANDONED)
                client.set_terminated(run.info.run_id, "KILLED")
                found.append(str(run.data.tags.get("model_version", run.info.run_id)))
        return list(dict.fromkeys(found))

    def tell_outcome(self, version: str, outcome: str) -> None:
        """Tag a registered version with what became of it: promoted, refused, and so on."""
        if version:
            self._mirror(
                f"that version {version} is {outcome}",
                lambda client: client.set_model_version_tag(self.use_case, version, OUTCOME, outcome),
                None,
            )

    def forget(self, before: datetime, keep: Collection[str], *, is_dry_run: bool = False) -> list[int]:
        """Remove runs and registered versions from before a moment, with their artifacts, and give the sizes of those.

        Models of `keep`, those that an alias points to, and their trials stay.
        """
        said = f"that what is older than {before:%Y-%m-%d} is removed"
        return self._mirror(said, lambda client: self._forget(client, before, keep, is_dry_run=is_dry_run), [])

    def _forget(self, client: MlflowClient, before: datetime, keep: Collection[str], *, is_dry_run: bool) -> list[int]:
        from mlflow.entities import ViewType

        experiment, before_ms = client.get_experiment_by_name(self.use_case), before.timestamp() * 1000
        if experiment is None:
            return []
        named = set(client.get_registered_model(self.use_case).aliases.values())
        needed: set[str] = set()
        for version in client.search_model_versions(f"name = '{self.use_case}'"):
            is_kept = version.tags.get("model_version") in keep or version.version in named
            if is_kept or version.creation_timestamp >= before_ms:
                needed.add(str(version.run_id))
            elif not is_dry_run:
                client.delete_model_version(self.use_case, version.version)
        sizes: list[int] = []
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, max_results=50_000):
            own = {run.info.run_id, run.data.tags.get("mlflow.parentRunId")}
            if run.info.start_time < before_ms and not own & needed:
                sizes += self._remove_run(run.info.run_id, is_dry_run=is_dry_run)
        return sizes

    def _remove_run(self, run_id: str, *, is_dry_run: bool) -> list[int]:
        """Remove a run for good with its artifacts, as `mlflow gc` does."""
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        artifacts = self.folder / "artifacts" / self.use_case / run_id
        files = [path for path in artifacts.rglob("*") if path.is_file()]
        sizes = [path.stat().st_size for path in files]
        if not is_dry_run:
            shutil.rmtree(artifacts, ignore_errors=True)
            store = SqlAlchemyStore(f"sqlite:///{self.folder / 'mlflow.db'}", str(self.folder / "artifacts"))
            store._hard_delete_run(run_id)  # noqa: SLF001 - no other way
        return sizes or [0]

    def version_of(self, model_version: str) -> str | None:
        """Find the registered version of a model; None when it was never registered."""
        versions = self._client().search_model_versions(f"name = '{self.use_case}'")
        return next((str(v.version) for v in versions if v.tags.get("model_version") == model_version), None)

    def _mirror(self, what: str, work: Callable[[MlflowClient], T], otherwise: T) -> T:
        """Do `work` on MLflow's store; where it fails, warn and give `otherwise`."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        alerts = self.folder.parent / "alerts"
        try:
            found = work(self._client())
            keep_failures(alerts, self.use_case, MIRROR, [])
            return found
        except (MlflowException, SQLAlchemyError, OSError) as error:
            said = FailedMeasure(MIRROR, "", what, str(error).partition("\n")[0])
            with suppress(OSError):
                keep_failures(alerts, self.use_case, MIRROR, [said])
            logging.getLogger("ml_assets").warning(
                "MLflow in %s could not be told %s (%s). The retraining goes on: the tables of the lake decide, MLflow "
                "only shows them", self.folder, what, str(error).partition("\n")[0],
            )  # fmt: skip
            return otherwise

    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):  # they announce each table they make
            logging.getLogger(name).setLevel(logging.WARNING)
        self.folder.mkdir(parents=True, exist_ok=True)
        with write_lock(self.folder, "mlflow"):  # processes that create one store at once corrupt it
            client = MlflowClient(tracking_uri=f"sqlite:///{self.folder / 'mlflow.db'}")
            client.search_experiments(max_results=1)
        return client

    def _experiment(self, client: MlflowClient) -> str:
        from mlflow.exceptions import MlflowException

        try:
            client.get_registered_model(self.use_case)
        except MlflowException:
            client.create_registered_model(self.use_case)
        found = client.get_experiment_by_name(self.use_case)
        if found is not None:
            return found.experiment_id
        location = (self.folder / "artifacts" / self.use_case).as_uri()
        return client.create_experiment(self.use_case, artifact_location=location)


def _log_values(client: MlflowClient, run_id: str, parameters: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    from mlflow.entities import Metric, Param

    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, 0, 0) for name, value in finite.items()],
        params=[Param(name, str(value)) for name, value in parameters.items()],
    )


def migrate_registry(folder: Path, *, is_dry_run: bool = False) -> str:
    """Bring MLflow's tables to the schema of this MLflow and say so; empty where they have it.

    The database as it was is kept beside it, named by its schema.
    """
    file = folder / "mlflow.db"
    if not file.exists():
        return ""
    import sqlalchemy
    from mlflow.store.db import utils

    engine = sqlalchemy.create_engine(f"sqlite:///{file}")
    try:
        found, wanted = utils._get_schema_version(engine), utils._get_latest_schema_revision()  # noqa: SLF001 - no other way
        if found == wanted:
            return ""
        if not is_dry_run:
            keep_copy(file, f"before_{found}")
            utils._upgrade_db(engine)  # noqa: SLF001
    finally:
        engine.dispose()
    return f"mlflow/mlflow.db: schema {found} becomes {wanted}; the file before is kept as mlflow.db.before_{found}"
