"""Runs the SQL tests of use cases and shows what is not as expected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ml_assets.cli.console import console, read_use_case
from ml_assets.pipeline.declaring.sql_tests import Difference, Outcome, run_sql_test
from ml_assets.spec.sql_tests import load_sql_tests

_MARKS = {"missing": "-", "unexpected": "+", "differs": "~"}
_STYLES = {"-": "red", "+": "yellow", "~": "red"}


def run_tests(defs: Path, names: Sequence[str]) -> bool:
    """Run the SQL tests of use cases, print how each ended, and say whether all passed."""
    is_passed = True
    for name in names:
        spec = read_use_case(name)
        found = load_sql_tests(defs / name, spec)
        outcomes = [run_sql_test(spec, test) for test in found.tests]
        failed = [outcome for outcome in outcomes if not outcome.is_passed]
        for mistake in found.mistakes:
            console.print(f"  {mistake}", markup=False, highlight=False, soft_wrap=True, style="red")
        for outcome in outcomes:
            _show(outcome)
        counted = f"{len(outcomes)} tests, {len(failed)} failed, {len(found.mistakes)} mistakes in their files"
        if not outcomes and not found.mistakes:
            counted = f"no test; they go into {defs / name}/sql_tests/*.yaml"
        colour = "red" if failed or found.mistakes else "green"
        console.print(f"[bold {colour}]{name}[/]: {counted}", highlight=False, soft_wrap=True)
        is_passed &= not failed and not found.mistakes
    return is_passed


def _show(outcome: Outcome) -> None:
    test = outcome.test
    word = "[green]ok[/]" if outcome.is_passed else "[bold red]failed[/]"
    console.print(f"{word} ", end="")
    console.print(f"{test.file.name}:{test.line} {test.name}", markup=False, highlight=False, soft_wrap=True)
    for line in report_lines(outcome):
        console.print(line, markup=False, highlight=False, soft_wrap=True, style=_STYLES.get(line.strip()[:1]))


def report_lines(outcome: Outcome) -> list[str]:
    """Say what is not as expected: a line a row, `-` missing, `+` unexpected, `~` with the cells that differ."""
    lines = [f"    {mistake}" for mistake in outcome.mistakes]
    if outcome.error:
        lines.append(f"    {outcome.error}")
    if not outcome.differences:
        return lines
    width = max(len(each.example_id) for each in outcome.differences)
    return lines + [f"    {_line(each, width)}" for each in outcome.differences]


def _line(each: Difference, width: int) -> str:
    cells = [
        f"{name}: expected {_shown(expected)}, found {_shown(found)}"
        if each.kind == "differs"
        else f"{name}: {_shown(expected if each.kind == 'missing' else found)}"
        for name, (expected, found) in each.cells.items()
    ]
    where = f" (line {each.line})" if each.line else ""
    note = f"  {each.note}" if each.note else ""
    return f"{_MARKS[each.kind]} {each.kind:<10} {each.example_id:<{width}}  {'; '.join(cells)}{note}{where}"


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
