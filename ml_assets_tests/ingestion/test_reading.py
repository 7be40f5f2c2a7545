from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.ingestion.csv_records import count_lines, read_header, split_lines, split_records
from ml_assets.ingestion.reading import days_set_forward, read_landed
from ml_assets.spec.contract import Column, Source
from ml_assets_tests.conftest import drawn
from ml_assets_tests.ingestion.conftest import DROPS, Ingest, declare, ids


def read_values(ingest: Ingest, kind: str, *texts: str, **column: Any) -> tuple[list[Any], list[str | None]]:
    """Read texts as values of one type; give the values, and what was noted as unreadable."""
    columns = {"id": Column(type="integer"), "value": Column.model_validate({"type": kind, **column})}
    source = Source(name="stops", key=("id",), columns=columns)
    lines = [f'{position},"{text}"' for position, text in enumerate(texts)]
    rows, _ = ingest.read(source, "\n".join(["id,value", *lines]))
    return [row["value"] for row in rows], [fault and fault[0] for fault in (row["_unreadable"] for row in rows)]


def test_words_for_null_may_be_of_one_column_alone(ingest: Ingest) -> None:
    floors = Column(type="integer", null_values=("NA", "-999"))
    columns = {"id": Column(type="integer"), "floors": floors, "country": Column(type="string")}
    source = Source(name="stops", key=("id",), columns=columns)

    rows, _ = ingest.read(source, "id,floors,country\n1,NA,NA\n2,-999,-999\n3,4,\n4,x,DE")

    assert [(row["floors"], row["country"]) for row in rows] == [(None, "NA"), (None, "-999"), (4, None), (None, "DE")]
    assert [row["_unreadable"] for row in rows] == [None, None, None, ["floors=x"]]


def test_local_times_that_a_clock_never_showed_are_told_with_their_file(ingest: Ingest) -> None:
    columns = {"id": Column(type="integer"), "at": Column(type="timestamp", zone="Europe/Berlin")}
    source = Source(name="stops", key=("id",), columns=columns)
    times = ("2013-03-31 01:59", "2013-03-31 02:00", "2013-03-31 02:59:59", "2013-03-31 03:00", "2013-10-27 02:30",
             "2013-03-31 02:30+00:00", "soon")  # fmt: skip
    lines = [f"{number},{text}" for number, text in enumerate(times)]

    rows, receipts = ingest.read(source, "\n".join(["id,at", *lines, ""]))

    assert [receipt.warning for receipt in receipts] == [
        "2 times of at that Europe/Berlin never had, as 2013-03-31 02:00, are read as after its clocks were set forward"
    ]
    assert [f"{row['at']:%H:%M}" for row in rows[1:3]] == ["01:00", "01:59"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"])
def test_days_set_forward_are_those_on_which_a_clock_skips_times(zone: str) -> None:
    clock = ZoneInfo(zone)
    minutes = (datetime(2023, 1, 1) + timedelta(minutes=10 * number) for number in range(2 * 366 * 144))  # noqa: DTZ001
    skipped = {
        each.date()
        for each in minutes
        if each.replace(tzinfo=clock).astimezone(UTC).astimezone(clock).replace(tzinfo=None) != each
    }

    assert [day for day in days_set_forward(zone, 2023, 2024) if day.year < 2025] == sorted(skipped)


def places(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["id"], row["_line"], row["_text"]) for row in rows]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", " as it is ", " as it is "),
        ("integer", "-12", -12),
        ("integer", " 12.0 ", 12),
        ("integer", "12.7", None),
        ("integer", "1e3", None),
        ("integer", "99999999999999999999", None),
        ("float", "12.75", 12.75),
        ("float", "-.5e1", -5.0),
        ("float", "1_000", None),
        ("integer", "1_000", None),
        ("float", "NaN", None),
        ("float", "-inf", None),
        ("float", "1e999", None),
        ("boolean", "true", True),
        ("boolean", "maybe", None),
        ("date", "2013-02-28", date(2013, 2, 28)),
        ("date", "2013-02-29", None),
        ("date", "2013-02-28 23:00", None),
        ("date", "infinity", None),
        ("date", "24-02-29", None),
        ("date", "1899-12-31", None),
        ("date", "1900-01-01", date(1900, 1, 1)),
        ("date", "2200-12-31", date(2200, 12, 31)),
        ("date", "9999-12-31", None),
        ("date", "-290308-12-22", None),
        ("timestamp", "24-02-29 09:55:00", None),
        ("timestamp", "24-02-29 09:55:00Z", None),
        ("timestamp", "0001-01-01 00:00:00", None),
        ("timestamp", "-290308-12-22 00:00:00", None),
        ("timestamp", "10000-01-01 00:00:00Z", None),
        ("timestamp", "2013-02-28T10:15:00.25Z", datetime(2013, 2, 28, 10, 15, 0, 250_000, UTC)),
        ("timestamp", "2013-02-30 10:15", None),
        ("timestamp", "infinity", None),
    ],
)
def test_text_is_read_by_its_type_or_named_as_unreadable(ingest: Ingest, kind: str, text: str, value: object) -> None:
    found = read_values(ingest, kind, text)

    assert found == ([value], [None if value is not None else f"value={text}"])


