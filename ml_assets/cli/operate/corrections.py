"""What a person does about rows in quarantine and drops that will not come."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ml_assets.cli.console import console, fail, next_steps, table_of
from ml_assets.ingestion.ledger import FINAL_STATES
from ml_assets.ingestion.requeue import write_again
from ml_assets.pipeline.ingestion.ready_drops import ACCEPTED_GAPS, read_rows
from ml_assets.spec.contract import Source
from ml_assets.spec.use_case import UseCaseSpec, did_you_mean
from ml_assets.stores.lake import Lake
from ml_assets.stores.landing import write_whole
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.receiving import REQUEUED
from ml_assets.stores.write_lock import write_lock

# What no mended contract brings back: another row says it, the text was never read, or the whole drop was refused.
_LEFT_OUT = ("already_known", "duplicate_key", "file_refused:not_utf8", "drop_refused:")


@dataclass(frozen=True)
class Requeue:
    """Which quarantined rows to bring back: those of any of `reasons`, by default of all that lost something."""

    source: str
    reasons: tuple[str, ...]
    first: date
    last: date
    dry_run: bool


def find_source(spec: UseCaseSpec, name: str) -> Source:
    """Give a source by its name, or end the command with the names there are."""
    names = [source.name for source in spec.sources]
    if name not in names:
        raise fail(f"--source: found {name!r}; allowed: {', '.join(names)}{did_you_mean(name, names)}")
    return spec.sources[names.index(name)]


def run_requeue(spec: UseCaseSpec, paths: StatePaths, asked: Requeue) -> None:
    """Land quarantined rows once more, beside the file they came in: the next open drop receives them."""
    source, lake = find_source(spec, asked.source), Lake(paths.lake / spec.name)
    columns = ["batch_date", "reasons", "_file", "_sha256", "_line", *(f'"{name}"' for name in source.key)]
    rows = read_rows(lake, f"quarantine_{source.name}", columns, (asked.first, asked.last))
    known = Counter(reason for row in rows for reason in row["reasons"])
    for reason in asked.reasons:
        if reason not in known:
            listed = ", ".join(sorted(known)) or "no row is in quarantine there"
            raise fail(f"--reason: found {reason!r}; allowed: {listed}{did_you_mean(reason, sorted(known))}")
    wanted = set(asked.reasons) or {reason for reason in known if not reason.startswith(_LEFT_OUT)}
    chosen = _still_news(lake, source, [row for row in rows if wanted & set(row["reasons"])])
    if not chosen:
        until = f" to {asked.last}" if asked.last < date.max else ""
        console.print(f"nothing to requeue: no such row of {source.name} in quarantine, from {asked.first}{until}")
        return
    closed = {row["batch_date"] for row in read_rows(lake, "closed_drops", ["batch_date"])}
    open_drops = sorted({row["batch_date"] for row in chosen} - closed)
    if open_drops:
        raise fail(
            f"{source.name} of {open_drops[0]} is not closed yet: run `ml-assets batch {spec.name} --from "
            f"{open_drops[0]} --to {open_drops[-1]}` again, which judges its rows by the contract as it is now"
        )
    counted = Counter(reason for row in chosen for reason in row["reasons"])
    console.print(table_of(f"{len(chosen):,} rows of {source.name}", ["reason", "rows"], sorted(counted.items())))
    if asked.dry_run:
        return
    files = 0
    by_file: dict[tuple[date, str], list[int]] = defaultdict(list)
    for row in chosen:
        by_file[row["batch_date"], row["_sha256"]].append(row["_line"])
    for (drop, sha256), lines in sorted(by_file.items()):
        files += _land_again(paths, spec, source, drop, sha256, lines)
    console.print(f"{files} of {len(by_file)} files landed beside those they came in; the others were there already")
    if not files:
        return
    following = spec.calendar.next_drop(max(closed))
    next_steps({f"ml-assets batch {spec.name} --from {following} --to {following}": "receives them as corrections"})


def _key_of(row: dict[str, Any], source: Source) -> tuple[Any, ...]:
    return tuple(row[name] for name in source.key)


def _still_news(lake: Lake, source: Source, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out rows of whose key a later drop said something: an old row must not replace a newer one."""
    newer = _said_since(lake, source)
    kept = [row for row in rows if newer.get(_key_of(row, source), date.min) <= row["batch_date"]]
    if len(kept) < len(rows):
        console.print(f"{len(rows) - len(kept):,} rows are left out: a later drop said something of their key")
    return kept


