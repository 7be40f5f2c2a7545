"""Lands a past: files of years, split into the drops in which their rows would have arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.text import Text

from ml_assets.cli.console import errors, fail, next_steps, read_drops, say
from ml_assets.cli.progress import progress_bar
from ml_assets.cli.tables import print_table
from ml_assets.ingestion.history import MALFORMED, NO_MOMENT, TOO_EARLY, TOO_LATE, HistoryError, HistoryRange, moment_of
from ml_assets.pipeline.runs.first_runs import ways_to_begin
from ml_assets.spec.contract import RECEIVED, Source
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec, did_you_mean
from ml_assets.stores.history import Past, Split, clear, land_pasts, read_past
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.write_lock import write_lock

_MEANING = {
    MALFORMED: "do not split into the columns of the header",
    NO_MOMENT: "without a readable moment of becoming known",
    TOO_EARLY: "known before the first drop; --early takes them into it",
    TOO_LATE: "known after the last drop",
}


@dataclass(frozen=True)
class HistoryOptions:
    """What was asked for: `SOURCE=FILE` each, `SOURCE=DROPS` each, a range or all there is."""

    history: Sequence[str]
    ahead: Sequence[str] = ()
    first: str = ""
    last: str = ""
    early: bool = False


def run_history(spec: UseCaseSpec, paths: StatePaths, options: HistoryOptions, now: datetime) -> None:
    """Split the files named in `options` into drops, land them, and say what became of every row."""
    files = _files(spec, options.history)
    ahead = _ahead(spec, options.ahead, files)
    with write_lock(paths.locks, f"{spec.name}_landing", lambda said: errors.print(said, markup=False)):
        working = paths.landing / f".{spec.name}.history"
        clear(working)
        try:
            splits, last = _split(spec, paths, options, files, ahead, now)
        except HistoryError as error:
            raise fail(str(error)) from error
        finally:
            clear(working)
    rows = [[each.source, each.rows, each.landed, sum(each.left_out.values()), each.drops] for each in splits]
    print_table(f"landed up to {last}", ["source", "rows", "landed", "left out", "files"], rows)
    for split in splits:
        _say(spec.source(split.source), split, ahead.get(split.source, 0))
    first = read_drops(spec, options.first, options.first, "--from")[0] if options.first else spec.calendar.first_drop
    next_steps(ways_to_begin(spec, first, last, spec.calendar.previous_drop(first) if options.first else None))


def _split(
    spec: UseCaseSpec,
    paths: StatePaths,
    options: HistoryOptions,
    files: dict[str, Path],
    ahead: dict[str, int],
    now: datetime,
) -> tuple[list[Split], DropKey]:
    working, calendar = paths.landing / f".{spec.name}.history", spec.calendar
    with progress_bar() as progress:
        task = progress.add_task(f"land the past of {spec.name}", total=len(files), now="")
        pasts: dict[str, Past] = {}
        for name, file in files.items():
            progress.update(task, now=f"reading {file.name}")
            pasts[name] = read_past(spec.source(name), file, calendar, working, ahead.get(name, 0))
            progress.advance(task)
        bounds = _bounds(spec, options, list(pasts.values()), now)
        asked = {
            name: HistoryRange(*bounds, ahead=ahead.get(name, 0), is_early_taken=options.early) for name in pasts
        }  # fmt: skip
        progress.update(task, total=len(files) * (1 + len(calendar.drops_between(*bounds))))

        def on_drop(source: str, drop: DropKey) -> None:
            progress.update(task, advance=1, now=f"{drop}: {source}")

        together = {name: (past, asked[name]) for name, past in pasts.items()}
        return land_pasts(paths.landing / spec.name, calendar, together, working, on_drop), bounds[1]


def _bounds(
    spec: UseCaseSpec, options: HistoryOptions, pasts: Sequence[Past], now: datetime
) -> tuple[DropKey, DropKey]:
    """Give the drops to write: what was asked for, else from the calendar's start to the newest row of any file."""
    calendar = spec.calendar
    first = read_drops(spec, options.first, options.first, "--from")[0] if options.first else calendar.first_drop
    if options.last:
        last = read_drops(spec, options.last, options.last, "--to")[0]
    else:
        newest = [past.newest for past in pasts if past.newest is not None]
        last = max([*newest, calendar.first_drop])
        if calendar.last_drop is not None:
            last = min(last, calendar.last_drop)
        if spec.clock == "wall":
            last = min(last, _newest_batch(spec, now))
    if last < first:
        raise HistoryError(f"there is nothing to write: the newest drop is {last}, the first {first}")
    return first, last


def _newest_batch(spec: UseCaseSpec, now: datetime) -> DropKey:
    drop = spec.calendar.drop_receiving(now)
    return drop if spec.calendar.batch_at(drop) <= now else spec.calendar.previous_drop(drop)


def _files(spec: UseCaseSpec, given: Sequence[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for text in given:
        name, sign, file = text.partition("=")
        if not sign or not file:
            raise fail(f"--history: found {text!r}; allowed: SOURCE=FILE")
        if name in files:
            raise fail(f"--history: found {name} twice; allowed: one file a source")
        _known_source(spec, "--history", name)
        files[name] = Path(file).expanduser()
    for name in files:
        try:
            moment_of(spec.source(name))
        except HistoryError as error:
            raise fail(str(error)) from error
    return files


def _ahead(spec: UseCaseSpec, given: Sequence[str], files: dict[str, Path]) -> dict[str, int]:
    ahead: dict[str, int] = {}
    for text in given:
        name, _, number = text.partition("=")
        _known_source(spec, "--ahead", name)
        if not number.isdigit():
            raise fail(f"--ahead: found {text!r}; allowed: SOURCE=DROPS, as in {name}=1")
        source = spec.source(name)
        if name not in files or source.known_at != RECEIVED or source.event_at is None:
            raise fail(f"--ahead: found {name}; allowed: a source of --history with an event_at and known_at: received")
        ahead[name] = int(number)
    return ahead


def _known_source(spec: UseCaseSpec, option: str, name: str) -> None:
    known = [source.name for source in spec.sources]
    if name not in known:
        raise fail(f"{option}: found source {name!r}; allowed: {', '.join(known)}{did_you_mean(name, known)}")


def _say(source: Source, split: Split, ahead: int) -> None:
    lines = [f"{count:,} rows {_MEANING[reason]}" for reason, count in split.left_out.items()]
    if lines:
        lines.append(f"they are in {split.left_out_file}")
    if split.unreadable:
        lines.append(
            f"{split.unreadable:,} rows landed with a cell that does not read as its type: quarantine has them"
        )
    if source.arrives != "once" and source.known_at == RECEIVED:
        when = f"{ahead} drops before the one that holds event_at" if ahead else "in the drop that holds event_at"
        lines.append(f"its contract makes no claim (known_at: received): rows landed {when} (--ahead {source.name}=N)")
    for line in lines:
        say(Text.assemble((source.name, "bold"), f" {line}"))
