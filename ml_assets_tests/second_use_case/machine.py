"""A machine whose only use case is late_loans: its declaration, the files that somebody brings, and its commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import give_registry
from ml_assets_tests.second_use_case.generate import write_past

DECLARED = Path(__file__).parent / "late_loans"


@contextmanager
def loans_machine(root: Path, more: str = "") -> Iterator[Path]:
    """Make a project in `root` and its state below `root/state`; `more` is added to the declaration."""
    write_past(root)
    declaration = Path(shutil.copytree(DECLARED, root / "defs" / "late_loans")) / "defs.yaml"
    declaration.write_text(declaration.read_text() + more)
    give_registry(StatePaths(root / "state"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_ASSETS_PROJECT", str(root))
        patch.setenv("ML_ASSETS_DATA", str(root / "state"))
        patch.setenv("DAGSTER_HOME", str(root / "state" / "dagster_home"))
        patch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
        yield root


def invoke(*arguments: str, answer: str | None = None) -> Result:
    """Run a command, whatever comes of it."""
    return CliRunner().invoke(app, list(arguments), input=answer, terminal_width=200)


def run(*arguments: str) -> str:
    """Run a command that has to succeed, and give what it printed."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def ask(query: str) -> list[dict[str, Any]]:
    """Give the rows of a query."""
    return json.loads(run("sql", query, "--json"))
