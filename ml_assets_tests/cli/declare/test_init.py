"""A project of one's own: what `init` writes works with ml-assets, with Dagster and with dg."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets_tests.rehearsal import REPOSITORY
from ml_assets_tests.test_wheel import wheel  # noqa: F401 - a fixture

DECLARED = REPOSITORY / "ml_assets_tests" / "second_use_case" / "late_loans"


def init(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", *arguments], terminal_width=200)


def clean(project: Path, **more: str) -> dict[str, str]:
    hidden = {name: value for name, value in os.environ.items() if not name.startswith(("ML_ASSETS_", "DAGSTER_HOME"))}
    home = project / "home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return hidden | {"COLUMNS": "200", "DAGSTER_HOME": str(home), "DO_NOT_TRACK": "true"} | more


def test_project_holds_what_its_readme_lists_and_each_file_reads(tmp_path: Path) -> None:
    result = init(str(tmp_path / "credit-risk"))

    assert result.exit_code == 0, result.output
    project = tmp_path / "credit-risk"
    assert sorted(str(file.relative_to(project)) for file in project.rglob("*") if file.is_file()) == [
        ".env.example", ".github/workflows/ci.yml", ".gitignore", "README.md", "credit_risk/__init__.py",
        "credit_risk/definitions.py", "credit_risk/defs/use_case.schema.json", "ml_assets.toml", "pyproject.toml",
        "workspace.yaml",
    ]  # fmt: skip
    declared = tomllib.loads((project / "pyproject.toml").read_text())
    assert declared["tool"]["dg"]["project"]["root_module"] == "credit_risk"
    assert tomllib.loads((project / "ml_assets.toml").read_text())["use_cases"] == "credit_risk/defs"
    module = yaml.safe_load((project / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    assert module["module_name"] == "credit_risk.definitions"
    steps = yaml.safe_load((project / ".github/workflows/ci.yml").read_text())["jobs"]["check"]["steps"]
    assert {"run": "ml-assets validate"} in steps


def test_nothing_is_overwritten_and_a_name_that_python_cannot_import_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes.txt").write_text("mine")

    taken, named = init(str(tmp_path / "there")), init(str(tmp_path / "2nd Model"))

    assert taken.exit_code == named.exit_code == 1
    assert "is there already and is not empty" in taken.output
    assert "found '2nd Model'" in named.output
    assert "as c_2nd_model" in named.output
    assert [file.name for file in tmp_path.rglob("*")] == ["there", "notes.txt"]


@pytest.mark.slow
def test_use_case_of_the_project_loads_in_dagster(tmp_path: Path) -> None:
    init(str(tmp_path / "credit"))
    project = tmp_path / "credit"
    shutil.copytree(DECLARED, project / "credit" / "defs" / "late_loans")
    environment = clean(tmp_path, PYTHONPATH=str(REPOSITORY))

    def run(*command: str) -> str:
        ended = subprocess.run([sys.executable, *command], cwd=project, env=environment, capture_output=True, text=True,
                               check=False)  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    assert "no mistake" in run("-c", "from ml_assets.cli.process import main; main()", "validate")
    assert "Validation successful" in run("-m", "dagster", "definitions", "validate", "-m", "credit.definitions")


@pytest.mark.slow
def test_dg_lists_scaffolds_and_checks_use_cases(tmp_path: Path, wheel: Path) -> None:  # noqa: F811
    """With dg in an environment of its own, which sees the libraries of this one and the built wheel."""
    where = tmp_path / "dg"
    subprocess.run([sys.executable, "-m", "venv", str(where)], check=True)
    pip = [str(where / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run([*pip, "dagster-dg-cli>=1.13.27,<1.14"], capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"dagster-dg-cli cannot be installed here: {installed.stderr[-200:]}")
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    (site,) = (where / "lib").glob("python*/site-packages")
    (site / "shared.pth").write_text(f"{sysconfig.get_path('purelib')}\n{tmp_path / 'credit'}\n")
    init(str(tmp_path / "credit"))
    environment = clean(tmp_path)

    def dg(*arguments: str) -> tuple[int, str]:
        ended = subprocess.run([str(where / "bin" / "dg"), *arguments], cwd=tmp_path / "credit", env=environment,
                               capture_output=True, text=True, check=False)  # fmt: skip
        return ended.returncode, ended.stdout + ended.stderr

    assert "ml_assets.UseCase" in dg("list", "components")[1]
    assert dg("scaffold", "defs", "ml_assets.UseCase", "late_things")[0] == 0
    declaration = tmp_path / "credit" / "credit" / "defs" / "late_things" / "defs.yaml"
    assert "name: late_things" in declaration.read_text()
    assert dg("check", "yaml") == (0, "All component YAML validated successfully.\n")

    declaration.write_text(declaration.read_text().replace("  clock: wall", "  clok: wall"))
    code, said = dg("check", "yaml")
    assert code != 0
    assert "'clok' was unexpected" in said
    assert f"{declaration.name}:" in said
