"""Runs one test of a use case's SQL through what runs it in the graph: contract, sandbox, settling."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ml_assets.features.examples import validate_examples
from ml_assets.features.feature_table import compute_features
from ml_assets.ingestion.acceptance import accept_rows
from ml_assets.ingestion.history import HistoryError, moment_of
from ml_assets.ingestion.reading import read_landed
from ml_assets.spec.contract import RECEIVED, Source
from ml_assets.spec.declaration import Mistake
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_arrow_type
from ml_assets.spec.received import LandedFile
from ml_assets.spec.sql_tests import Cell, Row, SqlTest
from ml_assets.spec.use_case import UseCaseSpec, did_you_mean
from ml_assets.spec.user_sql import UserSqlError
from ml_assets.stats.tasks import task_of
from ml_assets.stores.sandbox import restrict_to_tables, select_by_drop
from ml_assets.training.labels import LabelError, validate_labels

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_MOMENT_WITH_ZONE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)")
_CLOSE = 1e-9  # relative: sums may come out in another order


@dataclass(frozen=True)
class Difference:
    """One row that is not as expected. `cells` holds what was expected and found, by column; None is null."""

    kind: str
    example_id: str
    cells: Mapping[str, tuple[Any, Any]]
    line: int | None = None
    note: str = ""


@dataclass
class Outcome:
    """How a test ended: mistakes in the test itself, an error of the SQL, or rows that differ."""

    test: SqlTest
    mistakes: list[Mistake] = field(default_factory=list)
    error: str | None = None
    differences: list[Difference] = field(default_factory=list)
    compared: tuple[str, ...] = ()

    @property
    def is_passed(self) -> bool:
        """Say whether every row was as expected."""
        return not (self.mistakes or self.error or self.differences)


class _WrongTestError(ValueError):
    """A test that cannot be run as it is written."""


def run_sql_test(spec: UseCaseSpec, test: SqlTest) -> Outcome:
    """Run one test and compare what came of it with what it expects."""
    import duckdb

    outcome = Outcome(test)
    try:
        with _received(spec, test, outcome) as (connection, drops):
            found, refused = _result(connection, spec, test, drops)
            _compare(connection, outcome, found, refused)
    except _WrongTestError:
        pass
    except (UserSqlError, LabelError, ValueError, duckdb.Error) as error:
        outcome.error = " ".join(str(error).split())
    return outcome


@contextmanager
def _received(
    spec: UseCaseSpec, test: SqlTest, outcome: Outcome
) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[DropKey]]]:
    """Give a shut-in connection with `validated_<source>` of what is read, and the drops that hold a row."""
    import duckdb

    drawn = spec.labels.sources if test.table == "labels" else spec.examples.sources
    read = {*drawn, *test.given}
    if test.table == "features":
        read |= {view.source for view in spec.features.views}
    tables = {name: _validated(spec, spec.source(name), test, outcome) for name in sorted(read)}
    if outcome.mistakes:
        raise _WrongTestError
    drops = sorted({drop for source in drawn for drop in tables[source]["batch_date"].to_pylist()} or {test.drop})
    with duckdb.connect() as connection:
        restrict_to_tables(connection, {}, threads=1)
        for name, rows in tables.items():
            connection.register("_rows_given", rows)
            connection.execute(f'CREATE TEMP TABLE "validated_{name}" AS SELECT * FROM _rows_given')
            connection.unregister("_rows_given")
        yield connection, drops


def _validated(spec: UseCaseSpec, source: Source, test: SqlTest, outcome: Outcome) -> pa.Table:
    """Read the rows given for a source by its contract; a test may leave columns out, and its rules aside."""
    import duckdb
    import pyarrow as pa

    rows = test.given.get(source.name, ())
    loose = {name: column.model_copy(update={"required": False}) for name, column in source.columns.items()}
    source = source.model_copy(update={"expectations": (), "columns": loose}).as_plainly_written()
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1; SET enable_progress_bar = false")
        file = Path(folder) / "given.csv"
        _write_rows(file, source, rows)
        landed = LandedFile(test.drop, source.file_name, "", file.stat().st_size, file)
        typed = read_landed(connection, source, [landed])[0].to_arrow_table()
    for row, faults in zip(rows, typed["_unreadable"].to_pylist(), strict=True):
        for fault in faults or ():
            cell = row.cells[fault.partition("=")[0]]
            kind = source.columns[fault.partition("=")[0]].type
            outcome.mistakes.append(_mistake(test, cell, f"found {cell.text!r}; allowed: a value of type {kind}"))
    with duckdb.connect() as connection:
        restrict_to_tables(connection, {}, threads=1)
        connection.register("raw", typed)
        drops = pa.array(_drops(connection, spec, source, test.drop), key_arrow_type(test.drop))
        typed = typed.set_column(typed.column_names.index("batch_date"), "batch_date", drops)
        connection.register("raw", typed)
        accepted = accept_rows(connection, source, spec.calendar, ())
        validated = accepted.validated.to_arrow_table()
        for line, reasons in accepted.quarantine.project("_line, reasons").fetchall():
            row = rows[line - 2]
            said = f"the contract of {source.name} refuses this row: {', '.join(reasons)}; allowed: a row it accepts"
            outcome.mistakes.append(Mistake(test.file, row.line, row.key, said))
    return validated


def _write_rows(file: Path, source: Source, rows: Sequence[Row]) -> None:
    null = source.null_values[0] if source.null_values else ""
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(source.columns)
        for row in rows:
            texts = [row.cells[name].text if name in row.cells else None for name in source.columns]
            writer.writerow([null if text is None else text for text in texts])


def _drops(connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, source: Source, drop: DropKey) -> list[DropKey]:
    """Name the drop of each row: the one that holds its moment of becoming known, else `drop`."""
    if source.known_at == RECEIVED:
        count = connection.execute("SELECT count(*) FROM raw").fetchall()[0][0]
        return [drop] * count
    try:
        moment = moment_of(source)
    except HistoryError:
        moment = None
    moments: list[tuple[datetime | None]] = connection.execute(
        f"SELECT CAST(({moment or source.known_at}) AS TIMESTAMPTZ) FROM raw ORDER BY _line"
    ).fetchall()
    return [drop if moment is None else spec.calendar.drop_receiving(moment) for (moment,) in moments]


def _result(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, test: SqlTest, drops: list[DropKey]
) -> tuple[pa.Table, dict[str, str]]:
    """Give the rows of the tested table, and the reason of each example that was drawn and refused."""
    labels = spec.labels.sources
    if test.table == "labels":
        select_by_drop(connection, spec.labels.sql, labels, drops, spec.calendar)
        return validate_labels(connection, task_of(spec.task).labels, spec.labels.measures).to_arrow_table(), {}
    known = "CREATE TEMP TABLE _labels (example_id VARCHAR, known_at TIMESTAMPTZ)"
    if all(source in test.given for source in labels):
        days = {row[0] for name in labels for row in connection.sql(
            f'SELECT DISTINCT batch_date FROM "validated_{name}"').fetchall()}  # fmt: skip
        select_by_drop(connection, spec.labels.sql, labels, sorted(days) or drops, spec.calendar)
        validate_labels(connection, task_of(spec.task).labels, spec.labels.measures)
        known = "CREATE TEMP TABLE _labels AS SELECT * FROM _settled"
    connection.execute(known)
    connection.execute(f"CREATE TEMP TABLE _earlier (example_id VARCHAR, batch_date {spec.calendar.key_type})")
    select_by_drop(connection, spec.examples.sql, spec.examples.sources, drops, spec.calendar)
    settled = validate_examples(connection, spec.calendar, drops)
    accepted = settled.accepted.to_arrow_table()
    refused = dict(settled.quarantined.project("example_id, reason").fetchall())
    if test.table == "examples":
        return accepted, refused
    connection.register("_accepted", accepted)
    connection.execute("CREATE TEMP TABLE _examples AS SELECT * FROM _accepted ORDER BY batch_date, example_id")
    return compute_features(connection, spec, drops), refused


def _compare(
    connection: duckdb.DuckDBPyConnection, outcome: Outcome, found: pa.Table, refused: Mapping[str, str]
) -> None:
    test = outcome.test
    connection.register("_found", found)
    types = dict(zip(found.column_names, map(str, connection.table("_found").types), strict=True))
    expected = [(row, _typed_cells(connection, outcome, row, types)) for row in test.expected]
    if outcome.mistakes:
        raise _WrongTestError
    named = dict.fromkeys(name for row in test.expected for name in row.cells if name != "example_id")
    outcome.compared = tuple(named)
    left: dict[str, list[dict[str, Any]]] = {}
    for row in found.to_pylist():
        left.setdefault(row["example_id"], []).append(row)
    for row, cells in expected:
        name = str(cells.pop("example_id"))
        actual = left[name].pop(0) if left.get(name) else None
        if actual is None:
            shown = {column: (value, None) for column, value in cells.items()}
            note = f"drawn, and refused: {refused[name]}" if name in refused else ""
            outcome.differences.append(Difference("missing", name, shown, row.line, note))
            continue
        wrong = {
            column: (value, actual[column]) for column, value in cells.items() if not _is_equal(value, actual[column])
        }
        if wrong:
            outcome.differences.append(Difference("differs", name, wrong, row.line))
    for name, rows in left.items():
        for row in rows:
            outcome.differences.append(Difference("unexpected", name, {each: (None, row[each]) for each in named}))


def _typed_cells(
    connection: duckdb.DuckDBPyConnection, outcome: Outcome, row: Row, types: Mapping[str, str]
) -> dict[str, Any]:
    """Read what a row expects as the types of what was found."""
    values: dict[str, Any] = {}
    for name, cell in row.cells.items():
        if name not in types:
            said = f"found {name!r}; allowed: {', '.join(types)}{did_you_mean(name, tuple(types))}"
            outcome.mistakes.append(_mistake(outcome.test, cell, said))
            continue
        kind, text = types[name], cell.text
        values[name] = connection.execute(f"SELECT TRY_CAST(?::VARCHAR AS {kind})", [text]).fetchall()[0][0]
        is_moment = kind == "TIMESTAMP WITH TIME ZONE"
        if is_moment and text is not None and not _MOMENT_WITH_ZONE.fullmatch(text):
            said = f"found {text!r}; allowed: a moment with its offset, as 2024-03-01T06:00:00+05:30"
            outcome.mistakes.append(_mistake(outcome.test, cell, said))
        elif text is not None and values[name] is None:
            outcome.mistakes.append(_mistake(outcome.test, cell, f"found {text!r}; allowed: {kind}"))
    return values


def _mistake(test: SqlTest, cell: Cell, message: str) -> Mistake:
    return Mistake(test.file, cell.line, cell.key, message)


def _is_equal(expected: Any, found: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return math.isclose(expected, found, rel_tol=_CLOSE, abs_tol=1e-12) or (
            math.isnan(expected) and math.isnan(found)
        )
    return expected == found
