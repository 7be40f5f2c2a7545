"""Sound files changed at random: none crashes, loses a row, or has a value accepted that it does not show."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.ingestion.acceptance import accept_rows
from ml_assets.ingestion.csv_records import split_lines
from ml_assets.ingestion.landed_headers import LandedHeader, read_landed_header
from ml_assets.ingestion.reading import read_landed
from ml_assets.spec.received import LandedFile
from ml_assets_tests.ingestion.conftest import CALENDAR, Ingest, declare

AT_ONCE = 20  # files read in one go: each is the file of a drop of its own
SOURCE = declare({"id": "string", "seen_at": "timestamp", "kg": "float", "n": "integer", "note": "string"})
HEADER = "id,seen_at,kg,n,note"
PLAIN = [
    ["a1", "2013-01-01T10:00:00Z", "1.5", "10", "plain"],
    ["a2", "2013-01-01 12:30:00", "3e2", "30", "left"],
    ["a3", "", "", "", ""],
    ["a4", "1999-12-31T23:59:59Z", ".5", "12.0", "é 5 ft"],
]
QUOTED = [
    *PLAIN,
    ["a5", "2013-01-01T11:00:00Z", "-2", "20", '"two\nlines"'],
    ['"a6"', "", "1", "1", '"said ""yes"", left"'],
]
NASTY_CELLS = st.sampled_from(
    ["1_000", "1_0.5", "NaN", "-inf", "1e999", "0x1F", "1,5", "9" * 20, "12.7", " 7 ", "$5", "5%", "\u0661", "",
     "0001-01-01 00:00:00", "9999-12-31", "10000-01-01", "-290308-12-22 00:00:00", "24-02-29", "24-02-29 09:55:00",
     "1899-12-31", "2201-01-01", "2013-02-30", "1357034400", "2013-01-01 10:00:00 CET", "infinity", "01/02/2013",
     '5" disk', '"5"" disk"', '"x"y', '"', '""', 'a"b"c', '"a" ', ' "a"', "x\ry", '"x\ry"', "\ufeffa", "a\x00",
     "x\u2028y", "=1+1", "id", HEADER]
)  # fmt: skip
NASTY = st.sampled_from(
    [
        '"',
        '""',
        ",",
        "\n",
        "\r",
        "\r\n",
        "\ufeff",
        "\x00",
        "_",
        "e",
        "9" * 20,
        " ",
        ";",
        f"{HEADER}\n",
        f"\ufeff{HEADER}\n",
    ]
)
RETURN = "\x1f"  # stands for a CR inside a cell, at which the csv module stops


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Change a sound file in a few places: a cell, a few characters, its line ends or its bytes."""
    rows = [list(row) for row in draw(st.sampled_from([PLAIN, PLAIN, QUOTED]))]
    for _ in range(draw(st.integers(0, 2))):
        rows[draw(st.integers(0, len(rows) - 1))][draw(st.integers(0, 4))] = draw(NASTY_CELLS)
    text = "\n".join([HEADER, *map(",".join, rows), ""])
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        at = draw(st.integers(0, len(text)))
        until = min(len(text), at + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(["replace", "delete", "cut", "repeat", "ends", "twice"]))
        if kind == "replace":
            text = text[:at] + draw(NASTY) + text[draw(st.sampled_from([at, until])) :]
        elif kind == "delete":
            text = text[:at] + text[until:]
        elif kind == "cut":
            text = text[:at]
        elif kind == "repeat":
            text = text[:until] + text[at:]
        elif kind == "ends":
            text = text.replace("\n", draw(st.sampled_from(["\r\n", "\r"])), draw(st.integers(-1, 3)))
        else:
            text += text
    content = text.encode()
    at = draw(st.integers(0, len(content)))
    return content[:at] + draw(st.sampled_from([b""] * 19 + [b"\xff"])) + content[at:]


