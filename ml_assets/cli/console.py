"""What every command needs: the use case by name, the console, and errors that a person can act on."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml_assets.spec.declaration import DeclarationError, find_use_cases, load_use_case
from ml_assets.spec.use_case import UseCaseSpec, did_you_mean
from ml_assets.stores.paths import state_paths
from ml_assets.stores.use_case_state import UseCaseState

console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)
DEFS_FOLDER = Path(__file__).resolve().parents[1] / "defs"


def fail(message: str) -> typer.Exit:
    """Say what is wrong; the caller raises what this returns."""
    errors.print("[bold red]error[/] ", end="")
    errors.print(message, markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(1)


def defs_folder() -> Path:
    """Give the folder of all declarations."""
    return DEFS_FOLDER


def state_of(spec: UseCaseSpec) -> UseCaseState:
    """Give the state of a use case on this machine."""
    return UseCaseState(spec.name, state_paths())


def use_case_names() -> list[str]:
    """List the declared use cases."""
    return [folder.name for folder in find_use_cases(DEFS_FOLDER)]


def read_use_case(name: str) -> UseCaseSpec:
    """Read the declaration of `name`, or end the command saying why not."""
    names = use_case_names()
    if name not in names:
        raise fail(f"there is no use case {name!r}; allowed: {', '.join(names)}{did_you_mean(name, names)}")
    try:
        return load_use_case(DEFS_FOLDER / name, state_paths().root)
    except DeclarationError as error:
        raise fail(f"{len(error.mistakes)} mistakes in the declaration of {name}:\n{error}") from error


def read_drops(spec: UseCaseSpec, first: str, last: str, option: str = "") -> list[date]:
    """Read a range of drops, or end the command saying what is allowed; `option` names a single one."""
    calendar = spec.calendar
    bounds = f"{calendar.start} to {calendar.end or 'today'}"
    days = []
    for name, text in (("--from", first), ("--to", last)):
        said = option or name
        try:
            day = date.fromisoformat(text)
        except ValueError as error:
            raise fail(f"{said}: found {text!r}; allowed: a date such as {calendar.start}") from error
        if not calendar.is_drop(day):
            raise fail(f"{said}: found {day}; allowed: a drop of the calendar of {spec.name}, {bounds}")
        days.append(day)
    if days[0] > days[1]:
        raise fail(f"--from {days[0]} is after --to {days[1]}")
    return calendar.drops_between(*days)


def print_json(value: object) -> None:
    """Print one JSON value for a script."""
    sys.stdout.write(json.dumps(value, indent=1, default=_plain, allow_nan=False) + "\n")


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date | time) else str(value)


def plain_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Give rows as objects; what JSON cannot hold (NaN, infinity) becomes null."""
    return [{name: _finite(value) for name, value in zip(columns, row, strict=True)} for row in rows]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table_of(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Lay out rows as a table; numbers stand to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for position, name in enumerate(columns):
        is_number = all(isinstance(row[position], int | float) for row in rows) and bool(rows)
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))  # as it is: data may look like markup
    return table


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def next_steps(commands: Mapping[str, str]) -> None:
    """Say what to do next: a command each, and what it is for."""
    console.print("\n[bold]next[/]")
    for command, purpose in commands.items():
        console.print(f"  [cyan]{command}[/]  {purpose}", soft_wrap=True)


@contextmanager
def explained_errors() -> Iterator[None]:
    """Turn the errors that a person can act on into one line; anything else keeps its trace."""
    import duckdb

    from ml_assets.spec.user_sql import UserSqlError
    from ml_assets.stores.lake import MissingTableError
    from ml_assets.stores.model_store import TamperedModelError

    try:
        yield
    except (UserSqlError, MissingTableError, TamperedModelError, LookupError, duckdb.Error) as error:
        raise fail(str(error)) from error
