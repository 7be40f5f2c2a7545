"""The wheel: what it holds, and that it runs a use case in a folder of somebody else."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ml_assets_tests.rehearsal import REPOSITORY
from ml_assets_tests.second_use_case.generate import write_past

DECLARED = Path(__file__).parent / "second_use_case" / "late_loans"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy: setuptools leaves a folder `build` behind."""
    folder = tmp_path_factory.mktemp("wheel")
    copied = folder / "source"
    shutil.copytree(REPOSITORY / "ml_assets", copied / "ml_assets", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, copied / name)
    (copied / "ml_assets_tests").mkdir()
    (copied / "ml_assets_tests" / "__init__.py").touch()
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(copied)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_all_that_is_no_program_and_no_test(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    package = REPOSITORY / "ml_assets"
    wanted = {
        str(path.relative_to(REPOSITORY))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert wanted - held == set()
    assert {name for name in held if not name.startswith(("ml_assets/", "ml_assets-"))} == set()
    assert {Path(name).suffix for name in wanted} >= {".py", ".sql", ".yaml", ".j2"}


def test_wheel_runs_a_use_case_of_another_folder(wheel: Path, tmp_path: Path) -> None:
    site, project = tmp_path / "site", tmp_path / "project"
    zipfile.ZipFile(wheel).extractall(site)
    shutil.copytree(DECLARED, project / "defs" / "late_loans")
    (project / "ml_assets.toml").touch()
    (project / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    write_past(project)
    hidden = {name: value for name, value in os.environ.items() if not name.startswith(("ML_ASSETS_", "DAGSTER_HOME"))}

    def run(*arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-c", "from ml_assets.cli.process import main; main()", *arguments], cwd=project,
            env=hidden | {"PYTHONPATH": str(site), "COLUMNS": "200"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    where = [sys.executable, "-c", "import ml_assets; print(ml_assets.__file__)"]
    loaded = subprocess.run(where, cwd=project, env=hidden | {"PYTHONPATH": str(site)}, capture_output=True, check=True)
    assert loaded.stdout.decode().startswith(str(site))
    assert "late_loans" in run("validate")
    history = [word for name in ("applications", "repayments") for word in ("--history", f"{name}={name}.csv")]
    run("land", "late_loans", *history)
    run("batch", "late_loans", "--from", "2022-01-09", "--to", "2022-01-16")

    assert "2022-01-16" in run("status", "late_loans")
    assert (project / "data" / "lake" / "late_loans" / "features").is_dir()
    assert (project / "data" / "dagster_home" / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"
