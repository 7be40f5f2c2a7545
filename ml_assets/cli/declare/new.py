"""Begins a use case from files: a commented declaration, SQL and tests, with what is left to decide."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.text import Text

from ml_assets.cli.console import console, fail, next_steps, say
from ml_assets.cli.declare.new_facts import Decided, Draft, gather_draft
from ml_assets.cli.declare.new_text import write_texts
from ml_assets.cli.progress import progress_bar
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.ingestion.headers import contract_name
from ml_assets.ingestion.history import HistoryError
from ml_assets.ingestion.profiling import FileProfile
from ml_assets.ingestion.proposal import find_parts, propose_expectations
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.names import DECIDE
from ml_assets.stores.first_declaration import write_schema
from ml_assets.stores.given_files import Row, profile_file

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def begin_use_case(defs: Path, name: str, given: Sequence[str], decided: Decided, today: date) -> None:
    """Write the folder `defs`/`name` from files, and say what was found and what a person must still decide."""
    folder = defs / name
    _refuse_name(folder, name)
    _refuse_decided(decided)
    files = _files(given)
    profiles, rows = _profile(files)
    paths = list(files.values())
    shared = frozenset(source for source, file in files.items() if paths.count(file) > 1)
    draft = Draft(name, profiles, find_parts(profiles), decided, today, rows, shared)
    texts = write_texts(gather_draft(draft))
    _write_folder(folder, texts)
    write_schema(defs)
    _show_profiles(profiles)
    _say_decisions(folder, texts)
    pasts = " ".join(f"--history {shlex.quote(f'{source}={file}')}" for source, file in files.items())
    next_steps(
        {
            f"ml-assets validate {name}": "what is still to decide, with its line; until then nothing of it runs",
            f"ml-assets test {name}": "whether the SQL does what sql_tests/ say",
            f"ml-assets land {name} {pasts}": "then split the past into drops; it says which to run to go live, "
            "and which to see first how it would have done",
        }
    )


def _refuse_name(folder: Path, name: str) -> None:
    if not _NAME.fullmatch(name):
        hint = contract_name(name) if name.strip() else "late_payments"
        raise fail(
            f"found {name!r}; allowed: lower case letters, digits and _, beginning with a letter, at most 64; as {hint}"
        )
    if folder.exists():
        raise fail(f"{folder} is there already, and is never overwritten; allowed: another name")


def _refuse_decided(decided: Decided) -> None:
    fields = {"every": ("1d", decided.every), "at": ("00:00", decided.at), "timezone": ("UTC", decided.zone)}
    options = {"every": "--every", "at": "--at", "timezone": "--zone"}
    for field, (_, value) in fields.items():
        if value == DECIDE:
            continue
        others = {name: stand_in for name, (stand_in, _) in fields.items()}
        given = [each.strip() for each in value.split(",")] if field == "at" and "," in value else value
        try:
            Calendar.model_validate({"start": "2000-01-01", **others, field: given})
        except ValueError as error:
            errors = getattr(error, "errors", list)()
            message = errors[0]["msg"].removeprefix("Value error, ") if errors else str(error)
            message = message.removeprefix(f"{field}: ")
            found = "" if message.startswith("found") else f"found {value!r}; "
            raise fail(f"{options[field]}: {found}{message}") from error


def _files(given: Sequence[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for text in given:
        named, sign, rest = text.partition("=")
        path = Path(rest if sign else text).expanduser()
        name = named if sign else contract_name(path.stem)
        if not _NAME.fullmatch(name) or name == "batch":
            raise fail(f"--from: found source name {name!r}; allowed: lower case letters, digits and _, as orders=FILE")
        if name in files:
            raise fail(f"--from: found two files for source {name}; allowed: NAME=FILE with a name each")
        files[name] = path
    return files


def _profile(files: dict[str, Path]) -> tuple[list[FileProfile], dict[str, list[Row]]]:
    profiles, rows = [], {}
    with progress_bar() as progress:
        task = progress.add_task("reading", total=len(files), now="")
        for name, file in files.items():
            progress.update(task, now=str(file))
            try:
                profile, rows[name] = profile_file(name, file)
            except HistoryError as error:
                raise fail(str(error)) from error
            profiles.append(profile)
            progress.advance(task)
    return profiles, rows


def _write_folder(folder: Path, texts: dict[str, str]) -> None:
    """Write the folder whole or not at all; it is there once its last file is."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for name, text in texts.items():
            file = unfinished / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _show_profiles(profiles: Sequence[FileProfile]) -> None:
    rows = [
        [each.name, each.rows, len(each.columns), ", ".join(each.key) or "none found",
         ", ".join(column.name for column in each.moments) or "none", len(propose_expectations(each))]
        for each in profiles
    ]  # fmt: skip
    heads = ["source", "rows", "columns", "key", "moments", "expectations proposed"]
    columns = [TableColumn(head, is_text=head in ("key", "moments")) for head in heads]
    print_table("found in the data", columns, rows)


def _say_decisions(folder: Path, texts: dict[str, str]) -> None:
    console.print(f"wrote {folder}: {', '.join(texts)}", markup=False, highlight=False, soft_wrap=True)
    console.print()
    question = (
        ": what is an example, when is it predicted, what is its label, when is each row known, and when is a label "
        "mature"
    )
    say(Text.assemble(("still to decide", "bold"), question))
    for name, text in texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            _, sign, question = line.partition("TODO ")
            if sign:
                say(f"{name}:{number} {question}", indent=2)
