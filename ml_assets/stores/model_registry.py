"""MLflow: every candidate with its parameters, metrics and plots, and a mirror of what serves.

What served which drop is recorded in the `champion` table; aliases have no history.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.stores.write_lock import write_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class CandidateLog:
    """What is told of one candidate. Metrics that are not finite are left out."""

    name: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    plots: Mapping[str, bytes] = field(default_factory=dict)
    artifacts: Path | None = None


class ModelRegistry:
    """The experiment and the registered model of one use case, on SQLite under `folder`."""

    def __init__(self, folder: Path, use_case: str) -> None:
        self.folder = folder
        self.use_case = use_case

    def log_candidate(self, log: CandidateLog) -> tuple[str, str]:
        """Record a candidate as a run and a registered version; give the ids of both."""
        client = self._client()
        experiment = self._experiment(client)
        run_id = client.create_run(experiment, run_name=log.name, tags=dict(log.tags)).info.run_id
        for name, value in log.parameters.items():
            client.log_param(run_id, name, value)
        for name, value in log.metrics.items():
            if math.isfinite(value):
                client.log_metric(run_id, name, value)
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
        self._client().set_registered_model_alias(self.use_case, "champion", version)

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
