from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.stores.lake import Lake
from ml_assets_tests.rehearsal import flagship

DROPS = [date(2013, 1, day) for day in (1, 2)]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    return Lake(tmp_path / "lake" / "flight_delays")


def listed(what: str) -> dict[str, dict[str, Any]]:
    result = CliRunner().invoke(app, [what, "flight_delays", "--json"])
    assert result.exit_code == 0, result.output
    return {row[what.removesuffix("s")]: row for row in json.loads(result.stdout)}


@pytest.mark.usefixtures("lake")
def test_sources_are_listed_as_declared_before_anything_has_run() -> None:
    found = listed("sources")

    assert list(found) == [source.name for source in flagship().sources]
    assert (found["weather"]["key"], found["weather"]["newest_drop"]) == (["origin", "observed_at"], None)


def test_sources_say_how_far_they_have_come_and_what_was_quarantined(lake: Lake) -> None:
    rows = [{"batch_date": drop, "source": "weather", "state": state, "landed": 70, "quarantined": 1}
            for drop, state in zip(DROPS, ("admitted", "refused"), strict=True)]  # fmt: skip
    lake.replace_drops("drops", pa.Table.from_pylist(rows), DROPS)
    lake.replace_drops("quarantine_weather", pa.table({"batch_date": DROPS, "reason": ["a", "a"]}), DROPS)

    weather = listed("sources")["weather"]

    assert (weather["newest_drop"], weather["rows"], weather["quarantined"]) == ("2013-01-01", 140, 2)
    assert (weather["refused"], weather["reasons"]) == (1, {"a": 2})


def test_sources_say_how_often_each_rule_was_broken_and_could_not_judge(lake: Lake) -> None:
    found = {"batch_date": DROPS, "reason": ["schedule_rows_unusual"] * 2, "is_refused": [False] * 2}
    lake.replace_drops("contract_schedule", pa.table(found | {"is_judged": [None, False]}), DROPS)
    old = {"batch_date": DROPS, "reason": ["station_unknown"] * 2, "is_refused": [False, True]}
    lake.replace_drops("contract_weather", pa.table(old), DROPS)

    sources = listed("sources")

    (unusual,) = [rule for rule in sources["schedule"]["rules"] if rule["reason"] == "schedule_rows_unusual"]
    assert unusual == {
        "about": "a drop", "asks": "rows within 30% of the median of the same weekday in the 4 weeks before, and at "
        "least one", "severity": "warning", "reason": "schedule_rows_unusual", "broken": 1, "refused": 0,
        "not_judged": 1,
    }  # fmt: skip
    (station,) = [rule for rule in sources["weather"]["rules"] if rule["reason"] == "station_unknown"]
    assert (station["asks"], station["broken"], station["refused"]) == ("origin is one of EWR, JFK, LGA", 2, 1)