def _said_since(lake: Lake, source: Source) -> dict[tuple[Any, ...], date]:
    """Give the newest drop in which each key was validated."""
    columns = [*(f'"{name}"' for name in source.key), "batch_date"]
    found: dict[tuple[Any, ...], date] = {}
    for row in read_rows(lake, f"validated_{source.name}", columns):
        key = _key_of(row, source)
        found[key] = max(row["batch_date"], found.get(key, date.min))
    return found


def _land_again(
    paths: StatePaths, spec: UseCaseSpec, source: Source, drop: date, sha256: str, lines: Sequence[int]
) -> bool:
    copy = paths.received / f"{sha256}.csv"
    try:
        content = write_again(copy.read_bytes().decode("utf-8-sig"), lines).encode()
    except (OSError, LookupError, UnicodeDecodeError, csv.Error) as error:
        said = f"left out: {len(lines)} lines of what {source.name} sent in {drop} ({copy}): {error}"
        console.print(said, style="yellow", markup=False, soft_wrap=True)
        return False
    label = hashlib.sha256(content).hexdigest()[:12]
    path = paths.landing / spec.name / str(drop) / f"{Path(source.file_name).stem}{REQUEUED}{label}.csv"
    if path.exists():
        return False
    write_whole(path, content)
    return True


@dataclass(frozen=True)
class AcceptedGap:
    """A source that a person goes on without, in some drops, and why."""

    source: str
    drops: Sequence[date]
    reason: str


def run_accept(spec: UseCaseSpec, paths: StatePaths, asked: AcceptedGap, now: datetime) -> None:
    """Record that a person goes on without a source in some drops, and why; all of them or none."""
    import pyarrow as pa

    source, lake, drops = find_source(spec, asked.source), Lake(paths.lake / spec.name), list(asked.drops)
    reason = asked.reason.strip()
    if not reason:
        raise fail("--reason: found nothing; allowed: why it is right to go on without it")
    ledger = read_rows(lake, "drops", ["batch_date", "source", "state"], (drops[0], drops[-1]))
    states = {row["batch_date"]: row["state"] for row in ledger if row["source"] == source.name}
    for drop in drops:
        _check_missing(spec, paths, source, drop, states.get(drop, "missing"), now)
    rows = [{"batch_date": drop, "source": source.name, "reason": reason, "_recorded_at": now} for drop in drops]
    with write_lock(paths.locks, spec.name):
        lake.append(ACCEPTED_GAPS, pa.Table.from_pylist(rows))
    for drop in drops:
        console.print(f"{source.name} of {drop} is accepted as missing: {reason}", markup=False)
    next_steps({f"ml-assets batch {spec.name} --from {drops[0]} --to {drops[-1]}": "goes on without it"})


def _check_missing(spec: UseCaseSpec, paths: StatePaths, source: Source, drop: date, state: str, now: datetime) -> None:
    """End the command where there is nothing to accept in a drop, or it is too early to."""
    name, batch_at = source.name, spec.calendar.batch_at(drop)
    if spec.clock == "wall" and batch_at > now:
        raise fail(f"the batch of {drop} is at {batch_at:%Y-%m-%d %H:%M} UTC: {name} may still come")
    if not source.is_expected_in(drop, spec.calendar.start):
        raise fail(f"{name} is not expected in {drop}: there is nothing to accept")
    if (paths.landing / spec.name / str(drop) / source.file_name).exists():
        raise fail(f"{name} of {drop} has landed; run `ml-assets batch {spec.name} --from {drop} --to {drop}`")
    if state in FINAL_STATES:
        raise fail(f"{name} of {drop} is {state} already")
