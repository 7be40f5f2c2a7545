"""The graph as a whole: what it holds, what it costs to load, and what a broken declaration does to it."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from ml_assets.definitions import defs
from ml_assets.graph.definitions.use_case import build_use_case
from ml_assets_tests.rehearsal import DEFS_FOLDER, REPOSITORY, flagship

SOURCES = ("airports", "flight_outcomes", "planes", "schedule", "weather")
GROUPS = {
    **{f"raw/{source}": "flight_delays_raw" for source in SOURCES},
    **{f"validated/{source}": "flight_delays_validated" for source in SOURCES},
    **{f"quarantine/{source}": "flight_delays_quarantine" for source in SOURCES},
    "raw/drops": "flight_delays_validated",
    "features/examples": "flight_delays_features",
    "features/features": "flight_delays_features",
    "training/labels": "flight_delays_training",
    "training/training_set": "flight_delays_training",
    "models/candidate_model": "flight_delays_models",
    "models/evaluation": "flight_delays_models",
    "models/champion": "flight_delays_models",
    "models/evaluation_measures": "flight_delays_models",
    "models/evaluation_slices": "flight_delays_models",
    "models/behaviours": "flight_delays_models",
    "models/model_card": "flight_delays_models",
    "experiments/assignments": "flight_delays_experiments",
    "predictions/predictions": "flight_delays_predictions",
    "predictions/worklist": "flight_delays_predictions",
    "predictions/shadow_predictions": "flight_delays_predictions",
    "monitoring/feed_health": "flight_delays_monitoring",
    "monitoring/drift_report": "flight_delays_monitoring",
    "monitoring/performance_report": "flight_delays_monitoring",
    "monitoring/decisions": "flight_delays_monitoring",
}
EXTERNAL = {
    **{f"landed/{source}": "flight_delays_landed" for source in SOURCES},
    "delivered/worklist": "flight_delays_delivered",
}
CHECKS = {
    *(f"validated/{source}:contract" for source in SOURCES),
    "raw/drops:admitted",
    "raw/drops:final",
    "training/training_set:known_in_time",
    "training/training_set:leakage",
    "training/training_set:served_as_trained",
    "models/champion:gate",
    "models/behaviours:behaviour",
    "experiments/assignments:arms_hold",
    "predictions/predictions:can_abstain",
    "predictions/predictions:complete",
    "predictions/predictions:trained_before",
    "predictions/shadow_predictions:shadows_scored",
    "predictions/worklist:ranked_as_declared",
    "monitoring/feed_health:feeds",
    "monitoring/drift_report:drift",
    "monitoring/performance_report:performance",
    "monitoring/decisions:freshness",
    "monitoring/decisions:champion_stands",
}
UNPARTITIONED = {"training/training_set", *(name for name in GROUPS if name.startswith("models/"))}
SHIPPED = ("airport_delay", "flight_delays", "flight_delays_live")
HEAVY = ("pandas", "evidently", "great_expectations", "mlflow", "xgboost", "sklearn", "matplotlib", "apprise")

LOAD = f"""
import json, sys, warnings
warnings.simplefilter("error")
from ml_assets.definitions import defs
loaded = defs()
repository = loaded.get_repository_def()
print(json.dumps({{
    "assets": sum(key.path[0] == "flight_delays" for key in repository.asset_graph.get_all_asset_keys()),
    "use_cases": sorted({{key.path[0] for key in repository.asset_graph.get_all_asset_keys()}}),
    "heavy": [name for name in {HEAVY!r} if name in sys.modules],
}}))
"""


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    found = defs()
    assert isinstance(found, dg.Definitions)
    return found


def keys_of(graph: AssetGraph, use_case: str = "flight_delays") -> set[dg.AssetKey]:
    """Give the assets of one of the use cases that ship."""
    return {key for key in graph.get_all_asset_keys() if key.path[0] == use_case}


def checks_of(graph: AssetGraph) -> set[dg.AssetCheckKey]:
    """Give the checks of the flagship."""
    return {key for key in graph.asset_check_keys if key.asset_key.path[0] == "flight_delays"}


def named(key: dg.AssetKey) -> str:
    """Spell a key of the flagship without its name."""
    assert key.path[0] == "flight_delays"
    return "/".join(key.path[1:])


def test_assets_groups_and_checks_are_these(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()

    groups = {named(key): graph.get(key).group_name for key in keys_of(graph)}
    assert groups == GROUPS | EXTERNAL
    executable = {named(key) for key in keys_of(graph) if graph.get(key).is_executable}
    assert executable == set(GROUPS)
    assert {f"{named(key.asset_key)}:{key.name}" for key in checks_of(graph)} == CHECKS
    assert {named(key) for key in keys_of(graph) if not graph.get(key).is_partitioned} == UNPARTITIONED


def test_jobs_split_the_assets_between_them(loaded: dg.Definitions) -> None:
    every = {job.name: job for job in loaded.resolve_all_job_defs() if not job.name.startswith("__")}
    jobs = {name: job for name, job in every.items() if job.tags["ml_assets/write"] == "flight_delays"}
    assert len(every) == 3 * len(SHIPPED)
    assert sorted(jobs) == ["flight_delays_batch", "flight_delays_housekeep", "flight_delays_retrain"]
    assert jobs.pop("flight_delays_housekeep").tags["ml_assets/write"] == "flight_delays"

    batch, retrain = ({named(key) for key in job.asset_layer.selected_asset_keys} for _, job in sorted(jobs.items()))

    assert retrain == UNPARTITIONED
    assert batch == set(GROUPS) - UNPARTITIONED
    partitions = jobs["flight_delays_batch"].partitions_def
    assert partitions is not None
    assert partitions.get_partition_keys()[::367] == ["2013-01-01", "2014-01-03"]
    assert jobs["flight_delays_retrain"].partitions_def is None
    assert {job.tags["ml_assets/write"] for job in every.values()} == set(SHIPPED)


def test_every_asset_says_what_it_is_whose_and_with_what(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    nodes = {named(key): graph.get(key) for key in keys_of(graph)}

    assert [name for name, node in nodes.items() if len(node.description or "") < 30] == []
    assert [name for name, node in nodes.items() if list(node.owners) != ["team:flight-operations"]] == []
    assert [name for name, node in nodes.items() if not node.kinds] == []


def test_gate_and_completeness_only_warn_and_leakage_blocks(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()

    blocking = {f"{named(key.asset_key)}:{key.name}" for key in checks_of(graph) if graph.get(key).blocking}

    assert {"training/training_set:known_in_time", "training/training_set:leakage"} <= blocking
    assert "predictions/predictions:trained_before" in blocking
    assert not {"models/champion:gate", "predictions/predictions:complete", "raw/drops:final"} & blocking


def test_loading_is_quiet_and_needs_no_environment_and_no_heavy_module() -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)}

    process = subprocess.run(
        [sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, check=False, cwd="/"
    )

    assert (process.returncode, process.stderr) == (0, "")
    assert json.loads(process.stdout) == {
        "heavy": [],
        "assets": len(GROUPS | EXTERNAL),
        "use_cases": list(SHIPPED),
    }


def test_loading_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))

    build_use_case(flagship()).get_repository_def()

    assert list(tmp_path.iterdir()) == []


def test_factory_gives_the_same_graph_without_the_component(loaded: dg.Definitions, tmp_path: Path) -> None:
    alone = build_use_case(flagship(), tmp_path)

    ours, theirs = alone.resolve_asset_graph(), loaded.resolve_asset_graph()

    assert ours.get_all_asset_keys() == keys_of(theirs)
    assert set(ours.asset_check_keys) == checks_of(theirs)
    for key in keys_of(ours):
        assert ours.get(key).parent_keys == theirs.get(key).parent_keys, key
        assert ours.get(key).description == theirs.get(key).description, key


def test_broken_declaration_removes_only_itself_and_shows_its_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = tmp_path / "two_use_cases"
    for name in ("flight_delays", "broken_delays"):
        shutil.copytree(DEFS_FOLDER / "flight_delays", package / "defs" / name)
    for folder in (package, package / "defs"):
        (folder / "__init__.py").touch()
    project = f'[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{package.name}"\n'
    (tmp_path / "pyproject.toml").write_text(project + 'registry_modules = ["ml_assets"]\n')
    declaration = package / "defs" / "broken_delays" / "defs.yaml"
    text = declaration.read_text().replace("name: flight_delays", "name: broken_delays")
    declaration.write_text(text.replace("capacity: 50", "capacty: 50").replace("from: airports", "from: aerports"))
    lines = declaration.read_text().splitlines()
    monkeypatch.syspath_prepend(tmp_path)

    with caplog.at_level(logging.ERROR, logger="ml_assets"):
        graph = dg.load_from_defs_folder(path_within_project=package).resolve_asset_graph()

    broken = dg.AssetKey(["broken_delays", "broken_declaration"])
    assert keys_of(graph, "broken_delays") == {broken}
    assert {named(key) for key in keys_of(graph) - {broken}} == set(GROUPS | EXTERNAL)
    said, line = graph.get(broken).description or "", next(n for n, x in enumerate(lines, 1) if "capacty" in x)
    assert (
        f"`defs.yaml:{line} worklist.capacty: found 'capacty'; allowed: capacity, rank_by, columns, routes; "
        "nearest: capacity`" in said
    )
    assert "Mend them, check with `ml-assets validate broken_delays`" in said
    assert "broken_delays is broken and was left out" in caplog.text


def test_assets_by_hand_only_measure_and_the_job_of_retraining_judges(loaded: dg.Definitions) -> None:
    job = loaded.resolve_job_def("flight_delays_retrain")
    evaluation = "flight_delays__models__evaluation"

    schema = job.graph.node_named(evaluation).definition.config_schema
    assert schema is not None
    assert schema.as_field().default_value["gate"] == "dry_run"
    assert job.run_config is not None
    assert job.run_config["ops"][evaluation]["config"] == {"gate": "as_declared"}
