"""Rows written in drawn dialects read as they were written, or the dialect is refused by name."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ml_assets.ingestion.unpacking import pack
from ml_assets.spec.contract import Source
from ml_assets_tests.ingestion.conftest import Ingest

ENCODINGS = ("utf-8", "utf-16", "utf-8-sig", "cp1252", "latin-1", "utf-32-le")
MARKS = st.sampled_from([",", ";", "tab", "|", "^", "~", ":", "'", '"', "-", ".", "x"])
TEXTS = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=8)
BETWEEN = (datetime(1900, 1, 2), datetime(2199, 12, 30))  # noqa: DTZ001 - hypothesis asks for bounds without a zone
ROWS = st.lists(
    st.tuples(
        TEXTS,
        st.one_of(st.none(), st.integers(-(10**12), 10**12)),
        st.one_of(st.none(), st.floats(-1e9, 1e9).map(lambda value: round(value, 6))),
        st.one_of(st.none(), st.dates(date(1900, 1, 1), date(2199, 12, 31))),
        st.one_of(st.none(), st.datetimes(*BETWEEN)),
    ),
    min_size=1,
    max_size=12,
)


@dataclass(frozen=True)
class Drawn:
    """A declared dialect, how moments are written, and the line end."""

    file: dict[str, Any]
    order: str
    epoch: str | None
    end: str


@st.composite
def dialects(draw: st.DrawFn) -> Drawn:
    file = {
        "separator": draw(MARKS),
        "quote": draw(st.one_of(st.sampled_from(['"', "'", "none"]), MARKS)),
        "decimal": draw(st.sampled_from([".", ","])),
        "thousands": draw(st.sampled_from(["", ",", ".", " ", "'"])),
        "encoding": draw(st.sampled_from(ENCODINGS)),
        "compression": draw(st.sampled_from(["none", "gzip", "zstd"])),
        "title_lines": draw(st.integers(0, 3)),
        "footer": draw(st.sampled_from(["", "^Total"])),
    }
    order = draw(st.sampled_from(["iso", "day_first", "month_first"]))
    return Drawn(file, order, draw(st.sampled_from([None, "s", "ms", "us"])), draw(st.sampled_from(["\n", "\r\n"])))


def declare(drawn: Drawn) -> Source:
    seen_at = {"type": "timestamp", **({"epoch": drawn.epoch} if drawn.epoch else {"date_order": drawn.order})}
    columns = {
        "id": {"type": "string"}, "n": {"type": "integer"}, "kg": {"type": "float"},
        "day": {"type": "date", "date_order": drawn.order}, "seen_at": seen_at,
    }  # fmt: skip
    return Source.model_validate({"name": "stops", "key": ["id"], "columns": columns, "file": drawn.file})


def declare_or_explain(drawn: Drawn) -> Source | ValidationError:
    try:
        return declare(drawn)
    except ValidationError as error:
        return error


def number(value: float | None, drawn: Drawn) -> str:
    if value is None:
        return ""
    whole, _, fraction = format(abs(value), "f" if isinstance(value, float) else "d").partition(".")
    mark = drawn.file.get("thousands", "")
    grouped = f"{int(whole):,}".replace(",", mark) if mark else whole
    shown = grouped + (drawn.file.get("decimal", ".") + fraction if fraction else "")
    return f"-{shown}" if value < 0 else shown


def day(value: date | None, order: str) -> str:
    forms = {"iso": "%Y-%m-%d", "day_first": "%d.%m.%Y", "month_first": "%m/%d/%Y"}
    return value.strftime(forms[order]) if value else ""


def moment(value: datetime | None, drawn: Drawn) -> str:
    if value is None:
        return ""
    if drawn.epoch:
        since = value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        micros = since // timedelta(microseconds=1)
        per = {"s": 1_000_000, "ms": 1_000, "us": 1}[drawn.epoch]
        return (
            str(micros)
            if per == 1
            else f"{'-' if micros < 0 else ''}{abs(micros) // per}.{abs(micros) % per:06d}"
            if per == 1_000_000
            else f"{'-' if micros < 0 else ''}{abs(micros) // per}.{abs(micros) % per:03d}"
        )
    return f"{day(value, drawn.order)} {value:%H:%M:%S.%f}"


def write(rows: list[tuple[Any, ...]], drawn: Drawn, source: Source) -> bytes | None:
    """Write rows by a dialect; None where it has no way to write them."""
    target, file = io.StringIO(), source.file
    quoting = csv.QUOTE_MINIMAL if file.quote_mark else csv.QUOTE_NONE
    writer = csv.writer(target, delimiter=file.separator_mark, quotechar=file.quote_mark or None, quoting=quoting,
                        lineterminator=drawn.end)  # fmt: skip
    target.write("".join(f"title {place}{drawn.end}" for place in range(file.title_lines)))
    try:
        writer.writerow(source.columns)
        for name, n, kg, on, at in rows:
            writer.writerow([name, number(n, drawn), number(kg, drawn), day(on, drawn.order), moment(at, drawn)])
    except csv.Error:
        return None
    if file.footer:
        target.write(f"Total{drawn.end}")
    try:
        return pack(target.getvalue().encode(file.encoding), file.compression)
    except UnicodeEncodeError:
        return None


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=dialects(), rows=ROWS)
def test_drawn_dialect_reads_as_written_or_is_refused_by_name(
    ingest: Ingest, drawn: Drawn, rows: list[tuple[Any, ...]]
) -> None:
    source = declare_or_explain(drawn)
    if isinstance(source, ValidationError):
        assert {str(each["loc"][-1]) for each in source.errors()} <= {"separator", "quote", "thousands"}
        assert all("allowed: " in each["msg"] for each in source.errors())
        return
    content = write(rows, drawn, source)
    if content is None:
        return

    found, (receipt,) = ingest.read(source, content)

    assert receipt.refusal is None, receipt
    assert receipt.rows == len(found) == len(rows)
    for row, (name, n, kg, on, at) in zip(found, rows, strict=True):
        assert (row["_text"], row["_unreadable"]) == (None, None)
        assert (row["id"] or "", row["n"], row["kg"], row["day"]) == (name, n, kg, on)
        assert row["seen_at"] == (at.replace(tzinfo=UTC) if at else None)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_packed_file_cut_anywhere_is_refused(ingest: Ingest, compression: Any, cut: float) -> None:
    drawn = Drawn({"compression": compression}, "iso", None, "\n")
    source = declare(drawn)
    content = write([(f"a{place}", place, place / 7, None, None) for place in range(500)], drawn, source)
    assert content is not None

    _, (receipt,) = ingest.read(source, content[: int(len(content) * cut)])

    assert receipt.refusal in (f"file_refused:{compression}_cut_or_damaged", f"file_refused:not_{compression}")
