"""What every command needs: the use case by name, the console, and errors that a person can act on."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ml_assets.pipeline.declaring.calendar_changes import locate_on_state
from ml_assets.pipeline.features.closed_drops import closed_drops, refuse_drop_not_run
from ml_assets.spec.declaration import DeclarationError, find_use_cases
from ml_assets.spec.drop import DropKey
from ml_assets.spec.drop_names import named_drop
from ml_assets.spec.use_case import UseCaseSpec, did_you_mean
from ml_assets.stores.paths import state_paths
from ml_assets.stores.project import find_project
from ml_assets.stores.use_case_state import UseCaseState

console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


def fail(message: str) -> typer.Exit:
    """Say what is wrong; the caller raises what this returns."""
    errors.print("[bold red]error[/] ", end="")
    errors.print(message, markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(1)


def defs_folder() -> Path:
    """Give the folder of all declarations of the project."""
    return find_project().use_cases


def state_of(spec: UseCaseSpec) -> UseCaseState:
    """Give the state of a use case on this machine."""
    return UseCaseState(spec.name, state_paths())


def use_case_names() -> list[str]:
    """List the declared use cases."""
    return [folder.name for folder in find_use_cases(defs_folder())]


def read_use_case(name: str) -> UseCaseSpec:
    """Read the declaration of `name`, or end the command saying why not."""
    names = use_case_names()
    if name not in names:
        raise fail(f"there is no use case {name!r}; allowed: {', '.join(names)}{did_you_mean(name, names)}")
    try:
        return load_declared(name)
    except DeclarationError as error:
        count = "1 mistake" if len(error.mistakes) == 1 else f"{len(error.mistakes)} mistakes"
        raise fail(f"{count} in the declaration of {name}:\n{error}") from error


def load_declared(name: str) -> UseCaseSpec:
    """Read the declaration of `name`; raises DeclarationError, also where its calendar is not that of its state."""
    return locate_on_state(defs_folder() / name, state_paths()).spec


def read_drops(spec: UseCaseSpec, first: str, last: str, option: str = "") -> list[DropKey]:
    """Read a range of drops, or end the command saying what is allowed; `option` names a single one."""
    calendar = spec.calendar
    bounds = f"{calendar.first_drop} to {calendar.last_drop or 'today'}"
    bounds += "" if calendar.step_text == "1d" else f", every {calendar.step_text}"
    days = []
    for name, text in (("--from", first), ("--to", last)):
        said = option or name
        try:
            day = named_drop(calendar, text, is_first=name == "--from" and not option)
        except ValueError as error:
            such = f"a {'date' if calendar.has_dates else 'drop or a date'} such as {calendar.first_drop}"
            raise fail(f"{said}: found {text!r}; allowed: {such}") from error
        if not calendar.is_drop(day):
            allowed = f"a drop of the calendar of {spec.name}, {bounds}; nearest: {calendar.nearest_drop(day)}"
            raise fail(f"{said}: found {day}; allowed: {allowed}")
        days.append(day)
    if days[0] > days[1]:
        raise fail(f"--from {days[0]} is after --to {days[1]}")
    return calendar.drops_between(*days)


def read_run_drop(spec: UseCaseSpec, text: str, option: str) -> DropKey:
    """Read a drop that was run, or end the command saying which were; `option` names what it was given for."""
    (drop,) = read_drops(spec, text, text, option)
    require_run(spec, option, drop)
    return drop


def require_run(spec: UseCaseSpec, option: str, drop: DropKey | None = None) -> None:
    """End the command where a drop was not run, or none was."""
    try:
        refuse_drop_not_run(spec, closed_drops(state_of(spec).pinned()), drop, option)
    except ValueError as error:
        raise fail(str(error)) from error


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


def shown(value: object) -> str:
    r"""Write a value as a table shows it; characters that would move the cursor are written as escapes.

    >>> [shown(value) for value in (None, 1200, 0.25, 0.00012, "two\nlines", True)]
    ['', '1,200', '0.2500', '0.00012', 'two\\nlines', 'True']
    """
    if value is None:
        return ""
    if isinstance(value, float):
        is_small = 0 < abs(value) < 0.001
        return f"{value:.4g}" if is_small else f"{value:.4f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return printable(str(value))


def printable(text: str) -> str:
    """Write what a terminal would not print, such as a line break or a change of direction, as an escape."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def wrapped(text: Text, width: int, first: int | None = None) -> list[Text]:
    """Break a text at spaces; a word that is longer than a line stands on a line of its own, whole.

    `first` is the width of the first line, by default that of the others.
    """
    breaks: list[int] = []
    line_width = 0
    for word in re.finditer(r" *[^ ]+", text.plain):
        line_width += cell_len(word[0])
        if line_width > (width if breaks or first is None else first) and word.start():
            breaks.append(word.start())
            line_width = cell_len(word[0].lstrip(" "))
    lines = list(text.divide(breaks))
    for number, line in enumerate(lines):
        line.rstrip()
        if number:
            lines[number] = line[len(line.plain) - len(line.plain.lstrip(" ")) :]
    return lines


def say(text: str | Text, *, indent: int = 0, hanging: int | None = None, style: str = "") -> None:
    """Print a text that is broken at spaces alone; in a `str`, markup is no markup and a line break is one.

    Parameters
    ----------
    indent, hanging
        Spaces before the first line, and before those that follow; by default two more.
    """
    hanging = indent + 2 if hanging is None else hanging
    parts = [Text(printable(part), style) for part in text.split("\n")] if isinstance(text, str) else [text]
    for part in parts:
        for number, line in enumerate(wrapped(part, console.width - hanging, console.width - indent)):
            console.print(Text.assemble(" " * (hanging if number else indent), line), soft_wrap=True, highlight=False)


def next_steps(commands: Mapping[str, str]) -> None:
    """Say what to do next: a command each, whole on its line, and what it is for."""
    console.print("\n[bold]next[/]")
    for command, purpose in commands.items():
        is_short = len(command) + len(purpose) + 4 <= console.width
        line = Text.assemble("  ", (command, "cyan"), f"  {purpose}" if is_short else "")
        console.print(line, soft_wrap=True, highlight=False)
        if not is_short:
            say(purpose, indent=6, hanging=6)


@contextmanager
def explained_errors() -> Iterator[None]:
    """Turn the errors that a person can act on into one line; anything else keeps its trace."""
    import duckdb

    from ml_assets.reports.evidently_page import UnsafePageError
    from ml_assets.spec.user_sql import UserSqlError
    from ml_assets.stores.lake import MissingTableError
    from ml_assets.stores.model_store import TamperedModelError
    from ml_assets.stores.sql_limits import SqlLimitError
    from ml_assets.stores.unreadable_files import UnreadableFileError

    readable = (
        UserSqlError,
        MissingTableError,
        TamperedModelError,
        LookupError,
        SqlLimitError,
        UnsafePageError,
        UnreadableFileError,
    )
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise  # all commands say what to do about it
    except (*readable, duckdb.Error) as error:
        raise fail(str(error)) from error
