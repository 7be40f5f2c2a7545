"""What another package adds, a kind of model, a metric and an aggregate: from its files to scored drops."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ml_assets_tests.added_package import install
from ml_assets_tests.rehearsal import REPOSITORY
from ml_assets_tests.second_use_case.generate import write_past

pytestmark = pytest.mark.slow
DECLARED = Path(__file__).parent / "second_use_case" / "late_loans"
CONFORMS = """
from f1_metric import METRIC
from lightgbm_kind import KIND
from ml_assets.stats import metric_conformance
from ml_assets.training import model_kind_conformance
for checks, of in ((model_kind_conformance.CHECKS, KIND), (metric_conformance.CHECKS, METRIC)):
    for check in checks:
        check(of)
"""
MEASURED = "SELECT role, estimate, lower, upper FROM late_loans.evaluation_measures WHERE measure = 'f1_at_half'"
TRENDS = "SELECT count(branch_repayments_days_late_trend_28d) AS n, count(*) AS whole FROM late_loans.features"
EXAMPLES = ("lightgbm_kind.py", "f1_metric.py", "trend_aggregate.py")
ADDS = {
    "ml_assets.model_kinds": {"lightgbm": "lightgbm_kind:KIND"},
    "ml_assets.metrics": {"f1_at_half": "f1_metric:METRIC"},
    "ml_assets.aggregates": {"trend_per_day": "trend_aggregate:AGGREGATE"},
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install LightGBM, and the examples of the documentation as a package that names its entry points."""
    folder = tmp_path_factory.mktemp("packages")
    pinned = Path(__file__).parent / "requirements-lightgbm.txt"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", str(folder)]
    subprocess.run([*pip, "-r", str(pinned)], check=True, capture_output=True)
    examples = REPOSITORY / "docs" / "examples"
    return install(folder, {name: (examples / name).read_text() for name in EXAMPLES}, ADDS)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project whose use case uses all that the package adds, LightGBM's trees in the place of xgboost's."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(DECLARED, folder / "defs" / "late_loans")
    file = folder / "defs" / "late_loans" / "defs.yaml"
    (line,) = (each for each in file.read_text().splitlines() if "kind: xgboost" in each)
    trees = "      - {name: trees, kind: lightgbm, parameters: {rounds: 60, num_leaves: 7}}"
    changes = {
        line: trees,
        "aggregates: {rows: count(*),": "aggregates: {days_late_trend: trend_per_day(days_late), rows: count(*),",
        "    gate: #": "    metrics: [f1_at_half]\n    gate: #",
        "      max_ece: 0.1\n": "      max_ece: 0.1\n      guardrails: [{measure: f1_at_half, max_worse: 0.9}]\n",
    }
    text = file.read_text()
    for found, given in changes.items():
        assert text.count(found) == 1, found
        text = text.replace(found, given)
    file.write_text(text)
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


def test_without_its_package_the_declaration_says_what_is_missing_each_with_its_line(project: Path) -> None:
    ended = run(project, None, "validate", "late_loans")

    assert ended.returncode == 1
    assert "kind: found 'lightgbm'; allowed: constant, group_history, feature_value" in ended.stdout
    assert "metrics[0]: found 'f1_at_half'" in ended.stdout
    assert "days_late_trend: found 'trend_per_day(days_late)'; allowed: count(*)" in ended.stdout


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

    measured = json.loads(done("sql", MEASURED, "--json"))
    trends = json.loads(done("sql", TRENDS, "--json"))
    card = done("explain", "late_loans", "model", served["model_version"])
    audited = done("audit", "late_loans", "--sample", "40")

    assert "trees" in served["model_version"]
    assert {row["role"] for row in measured} == {"candidate", "baseline"}
    assert all(row["lower"] <= row["estimate"] <= row["upper"] for row in measured)
    assert trends[0]["n"] > 0.9 * trends[0]["whole"]
    assert "f1 at half" in card.lower()
    assert "0 could not be known" in audited
    assert "log odds" in explained
    manifest = next((project / "data" / "models" / "late_loans").glob("*trees*/model.json"), None)
    recorded = "".join(path.read_text() for path in (project / "data" / "models").rglob("*.json"))
    assert "added-package" in recorded, manifest
