"""A search for parameters from the terminal: what it prints is what it tried, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.spec.model import ModelCandidate, Range
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets_tests.cli.models.test_ablation import CANDIDATES, begin, lay, small_spec, training_set

LINE = CANDIDATES[2].model_copy(update={"search": {"C": Range(low=0.001, high=10, log=True)}})


def searched_spec() -> UseCaseSpec:
    """The small candidates, in which the line may be searched."""
    spec = small_spec()
    candidates: tuple[ModelCandidate, ...] = (*CANDIDATES[:2], LINE, *CANDIDATES[3:])
    return spec.model_copy(update={"model": spec.model.model_copy(update={"candidates": candidates})})


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return begin(tmp_path, monkeypatch, searched_spec())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["tune", "flight_delays", *arguments], terminal_width=240)


def test_search_is_seeded_and_its_best_trial_gives_the_parameters(state: Path) -> None:
    lay(state, training_set())
    lake = Lake(state / "lake" / "flight_delays")

    found = json.loads(run("--candidate", "line", "--trials", "3", "--json").stdout)
    shown = run("--trials", "3")

    (best,) = [trial for trial in found["trials"] if trial["is_best"]]
    assert len(found["trials"]) == 3
    assert best["loss"] == min(trial["loss"] for trial in found["trials"] if trial["outcome"] == "complete")
    assert found["parameters"]["line"]["C"] == best["parameters"]["C"]
    assert 0.001 <= best["parameters"]["C"] <= 10
    assert shown.exit_code == 0, shown.output
    assert f"C: {best['parameters']['C']:g}" in shown.stdout
    assert "ml-assets retrain flight_delays --tune" in shown.stdout
    assert lake.versions(lake.tables()) == {"training_set": 0}


def test_candidate_that_is_not_there_is_explained_with_the_nearest(state: Path) -> None:
    lay(state, training_set())

    result = run("--candidate", "lines")

    assert result.exit_code == 1
    assert "found 'lines'" in result.stderr
    assert "nearest: line" in " ".join(result.stderr.split())


def test_candidate_without_a_search_and_no_training_set_are_explained(state: Path) -> None:
    bare = run("--candidate", "line")
    lay(state, training_set())
    unsearched = run("--candidate", "trees")

    assert bare.exit_code == 1
    assert "run `ml-assets retrain flight_delays` first" in " ".join(bare.stderr.split())
    assert unsearched.exit_code == 1
    assert "search" in unsearched.stderr