def test_moment_without_an_offset_is_on_the_clock_of_its_column(ingest: Ingest) -> None:
    texts = ("2013-01-01 10:00", "2013-07-01T10:00:00", "2013-07-01", "2013-11-03 00:30", "2013-11-03 03:00")

    found, _ = read_values(ingest, "timestamp", *texts, zone="America/New_York")

    assert [moment.strftime("%m-%d %H:%M") for moment in found] == [
        "01-01 15:00",
        "07-01 14:00",
        "07-01 04:00",
        "11-03 04:30",
        "11-03 08:00",
    ]


def test_offset_outranks_the_clock_of_the_column(ingest: Ingest) -> None:
    texts = ("2013-01-01 10:00Z", "2013-01-01T10:00:00+01:00", "2013-01-01 10:00:00-0500", "2013-01-01 10:00+02")

    found, _ = read_values(ingest, "timestamp", *texts, zone="America/New_York")

    assert [moment.hour for moment in found] == [10, 9, 15, 8]


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/New_York", "2024-11-03"), ("America/New_York", "2024-03-10"), ("Europe/London", "2024-10-27"),
        ("Australia/Sydney", "2024-04-07"), ("Australia/Lord_Howe", "2024-04-07"), ("Antarctica/Troll", "2024-10-27"),
        ("Asia/Kolkata", "2024-05-01"),
    ],
)  # fmt: skip
def test_local_time_that_comes_twice_is_the_moment_that_a_calendar_reads_unless_declared_otherwise(
    zone: str, day: str, ingest: Ingest
) -> None:
    texts = [f"{day} {hour:02}:{minute}:00" for hour in range(5) for minute in ("00", "15", "30", "45")]
    local = [datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)) for text in texts]
    real = [each.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) for each in local]
    exists = [moment == each.replace(tzinfo=None) for moment, each in zip(real, local, strict=True)]

    earliest, _ = read_values(ingest, "timestamp", *texts, zone=zone)
    latest, _ = read_values(ingest, "timestamp", *texts, zone=zone, ambiguous="latest")

    for text, moment, last, one, there in zip(texts, earliest, latest, local, exists, strict=True):
        if there:
            assert moment == one.astimezone(UTC), text
            assert last == one.replace(fold=1).astimezone(UTC), text


def test_moment_with_a_zone_by_name_is_unreadable_and_not_read_on_another_clock(ingest: Ingest) -> None:
    found = read_values(ingest, "timestamp", "2013-01-01 10:00:00 UTC", zone="America/New_York")

    assert found == ([None], ["value=2013-01-01 10:00:00 UTC"])


