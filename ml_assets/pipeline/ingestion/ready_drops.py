"""Which drops can be run: what has landed and is complete, and what is late."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ml_assets.ingestion.ledger import DropsNotFinalError
from ml_assets.pipeline.declaring.calendar_changes import find_calendar_changes, said_of_changes
from ml_assets.pipeline.ingestion.extraction import extract_due
from ml_assets.spec.contract import Source
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.landing import CHECKSUM, has_landed, is_marked, landed_drops, own_files
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.unchanged import (
    SameObject,
    file_mark,
    forget_unchanged,
    keep_unchanged,
    landing_marks,
    table_marks,
    time_mark,
)
from ml_assets.stores.use_case_state import UseCaseState

ACCEPTED_GAPS = "accepted_gaps"
_AT_ONCE_DAYS = timedelta(days=7)  # or as many drops as lie in it, where they are short
_AT_ONCE = 31  # drops of one run: enough to catch up, few enough that the first result is not far


@dataclass(frozen=True)
class ReadyRange:
    """Drops to run as one range. `key` names their content: landed again with other content they are due again."""

    first: DropKey
    last: DropKey
    key: str
    reason: str


def find_ready_drops(
    spec: UseCaseSpec,
    paths: StatePaths,
    *,
    now: datetime,
    is_patient: bool,
    until: DropKey | None = None,
    deadline: DropKey | None = None,
) -> ReadyRange | str:
    """Give the next drops that are complete and stable, or say why there are none.

    A drop is complete when every source due in it has landed. A source that is not waited for is missed once the batch
    is past: by the wall's clock, or, where the clock is the data's, once a later drop has landed; and at the
    `deadline`, a drop that is run with what is there. The first drop that is not complete stops the range: no drop is
    skipped. What landed for a drop that has not begun waits. With `is_patient`, a file that changed shorter ago
    than its source declares waits too: it may still be written. One with a marker is whole. Then sources in databases
    are extracted first, where a drop is past that they have not come to.
    """
    folder, name = paths.lake / spec.name, ("ready drops", paths.root, spec.name, is_patient, until, deadline)
    changes = find_calendar_changes(spec, Lake(folder))
    if changes:
        return said_of_changes(changes)
    failed = extract_due(spec, paths, now) if is_patient else ""
    drop = spec.calendar.drop_receiving(now)
    files = [source.expected_file for source in spec.sources]
    mark = (
        SameObject(spec), table_marks(folder, ("decisions", ACCEPTED_GAPS)),
        landing_marks(paths.landing / spec.name, files), drop, spec.calendar.batch_at(drop) <= now, time_mark(now),
    )  # fmt: skip
    is_changing, found = keep_unchanged(
        name, mark, lambda: _find_ready_drops(spec, paths, now, is_patient=is_patient, until=until, deadline=deadline)
    )
    if is_changing or not isinstance(found, str):
        forget_unchanged(name)  # what is waited for is time, or a run whose files may be landed again meanwhile
    return f"{found}; {failed}" if failed and isinstance(found, str) else found


def _find_ready_drops(
    spec: UseCaseSpec,
    paths: StatePaths,
    now: datetime,
    *,
    is_patient: bool,
    until: DropKey | None,
    deadline: DropKey | None,
) -> tuple[bool, ReadyRange | str]:
    """Give what is ready, and whether a file of the next drop may still be written."""
    landing, lake = paths.landing / spec.name, Lake(paths.lake / spec.name)
    landed = landed_drops(landing, spec.calendar, [source.expected_file for source in spec.sources])
    if not landed:
        return False, "nothing has landed yet"
    done, past = _decided_drops(lake), _newest_past(spec, landed[-1], now)
    newest = max(landed[-1], past, deadline or past)
    if spec.clock == "wall":
        newest = min(newest, spec.calendar.drop_receiving(now))
    start = next(
        (drop for drop in spec.calendar.drops_between(spec.calendar.first_drop, newest) if drop not in done), None
    )
    accepted = accepted_gaps(lake)
    taken: list[DropKey] = []
    is_changing = False
    why = "every drop that landed was run"
    day = start
    while (
        day is not None
        and len(taken) < max(_AT_ONCE, spec.calendar.drops_in(_AT_ONCE_DAYS))
        and (until is None or day <= until)
        and day <= newest
    ):
        expected = [source for source in spec.sources if source.is_expected_in(day, spec.calendar.first_drop)]
        missing = [
            source
            for source in expected
            if not has_landed(landing, day, source.expected_file) and (day, source.name) not in accepted
        ]
        is_past = day <= past or day == deadline
        waited = [source.name for source in missing if source.when_missing == "wait" or not is_past]
        if waited and day != deadline:
            why = f"drop {day} waits for {', '.join(_with_marker(landing, day, spec.source(name)) for name in waited)}"
            break
        unstable = [said for source in spec.sources if (said := _why_unstable(landing / str(day), source, now))]
        if is_patient and unstable:
            is_changing, why = True, f"drop {day}: {unstable[0]}"
            break
        taken.append(day)
        day = spec.calendar.next_drop(day)
    if not taken:
        return is_changing, f"up to {until} {why}" if until is not None else why
    reason = f"drops {taken[0]} to {taken[-1]} have landed" if len(taken) > 1 else f"drop {taken[0]} has landed"
    return is_changing, _ready_range(spec, paths, taken, reason)


def overdue_sources(spec: UseCaseSpec, paths: StatePaths, newest: DropKey, now: datetime) -> list[tuple[DropKey, str]]:
    """List what is waited for and late: its drop is past because a later one has landed, or by the clock on the wall.

    Where the clock is the data's, only what has landed tells the time.
    """
    landing, lake = paths.landing / spec.name, Lake(paths.lake / spec.name)
    done, accepted = _decided_drops(lake), accepted_gaps(lake)
    last = _newest_past(spec, newest, now)
    open_drops = [drop for drop in spec.calendar.drops_between(spec.calendar.first_drop, last) if drop not in done]
    return [
        (drop, source.name)
        for drop in open_drops
        for source in spec.sources
        if source.when_missing == "wait"
        and source.is_expected_in(drop, spec.calendar.first_drop)
        and not has_landed(landing, drop, source.expected_file)
        and (drop, source.name) not in accepted
    ]


def refuse_undue_drops(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey], now: datetime) -> None:
    """Refuse drops whose batch has not come: nothing has landed for them or a later one, and they are not past.

    Raises
    ------
    DropsNotFinalError
        Naming the first of them and the newest drop that can be run.
    """
    last, files = max(drops), [source.expected_file for source in spec.sources]
    has_come = spec.clock != "wall" or last <= spec.calendar.drop_receiving(now)
    if has_come and any(has_landed(state.landing, last, file) for file in files):
        return  # every step asks, and all that ever landed need not be listed each time
    landed = landed_drops(state.landing, spec.calendar, files)
    known = [*landed, *(state.lake.files("drops").drops() if state.lake.has("drops") else ())]
    newest = max(known, default=None)
    if newest is not None and spec.clock == "wall":
        newest = min(max(newest, _newest_past(spec, newest, now)), spec.calendar.drop_receiving(now))
    undue = [drop for drop in drops if newest is None or drop > newest]
    if undue:
        until = f"the newest that can be run is {newest}" if newest else f"nothing has landed in {state.landing}"
        raise DropsNotFinalError(f"drop {undue[0]} has not come yet: {until}")


def _newest_past(spec: UseCaseSpec, newest_landed: DropKey, now: datetime) -> DropKey:
    """Give the newest drop whose batch is past. Where the clock is the data's, only what has landed tells the time."""
    if spec.clock != "wall":
        return spec.calendar.previous_drop(newest_landed)
    due = spec.calendar.drop_receiving(now)
    return due if spec.calendar.batch_at(due) <= now else spec.calendar.previous_drop(due)


