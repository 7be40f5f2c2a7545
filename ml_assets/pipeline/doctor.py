"""Looks over the state of a use case: what is damaged, what a killed process left, what nobody was told."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ml_assets.pipeline.champion.decisions import record_of
from ml_assets.pipeline.champion.record import PROMOTED, damage_of
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.processes import is_running
from ml_assets.stores.unreadable_files import why_unreadable
from ml_assets.stores.use_case_state import UseCaseState

_LEAST_FREE = 0.05  # of the disk; below, the next batch may find it full
_LEFT = re.compile(r"\.(\d+)\.tmp$")  # what a process writes before it renames it, with the process's number


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at.

    Attributes
    ----------
    what
        What was looked at.
    problem
        What is wrong, empty where nothing is.
    advice
        What to do about it.
    """

    what: str
    problem: str = ""
    advice: str = ""


def examine(state: UseCaseState) -> list[Diagnosis]:
    """Look over the state of a use case; nothing is changed."""
    parts: Sequence[Callable[[UseCaseState], Iterator[Diagnosis]]] = (
        _disk, _databases, _tables, _models, _left_behind, _messages,
    )  # fmt: skip
    return [found for part in parts for found in _each(part, state)]


def _each(part: Callable[[UseCaseState], Iterator[Diagnosis]], state: UseCaseState) -> Iterator[Diagnosis]:
    """Give what a part finds; one that cannot be looked at is a finding itself, and the others go on."""
    try:
        yield from part(state)
    except Exception as error:  # noqa: BLE001 - whatever damage raises is what to tell
        said = " ".join(f"{error}".split())
        yield Diagnosis(part.__name__.strip("_").replace("_", " "), said, "take what it names from a backup")


def remove_left_behind(paths: StatePaths) -> list[Path]:
    """Remove what processes that have ended were writing, and return it. No table, model or report reads it."""
    found = find_left_behind(paths)
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return found


def find_left_behind(paths: StatePaths) -> list[Path]:
    """List what processes that have ended were writing: files and folders that were never given their names."""
    folders = (paths.landing, paths.received, paths.models, paths.reports, paths.delivered)
    named = [(path, _LEFT.search(path.name)) for folder in folders for path in sorted(folder.rglob(".*.tmp"))]
    return [path for path, number in named if number is not None and not is_running(int(number[1]))]


def _disk(state: UseCaseState) -> Iterator[Diagnosis]:
    root = state.paths.root
    if not root.exists():
        yield Diagnosis("state folder", f"{root} is not there yet", f"ml-assets land {state.use_case} --help")
        return
    total, _, free = shutil.disk_usage(root)
    probe = root / ".writable.tmp"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        yield Diagnosis("state folder", f"{root} cannot be written to: {error.strerror}", "give its owner the right to")
        return
    is_low = free < _LEAST_FREE * total
    said = f"{free / 1e9:.1f} GB of {total / 1e9:.0f} GB are free on the disk of {root}" if is_low else ""
    yield Diagnosis("state folder", said, f"ml-assets housekeep {state.use_case}, or a larger disk" if is_low else "")


def _databases(state: UseCaseState) -> Iterator[Diagnosis]:
    """Check SQLite files: alerts, MLflow, and those of Dagster that all runs share."""
    home = state.paths.dagster_home
    runs = home / "history"
    dagster = (home / "schedules" / "schedules.db", runs / "runs.db", runs / "runs" / "index.db")
    for file in (state.paths.alerts / "alerts.sqlite", state.paths.mlflow / "mlflow.db", *dagster):
        if file.exists():
            yield Diagnosis(f"database {file.relative_to(state.paths.root)}", *_check_database(file))


def _check_database(file: Path) -> tuple[str, str]:
    how = "mode=ro" if os.access(file.parent, os.W_OK) else "immutable=1"  # SQLite cannot share what it cannot lock
    try:
        with closing(sqlite3.connect(f"file:{file}?{how}", uri=True, timeout=5)) as connection:
            said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said == "ok":
        return "", ""
    return f"SQLite says: {said}", "if it is locked, wait for who holds it; if it is damaged, take it from a backup"


def _tables(state: UseCaseState) -> Iterator[Diagnosis]:
    lake = state.lake
    for table in lake.tables():
        try:
            files = lake.files(table).files
        except Exception as error:  # noqa: BLE001 - whatever a damaged log raises is what to tell
            said = " ".join(str(error).split())
            yield Diagnosis(f"table {table}", f"its log cannot be read: {said}", "take its folder from a backup")
            continue
        damaged = [(file, why) for file in files if (why := why_unreadable(file))]
        if damaged:
            file, why = damaged[0]
            said = (
                f"{len(damaged)} of its {len(files)} files are gone or damaged, first {file}: {' '.join(why.split())}"
            )
            yield Diagnosis(f"table {table}", said, "take them from a backup, or run the drops of these files again")
        else:
            yield Diagnosis(f"table {table}")


def _models(state: UseCaseState) -> Iterator[Diagnosis]:
    for entry in record_of(state):
        if entry["verdict"] == PROMOTED:
            damage = damage_of(state.models, entry)
            advice = f"take it from a backup, or ml-assets reproduce {state.use_case} {entry['model_version']}"
            yield Diagnosis(f"model {entry['model_version']}", damage or "", advice if damage else "")


def _left_behind(state: UseCaseState) -> Iterator[Diagnosis]:
    found = find_left_behind(state.paths)
    said = f"{len(found)} files that ended processes were writing, first {found[0]}" if found else ""
    yield Diagnosis("files left behind", said, f"ml-assets doctor {state.use_case} --repair" if found else "")


def _messages(state: UseCaseState) -> Iterator[Diagnosis]:
    dead = AlertOutbox(state.paths).dead_letters()
    said = f"{len(dead)} could not be sent for two days, first: {dead[0].title}" if dead else ""
    yield Diagnosis("alert messages", said, "ml-assets alerts --test, then ml-assets alerts --send" if dead else "")
