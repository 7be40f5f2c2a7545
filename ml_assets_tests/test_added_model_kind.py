"""A kind of model of another package, from its file to scored drops, in an environment of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ml_assets_tests.rehearsal import REPOSITORY
from ml_assets_tests.second_use_case.generate import write_past

pytestmark = pytest.mark.slow
DECLARED = Path(__file__).parent / "second_use_case" / "late_loans"
CONFORMS = """
from lightgbm_kind import KIND
from ml_assets.training.model_kind_conformance import CHECKS
for check in CHECKS:
    check(KIND)
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install LightGBM, and the example of the documentation as a package that names its entry point."""
    folder = tmp_path_factory.mktemp("packages")
    pinned = Path(__file__).parent / "requirements-lightgbm.txt"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", str(folder)]
    subprocess.run([*pip, "-r", str(pinned)], check=True, capture_output=True)
    shutil.copy(REPOSITORY / "docs" / "examples" / "lightgbm_kind.py", folder)
    described = folder / "lightgbm_kind-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: lightgbm-kind\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[ml_assets.model_kinds]\nlightgbm = lightgbm_kind:KIND\n")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project whose use case has trees of LightGBM in the place of those of xgboost."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(DECLARED, folder / "defs" / "late_loans")
    file = folder / "defs" / "late_loans" / "defs.yaml"
    (line,) = (each for each in file.read_text().splitlines() if "kind: xgboost" in each)
    trees = "      - {name: trees, kind: lightgbm, parameters: {rounds: 60, num_leaves: 7}}"
    file.write_text(file.read_text().replace(line, trees))
    (folder / "ml_assets.toml").touch()
    write_past(folder)
    return folder


def run(project: Path, packages: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    hidden = {name: value for name, value in os.environ.items() if not name.startswith(("ML_ASSETS_", "DAGSTER_HOME"))}
    path = {"PYTHONPATH": str(packages)} if packages else {}
    command = [sys.executable, "-c", "from ml_assets.cli.process import main; main()", *arguments]
    return subprocess.run(
        command, cwd=project, env=hidden | path | {"COLUMNS": "200"}, capture_output=True, text=True, check=False
    )


def test_example_of_the_documentation_conforms(packages: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(packages)}
    ended = subprocess.run([sys.executable, "-c", CONFORMS], env=environment, capture_output=True, check=False)

    assert ended.returncode == 0, ended.stderr.decode()


def test_without_its_package_the_declaration_says_which_kind_is_missing(project: Path) -> None:
    ended = run(project, None, "validate", "late_loans")

    assert ended.returncode == 1
    assert "kind: found 'lightgbm'; allowed: constant, group_history, logistic_regression, xgboost" in ended.stdout


def test_parameter_that_the_kind_does_not_know_is_a_mistake_with_its_line(project: Path, packages: Path) -> None:
    file = project / "defs" / "late_loans" / "defs.yaml"
    sound = file.read_text()
    file.write_text(sound.replace("num_leaves: 7", "num_leafs: 7"))

    ended = run(project, packages, "validate", "late_loans")

    file.write_text(sound)
    assert ended.returncode == 1
    assert "parameters.num_leafs: found 'num_leafs'; allowed: rounds, learning_rate, num_leaves" in ended.stdout


def test_its_model_is_trained_gated_explained_and_serves(project: Path, packages: Path) -> None:
    def done(*arguments: str) -> str:
        ended = run(project, packages, *arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    history = [word for name in ("applications", "repayments") for word in ("--history", f"{name}={name}.csv")]
    done("land", "late_loans", *history)
    done("batch", "late_loans", "--from", "2022-01-09", "--to", "2022-11-06")
    done("retrain", "late_loans", "--as-of", "2022-11-06", "--candidate", "trees", "--gate", "disabled")
    done("batch", "late_loans", "--from", "2022-11-13", "--to", "2022-11-13")
    query = "SELECT DISTINCT served_by, model_version FROM late_loans.predictions WHERE batch_date = '2022-11-13'"
    (served,) = json.loads(done("sql", query, "--json"))
    one = "SELECT min(example_id) AS id FROM late_loans.predictions WHERE batch_date = '2022-11-13'"
    explained = done("explain", "late_loans", "prediction", json.loads(done("sql", one, "--json"))[0]["id"])

    assert "trees" in served["model_version"]
    assert "log odds" in explained
    manifest = next((project / "data" / "models" / "late_loans").glob("*trees*/model.json"), None)
    recorded = "".join(path.read_text() for path in (project / "data" / "models").rglob("*.json"))
    assert "lightgbm-kind" in recorded, manifest
