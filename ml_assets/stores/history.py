"""A past in one file, written into the landing folder as the drops in which it would have arrived."""

from __future__ import annotations

import csv
import filecmp
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.ingestion.csv_records import read_header, split_lines
from ml_assets.ingestion.file_text import read_file_text
from ml_assets.ingestion.headers import contract_names
from ml_assets.ingestion.history import HistoryError, HistoryRange, newest_drop, place_rows
from ml_assets.ingestion.reading import read_landed
from ml_assets.ingestion.written_files import write_texts
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import Source
from ml_assets.spec.drop import DropKey, key_sql
from ml_assets.spec.received import LandedFile
from ml_assets.stores.sandbox import restrict_to_tables

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LEFT_OUT = "left_out"
_KINDS = (".csv", ".parquet")


@dataclass
class Past:
    """The rows of one source's file, read by its contract but not yet placed.

    `unreadable` counts rows with a cell that does not read as its type: they land, and are quarantined.
    """

    source: Source
    file: Path
    rows: int
    unreadable: int
    newest: DropKey | None
    typed: pa.Table
    connection: duckdb.DuckDBPyConnection


@dataclass
class Split:
    """What became of the rows of one source. Counts of rows; `left_out` by reason, in the file `left_out_file`."""

    source: str
    rows: int
    landed: int
    unreadable: int
    drops: int
    left_out: dict[str, int] = field(default_factory=dict)
    left_out_file: Path | None = None


def read_past(source: Source, file: Path, calendar: Calendar, working: Path, ahead: int = 0) -> Past:
    """Read a file by the contract of its source: as `file` declares it, else CSV or Parquet.

    Its header may spell names otherwise than the contract (`Customer ID`), and may hold columns that the contract
    does not have. In Parquet a NaN is a missing value.

    Raises
    ------
    HistoryError
        If it is none of these, cannot be read, or lacks a column of the contract.
    """
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET preserve_insertion_order = true")
    prepared = working / "past" / f"{source.name}.csv"
    if source.file.is_default:
        as_contract_csv(connection, file, prepared, source)
    else:
        _copy_as_given(file, prepared, source)
    size = prepared.stat().st_size
    landed = LandedFile(calendar.first_drop, file.name, "", size, prepared)
    relation, (receipt,) = read_landed(connection, source, [landed])
    if receipt.refusal is not None:
        found = f" ({receipt.warning})" if receipt.warning else ""
        raise HistoryError(f"{file}: {receipt.refusal.removeprefix('file_refused:')}{found}; allowed: a file as "
                           f"sources.{source.name}.file says, with all of {', '.join(source.columns)}")  # fmt: skip
    prepared.unlink()
    typed = relation.to_arrow_table()
    with _shut_with(typed) as shut:
        unreadable = shut.sql("SELECT count(*) FROM raw WHERE _unreadable IS NOT NULL").fetchall()[0][0]
        newest = newest_drop(shut, source, calendar, ahead)
    return Past(source, file, receipt.rows, unreadable, newest, typed, connection)


def _copy_as_given(file: Path, target: Path, source: Source) -> None:
    if not file.is_file():
        raise HistoryError(f"{file}: is not there, or is not a file")
    is_parquet = file.suffix.lower() == ".parquet"
    if is_parquet != (source.file.format == "parquet"):
        raise HistoryError(f"{file}: found {file.suffix or 'no suffix'}; allowed: {source.file.format}, as "
                           f"sources.{source.name}.file declares")  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