def judge(ingest: Ingest, contents: list[bytes]) -> None:
    """Read each file as that of its own drop, and hold the promises for each."""
    drops = [date(2013, 1, 2) + timedelta(days=place) for place in range(len(contents))]
    files = [_land(ingest, drop, content) for drop, content in zip(drops, contents, strict=True)]
    relation, receipts = read_landed(ingest.connection, SOURCE, files)
    raw = relation.to_arrow_table()
    ingest.connection.register("_mutated", raw)
    ingest.connection.execute("CREATE OR REPLACE TEMP TABLE raw AS SELECT * FROM _mutated")
    ingest.connection.unregister("_mutated")
    landed = [receipt.drop for receipt in receipts if receipt.refusal is None]
    accepted = accept_rows(ingest.connection, SOURCE, CALENDAR, landed)
    facts = accepted.validated.to_arrow_table().to_pylist()
    left = accepted.quarantine.to_arrow_table().to_pylist()
    assert Counter(_place(row) for row in facts + left) == Counter(_place(row) for row in raw.to_pylist())
    assert all(row["reasons"] and row["reason"] in row["reasons"] for row in left)
    for file, receipt, content in zip(files, receipts, contents, strict=True):
        header = read_landed_header(file, SOURCE)
        rows = [row for row in raw.to_pylist() if row["batch_date"] == file.drop]
        assert receipt.rows == len(rows)
        if receipt.refusal is None:
            cells = _hold_lines(content.decode().lstrip("\ufeff"), rows)
            _hold_values([row for row in facts if row["batch_date"] == file.drop], cells, header)
        else:
            lines = split_lines(content.decode("utf-8-sig", errors="replace"))[header.first_row - 1 :]
            assert [row["_text"] for row in rows] == [line for line in lines if line]


def _land(ingest: Ingest, drop: date, content: bytes) -> LandedFile:
    sha256 = hashlib.sha256(content).hexdigest()
    copy = ingest.folder / f"{sha256}.csv"
    copy.write_bytes(content)
    return LandedFile(drop, "stops.csv", sha256, len(content), copy)


def _place(row: dict[str, Any]) -> tuple[date, int]:
    return row["batch_date"], row["_line"]


def _hold_lines(text: str, rows: list[dict[str, Any]]) -> dict[int, list[str]]:
    """Hold that rows cover every line that is not blank, by the csv module; give the cells of each row that splits."""
    lines = [line.lstrip("\ufeff").replace("\r", RETURN) for line in split_lines(text)]
    reader = csv.reader(f"{line}\n" for line in lines)
    next(reader)
    end, found = reader.line_num, {}
    for row in sorted(rows, key=lambda row: row["_line"]):
        start = row["_line"] - 1
        assert not any(lines[end:start]), f"lines {end + 1} to {start} are lost"
        assert start >= end, f"line {start + 1} is read twice"
        end = start + 1
        if row["_text"] is None:
            reader = csv.reader([f"{line}\n" for line in lines[start:]], strict=True)
            cells = [cell.removesuffix("\n") if cell.count("\n") == 1 else cell for cell in next(reader)]
            end = start + reader.line_num
            found[row["_line"]] = [cell.replace(RETURN, "\r") for cell in cells]
    assert not any(lines[end:]), f"lines after {end} are lost"
    return found


def _hold_values(facts: list[dict[str, Any]], cells: dict[int, list[str]], header: LandedHeader) -> None:
    """Hold that each accepted value is what its cell shows, by Python's own readings."""
    for fact in facts:
        shown = dict(zip(header.columns, cells[fact["_line"]], strict=False))
        assert shown.keys() >= SOURCE.columns.keys()
        for name, column in SOURCE.columns.items():
            text, value = shown[name], fact[name]
            if text == "":
                assert value is None
            elif column.type == "string":
                assert value.replace("\n", "") == text.replace("\n", "")
            elif column.type == "integer":
                assert re.fullmatch(r"[+-]?\d+(\.0+)?", text.strip(), re.ASCII)
                assert value == int(text.strip().partition(".")[0])
            elif column.type == "float":
                assert "_" not in text
                assert value == float(text)
            else:
                _hold_moment(text, value)


def _hold_moment(text: str, value: datetime) -> None:
    """Hold that a moment is that of its text; the engine also reads fewer digits and 24:00."""
    assert 1900 <= value.year <= 2200
    assert re.match(r"\s*\d{4}-", text)
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        return
    assert value == (read if read.tzinfo else read.replace(tzinfo=UTC))


@settings(max_examples=10 * int(os.environ.get("ML_ASSETS_DRAWN", "1")))
@given(contents=st.lists(mutated(), min_size=AT_ONCE, max_size=AT_ONCE))
def test_two_hundred_changed_files_lose_no_row_and_show_what_is_accepted(ingest: Ingest, contents: list[bytes]) -> None:
    judge(ingest, contents)


@pytest.mark.slow
@settings(max_examples=-(-5_000 // AT_ONCE))
@given(contents=st.lists(mutated(), min_size=AT_ONCE, max_size=AT_ONCE))
def test_five_thousand_changed_files_lose_no_row_and_show_what_is_accepted(
    ingest: Ingest, contents: list[bytes]
) -> None:
    judge(ingest, contents)
