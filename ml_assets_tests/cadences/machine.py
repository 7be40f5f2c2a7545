"""A machine with one use case that `ml-assets new` begins from two files, and what a person decides of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import give_registry


@contextmanager
def machine(root: Path) -> Iterator[Path]:
    """Make an empty project in `root`, with its state below `root/state`."""
    (root / "defs").mkdir(parents=True)
    give_registry(StatePaths(root / "state"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_ASSETS_PROJECT", str(root))
        patch.setenv("ML_ASSETS_DATA", str(root / "state"))
        patch.setenv("DAGSTER_HOME", str(root / "state" / "dagster_home"))
        patch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
        yield root


def run(*arguments: str) -> str:
    """Run a command that has to succeed, and give what it printed."""
    result = CliRunner().invoke(app, list(arguments), terminal_width=200)
    assert result.exit_code == 0, result.output
    return result.stdout


def ask(query: str) -> list[dict[str, Any]]:
    """Give the rows of a query."""
    return json.loads(run("sql", query, "--json"))


def decide(folder: Path, known_at: Mapping[str, str], label: str, matures_after: str) -> None:
    """Decide what `new` leaves to a person: when rows are known, by source in order; the label; when it is mature."""
    declaration = folder / "defs.yaml"
    text = declaration.read_text()
    for moment in known_at.values():
        text = text.replace("known_at: decide", f"known_at: {moment}", 1)
    text = text.replace("sql: decide", "sql: sql/examples.sql", 1).replace("sql: decide", "sql: sql/labels.sql", 1)
    declaration.write_text(text.replace("matures_after: decide", f"matures_after: {matures_after}"))
    examples = folder / "sql" / "examples.sql"
    examples.write_text("\n".join(line for line in examples.read_text().splitlines() if "    decide," not in line))
    labels = folder / "sql" / "labels.sql"
    labels.write_text(f"{labels.read_text().replace('decide AS label', f'{label} AS label')} WHERE {label} IS NOT NULL")
    test = folder / "sql_tests" / "labels.yaml"
    test.write_text(test.read_text().replace("label: decide", "label: 0"))