def test_text_in_the_null_set_is_null_and_not_unreadable(ingest: Ingest) -> None:
    source = declare(null_values=("NA", "it's"))

    rows, _ = ingest.read(source, "id,n,seen_at\nNA,NA,it's\na,,NA\n")

    assert [(row["id"], row["n"], row["seen_at"], row["_unreadable"]) for row in rows] == [
        (None, None, None, None),
        ("a", None, None, ["n="]),
    ]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("id,n,seen_at\na,1,\nb,2,\n", id="as usual"),
        pytest.param(b"\xef\xbb\xbfid,n,seen_at\na,1,\nb,2,\n", id="byte order mark"),
        pytest.param("id,n,seen_at\r\na,1,\r\nb,2,\r\n", id="CRLF"),
        pytest.param("id,n,seen_at\ra,1,\rb,2,\r", id="CR"),
        pytest.param('"id"," n ",seen_at\n"a","1",""\nb,2,\n', id="quoted"),
        pytest.param("seen_at,id,n\n,a,1\n,b,2\n", id="another order"),
    ],
)
def test_harmless_differences_of_a_file_change_nothing(ingest: Ingest, content: bytes | str) -> None:
    rows, (receipt,) = ingest.read(declare(), content)

    assert [(row["batch_date"], row["id"], row["n"], row["_line"]) for row in rows] == [
        (DROPS[0], "a", 1, 2),
        (DROPS[0], "b", 2, 3),
    ]
    assert (receipt.rows, receipt.refusal, receipt.warning) == (2, None, None)


def test_comma_quote_and_line_end_inside_a_quoted_cell_are_text(ingest: Ingest) -> None:
    rows, (receipt,) = ingest.read(declare(), 'id,n,seen_at\n"a,b",1,\n"a ""b""",2,\n"a\nb",3,\nlast,4,\n')

    assert places(rows) == [("a,b", 2, None), ('a "b"', 3, None), ("a\nb", 4, None), ("last", 6, None)]
    assert receipt.rows == 4


def test_line_that_does_not_split_is_kept_as_text_and_spoils_no_other(ingest: Ingest) -> None:
    rows, (receipt,) = ingest.read(declare(), 'id,n,seen_at\n"a\nx",1,\nb,2\n"c,3,\nd,4,,5\n"e"e,5,\nf,6,\n')

    assert places(rows) == [
        ("a\nx", 2, None),
        (None, 4, "b,2"),
        (None, 5, '"c,3,'),
        (None, 6, "d,4,,5"),
        (None, 7, '"e"e,5,'),
        ("f", 8, None),
    ]
    assert receipt.rows == 6


def test_separators_that_are_no_line_ends_stay_inside_their_cell(ingest: Ingest) -> None:
    rows, _ = ingest.read(declare(), "id,n,seen_at\na\u2028b,1,\nc\x0bd,2,\nragged\n")

    assert places(rows) == [("a\u2028b", 2, None), ("c\x0bd", 3, None), (None, 4, "ragged")]


def test_blank_lines_are_no_rows_and_shift_no_line_number(ingest: Ingest) -> None:
    rows, (receipt,) = ingest.read(declare(), "id,n,seen_at\n\na,1,\n\n\nb,2,\n\n")

    assert places(rows) == [("a", 3, None), ("b", 6, None)]
    assert receipt.rows == 2


def test_blank_line_of_one_column_is_a_row(ingest: Ingest) -> None:
    for content in ("id\na\n\nb\n", "id\na\n\nb,c\n"):
        rows, (receipt,) = ingest.read(declare({"id": "string"}), content)

        assert [(row["id"], row["_line"]) for row in rows][:2] == [("a", 2), (None, 3)]
        assert receipt.rows == 3


def test_line_too_long_to_read_is_kept_as_text(ingest: Ingest) -> None:
    rows, _ = ingest.read(declare(), f"id,n,seen_at\n{'x' * 3_000_000},1,\nb,2,\n")

    assert [(row["id"], row["_line"], len(row["_text"] or "")) for row in rows] == [(None, 2, 3_000_003), ("b", 3, 0)]


