"""Mistakes in how files are written, what is extracted and delivered: each with its line and what is allowed."""

# ruff: noqa: E501 - a message reads better whole

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ml_assets.spec.declaration import DeclarationError, load_use_case
from ml_assets_tests.rehearsal import REPOSITORY

DECLARED = REPOSITORY / "ml_assets_tests" / "second_use_case" / "late_loans"
SOURCE = "    - name: applications\n"


def mistakes_of(tmp_path: Path, *changes: tuple[str, str]) -> list[str]:
    """Give the mistakes of late_loans with some lines changed, lines as written and not as numbers."""
    folder = Path(shutil.copytree(DECLARED, tmp_path / "late_loans"))
    text = (folder / "defs.yaml").read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    (folder / "defs.yaml").write_text(text)
    with pytest.raises(DeclarationError) as caught:
        load_use_case(folder)
    lines = text.splitlines()
    return [
        f"{lines[mistake.line - 1].strip()[:40]} | {mistake.key}: {mistake.message}"
        for mistake in caught.value.mistakes
    ]


@pytest.mark.parametrize(
    ("written", "line", "said"),
    [
        ("separator: ab", "separator: ab", "separator: found 'ab'; allowed: one character that is no letter or digit, or tab"),
        ("separator: \"'\"\n        quote: \"'\"", "quote: \"'\"", "quote: found \"'\", the separator; allowed: another character, or none"),
        ("decimal: ','\n        thousands: ','", "thousands: ','", "thousands: found ',', the mark before the fraction; allowed: another mark"),
        ("encoding: utf8x", "encoding: utf8x", "encoding: found 'utf8x'; allowed: an encoding that Python knows, such as utf-8, utf-16, cp1252, latin-1, iso8859-15; nearest: utf-8"),
        ("format: parket", "format: parket", "format: found 'parket'; allowed: csv, jsonl, parquet, xlsx; nearest: parquet"),
        ("format: parquet\n        separator: ';'", "separator: ';'", "separator: found with format parquet; allowed: with csv"),
        ("format: xlsx\n        compression: gzip", "compression: gzip", "compression: found with format xlsx; allowed: with csv, jsonl"),
        ("footer: '^(Total'", "footer: '^(Total'", "footer: found '^(Total', missing ), unterminated subpattern at position 1; allowed: a regular expression, as in ^Total"),
        ("names: ['../x.csv']", "names: ['../x.csv']", "names[0]: found '../x.csv'; allowed: a name inside the folder of a drop, such as orders_*.csv or eu/orders.csv, without **, [, .., \\ or parts that begin with a dot"),
        ("max_expanded_mb: 0", "max_expanded_mb: 0", "max_expanded_mb: found 0; allowed: "),
        ("titel_lines: 2", "titel_lines: 2", "titel_lines: found 'titel_lines'; allowed: "),
    ],
)  # fmt: skip
def test_mistake_of_a_file_format_is_named_with_its_line(tmp_path: Path, written: str, line: str, said: str) -> None:
    (found,) = mistakes_of(tmp_path, (SOURCE, f"{SOURCE}      file:\n        {written}\n"))

    assert found.startswith(f"{line} | sources[0].file.{said}")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("branch: {type: string}", "branch: {type: string, date_order: day_first}",
         "sources[0].columns.branch.date_order: found with type 'string'; allowed: with date, timestamp"),
        ("branch: {type: string}", "branch: {type: date, epoch: ms}",
         "sources[0].columns.branch.epoch: found with type 'date'; allowed: with type timestamp, and no date_order"),
    ],
)  # fmt: skip
def test_mistake_of_how_a_moment_is_written_is_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert any(said in found for found in mistakes_of(tmp_path, (before, after)))


@pytest.mark.parametrize(
    ("extract", "file", "said"),
    [
        ("{url: 'postgresql://u:secret@db/x', table: a, watermark: applied_at}", "{format: parquet}",
         "sources[0].extract.url: found an address itself; allowed: the variable of the environment that holds it, as ${ORDERS_DATABASE}"),
        ("{url: '${DB}', table: a, watermark: applied_at}", "{}",
         "sources[0].extract: found without `file: {format: parquet}`; allowed: beside it"),
        ("{url: '${DB}', watermark: applied_at}", "{format: parquet}",
         "sources[0].extract.table: is required and missing, or a query in its place"),
        ("{url: '${DB}', table: a, watermark: aplied_at}", "{format: parquet}",
         "nearest: applied_at"),
        ("{url: '${DB}', table: a, watermark: branch}", "{format: parquet}",
         "sources[0].extract.watermark: found 'branch' of type 'string'; allowed: a column of type timestamp or integer"),
        ("{url: '${DB}', query: 'DELETE FROM a', watermark: applied_at}", "{format: parquet}",
         "sources[0].extract.query: found 'DELETE FROM a'; allowed: a SELECT"),
        ("{url: '${DB}', query: 'SELECT 1; DROP TABLE a', watermark: applied_at}", "{format: parquet}",
         "sources[0].extract.query: found more than one statement; allowed: one SELECT"),
        ("{url: '${DB}', table: a, watermark: amount_inr, overlap: 1h}", "{format: parquet}",
         "sources[0].extract.overlap: found with a watermark of numbers; allowed: with one of type timestamp"),
    ],
)  # fmt: skip
def test_mistake_of_an_extract_is_named_with_its_line(tmp_path: Path, extract: str, file: str, said: str) -> None:
    (found,) = mistakes_of(tmp_path, (SOURCE, f"{SOURCE}      file: {file}\n      extract: {extract}\n"))

    assert found.startswith("extract: {")
    assert said in found
    assert "secret" not in found.partition("|")[2]


@pytest.mark.parametrize(
    ("delivery", "said"),
    [
        ("{table: worklist, format: database, into: a}", "deliveries[0].url: is required and missing"),
        ("{table: worklist, format: database, url: '${DB}'}", "deliveries[0].into: is required and missing"),
        ("{table: worklist, format: webhook, url: '${DB}', folder: x}",
         "deliveries[0].folder: found with format webhook; allowed: with csv, parquet"),
        ("{table: worklist, format: csv, url: '${DB}'}",
         "deliveries[0].url: found with format csv; allowed: with database, webhook"),
        ("{table: worklist, format: webhook, url: 'https://hook.example.org'}", "deliveries[0].url: found an address itself"),
        ("{table: worklist, format: database, url: '${DB}', into: 'a; drop table b'}",
         "deliveries[0].into: found 'a; drop table b'; allowed: a name of letters"),
    ],
)  # fmt: skip
def test_mistake_of_a_delivery_is_named_with_its_line(tmp_path: Path, delivery: str, said: str) -> None:
    (found,) = mistakes_of(tmp_path, ("  worklist:", f"  deliveries:\n    - {delivery}\n  worklist:"))

    assert found.startswith("- {table: worklist")
    assert said in found


def test_two_deliveries_into_one_table_are_named(tmp_path: Path) -> None:
    one = "    - {table: worklist, format: database, url: '${DB}', into: calls}\n"

    (found,) = mistakes_of(tmp_path, ("  worklist:", f"  deliveries:\n{one}{one}  worklist:"))

    assert "deliveries[1]: found the table of deliveries[0] again; allowed: one of its own" in found
