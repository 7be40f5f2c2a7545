from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ml_assets.stores.failed_measures import failed_measures
from ml_assets.stores.model_registry import ABANDONED, OUTCOME, CandidateLog, ModelRegistry
from ml_assets.training.tuning import Trial
from ml_assets_tests.rehearsal import Rehearsal

pytestmark = pytest.mark.xdist_group("models")  # it goes on from the store of the shared history: making one takes long

NAME = "parcels"
TRIALS = (
    Trial("trees", {"eta": 0.1}, 0.5, 2, "complete", is_best=True),
    Trial("trees", {"eta": 0.9}, float("nan"), 1, "pruned"),
    Trial("trees", {"eta": 9.0}, float("nan"), 0, "failed"),
)


@pytest.fixture
def registry(served: Rehearsal, tmp_path: Path) -> ModelRegistry:
    shutil.copy(served.paths.mlflow / "mlflow.db", tmp_path / "mlflow.db")
    return ModelRegistry(tmp_path, NAME)


def client_of(registry: ModelRegistry) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{registry.folder / 'mlflow.db'}")


def log_of(model_version: str, **more: Any) -> CandidateLog:
    given: dict[str, Any] = {"parameters": {"eta": 0.1}, "metrics": {"auc": 0.7, "ece": float("nan")}} | more
    return CandidateLog(name=model_version, tags={"model_version": model_version}, **given)


def test_candidate_is_a_finished_run_with_what_is_finite_and_a_registered_version(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    artifacts = tmp_path / "given"
    artifacts.mkdir()
    (artifacts / "manifest.json").write_text("{}")

    run_id, version = registry.log_candidate(log_of("m1", artifacts=artifacts, plots={"a.png": b"png"}))

    client = client_of(registry)
    run = client.get_run(run_id)
    assert (run.info.status, run.data.metrics, run.data.params) == ("FINISHED", {"auc": 0.7}, {"eta": "0.1"})
    assert version == registry.version_of("m1") == "1"
    assert registry.version_of("m2") is None
    assert client.get_model_version_by_alias(NAME, "challenger").run_id == run_id
    stored = tmp_path / "artifacts" / NAME / run_id / "artifacts"
    assert (stored / "model" / "manifest.json").read_text() == "{}"
    assert (stored / "plots" / "a.png").read_bytes() == b"png"


def test_trials_are_finished_runs_below_their_candidate(registry: ModelRegistry) -> None:
    run_id, _ = registry.log_candidate(log_of("m1", trials=TRIALS))

    client = client_of(registry)
    experiment = client.get_experiment_by_name(NAME)
    nested = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    told = sorted((run.info.run_name, run.info.status, run.data.tags["trial"], run.data.metrics) for run in nested)
    assert told == [
        ("trees-0", "FINISHED", "complete", {"log_loss": 0.5, "windows": 2.0}),
        ("trees-1", "FINISHED", "pruned", {"windows": 1.0}),
        ("trees-2", "FAILED", "failed", {"windows": 0.0}),
    ]


def test_settling_tells_each_version_what_became_of_it_once(registry: ModelRegistry) -> None:
    for model_version in ("recorded", "orphan", "told"):
        registry.log_candidate(log_of(model_version))
    registry.tell_outcome("3", "refused")

    named = registry.mark_abandoned({"recorded": "promoted"})

    versions = client_of(registry).search_model_versions(f"name = '{NAME}'")
    assert {each.tags["model_version"]: each.tags[OUTCOME] for each in versions} == {
        "recorded": "promoted", "orphan": ABANDONED, "told": "refused",
    }  # fmt: skip
    assert named == ["orphan"]
    assert registry.mark_abandoned({}) == []


def test_same_model_of_another_attempt_keeps_its_version(registry: ModelRegistry) -> None:
    first = registry.log_candidate(log_of("m1"))
    registry.mark_abandoned({})  # the attempt died: its version is marked as abandoned

    again = [registry.log_candidate(log_of("m1")) for _ in range(3)]
    other = registry.log_candidate(log_of("m2"))

    assert again == [first] * 3
    assert other[1] == "2"
    versions = client_of(registry).search_model_versions(f"name = '{NAME}'")
    assert sorted(int(each.version) for each in versions) == [1, 2]
    assert all(OUTCOME not in each.tags for each in versions)


@pytest.mark.slow  # MLflow waits for its database
def test_locked_or_broken_mlflow_stops_nothing_and_is_told(
    registry: ModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.log_candidate(log_of("m1"))
    database = registry.folder / "mlflow.db"
    with sqlite3.connect(database, isolation_level=None) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert registry.log_candidate(log_of("m2")) == ("", "")
        registry.name_champion("1")
        registry.tell_outcome("1", "promoted")
        assert registry.mark_abandoned({}) == []
        holder.rollback()
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("MLflow in")]
    kept = [each.measure for each in failed_measures(registry.folder.parent / "alerts", registry.use_case)]

    registry.name_champion("")  # of the candidate that MLflow never heard of
    registry.tell_outcome("", "refused")

    assert len(told) == 4
    assert kept == ["what an earlier retraining left"]
    assert told[0].startswith(f"MLflow in {registry.folder} could not be told the candidate m2 (")
    assert registry.version_of("m1") == "1"
    assert registry.version_of("m2") is None