def test_missing_column_refuses_the_file_and_keeps_its_lines(ingest: Ingest) -> None:
    rows, receipts = ingest.read(declare(), "id,seen_at\na,\n\nb,\n", "id,n,seen_at\nc,1,\n")

    assert [(row["_line"], row["_text"], row["_refused"]) for row in rows] == [
        (2, "a,", "file_refused:missing_column:n"),
        (4, "b,", "file_refused:missing_column:n"),
        (2, None, None),
    ]
    assert [(receipt.drop, receipt.rows, receipt.refusal) for receipt in receipts] == [
        (DROPS[0], 2, "file_refused:missing_column:n"),
        (DROPS[1], 1, None),
    ]


def test_column_outside_the_contract_is_let_pass_with_a_warning(ingest: Ingest) -> None:
    rows, (receipt,) = ingest.read(declare(), "id,filename,n,,seen_at\na,x,1,y,\n")

    assert [(row["id"], row["n"]) for row in rows] == [("a", 1)]
    assert (receipt.refusal, receipt.warning) == (None, "extra_column:filename,")


def test_column_may_have_a_name_that_the_engine_uses_itself(ingest: Ingest) -> None:
    source = declare({"id": "string", "filename": "string"})

    rows, _ = ingest.read(source, "id,filename\na,b\n")

    assert [(row["id"], row["filename"], row["_file"]) for row in rows] == [("a", "b", "stops.csv")]


@pytest.mark.parametrize(
    ("content", "refusal", "lines"),
    [
        (b"id,id,n,seen_at\na,a,1,\n", "file_refused:column_twice:id", 1),
        (b"", "file_refused:empty", 0),
        (b"\n\n", "file_refused:empty", 0),
        (b"id,n,seen_at\na,1,\n\xff,2,\n", "file_refused:not_utf8", 2),
        (b"\nid,n,seen_at\na,1,\n", "file_refused:missing_column:id,n,seen_at", 2),
    ],
)
def test_unreadable_file_is_refused_with_its_reason(ingest: Ingest, content: bytes, refusal: str, lines: int) -> None:
    rows, (receipt,) = ingest.read(declare(), content)

    assert (receipt.refusal, receipt.rows) == (refusal, lines)
    assert [row["_refused"] for row in rows] == [refusal] * lines


@pytest.mark.parametrize("content", ["id,n,seen_at\n", "id,n,seen_at"])
def test_file_with_a_header_only_is_received_with_no_row(ingest: Ingest, content: str) -> None:
    rows, (receipt,) = ingest.read(declare(), content)

    assert (rows, receipt.rows, receipt.refusal, receipt.size_bytes) == ([], 0, None, len(content))


def test_same_bytes_landed_twice_are_rows_of_both_drops(ingest: Ingest) -> None:
    content = "id,n,seen_at\na,1,\n"

    rows, receipts = ingest.read(declare(), content, content)

    assert [(row["batch_date"], row["id"]) for row in rows] == [(DROPS[0], "a"), (DROPS[1], "a")]
    assert receipts[0].sha256 == receipts[1].sha256 == rows[0]["_sha256"]


def test_files_of_different_headers_are_read_together(ingest: Ingest) -> None:
    rows, receipts = ingest.read(declare(), "id,n,seen_at\na,1,\n", "n,id,seen_at\n2,b,\n", "id,n,seen_at,x\nc,3,,\n")

    assert [(row["batch_date"], row["id"], row["n"]) for row in rows] == [
        (DROPS[0], "a", 1),
        (DROPS[1], "b", 2),
        (DROPS[2], "c", 3),
    ]
    assert [receipt.warning for receipt in receipts] == [None, None, "extra_column:x"]


def test_no_file_gives_no_row_of_the_contracts_types(ingest: Ingest) -> None:
    rows, receipts = ingest.read(declare())

    assert (rows, receipts) == ([], [])
    assert [str(kind) for kind in ingest.connection.table("raw").types][:4] == [
        "DATE",
        "VARCHAR",
        "BIGINT",
        "TIMESTAMP WITH TIME ZONE",
    ]


