"""A retraining killed between its stages: the old champion serves, and the next one completes or marks what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ml_assets.stores.model_registry import OUTCOME
from ml_assets_tests.rehearsal import Rehearsal, go_on_from
from ml_assets_tests.served import DRAWING, JUDGING, RECORD, SECOND_AS_OF, SPEC, served_by

pytestmark = [
    pytest.mark.slow,  # five killed processes, and a retraining after each
    pytest.mark.xdist_group("models"),  # with cli/test_models.py, on one history
]

# what is patched, and whether it still does its work before the process dies
FAIL_POINTS = {
    "model_saved": ("ml_assets.stores.model_store", "ModelStore.save", True),
    "candidate_registered": ("ml_assets.stores.model_registry", "ModelRegistry.log_candidate", True),
    "verdict_given": ("ml_assets.pipeline.champion.promote", "append_verdict", False),
    "champion_written": ("ml_assets.stores.model_registry", "ModelRegistry.tell_outcome", False),
    "committed": ("ml_assets.stores.lake", "Lake.commit", True),
}
CANDIDATE = "logistic_regression"


def die(point: str, root: Path) -> None:
    """Retrain in this process, which the system kills at a point."""
    from importlib import import_module

    module, path, works_first = FAIL_POINTS[point]
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    original = getattr(owner, name)

    def dying(*arguments: Any, **named: Any) -> None:
        if works_first:
            original(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dying)
    Rehearsal(SPEC, root).retrain(SECOND_AS_OF, candidate=CANDIDATE, gate="disabled", only=JUDGING)


def die_at_each_point(root: Path) -> None:
    """Die once a point, each in a child that has its own copy of the state: what takes long is imported once."""
    from importlib import import_module

    for name in ("holidays", "matplotlib.figure", "mlflow.store.model_registry.sqlalchemy_store",
                 "mlflow.store.tracking.sqlalchemy_store", "pandas", "scipy.stats", "sklearn.compose",
                 "sklearn.linear_model", "xgboost"):  # fmt: skip
        import_module(name)
    for point in FAIL_POINTS:
        child = os.fork()
        if not child:
            die(point, root / point)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{point} {os.WTERMSIG(status) if os.WIFSIGNALED(status) else 'survived'}\n")


@pytest.fixture(scope="module")
def killed(served: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a state a point, in which a retraining died there."""
    root = tmp_path_factory.mktemp("killed")
    drawn = go_on_from(served, root / "drawn")
    drawn.retrain(SECOND_AS_OF, only=DRAWING)
    for point in FAIL_POINTS:
        go_on_from(drawn, root / point)
    script = (
        f"from pathlib import Path\nfrom {__name__} import die_at_each_point\ndie_at_each_point(Path({str(root)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.stdout.decode().split() == [word for point in FAIL_POINTS for word in (point, "9")], done.stderr[-3000:]
    return root


def mlflow_of(state: Rehearsal) -> tuple[dict[str, list[str]], dict[str, str], str]:
    """Give the outcomes told of each model's registered versions, the status of each run, and whose the alias is."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{state.paths.mlflow / 'mlflow.db'}")
    outcomes: dict[str, list[str]] = {}
    versions = client.search_model_versions(f"name = '{SPEC.name}'")
    for version in sorted(versions, key=lambda each: int(each.version)):
        outcomes.setdefault(version.tags["model_version"], []).append(version.tags.get(OUTCOME, "untold"))
    experiment = client.get_experiment_by_name(SPEC.name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    alias = client.get_model_version_by_alias(SPEC.name, "champion").tags["model_version"]
    return outcomes, {run.info.run_id: run.info.status for run in runs}, alias


def leave_a_run_open(state: Rehearsal) -> str:
    """Begin a run as a process does that dies before it ends it."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{state.paths.mlflow / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(SPEC.name)
    assert experiment is not None
    return client.create_run(experiment.experiment_id, run_name="half").info.run_id


@pytest.mark.parametrize("point", FAIL_POINTS)
def test_retraining_killed_at_a_point_leaves_the_old_champion_and_the_next_completes_it(
    point: str, killed: Path
) -> None:
    state = Rehearsal(SPEC, killed / point)
    record = state.rows("champion", RECORD)
    first = record[0]["model_version"]
    is_committed = point == "committed"
    (left,) = {path.name for path in (state.paths.models / SPEC.name).iterdir()} - {first}

    state.score(14, 14)
    assert served_by(state)[14] == (left if is_committed else first)  # the commit decides, and nothing else
    assert [row["model_version"] for row in record] == ([first, left] if is_committed else [first])
    assert mlflow_of(state)[2] == (left if is_committed else first)

    other = state.paths.models / SPEC.name / "2013-01-12-xgboost-0123456789"
    other.mkdir()  # of a drop that is not trained as of again
    half = leave_a_run_open(state)
    state.retrain(SECOND_AS_OF, candidate=CANDIDATE, gate="disabled", only=JUDGING)
    state.score(14, 14)

    again = state.rows("champion", RECORD)
    assert [(row["model_version"], row["verdict"]) for row in again] == [(first, "promoted"), (left, "promoted")]
    assert served_by(state) == {**dict.fromkeys(range(10, 14), first), 14: left}
    outcomes, runs, alias = mlflow_of(state)
    assert outcomes == {first: ["promoted"], left: ["promoted"]}  # the same model keeps its version
    assert (runs.pop(half), set(runs.values())) == ("KILLED", {"FINISHED"})
    assert alias == left
    assert list((state.paths.models / SPEC.name).rglob("abandoned.txt")) == [other / "abandoned.txt"]
