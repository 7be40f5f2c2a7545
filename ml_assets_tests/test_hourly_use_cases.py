"""The hourly use cases that ship, on real hours of January: from landing over two ranges to a champion that scores."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_assets.demo.flights import SOURCES, land_flights
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import DEFS_FOLDER, give_registry

NOW = datetime(2014, 2, 1, tzinfo=UTC)
FIRST, MIDDLE, AS_OF, LAST = "2013-01-01T0500Z", "2013-01-06T0400Z", "2013-01-12T0400Z", "2013-01-13T0400Z"
_GATE = {"min_gain": -1.0, "max_loss": 1.0, "interval_level": 0.01, "resamples": 100, "min_examples": 20, "min_days": 2}
_OF_CLASSES = {"min_auc": 0.4, "max_auc": 1.0, "max_auc_drop": 0.5, "max_ece": 0.5}

pytestmark = pytest.mark.slow


def cut_down(name: str, root: Path) -> UseCaseSpec:
    """Give a use case as it ships, but for models that twelve days can train, and a gate that lets them pass."""
    defs = root / "defs"
    shutil.copytree(DEFS_FOLDER, defs)  # all of them: one takes parts of another
    declared = yaml.safe_load((defs / name / "defs.yaml").read_text(encoding="utf-8"))
    model: dict[str, Any] = declared["attributes"]["model"]
    model |= {"holdout": "3d", "refit": False, "folds": {"count": 1, "length": "2d"}}
    for candidate in model["candidates"]:
        if candidate["kind"] == "xgboost":
            candidate["parameters"] = {"rounds": 30, "max_depth": 3, "min_child_weight": 5}
    model["gate"] |= _GATE | (_OF_CLASSES if "task" not in declared["attributes"] else {"bars": []})
    (defs / name / "defs.yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")
    return load_use_case(defs / name)


@pytest.mark.parametrize("name", ["flight_delays_live", "airport_delay"])
def test_hours_of_january_go_from_files_to_a_champion_that_scores(name: str, tmp_path: Path) -> None:
    spec, paths = cut_down(name, tmp_path), StatePaths(tmp_path / "state")
    calendar, state = spec.calendar, UseCaseState(spec.name, paths)
    give_registry(paths)
    landed = land_flights(paths.landing / name, calendar, FIRST, LAST, use_case=name)

    for first, last in ((FIRST, MIDDLE), (calendar.next_drop(MIDDLE), AS_OF)):
        run_batch_steps(spec, state, calendar.drops_between(first, last), BatchContext(NOW))
    trained = run_retraining_steps(spec, state, Retraining(AS_OF), RetrainingContext(NOW))
    run_batch_steps(spec, state, calendar.drops_between(calendar.next_drop(AS_OF), LAST), BatchContext(NOW))

    for source in SOURCES[name]:  # every row that landed was accepted or quarantined
        kept = [read_rows(state.lake, f"{table}_{source}", ["batch_date"]) for table in ("validated", "quarantine")]
        assert sum(map(len, kept)) == landed[source], source
    # in twelve days a value of the week before is missing in the first half: that tells time, and no outcome
    leakage = trained.checks["training_set:leakage"]
    assert leakage.passed or name == "airport_delay"
    assert leakage.description.startswith("0 of ")
    assert trained.checks["training_set:known_in_time"].passed
    examples = read_rows(state.lake, "examples", ["batch_date", "example_id"])
    features = read_rows(state.lake, "features", ["batch_date", "example_id"])
    assert len(examples) > 700
    assert sorted(map(str, features)) == sorted(map(str, examples))
    scored = read_rows(state.lake, "predictions", None)
    assert {row["batch_date"] for row in scored} == {row["batch_date"] for row in examples if row["batch_date"] > AS_OF}
    assert {row["served_by"] for row in scored} <= {"model", "baseline"}
    assert sum(row["served_by"] == "model" for row in scored) > 0.9 * len(scored)


def test_contracts_and_labels_of_the_flagship_are_those_of_the_hourly_use_cases() -> None:
    names = ("flight_delays", "flight_delays_live", "airport_delay")
    flagship, live, airport = (load_use_case(DEFS_FOLDER / name) for name in names)

    assert live.labels.sql == flagship.labels.sql
    for source in ("schedule", "flight_outcomes", "weather", "planes", "airports"):
        assert live.source(source).columns == flagship.source(source).columns
        assert live.source(source).known_at == flagship.source(source).known_at
    assert airport.source("departures").columns == live.source("departures").columns
    shared = {view.name for view in live.features.views} & {view.name for view in flagship.features.views}
    assert len(shared) >= 11