def accepted_gaps(lake: Lake) -> set[tuple[DropKey, str]]:
    """Give the drops and sources that a person said to go on without."""
    return {(row["batch_date"], row["source"]) for row in read_rows(lake, ACCEPTED_GAPS, ["batch_date", "source"])}


def _decided_drops(lake: Lake) -> set[DropKey]:
    """Give the drops that were taken through to their decision."""
    return {row["batch_date"] for row in read_rows(lake, "decisions", ["batch_date"])}


def _ready_range(spec: UseCaseSpec, paths: StatePaths, drops: Sequence[DropKey], reason: str) -> ReadyRange:
    content = hashlib.sha256()
    for drop in drops:
        for source in spec.sources:
            folder = paths.landing / spec.name / str(drop)
            content.update(f"{drop}/{source.name}".encode())
            for path in (folder / name for name in own_files(folder, source.expected_file)):
                if path.is_file():
                    mark = file_mark(path)
                    content.update(keep_unchanged(("content", path), mark, lambda p=path: _digest(p)))
    return ReadyRange(drops[0], drops[-1], f"{drops[0]}..{drops[-1]}:{content.hexdigest()[:16]}", reason)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _with_marker(landing: Path, drop: DropKey, source: Source) -> str:
    """Name a source that is waited for, and its marker where only that is missing."""
    file, folder = source.expected_file, landing / str(drop)
    name = next((each for each in own_files(folder, file) if not is_marked(folder, each, file)), None)
    return (
        f"{source.name} ({name} is there, its marker {file.marker_of(name)} is not)"
        if file.marker and name is not None
        else source.name
    )


def _why_unstable(folder: Path, source: Source, now: datetime) -> str:
    """Say which file of a source may still be written; empty where none is, or a marker tells."""
    names = own_files(folder, source.expected_file) or [source.file_name]
    for name in (each for own in names for each in (own, f"{own}{CHECKSUM}")):
        age = _age_of(folder / name, now)
        if age < source.upload.wait_after_change.total_seconds():
            return f"{name} changed {max(0.0, age):.0f} s ago and may still be written"
    return ""


def _age_of(path: Path, now: datetime) -> float:
    """Give how many seconds ago a file changed. A sender's clock may be ahead: then this machine's tells."""
    try:
        found = path.stat()
    except OSError:
        return math.inf
    moment = now.timestamp()
    return moment - (found.st_mtime if found.st_mtime <= moment else found.st_ctime)