def as_contract_csv(
    connection: duckdb.DuckDBPyConnection, file: Path, target: Path, source: Source | None = None
) -> list[str]:
    """Write `file` to `target` as CSV whose header is spelled as contracts are; give that header.

    With a `source`, names that are its columns stay as they are.
    """
    if file.suffix.lower() not in _KINDS:
        raise HistoryError(f"{file}: found {file.suffix or 'no suffix'}; allowed: {', '.join(_KINDS)}")
    if not file.is_file():
        raise HistoryError(f"{file}: is not there, or is not a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix.lower() == ".parquet":
        return _parquet_as_csv(connection, file, target, source)
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
        given, lines = read_header(text)
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise HistoryError(f"{file}: {error or 'is empty'}; allowed: CSV in UTF-8 with a header") from error
    if not any(given):
        raise HistoryError(f"{file}: is empty; allowed: CSV in UTF-8 with a header")
    if len(given) == 1 and any(mark in given[0] for mark in ";\t|"):
        raise HistoryError(f"{file}: found one column, {given[0]!r}; allowed: columns separated by commas")
    names = _names(given, source)
    head = ",".join(names)
    rest = "\n".join(["", *split_lines(text)[lines:]])
    target.write_text(f"{head}{rest}\n", encoding="utf-8", newline="")
    return names


def _names(given: Sequence[str], source: Source | None) -> list[str]:
    known = source.columns if source else {}
    return [name if name in known else spelled for name, spelled in zip(given, contract_names(given), strict=True)]


def _parquet_as_csv(
    connection: duckdb.DuckDBPyConnection, file: Path, target: Path, source: Source | None
) -> list[str]:
    import duckdb

    link = target.with_suffix(".parquet")  # a path is a glob, and this name holds no character of one
    link.unlink(missing_ok=True)
    link.symlink_to(file.resolve())
    try:
        relation = connection.read_parquet(str(link))
        names = _names(relation.columns, source)
        null = source.null_values[0] if source and source.null_values else ""
        quoted = [name.replace('"', '""') for name in relation.columns]
        cells = [
            f'CASE WHEN NOT isnan("{old}") THEN "{old}" END' if str(kind) in ("FLOAT", "DOUBLE") else f'"{old}"'
            for old, kind in zip(quoted, relation.types, strict=True)
        ]  # fmt: skip
        shown = ", ".join(
            f"coalesce(CAST({cell} AS VARCHAR), '{null}') AS \"{new}\"" for cell, new in zip(cells, names, strict=True)
        )
        relation.project(shown).write_csv(str(target), header=True)
    except duckdb.Error as error:
        raise HistoryError(f"{file}: {' '.join(str(error).split())}; allowed: Parquet") from error
    finally:
        link.unlink(missing_ok=True)
    return names


def _shut_with(rows: pa.Table) -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect()
    restrict_to_tables(connection, {})
    connection.register("raw", rows)
    return connection


def land_pasts(
    landing: Path,
    calendar: Calendar,
    pasts: Mapping[str, tuple[Past, HistoryRange]],
    working: Path,
    on_drop: Callable[[str, DropKey], None] | None = None,
) -> list[Split]:
    """Write every past into the folders of its drops: `<landing>/<drop>/<source>.csv`.

    Every drop that the contract expects a file in gets one, with only a header where nothing was received. All files
    are written beside the landing folder first, and none is landed when one would change what landed before. A drop
    that was not there appears whole; into one that was, each file appears whole.

    Raises
    ------
    HistoryError
        Naming the files that landed before with other content; then nothing is written.
    """
    staged = working / "drops"
    splits = [_stage(past, asked, calendar, staged, working / LEFT_OUT, on_drop) for past, asked in pasts.values()]
    drops = sorted(folder.name for folder in staged.iterdir()) if staged.is_dir() else []
    _refuse_changes(landing, staged, drops)
    for split in splits:
        name = f"{split.source}.csv"
        kept = landing / LEFT_OUT / name
        if (working / LEFT_OUT / name).exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            (working / LEFT_OUT / name).replace(kept)
            split.left_out_file = kept
        else:
            kept.unlink(missing_ok=True)
    for drop in drops:
        _land_drop(staged / drop, landing / drop)
    return splits


def _drop_writer(past: Past) -> Callable[[duckdb.DuckDBPyRelation, Path], None]:
    """Give what writes rows, `_line` and the columns of the contract, as the source declares its files."""
    source, declared = past.source, past.source.file
    if declared.is_default:
        names = ", ".join(f'"{name}"' for name in source.columns)
        return lambda rows, path: rows.project(names).write_csv(str(path), header=True)
    if declared.format == "parquet":
        import pyarrow.parquet as pq

        whole = pq.read_table(past.file)
        return lambda rows, path: pq.write_table(whole.take([row[0] - 1 for row in rows.fetchall()]), path)
    around = read_file_text(past.file.read_bytes(), declared) if declared.is_text else None

    def write(rows: duckdb.DuckDBPyRelation, path: Path) -> None:
        cells = [row[1:] for row in rows.fetchall()]
        try:
            path.write_bytes(write_texts(list(source.columns), cells, declared, around))
        except ValueError as error:
            raise HistoryError(f"{past.file}: {path.name} cannot be written: {error}") from error

    return write


def _stage(
    past: Past,
    asked: HistoryRange,
    calendar: Calendar,
    staged: Path,
    left_out: Path,
    on_drop: Callable[[str, DropKey], None] | None,
) -> Split:
    source, connection = past.source, past.connection
    with _shut_with(past.typed) as shut:
        placed = place_rows(shut, source, calendar, asked).to_arrow_table()
    connection.register("_placed", placed)
    columns = ", ".join(f'"{name}"' for name in source.columns)
    write_drop = _drop_writer(past)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _sorted AS SELECT placed.batch_date, placed.reason, _line, _text, {columns} "
        "FROM _landed_text JOIN _placed AS placed USING (_line) ORDER BY placed.batch_date, _line"
    )
    connection.unregister("_placed")
    counts = dict(connection.execute("SELECT batch_date, count(*) FROM _sorted GROUP BY batch_date").fetchall())
    left = dict(
        connection.execute("SELECT reason, count(*) FROM _sorted GROUP BY reason ORDER BY reason NULLS LAST").fetchall()
    )
    left.pop(None, None)
    counts.pop(None, None)
    drops = [
        drop
        for drop in calendar.drops_between(asked.first, asked.last)
        if counts.get(drop) or source.is_expected_in(drop, calendar.first_drop)
    ]
    for drop in drops:
        folder = staged / str(drop)
        folder.mkdir(parents=True, exist_ok=True)
        rows = connection.sql(f"SELECT _line, {columns} FROM _sorted WHERE batch_date = {key_sql(drop)} ORDER BY _line")
        name = source.expected_file.name_of(drop)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_drop(rows, folder / name)
        if source.upload.marker:
            (folder / name).with_name(source.expected_file.marker_of(Path(name).name)).touch()
        if on_drop is not None:
            on_drop(source.name, drop)
    if left:
        left_out.mkdir(parents=True, exist_ok=True)
        connection.sql(
            f"SELECT reason, _line AS line, _text AS text, {columns} FROM _sorted WHERE reason IS NOT NULL "
            "ORDER BY _line"
        ).write_csv(str(left_out / f"{source.name}.csv"), header=True)
    connection.close()
    return Split(source.name, past.rows, sum(counts.values()), past.unreadable, len(drops), left)


def _refuse_changes(landing: Path, staged: Path, drops: Sequence[str]) -> None:
    changed = [
        f"{drop}/{file}"
        for drop in drops
        for file in files_below(staged / drop)
        if os.path.lexists(landing / drop / file) and not _is_same(staged / drop / file, landing / drop / file)
    ]
    if changed:
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise HistoryError(
            f"landed before with other content, and never overwritten: {', '.join(changed[:5])}{more}, in {landing}. "
            "Nothing was written; move those files away, or land a range without them"
        )


def _is_same(file: Path, other: Path) -> bool:
    return other.is_file() and not other.is_symlink() and filecmp.cmp(file, other, shallow=False)


def _land_drop(staged: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(target)
        return
    names = files_below(staged)
    for name in sorted(
        names, key=lambda name: (not (staged / name).stat().st_size, "." not in name, name)
    ):  # markers last
        if not (target / name).exists():  # what is there has the same content
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).rename(target / name)


def files_below(folder: Path) -> list[str]:
    """List the files below a folder by their path, in order."""
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def clear(working: Path) -> None:
    """Remove what a split left beside the landing folder."""
    shutil.rmtree(working, ignore_errors=True)
