"""What `land` prints to do next is done as it stands: train on a first part, replay the rest."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import give_registry
from ml_assets_tests.second_use_case.generate import write_past
from ml_assets_tests.test_second_use_case import DECLARED

pytestmark = [
    pytest.mark.slow,  # nine months, a retraining and a replay through the graph
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning"),
]


@pytest.fixture
def root(tmp_path: Path) -> Any:
    """Give a machine whose only use case is late_loans."""
    write_past(tmp_path)
    shutil.copytree(DECLARED, tmp_path / "defs" / "late_loans")
    give_registry(StatePaths(tmp_path / "state"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_ASSETS_PROJECT", str(tmp_path))
        patch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))
        patch.setenv("DAGSTER_HOME", str(tmp_path / "state" / "dagster_home"))
        patch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
        yield tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), terminal_width=200)
    assert result.exit_code == 0, result.output
    return result.stdout


def printed(said: str) -> list[str]:
    return [line.strip().partition("  ")[0] for line in said.splitlines() if line.startswith("  ml-assets ")]


def test_printed_commands_train_on_a_first_part_and_replay_the_rest(root: Path) -> None:
    files = [f"--history={name}={root / name}.csv" for name in ("applications", "repayments")]

    landed = printed(run("land", "late_loans", *files, "--to", "2022-11-06"))
    assert printed(run("status", "late_loans")) == landed
    _, _, batch, retrain, replay = landed
    for command in (batch, retrain, replay):
        said = run(*shlex.split(command)[1:])

    assert "by month of prediction" in said
    assert "no champion serves yet" not in run("performance", "late_loans")
