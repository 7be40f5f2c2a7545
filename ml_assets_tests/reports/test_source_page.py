from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.pipeline.ingestion.source_facts import gather_facts
from ml_assets.reports.source_page import outcome, source_page
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import flagship
from ml_assets_tests.reports.test_replay_page import charts_of

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

    bars, reasons = charts_of(page)
    validated, quarantined, refused = (boxes(bars, kind) for kind in ("validated", "quarantined", "refused"))
    (first_left, _, first_height), (second_left, second_top, second_height) = validated
    assert second_height / first_height == pytest.approx(40 / 72, abs=0.002)
    quarantined_lefts = [left for left, _, _ in quarantined]
    assert quarantined_lefts == [pytest.approx(second_left), pytest.approx(2 * second_left - first_left)]
    assert quarantined[0][1] + quarantined[0][2] == pytest.approx(second_top)  # on top of the validated rows
    assert [left for left, _, _ in refused] == [pytest.approx(2 * second_left - first_left)]
    assert [text.text for text in reasons.iter("text") if " · " in (text.text or "")] == [
        "weather_stale · 41 rows in 1 drop", "drop_refused:weather_rows · 2 rows in 1 drop",
        "wind_speed_out_of_range · 1 row in 1 drop",
    ]  # fmt: skip
    assert len(boxes(reasons, "reason")) == 3


def boxes(chart: ET.Element, kind: str) -> list[tuple[float, float, float]]:
    """Give left, top and height of the bars of a kind, in the order of drops."""
    paths = [group.find("path") for group in chart.iter("g") if group.get("class") == kind]
    found: list[tuple[float, float, float]] = []
    for path in paths:
        assert path is not None
        corners = [tuple(map(float, pair)) for pair in re.findall(r"[ML] ([\d.-]+) ([\d.-]+)", path.attrib["d"])]
        lefts, tops = zip(*corners, strict=True)
        found.append((min(lefts), min(tops), max(tops) - min(tops)))
    return found


def test_row_in_quarantine_is_shown_as_it_stands(lake: Lake) -> None:
    page = _Reader(source_page(flagship(), SOURCE, gather_facts(flagship(), SOURCE, lake)))

    assert page.row("weather.csv:2")[-1] == f"origin {HOSTILE}, wind_speed_mph 3.5"


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
