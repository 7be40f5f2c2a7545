"""What `land` prints to do next is done as it stands: train on a first part, replay the rest."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from ml_assets_tests.second_use_case.machine import loans_machine, run

pytestmark = [
    pytest.mark.slow,  # nine months, a retraining and a replay through the graph
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning"),
]


@pytest.fixture
def root(tmp_path: Path) -> Any:
    """Give a machine whose only use case is late_loans."""
    with loans_machine(tmp_path):
        yield tmp_path


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
