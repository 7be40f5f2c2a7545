"""docs/tutorial.md as a stranger follows it: each of its commands, in order, and what it says they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_assets.cli import app

# great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning")

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"
COMMANDS = ("new", "validate", "test", "land", "batch", "retrain", "status", "audit", "features", "ui")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """A block of commands, and the lines that the page says they print."""

    commands: str
    prints: list[str] = field(default_factory=list)


def steps() -> list[Step]:
    found: list[Step] = []
    for kind, text in _BLOCK.findall(TUTORIAL.read_text(encoding="utf-8")):
        if kind == "sh":
            found.append(Step(text))
        else:
            assert kind == "text", f"a block of {kind} is neither run nor compared"
            found[-1].prints += text.splitlines()
    return found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the project's folder as far as the page touches it, with the state of nobody else."""
    defs = tmp_path / "ml_assets" / "defs"
    defs.mkdir(parents=True)
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(defs.parent))
    monkeypatch.setattr("ml_assets.cli.console.console._width", 120)
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "data" / "dagster_home"))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
    served = "served {} {}\n"
    monkeypatch.setattr(
        "ml_assets.cli.operate.webserver.serve",
        lambda paths, port, _hosts: sys.stdout.write(served.format(paths.root, port)),
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def follow(step: Step) -> str:
    """Run the commands of a block: ours in this process, others in a shell, each where the last ended."""
    said: list[str] = []
    shell: list[str] = []
    for line in [*step.commands.splitlines(), "ml-assets"]:
        if not line.startswith("ml-assets"):
            shell.append(line)
            continue
        if shell:
            said.append(in_shell("\n".join(shell)))
            shell = []
        if line != "ml-assets":
            said.append(ours(shlex.split(line)[1:]))
    return "\n".join(said)


def in_shell(script: str) -> str:
    done = subprocess.run(["/bin/bash", "-euc", f"{script}\npwd"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    *said, folder = done.stdout.splitlines()
    os.chdir(folder)
    return "\n".join(said)


def ours(arguments: list[str]) -> str:
    result = CliRunner().invoke(app, arguments, terminal_width=120)
    assert result.exit_code == 0, f"{arguments}\n{result.output}"
    return result.stdout


def missing_from(said: str, lines: list[str]) -> Iterator[str]:
    """Give the lines that were not printed, in this order; one that ends with … is the beginning of one."""
    printed = iter(said.splitlines())
    for line in lines:
        begun = line.removesuffix("…") if line.endswith("…") else None
        if not any(each.startswith(begun) if begun else each.rstrip() == line.rstrip() for each in printed):
            yield line


@pytest.mark.slow  # on two years of data
def test_every_command_of_the_tutorial_runs_and_prints_what_the_page_says(project: Path) -> None:
    everything = ""
    for step in steps():
        said = follow(step)

        assert list(missing_from(said, step.prints)) == [], said
        everything += said

    worklist = (project / "data" / "delivered" / "late_parcels" / "worklist" / "2024-04-08.csv").read_text()
    assert len(worklist.splitlines()) == 6
    assert f"served {project / 'data'} 3000" in everything
    assert Path.cwd() == project


def test_tutorial_shows_every_command_on_the_way_to_a_champion() -> None:
    named = re.findall(r"^ml-assets (\w+)", "".join(step.commands for step in steps()), re.MULTILINE)

    assert sorted(set(named)) == sorted(COMMANDS)
    assert sum(len(step.prints) for step in steps()) >= 15
