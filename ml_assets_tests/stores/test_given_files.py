"""Files in many formats are profiled as what they hold, with what a contract has to say of how they are written."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_assets.ingestion.history import HistoryError
from ml_assets.ingestion.profiling import FileProfile
from ml_assets.ingestion.unpacking import pack
from ml_assets.stores.given_files import profile_file

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = [(f"B{n:04d}", START + timedelta(hours=7 * n), ["Köln", "Bonn"][n % 2], 900.25 + n, n % 5) for n in range(120)]
KINDS = {"order_id": "string", "placed_at": "timestamp", "town": "string", "kg": "float", "n": "integer"}


def lines(separator: str, moment: str, point: str = ".", thousands: str = "") -> str:
    def number(value: float) -> str:
        return f"{value:,.2f}".replace(",", "\0").replace(".", point).replace("\0", thousands)

    head = separator.join(KINDS)
    body = [separator.join([a, f"{at:{moment}}", town, number(kg), str(n)]) for a, at, town, kg, n in ROWS]
    return "\n".join([head, *body]) + "\n"


def profile(tmp_path: Path, content: bytes) -> FileProfile:
    file = tmp_path / "given.csv"
    file.write_bytes(content)
    return profile_file("orders", file)[0]


def parquet() -> bytes:
    sink = io.BytesIO()
    names = list(KINDS)
    pq.write_table(pa.table({name: [row[place] for row in ROWS] for place, name in enumerate(names)}), sink)
    return sink.getvalue()


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Orders")
    sheet.append(["Orders of 2024"])
    sheet.append(list(KINDS))
    for a, at, town, kg, n in ROWS:
        sheet.append([a, at.replace(tzinfo=None), town, kg, n])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


GERMAN = "Liste\n\n" + lines(";", "%d.%m.%Y %H:%M", ",", ".") + "Summe;;;1,5;\n"
OBJECTS = "".join(
    json.dumps({"order_id": a, "placed_at": int(at.timestamp()), "town": town, "kg": kg, "n": n, "deep": [1]}) + "\n"
    for a, at, town, kg, n in ROWS
)


@pytest.mark.parametrize(
    ("content", "written", "of_moment"),
    [
        (lines(",", "%Y-%m-%dT%H:%M:%SZ").encode(), {}, {}),
        (GERMAN.encode("cp1252"), {"encoding": "cp1252", "separator": ";", "title_lines": 2, "footer": "^Summe",
         "decimal": ",", "thousands": "."}, {"date_order": "day_first"}),
        (gzip.compress(lines("\t", "%m/%d/%Y %I:%M:%S %p").encode()), {"compression": "gzip", "separator": "tab"},
         {"date_order": "month_first"}),
        (pack(lines("|", "%Y-%m-%d %H:%M").encode(), "zstd"), {"compression": "zstd", "separator": "|"}, {}),
        (("sep=;\n" + lines(";", "%Y-%m-%d %H:%M")).encode("utf-16"),
         {"encoding": "utf-16", "separator": ";", "title_lines": 1}, {}),
        (lines(";", "%Y-%m-%d %H:%M", ".", "'").replace("Bonn", "'Bonn'").encode(),
         {"separator": ";", "thousands": "'"}, {}),
        (OBJECTS.encode(), {"format": "jsonl"}, {"epoch": "s"}),
        (parquet(), {"format": "parquet"}, {}),
        (workbook(), {"format": "xlsx", "sheet": "Orders", "title_lines": 1}, {}),
    ],
    ids=["plain", "german", "american", "pipes", "excel_directive", "swiss", "json", "parquet", "excel"],
)  # fmt: skip
def test_way_a_file_is_written_is_proposed_with_its_reason(
    tmp_path: Path, content: bytes, written: dict[str, Any], of_moment: dict[str, str]
) -> None:
    found = profile(tmp_path, content)

    assert {key: json.loads(value) for key, value, _ in found.written} == written
    assert all(reason for _, _, reason in found.written)
    assert {column.name: column.type for column in found.columns} == KINDS
    assert (found.rows, found.malformed, found.key) == (120, 0, ("order_id",))
    placed, kg = found.column("placed_at"), found.column("kg")
    assert dict(placed.written) == of_moment
    assert (placed.lowest, placed.highest) == (START.replace(second=0), ROWS[-1][1])
    assert (kg.lowest, kg.highest) == (900.25, 1019.25)


def test_number_that_can_be_read_in_two_ways_stays_text_and_is_told(tmp_path: Path) -> None:
    rows = "".join(f"a{n};1,{n:03d}\n" for n in range(100, 200))

    found = profile(tmp_path, f"id;n\n{rows}".encode())

    assert found.column("n").type == "string"
    assert (
        found.column("n").note
        == "1,100 can be read in two ways: declare file.decimal or file.thousands, or leave it text"
    )


def test_date_that_can_be_read_in_two_ways_stays_text_unless_another_column_tells(tmp_path: Path) -> None:
    rows = [f"a{n},{n % 9 + 1}/{n % 7 + 1}/2024" for n in range(100)]

    alone = profile(tmp_path, ("id,day\n" + "\n".join(rows) + "\n").encode())
    beside = profile(tmp_path, ("id,day,seen\n" + "\n".join(f"{row},13/1/2024" for row in rows) + "\n").encode())

    assert (alone.column("day").type, beside.column("day").type) == ("string", "date")
    assert "may begin with the day or the month" in alone.column("day").note
    assert dict(beside.column("day").written) == {"date_order": "day_first"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (gzip.compress(b"a,b\n" * 400)[:-5], "gzip_cut_or_damaged"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "Excel file of before 2007"),
        (gzip.compress(parquet()), "parquet packed once more"),
        (b"one, two\nthree\nfour\nfive, six, seven\neight\n" * 30, "149 of 149 lines are no rows of 2 columns"),
        (b'{"a": 1}\n{broken\n{broken\n' * 3, "6 of 9 lines are no rows of 1 columns"),
    ],
    ids=["empty", "cut", "old_excel", "packed_parquet", "prose", "broken_json"],
)
def test_file_of_which_nothing_can_be_made_is_refused_with_what_was_found(
    tmp_path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(HistoryError, match=said):
        profile(tmp_path, content)
