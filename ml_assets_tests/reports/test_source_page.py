from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.pipeline.ingestion.source_facts import gather_facts
from ml_assets.reports.source_page import outcome, source_page
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import flagship

DROPS = [date(2013, 1, day) for day in (1, 2, 3)]
HOSTILE = "</td><script>alert(1)</script>"
SOURCE = flagship().source("weather")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Three drops of weather: a calm one, one with a row in quarantine and a warning, one that was refused."""
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    found = Lake(StatePaths(tmp_path).lake / "flight_delays")
    ledger = [
        _drop(0, "admitted", 72, 0), _drop(1, "admitted", 40, 1, reasons=["wind_speed_out_of_range x1"],
                                           notes=["weather_stale: newest row 10.0 h before the batch; allowed 6h"]),
        _drop(2, "refused", 0, 2, reasons=["drop_refused:weather_rows"], notes=["later: not judged: no row"]),
    ]  # fmt: skip
    found.replace_drops("drops", pa.Table.from_pylist([*ledger, {**ledger[0], "source": "planes"}]), DROPS)
    rows = [_row(1, ["wind_speed_out_of_range"], origin="EWR", wind_speed_mph=1048.0)]
    rows += [_row(2, ["drop_refused:weather_rows"], origin=HOSTILE, _line=line) for line in (2, 3)]
    found.replace_drops("quarantine_weather", pa.Table.from_pylist(rows), DROPS)
    results = [
        _found(1, "wind_speed_out_of_range", 1), _found(1, "weather_stale", 41), _found(2, "weather_stale", 0, False)
    ]  # fmt: skip
    found.replace_drops("contract_weather", pa.Table.from_pylist(results), DROPS)
    return found


def _drop(number: int, state: str, validated: int, quarantined: int, **more: Any) -> dict[str, Any]:
    counts = {"landed": validated + quarantined, "validated": validated, "quarantined": quarantined, "late": 0}
    return {
        "batch_date": DROPS[number],
        "source": "weather",
        "state": state,
        **counts,
        "reasons": [],
        "notes": [],
        **more,
    }


def _row(number: int, reasons: list[str], **more: Any) -> dict[str, Any]:
    place = {"_file": "weather.csv", "_line": 71, "wind_speed_mph": 3.5}
    return {"batch_date": DROPS[number], "reason": reasons[0], "reasons": reasons, **place, **more}


def _found(number: int, reason: str, rows: int, is_judged: bool = True) -> dict[str, Any]:
    return {"batch_date": DROPS[number], "reason": reason, "failed_rows": rows, "observed": "", "is_refused": False,
            "is_judged": is_judged}  # fmt: skip


class _Reader(HTMLParser):
    """Reads the rows of the tables of a page, and which tags it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data

    def row(self, *cells: str) -> list[str]:
        (found,) = [row for row in self.rows if set(cells) <= set(row)]
        return found


def test_page_says_what_the_contract_asks_and_what_it_found(lake: Lake) -> None:
    facts = gather_facts(flagship(), SOURCE, lake)
    page = _Reader(source_page(flagship(), SOURCE, facts))

    assert outcome(facts) == (
        "3 drops, 2013-01-01 to 2013-01-03: 2 admitted, 1 refused. 115 rows landed, 112 validated and 3 quarantined."
    )
    assert page.row("temp_f", "°F") == ["temp_f", "float", "°F", "may be missing", ""]
    assert page.row("origin", "part of the key")[1] == "string"
    asked = page.row("wind_speed_out_of_range", "error")
    assert asked == ["a row", "wind_speed_mph is 0 to 150", "error", "wind_speed_out_of_range", "1", "1", "0",
                     "2013-01-02"]  # fmt: skip
    stale = page.row("weather_stale", "warning")
    assert stale[1] == "the newest row is at most 6h older than the batch"
    assert stale[4:] == ["41", "1", "1", "2013-01-02"]
    assert page.row("2013-01-03", "refused")[-1] == "drop_refused:weather_rows"  # what was not judged is counted above
    assert page.row("weather.csv:71") == [
        "2013-01-02", "wind_speed_out_of_range", "weather.csv:71", "origin EWR, wind_speed_mph 1048.0"
    ]  # fmt: skip


def test_bars_hold_the_rows_of_each_drop_and_marks_those_of_each_reason(lake: Lake) -> None:
    page = source_page(flagship(), SOURCE, gather_facts(flagship(), SOURCE, lake))

    boxes = re.findall(r'<rect class="(bar-\d)" [^>]*height="([\d.]+)"><title>([^<]*)</title>', page)
    of_first, of_second = (
        [(name, float(height)) for name, height, said in boxes if said.startswith(f"2013-01-0{day},")] for day in (1, 2)
    )
    assert [name for name, _ in of_first] == ["bar-0"]
    assert [name for name, _ in of_second] == ["bar-0", "bar-1"]
    assert of_second[0][1] / of_first[0][1] == pytest.approx(40 / 72, abs=0.002)
    assert ("bar-2", "5.0", "2013-01-03: refused") in boxes
    assert [said for name, _, said in boxes if "x" in said] == [
        "2013-01-02: weather_stale x41", "2013-01-03: drop_refused:weather_rows x2",
        "2013-01-02: wind_speed_out_of_range x1",
    ]  # fmt: skip


def test_page_runs_nothing_and_fetches_nothing_whatever_the_rows_hold(lake: Lake) -> None:
    text = source_page(flagship(), SOURCE, gather_facts(flagship(), SOURCE, lake))
    page = _Reader(text)

    assert page.row("weather.csv:2")[-1] == f"origin {HOSTILE}, wind_speed_mph 3.5"  # shown as it stands, as text
    assert not page.tags & {"script", "img", "link", "iframe", "a"}
    assert "default-src 'none'" in text
    assert re.findall(r"https?:|url\(|\bon\w+=", text) == []


def test_page_of_a_source_that_was_never_run_says_so(tmp_path: Path) -> None:
    page = source_page(flagship(), SOURCE, gather_facts(flagship(), SOURCE, Lake(tmp_path)))

    assert "No drop has been run yet." in page
    assert "no row yet" in page


@pytest.mark.usefixtures("lake")
def test_command_writes_a_page_a_source_and_names_it(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["sources", "flight_delays", "--page"])

    assert result.exit_code == 0, result.output
    pages = [StatePaths(tmp_path).source_page("flight_delays", source.name) for source in flagship().sources]
    assert [page for page in pages if f"page: {page}" not in result.stdout.splitlines()] == []
    assert [page.read_text().count("<h1>") for page in pages] == [1] * 5
