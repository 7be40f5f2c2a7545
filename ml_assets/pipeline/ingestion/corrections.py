"""What a person does about quarantined rows and about files that will not come: requeue rows, accept gaps.

A requeued row is landed once more, in a file beside the one it came in; the next open drop receives it. An accepted gap
is a row of the table `accepted_gaps`; drops no longer wait for that source. Nothing is printed here.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ml_assets.ingestion.ledger import FINAL_STATES
from ml_assets.ingestion.requeue import write_again, write_declared_again
from ml_assets.pipeline.features.closed_drops import closed_drops
from ml_assets.pipeline.ingestion.ready_drops import ACCEPTED_GAPS
from ml_assets.spec.contract import Source
from ml_assets.spec.drop import EARLIEST, DropKey
from ml_assets.spec.received import REQUEUED
from ml_assets.spec.use_case import UseCaseSpec, did_you_mean
from ml_assets.stores.landing import has_landed, write_whole
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

REFUSED = "refused"
# No changed contract brings these back: another row says the same, the text was never read, or the drop was refused.
_NEVER_REQUEUED = ("already_known", "duplicate_key", "file_refused:not_utf8", "drop_refused:")


class CorrectionError(LookupError):
    """A correction of something that is not there, or is not in a state to be corrected."""


@dataclass(frozen=True)
class RequeueRequest:
    """Which quarantined rows to bring back: those of any of `reasons`, by default of all that lost something."""

    source: str
    reasons: tuple[str, ...]
    first: DropKey
    last: DropKey


@dataclass(frozen=True)
class RequeuePlan:
    """The rows that would be landed again.

    Attributes
    ----------
    lines
        Line numbers of the rows, by drop and sha256 of the file they came in.
    by_reason
        Rows by reason code; a row with two reasons counts in both.
    n_rows
        Rows that would be landed again.
    n_superseded
        Rows left out: a later drop brought a newer row of their key.
    rewritten
        The sha256 of files that were written by an earlier requeue.
    next_drop
        The drop that would receive them; None where there are no rows.
    """

    source: Source
    lines: dict[tuple[DropKey, str], list[int]]
    by_reason: dict[str, int]
    n_rows: int
    n_superseded: int
    next_drop: DropKey | None
    rewritten: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RequeueResult:
    """Files that were landed, out of how many, and a message for each that could not be written."""

    n_landed: int
    n_files: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class AcceptedGap:
    """A source that a person goes on without, in some drops, and why."""

    source: str
    drops: Sequence[DropKey]
    reason: str


def plan_requeue(spec: UseCaseSpec, state: UseCaseState, request: RequeueRequest) -> RequeuePlan:
    """Find the quarantined rows that can be brought back; nothing is written.

    Raises
    ------
    CorrectionError
        If there is no such source or no row with such a reason, or if a drop of these rows is still open: running it
        again judges them by the contract as it is now.
    """
    source, lake = _find_source(spec, request.source), state.lake
    columns = ["batch_date", "reasons", "_file", "_sha256", "_line", *(f'"{name}"' for name in source.key)]
    rows = read_rows(lake, f"quarantine_{source.name}", columns, (request.first, request.last))
    known = Counter(reason for row in rows for reason in row["reasons"])
    for reason in request.reasons:
        if reason not in known:
            listed = ", ".join(sorted(known)) or "no row is in quarantine there"
            raise CorrectionError(f"--reason: found {reason!r}; allowed: {listed}{did_you_mean(reason, sorted(known))}")
    wanted = set(request.reasons) or {reason for reason in known if not reason.startswith(_NEVER_REQUEUED)}
    matching = [row for row in rows if wanted & set(row["reasons"])]
    chosen = _not_superseded(state, source, matching)
    closed = closed_drops(state)
    open_drops = sorted({row["batch_date"] for row in chosen} - closed)
    if open_drops:
        raise CorrectionError(
            f"{source.name} of {open_drops[0]} is not closed yet: run `ml-assets batch {spec.name} --from "
            f"{open_drops[0]} --to {open_drops[-1]}` again, which judges its rows by the contract as it is now"
        )
    lines: dict[tuple[DropKey, str], list[int]] = defaultdict(list)
    for row in chosen:
        lines[row["batch_date"], row["_sha256"]].append(row["_line"])
    by_reason = dict(sorted(Counter(reason for row in chosen for reason in row["reasons"]).items()))
    next_drop = spec.calendar.next_drop(max(closed)) if chosen else None
    n_superseded = len(matching) - len(chosen)
    rewritten = frozenset(row["_sha256"] for row in chosen if REQUEUED in row["_file"])
    return RequeuePlan(source, dict(lines), by_reason, len(chosen), n_superseded, next_drop, rewritten)


def land_again(state: UseCaseState, plan: RequeuePlan) -> RequeueResult:
    """Land the planned rows beside the files they came in. What was landed by the same plan before stays as it is."""
    problems: list[str] = []
    n_landed = 0
    for (drop, sha256), lines in sorted(plan.lines.items()):
        copy = state.paths.received / f"{sha256}.csv"
        try:
            content = _lines_again(plan, drop, sha256, copy)
        except (OSError, LookupError, UnicodeDecodeError, csv.Error) as error:
            problems.append(f"left out: {len(lines)} lines of {plan.source.name} in drop {drop} ({copy}): {error}")
            continue
        label = hashlib.sha256(content).hexdigest()[:12]
        path = state.landing / str(drop) / f"{plan.source.name}{REQUEUED}{label}.csv"
        if not path.exists():
            write_whole(path, content)
            n_landed += 1
    return RequeueResult(n_landed, len(plan.lines), tuple(problems))


def _lines_again(plan: RequeuePlan, drop: DropKey, sha256: str, copy: Path) -> bytes:
    """Write the planned lines of one received file as CSV with a header.

    A file that a requeue wrote before is such a CSV already, whatever the source declares.
    """
    lines = plan.lines[drop, sha256]
    if plan.source.file.is_default or sha256 in plan.rewritten:
        return write_again(copy.read_bytes().decode("utf-8-sig"), lines).encode()
    return write_declared_again(plan.source, copy, lines).encode()


def accept_gap(spec: UseCaseSpec, state: UseCaseState, gap: AcceptedGap, now: datetime) -> list[DropKey]:
    """Record that a person goes on without a source in some drops, and why; all of the drops or none.

    Of a drop that is missing that lets it run; of one that was refused it says that nothing better will come. Gives the
    drops that were refused.

    Raises
    ------
    CorrectionError
        If there is no such source, no reason is given, or a drop has nothing to accept: its batch is still to come,
        the source is not due in it, or it has landed and was not refused.
    """
    import pyarrow as pa

    source, drops, reason = _find_source(spec, gap.source), list(gap.drops), gap.reason.strip()
    if not reason:
        raise CorrectionError("--reason: found nothing; allowed: why it is right to go on without it")
    ledger = read_rows(state.lake, "drops", ["batch_date", "source", "state"], (drops[0], drops[-1]))
    states = {row["batch_date"]: row["state"] for row in ledger if row["source"] == source.name}
    for drop in drops:
        if spec.clock == "wall" and spec.calendar.batch_at(drop) > now:
            batch_at = spec.calendar.batch_at(drop)
            raise CorrectionError(
                f"the batch of {drop} is at {batch_at:%Y-%m-%d %H:%M} UTC: {source.name} may still come"
            )
        _require_missing(spec, state, source, drop, states.get(drop, "missing"))
    rows = [{"batch_date": drop, "source": source.name, "reason": reason, "_recorded_at": now} for drop in drops]
    with state.writing("accepted gap") as lake:
        lake.append(ACCEPTED_GAPS, pa.Table.from_pylist(rows))
    return [drop for drop in drops if states.get(drop) == REFUSED]


def _find_source(spec: UseCaseSpec, name: str) -> Source:
    names = [source.name for source in spec.sources]
    if name not in names:
        raise CorrectionError(f"--source: found {name!r}; allowed: {', '.join(names)}{did_you_mean(name, names)}")
    return spec.sources[names.index(name)]


def _not_superseded(state: UseCaseState, source: Source, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out rows whose key was validated in a later drop: an old row must not replace a newer one."""

    def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in source.key)

    newest: dict[tuple[Any, ...], DropKey] = {}
    columns = [*(f'"{name}"' for name in source.key), "batch_date"]
    for row in read_rows(state.lake, f"validated_{source.name}", columns):
        newest[key_of(row)] = max(row["batch_date"], newest.get(key_of(row), EARLIEST))
    return [row for row in rows if newest.get(key_of(row), EARLIEST) <= row["batch_date"]]


def _require_missing(spec: UseCaseSpec, state: UseCaseState, source: Source, drop: DropKey, ledger_state: str) -> None:
    name = source.name
    if ledger_state == REFUSED:  # it has landed, and what it brought is not used: the drop stays as it is
        return
    if not source.is_expected_in(drop, spec.calendar.first_drop):
        raise CorrectionError(f"{name} is not expected in {drop}: there is nothing to accept")
    if has_landed(state.landing, drop, source.expected_file):
        raise CorrectionError(
            f"{name} of {drop} has landed; run `ml-assets batch {spec.name} --from {drop} --to {drop}`"
        )
    if ledger_state in FINAL_STATES:
        raise CorrectionError(f"{name} of {drop} is {ledger_state} already")
