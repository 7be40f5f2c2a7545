import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.stores.project import Project, ProjectError, find_project
from ml_assets_tests.rehearsal import DEFS_FOLDER, REPOSITORY


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ML_ASSETS_PROJECT", raising=False)
    monkeypatch.delenv("ML_ASSETS_DATA", raising=False)


def declare(folder: Path, text: str, name: str = "ml_assets.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_project_is_found_from_a_folder_below_it(tmp_path: Path) -> None:
    root = declare(tmp_path / "team", 'use_cases = "models"\nstate = "/srv/state"\n')
    (root / "a" / "b").mkdir(parents=True)

    found = find_project(root / "a" / "b")

    assert (found.root, found.use_cases, found.state) == (root, root / "models", Path("/srv/state"))
    assert found.workspace is None


def test_empty_file_makes_a_project_with_the_usual_folders(tmp_path: Path) -> None:
    found = find_project(declare(tmp_path, ""))

    assert (found.use_cases, found.state) == (tmp_path / "defs", tmp_path / "data")
    assert found.dagster_settings.read_text(encoding="utf-8").startswith("# The Dagster instance.")


def test_own_settings_and_code_locations_are_taken_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "workspace.yaml").write_text("load_from: []\n")

    found = find_project(declare(tmp_path, ""))

    assert found.dagster_settings == tmp_path / "dagster.yaml"
    assert found.workspace == tmp_path / "workspace.yaml"


def test_pyproject_declares_a_project_and_one_without_the_table_does_not(tmp_path: Path) -> None:
    root = declare(tmp_path, '[tool.ml_assets]\nuse_cases = "src/models"\n', "pyproject.toml")
    below = declare(root / "other", "[tool.ruff]\nline-length = 100\n", "pyproject.toml")

    assert find_project(below).use_cases == root / "src" / "models"


def test_named_folder_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(tmp_path))

    assert find_project(REPOSITORY).use_cases == tmp_path / "defs"


def test_checkout_is_the_project_outside_of_any(tmp_path: Path) -> None:
    found = find_project(tmp_path)

    assert (found.root, found.use_cases) == (REPOSITORY, DEFS_FOLDER)
    assert found.workspace == REPOSITORY / "workspace.yaml"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "use_case = 'x'\n",
            "use_case: unknown; allowed: use_cases, state, dagster_settings, workspace; nearest: use_cases",
        ),
        ("state = 3\n", "state: found 3; allowed: a path"),
        ("state = ''\n", "state: found ''; allowed: a path"),
        ("state = \n", "is no TOML: "),
        ("workspace = 'none.yaml'\n", "workspace: there is no file "),
    ],
)
def test_mistake_in_the_file_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    declare(tmp_path, text)

    with pytest.raises(ProjectError) as error:
        find_project(tmp_path)

    assert said in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_command_says_a_mistake_of_the_project_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(tmp_path / "gone"))

    result = CliRunner().invoke(app, ["status"])

    assert result.exit_code == 1
    assert "$ML_ASSETS_PROJECT: found" in result.output
    assert "Traceback" not in result.output


def test_two_projects_share_nothing(tmp_path: Path) -> None:
    found: list[Project] = [find_project(declare(tmp_path / name, "")) for name in ("one", "two")]

    assert found[0].state != found[1].state
    assert not {found[0].use_cases, found[0].root} & {found[1].use_cases, found[1].root}


def test_definitions_of_another_project_are_its_own_use_cases(tmp_path: Path) -> None:
    program = (
        "from ml_assets.definitions import defs\n"
        "print(sorted(job.name for job in defs().get_repository_def().get_all_jobs() if 'batch' in job.name))\n"
    )
    (tmp_path / "defs").mkdir()
    late_loans = REPOSITORY / "ml_assets_tests" / "second_use_case" / "late_loans"
    (tmp_path / "defs" / "late_loans").symlink_to(late_loans, target_is_directory=True)
    declare(tmp_path, "")

    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
                           env=os.environ | {"DAGSTER_HOME": ""})  # fmt: skip

    assert ended.stdout.strip() == "['late_loans_batch']", ended.stderr[-2000:]
