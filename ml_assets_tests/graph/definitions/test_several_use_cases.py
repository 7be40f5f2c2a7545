"""Several use cases of different kinds in one code location: all load, and a broken one stops no other."""

from __future__ import annotations

import fcntl
import itertools
import shutil
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.graph.definitions.discovery import load_location, load_use_cases
from ml_assets.graph.definitions.resources import StateResource, shared_resources
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import DEFS_FOLDER
from ml_assets_tests.spec.test_malformed import write_case

LATE_LOANS = Path(__file__).parents[2] / "second_use_case" / "late_loans"
SOUND = ("flight_delays", "late_loans", "more_loans", "parcels")
_numbers = itertools.count()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four sound use cases and a broken one, in a project of their own."""
    found = tmp_path / f"four_and_a_broken_one_{next(_numbers)}"
    defs = found / "defs"
    shutil.copytree(DEFS_FOLDER / "flight_delays", defs / "flight_delays")
    shutil.copytree(LATE_LOANS, defs / "late_loans")
    shutil.copytree(LATE_LOANS, defs / "more_loans")
    declared = defs / "more_loans" / "defs.yaml"
    declared.write_text(declared.read_text().replace("name: late_loans", "name: more_loans"))
    write_case({"case": "none", "change": []}, defs / "parcels")
    (defs / "broken").mkdir()
    (defs / "broken" / "defs.yaml").write_text("type: ml_assets.UseCase\nattributes: {name: broken}\n")
    for folder in (found, defs):
        (folder / "__init__.py").touch()
    project = f'[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{found.name}"\n'
    (tmp_path / "pyproject.toml").write_text(project + 'registry_modules = ["ml_assets"]\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))
    return found


def load(package: Path) -> dg.Definitions:
    return load_location(lambda: load_use_cases(package, lambda: dg.load_from_defs_folder(path_within_project=package)))


def test_four_use_cases_and_a_broken_one_load_with_every_job(package: Path) -> None:
    loaded = load(package)

    jobs = {job.name for job in loaded.resolve_all_job_defs() if not job.name.startswith("__")}
    assert jobs == {f"{name}_{kind}" for name in SOUND for kind in ("batch", "retrain", "housekeep")}
    graph = loaded.resolve_asset_graph()
    assert {key.path[0] for key in graph.get_all_asset_keys()} == {*SOUND, "broken"}


def test_every_sensor_of_four_use_cases_ticks(package: Path) -> None:
    repository = load(package).get_repository_def()

    with dg.DagsterInstance.ephemeral() as instance:
        ticks = {
            sensor.name: sensor.evaluate_tick(dg.build_sensor_context(instance=instance, repository_def=repository))
            for sensor in repository.sensor_defs
        }

    kinds = ("landing", "retrain_on_drift", "retrain_on_performance", "retrain_on_staleness", "alerts")
    assert set(ticks) == {f"{name}_{kind}" for name in SOUND for kind in kinds} | {"broken_alerts"}
    assert all(tick.skip_message for tick in ticks.values())
    assert all("nothing has landed" in (ticks[f"{name}_landing"].skip_message or "") for name in SOUND)


def is_locked(state: Path, use_case: str) -> bool:
    with (state / "locks" / f"{use_case}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_run_locks_the_use_cases_it_touches_and_no_other_until_it_ends(tmp_path: Path) -> None:
    touched = []

    @dg.asset
    def of_two_use_cases(store: StateResource) -> None:
        touched.extend([store.of("late_loans"), store.of("parcels"), store.of("parcels")])
        assert is_locked(tmp_path, "late_loans")
        assert is_locked(tmp_path, "parcels")

    result = dg.materialize([of_two_use_cases], resources=shared_resources(tmp_path))

    assert result.success
    assert [state.use_case for state in touched] == ["late_loans", "parcels", "parcels"]
    assert sorted(path.stem for path in (tmp_path / "locks").glob("*.lock")) == ["late_loans", "parcels"]
    assert not is_locked(tmp_path, "late_loans")
    assert not is_locked(tmp_path, "parcels")


def test_location_that_cannot_be_loaded_is_told_and_closed_when_it_loads_again(package: Path, tmp_path: Path) -> None:
    def fail() -> dg.Definitions:
        raise RuntimeError("Conflicting versions of resource")

    with pytest.raises(RuntimeError, match="Conflicting versions"):
        load_location(fail)

    outbox = AlertOutbox(StatePaths(tmp_path / "state"))
    (incident,) = outbox.incidents("code_location", open_only=True)
    assert (incident.kind, "Conflicting versions of resource" in incident.message) == ("broken_location", True)
    repository = load(package).get_repository_def()
    sensor = repository.get_sensor_def("late_loans_alerts")
    with dg.DagsterInstance.ephemeral() as instance:
        sensor.evaluate_tick(dg.build_sensor_context(instance=instance, repository_def=repository))
    assert outbox.incidents("code_location", open_only=True) == []


def test_two_jobs_of_one_name_are_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))

    def conflict() -> dg.Definitions:
        @dg.op
        def work() -> None: ...

        return dg.Definitions(jobs=[dg.GraphDefinition("same", node_defs=[work]).to_job(name="same"),
                                    dg.GraphDefinition("same_too", node_defs=[work]).to_job(name="same")])  # fmt: skip

    with pytest.raises(dg.DagsterInvalidDefinitionError):
        load_location(conflict)

    assert AlertOutbox(StatePaths(tmp_path / "state")).incidents("code_location", open_only=True)