LINES = st.lists(st.text(alphabet='ab,"\n', max_size=8), max_size=6)


@given(lines=LINES, width=st.integers(2, 3))
def test_every_line_with_text_is_in_exactly_one_record(lines: list[str], width: int) -> None:
    text = "\n".join(lines)

    records = list(split_records(text, width))

    with_text = [line for line in text.split("\n") if line]
    assert [line for record in records for line in record.text.split("\n") if line] == with_text
    assert all(text.split("\n")[record.line - 1] == record.text.split("\n")[0] for record in records)


CELLS = st.text(alphabet=st.sampled_from('ab ,"\n\u2028é'), max_size=5)


@given(table=st.lists(st.tuples(CELLS, st.integers(-99, 99)), max_size=6), is_ragged=st.booleans())
def test_what_was_written_is_read_back_also_beside_a_broken_line(
    ingest: Ingest, table: list[tuple[str, int]], is_ragged: bool
) -> None:
    quoted = ['"' + name.replace('"', '""') + '"' for name, _ in table]
    lines = [f"{name},{count}" for name, (_, count) in zip(quoted, table, strict=True)]
    source = declare({"id": "string", "n": "integer"}, null_values=())

    rows, _ = ingest.read(source, "\n".join(["id,n", *lines, *(["broken"] if is_ragged else [])]))

    assert [row["_text"] for row in rows] == [None] * len(table) + ["broken"] * is_ragged
    assert ids(rows)[: len(table)] == [name for name, _ in table]
    assert [row["n"] for row in rows][: len(table)] == [count for _, count in table]


@given(st.text(alphabet='ab,"\n\r\u2028 ', max_size=30))
def test_header_and_lines_are_those_of_the_split_text(text: str) -> None:
    lines = split_lines(text)
    assert count_lines(text) == len(lines)
    reader = csv.reader(f"{line}\n" for line in lines)
    try:
        header = tuple(cell.strip() for cell in next(reader))
    except csv.Error:
        with pytest.raises(csv.Error):
            read_header(text)
    else:
        assert read_header(text) == (header, reader.line_num if text else 0)


ANY_TEXT = st.text(alphabet=st.sampled_from('ab,"\n\r\ufeff\x00 1'), max_size=40).map(
    lambda text: text.rstrip("\r")  # it would be part of the line end that follows
)
WELL_FORMED = st.lists(st.sampled_from(["a,1", '"a,b",2', '"a""b",3', '5" box,4', "", ",", '"x"y,5', '"']), max_size=6)


@drawn(60)
@given(text=ANY_TEXT | WELL_FORMED.map("\n".join) | WELL_FORMED.map("\r\n".join))
def test_fate_of_a_row_does_not_depend_on_a_broken_line_beside_it(ingest: Ingest, text: str) -> None:
    source = declare({"id": "string", "n": "integer"}, null_values=())
    end = "\r" if "\r" in text and "\n" not in text else "\n"

    alone, _ = ingest.read(source, f"id,n{end}{text}")
    before, _ = ingest.read(source, f"id,n{end}broken{end}{text}")
    after, _ = ingest.read(source, f"id,n{end}{text}{end}broken")

    def fates(rows: list[dict[str, Any]], shift: int = 0) -> list[tuple[Any, ...]]:
        names = ("id", "n", "_text", "_unreadable")
        return [(row["_line"] - shift, *(row[name] for name in names)) for row in rows if row["_text"] != "broken"]

    assert fates(before, 1) == fates(alone)
    assert fates(after) == fates(alone)


@pytest.mark.parametrize("kind", ["DATE", "VARCHAR"])
def test_without_a_file_keys_are_of_the_type_that_the_calendar_has(ingest: Ingest, kind: str) -> None:
    relation, receipts = read_landed(ingest.connection, declare(), [], kind)

    assert (relation.fetchall(), receipts) == ([], [])
    assert dict(zip(relation.columns, map(str, relation.types), strict=True))["batch_date"] == kind
