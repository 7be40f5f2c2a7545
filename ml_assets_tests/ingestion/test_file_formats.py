"""Each format and dialect gives the values that the file shows, or refuses the file with what was found."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_assets.ingestion.unpacking import pack
from ml_assets.spec.contract import Source
from ml_assets_tests.ingestion.conftest import Ingest


def shown(value: object) -> str:
    """Name a parameter: bytes differ from process to process, as they hold times."""
    return f"{len(value) // 100}x100_bytes" if isinstance(value, bytes) else str(value)


COLUMNS = {
    "id": {"type": "string"},
    "n": {"type": "integer"},
    "kg": {"type": "float"},
    "day": {"type": "date"},
    "seen_at": {"type": "timestamp"},
    "ok": {"type": "boolean"},
}
EXPECTED = [
    ("a1", 1200, 1234.5, date(2024, 2, 1), datetime(2024, 2, 1, 9, 30, tzinfo=UTC), True),
    ("müller", None, -0.25, date(2024, 12, 31), datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC), False),
]


def declare(file: dict[str, Any], **changed: dict[str, Any]) -> Source:
    columns = {name: {**column, **changed.get(name, {})} for name, column in COLUMNS.items()}
    return Source.model_validate({"name": "stops", "key": ["id"], "columns": columns, "file": file})


def values(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in COLUMNS) for row in rows]


GERMAN = "Bericht\n\nid;n;kg;day;seen_at;ok\na1;1.200;1.234,5;1.2.2024;01.02.2024 09:30;true\n"
GERMAN += "müller;;-0,25;31.12.2024;31.12.2024 23:59:59;false\nSumme;2\n"
AMERICAN = "id|n|kg|day|seen_at|ok\na1|1,200|1,234.5|2/1/2024|02/01/2024 9:30 AM|true\n"
AMERICAN += "müller||-0.25|12/31/2024|12/31/2024 11:59:59 PM|false\n"
EPOCH = "id\tn\tkg\tday\tseen_at\tok\na1\t1200\t1234.5\t2024-02-01\t1706779800000\ttrue\n"
EPOCH += "müller\t\t-0.25\t2024-12-31\t1735689599000\tfalse\n"
PLAIN = "id,n,kg,day,seen_at,ok\na1,1200,1234.5,2024-02-01,2024-02-01 09:30,true\n"
PLAIN += "müller,,-0.25,2024-12-31,2024-12-31 23:59:59,false\n"
ORDERED = {"day": {"date_order": "day_first"}, "seen_at": {"date_order": "day_first"}}
MONTHS = {"day": {"date_order": "month_first"}, "seen_at": {"date_order": "month_first"}}


@pytest.mark.parametrize(
    ("file", "changed", "content", "first_line"),
    [
        ({"separator": ";", "decimal": ",", "thousands": ".", "title_lines": 2, "footer": "^Summe",
          "encoding": "cp1252"}, ORDERED, GERMAN.encode("cp1252"), 4),
        ({"separator": "|", "thousands": ",", "encoding": "utf-16"}, MONTHS, AMERICAN.encode("utf-16"), 2),
        ({"separator": "tab"}, {"seen_at": {"epoch": "ms"}}, EPOCH.encode(), 2),
        ({"quote": "'"}, {}, PLAIN.replace("müller", "'müller'").encode(), 2),
        ({"quote": "none"}, {}, PLAIN.encode(), 2),
        ({"compression": "gzip"}, {}, gzip.compress(PLAIN.encode()), 2),
        ({"compression": "zstd"}, {}, pack(PLAIN.encode(), "zstd"), 2),
        ({"title_lines": 1, "separator": ";"}, {}, ("sep=;\n" + PLAIN.replace(",", ";")).encode(), 3),
    ],
    ids=shown,
)  # fmt: skip
def test_dialect_reads_as_written(
    ingest: Ingest, file: dict[str, Any], changed: dict[str, Any], content: bytes, first_line: int
) -> None:
    rows, (receipt,) = ingest.read(declare(file, **changed), content)

    assert receipt.refusal is None
    assert receipt.warning is None
    assert receipt.rows == 2
    assert values(rows) == EXPECTED
    assert [row["_line"] for row in rows] == [first_line, first_line + 1]


def test_json_lines_read_as_written_and_a_nested_value_costs_its_line(ingest: Ingest) -> None:
    lines = [
        {"id": "a1", "n": 1200, "kg": 1234.5, "day": "2024-02-01", "seen_at": "2024-02-01T09:30:00Z", "ok": True},
        {"id": "müller", "kg": -0.25, "day": "2024-12-31", "seen_at": "2024-12-31T23:59:59Z", "ok": False, "x": [1]},
        {"id": {"deep": 1}},
    ]
    content = "\n".join([*(json.dumps(line) for line in lines), '{"id": "cut', '{"id": "a", "id": "b"}', "\n"])

    rows, (receipt,) = ingest.read(declare({"format": "jsonl"}), content)

    assert values(rows[:2]) == EXPECTED
    assert [(row["_line"], row["_text"]) for row in rows[2:]] == [
        (3, '{"id": {"deep": 1}}'), (4, '{"id": "cut'), (5, '{"id": "a", "id": "b"}'),
    ]  # fmt: skip
    assert receipt.rows == 5
    assert receipt.warning == "extra_column:x; nested_value:x in 1 lines; nested_value:id in 1 lines"


def test_json_keeps_every_digit(ingest: Ingest) -> None:
    source = declare({"format": "jsonl"}, id={"type": "string"})

    rows, _ = ingest.read(source, '{"id": 12345678901234567890, "n": 9007199254740993, "kg": 0.1}\n')

    assert (rows[0]["id"], rows[0]["n"], rows[0]["kg"]) == ("12345678901234567890", 9007199254740993, 0.1)


def test_empty_json_file_is_a_drop_without_rows(ingest: Ingest) -> None:
    rows, (receipt,) = ingest.read(declare({"format": "jsonl"}), b"")

    assert (rows, receipt.refusal, receipt.warning) == ([], None, "no_row")


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_parquet_values_are_those_of_its_types(ingest: Ingest) -> None:
    content = parquet(
        id=pa.array(["a1", "müller"]),
        n=pa.array([1200, None], pa.int32()),
        kg=pa.array([1234.5, -0.25], pa.float32()),
        day=pa.array([date(2024, 2, 1), date(2024, 12, 31)]),
        seen_at=pa.array([datetime(2024, 2, 1, 9, 30, tzinfo=UTC), datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC)]),
        ok=pa.array([True, False]),
        more=pa.array([[1], [2]]),
    )

    rows, (receipt,) = ingest.read(declare({"format": "parquet"}), content)

    assert values(rows) == EXPECTED
    assert [row["_line"] for row in rows] == [1, 2]
    assert (receipt.refusal, receipt.warning) == (None, "extra_column:more")


def test_parquet_keeps_decimals_floats_and_missing_values(ingest: Ingest) -> None:
    source = declare({"format": "parquet"}, id={"null_values": ["x"]})
    floats = [0.1, float("nan"), 1e300, 5e-324]
    more = {name: pa.nulls(4, pa.string()) for name in ("day", "seen_at", "ok")}
    content = parquet(id=pa.array(["", "b", "c", None]), n=pa.array([Decimal("12.00"), None, Decimal("-1.00"), None]),
                      kg=pa.array(floats), **more)  # fmt: skip

    rows, _ = ingest.read(source.model_copy(update={"null_values": ()}), content)

    assert [row["kg"] for row in rows] == [0.1, None, 1e300, 5e-324]
    assert [row["n"] for row in rows] == [12, None, -1, None]
    assert [row["id"] for row in rows] == ["", "b", "c", None]


def sheet(rows: list[list[Any]], *more: str) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)  # pyright: ignore[reportOptionalMemberAccess]
    for name in more:
        book.create_sheet(name)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


SHEET = [
    ["Stops of 2024"],
    list(COLUMNS),
    ["a1", 1200, 1234.5, date(2024, 2, 1), datetime(2024, 2, 1, 9, 30), True],  # noqa: DTZ001 - Excel has no zones
    ["müller", None, -0.25, date(2024, 12, 31), datetime(2024, 12, 31, 23, 59, 59), False],  # noqa: DTZ001
    [None, None, None],
    ["Total", 1200],
]


def test_sheet_of_excel_reads_as_written(ingest: Ingest) -> None:
    file = {"format": "xlsx", "sheet": "Sheet", "title_lines": 1, "footer": "^Total"}

    rows, (receipt,) = ingest.read(declare(file), sheet(SHEET, "Notes"))

    assert (receipt.refusal, receipt.warning) == (None, None)
    assert values(rows) == EXPECTED
    assert [row["_line"] for row in rows] == [3, 4]


def test_row_of_a_sheet_with_more_cells_than_the_header_is_malformed(ingest: Ingest) -> None:
    content = sheet([*SHEET[1:4], ["b", 1, 2, None, None, None, "beyond"]])

    rows, _ = ingest.read(declare({"format": "xlsx"}), content)

    assert [row["_text"] for row in rows] == [None, None, "b;1;2;;;;beyond"]


PACKED = gzip.compress(PLAIN.encode() * 50)
PARQUET = parquet(id=pa.array(["a"]), n=pa.array([[1]]), kg=pa.array([{"x": 1}]), day=pa.array([b"1"]))


@pytest.mark.parametrize(
    ("file", "content", "refusal", "found"),
    [
        ({"compression": "gzip"}, PACKED[:-4], "gzip_cut_or_damaged", "bytes could be read"),
        ({"compression": "gzip"}, PLAIN.encode(), "not_gzip", None),
        ({"compression": "gzip"}, b"", "empty", None),
        ({"compression": "zstd"}, pack(PLAIN.encode() * 50, "zstd")[:-3], "zstd_cut_or_damaged", "bytes could be read"),
        ({"compression": "zstd"}, PACKED, "not_zstd", "looks_like:gzip"),
        ({"compression": "gzip", "max_expanded_mb": 1}, gzip.compress(b"a" * 1_000_001), "expands_beyond_bound", "1 M"),
        ({"compression": "zstd", "max_expanded_mb": 1}, pack(b"a" * 3_000_000, "zstd"), "expands_beyond_bound", "1 MB"),
        ({"encoding": "ascii"}, PLAIN.encode(), "not_ascii", "byte_"),
        ({"separator": ";"}, PLAIN.encode(), "missing_column:id,n,kg,day,seen_at,ok", "separated_by:comma"),
        ({"title_lines": 1}, PLAIN.encode(), "missing_column:id,n,kg,day,seen_at,ok", "header_found:a1"),
        ({"title_lines": 9}, PLAIN.encode(), "empty", None),
        ({"format": "parquet"}, PARQUET[:-9], "parquet_cut_or_damaged", "looks_like:parquet"),
        ({"format": "parquet"}, PLAIN.encode(), "parquet_cut_or_damaged", None),
        ({"format": "parquet"}, PARQUET, "nested_column:n,kg,day", "header_found:id,n,kg,day"),
        ({"format": "parquet"}, parquet(id=pa.array(["a"])), "missing_column:n,kg,day,seen_at,ok", "header_found:id"),
        ({"format": "jsonl"}, b'{"n": 1}\n', "missing_column:id", "header_found:n"),
        ({"format": "xlsx"}, sheet(SHEET, "Notes"), "several_sheets", "sheets:Sheet, Notes"),
        ({"format": "xlsx", "sheet": "Data"}, sheet(SHEET), "no_sheet:Data", "sheets:Sheet"),
        ({"format": "xlsx"}, PLAIN.encode(), "not_xlsx", None),
        ({"format": "xlsx"}, sheet(SHEET)[:-400], "not_xlsx", "looks_like:zip_or_xlsx"),
        ({"format": "xlsx"}, sheet([]), "empty", None),
    ],
    ids=shown,
)  # fmt: skip
def test_file_of_another_kind_is_refused_by_name(
    ingest: Ingest, file: dict[str, Any], content: bytes, refusal: str, found: str | None
) -> None:
    rows, (receipt,) = ingest.read(declare(file), content)

    assert receipt.refusal == f"file_refused:{refusal}"
    assert found is None or found in (receipt.warning or "")
    assert receipt.rows == len(rows)
    assert all(row["_refused"] == receipt.refusal and row["_text"] for row in rows)


def test_refused_file_does_not_cost_another_its_drop(ingest: Ingest) -> None:
    rows, receipts = ingest.read(declare({"compression": "gzip"}), PACKED[:-4], gzip.compress(PLAIN.encode()))

    assert [receipt.refusal for receipt in receipts] == ["file_refused:gzip_cut_or_damaged", None]
    assert values(rows) == EXPECTED


def test_rows_of_a_refused_parquet_file_are_kept_as_json(ingest: Ingest) -> None:
    rows, _ = ingest.read(declare({"format": "parquet"}), parquet(id=pa.array(["a", "b"])))

    assert [json.loads(row["_text"])["id"] for row in rows] == ["a", "b"]


def test_missing_footer_is_noted(ingest: Ingest) -> None:
    _, (receipt,) = ingest.read(declare({"footer": "^Total"}), PLAIN)

    assert receipt.warning == "footer_missing"


def test_number_with_the_wrong_marks_is_unreadable_and_shown_as_written(ingest: Ingest) -> None:
    source = declare({"separator": ";", "decimal": ",", "thousands": "."})

    rows, _ = ingest.read(source, "id;n;kg;day;seen_at;ok\na;12.34;1.5;;;\nb;1,5;2,5;;;\n")

    assert [(row["n"], row["kg"], row["_unreadable"]) for row in rows] == [
        (None, None, ["n=12.34", "kg=1.5"]), (None, 2.5, ["n=1,5"]),
    ]  # fmt: skip
