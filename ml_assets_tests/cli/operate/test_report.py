"""The page of four layers, from tables whose values can be worked out by hand."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.spec.tables.ingestion import DROPS
from ml_assets.spec.tables.monitoring import DRIFT_REPORT, FEED_HEALTH, PERFORMANCE_REPORT
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_rows import arrow_rows
from ml_assets_tests.cli.operate.served_weeks import FIRST, NAME, WHY, drops_of, write_decisions, write_served

HOSTILE = "<script>alert(1)</script>"
NEWEST = FIRST + timedelta(days=28 + 1)  # of four weeks served, two days after the last of them


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))
    monkeypatch.setattr("ml_assets.cli.console.console._width", 200)
    return tmp_path / "state"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", NAME, *arguments])


def answers(*arguments: str) -> dict[str, tuple[str, str]]:
    result = run("--json", *arguments)
    assert result.exit_code == 0, result.output
    return {each["question"]: (each["said"], each["colour"]) for each in json.loads(result.stdout)["answers"]}


def page(state: Path) -> str:
    return (state / "reports" / NAME / "four_layers.html").read_text()


def write_layers(root: Path) -> None:
    """Write what a use case left that served four weeks: a refused file, a feed in alarm, and two model versions."""
    write_served(root, 4, verdict={"state": "failed", "gain": -0.5, "gain_lower": -0.6, "gain_upper": -0.4})
    lake, drops = Lake(root / "lake" / NAME), [*drops_of(4), NEWEST]
    refused = FIRST + timedelta(days=3)
    ledger = [
        {"batch_date": drop, "source": source, "expected": True, "received": True, "landed": 10, "late": 0,
         "state": "refused" if (drop, source) == (refused, "weather") else "admitted",
         "validated": 9, "quarantined": 1, "reasons": [], "notes": []}
        for drop in drops for source in ("schedule", "weather")
    ]  # fmt: skip
    lake.replace_drops(DROPS.name, arrow_rows(DROPS, ledger), drops)
    write_monitors(lake, drops)
    report = [
        measured(drop, version, role, n, loss)
        for version, role, n, loss, span in (
            ("m1", "champion", 2, 0.2, drops[:14]), ("m1", "baseline", 2, 0.7, drops[:14]),
            ("m2", "champion", 4, 0.9, drops[14:-1]), ("m2", "baseline", 4, 0.6, drops[14:-1]),
        )
        for drop in span
    ]  # fmt: skip
    lake.replace_drops(PERFORMANCE_REPORT.name, arrow_rows(PERFORMANCE_REPORT, report), drops)


def measured(drop: date, version: str, role: str, n: int, loss: float) -> dict[str, Any]:
    listed = 0.75 if role == "champion" else 0.5
    return {"batch_date": drop, "prediction_batch_date": drop, "role": role, "model_version": version, "n": n,
            "n_unresolved": 0, "log_loss": loss, "cost": loss / 2, "precision_at_capacity": listed}  # fmt: skip


def write_monitors(lake: Lake, drops: list[date]) -> None:
    """Let a feed alarm in the two newest drops, and a feature whose name is hostile in one before."""
    for table, name, alarms in ((FEED_HEALTH, "feed/weather/rows", drops[-2:]), (DRIFT_REPORT, HOSTILE, drops[5:6])):
        rows = [
            {"batch_date": drop, "family": "feed", "monitor": name, "statistic": "rows", "ratio": 1.5, "n_placebos": 9,
             "state": "alarm" if drop in alarms else "ok"}
            for drop in drops
        ]  # fmt: skip
        lake.replace_drops(table.name, arrow_rows(table, rows), drops)


def test_before_any_run_every_layer_says_that_there_is_nothing(state: Path) -> None:
    found = answers()

    assert found["Is it running?"] == ("No drop has been run yet.", "")
    assert found["Are the data whole?"] == ("Nothing has landed yet.", "")
    assert found["Does the model earn its keep?"] == ("No champion serves yet.", "")
    assert found["What is it worth?"] == ("No outcome of a served prediction has matured yet.", "")
    assert page(state).count('class="empty"') == 7


def test_each_layer_is_answered_from_its_tables(state: Path) -> None:
    write_layers(state)

    found = answers()

    running, colour = found["Is it running?"]
    assert running.startswith("29 of 29 drops ran to a decision; 1 incident open, 1 error among them; ")
    assert colour == "bad"
    assert found["Are the data whole?"] == (
        "58 of 580 rows are in quarantine; 1 file refused, 0 missing; in the newest drop alarm feed/weather/rows.",
        "bad",
    )
    assert found["Is the world as the model knows it?"] == (
        "No feature alarms in the newest drop; in 1 of 29 drops some did.",
        "",
    )
    said, colour = found["Does the model earn its keep?"]
    assert "50.0% higher than the baseline" in said
    assert colour == "bad"
    assert found["What is it worth?"][0] == (
        "m2, on 56 outcomes: precision at capacity 0.75, by the baseline 0.5; "
        "cost an example 0.45, by the baseline 0.3."
    )


def test_versions_stand_in_the_order_they_served_with_means_over_examples(state: Path) -> None:
    write_layers(state)

    rows = json.loads(run("--json").stdout)["by_model"]

    assert [(row["model_version"], row["n"], row["first"], row["last"]) for row in rows] == [
        ("m1", 28, "2013-02-05", "2013-02-18"), ("m2", 56, "2013-02-19", "2013-03-04")
    ]  # fmt: skip
    assert rows[0]["champion"]["loss"] == pytest.approx(0.2)
    assert rows[1]["baseline"]["cost"] == pytest.approx(0.3)


def test_range_is_as_it_was_known_in_its_last_drop(state: Path) -> None:
    write_layers(state)

    found = answers("--from", "2013-02-06", "--to", "2013-02-10")

    assert found["Are the data whole?"][0].startswith("10 of 100 rows are in quarantine; 1 file refused")
    assert found["What is it worth?"][0].startswith("m1, on 10 outcomes")
    assert run("--from", "2013-02-10", "--to", "2013-02-06").exit_code == 1


def test_page_opens_offline_escapes_names_and_colours_what_is_worse_than_the_baseline(state: Path) -> None:
    write_layers(state)

    assert run().exit_code == 0

    written = page(state)
    assert HOSTILE not in written
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in written
    assert not re.search(r"https?://(?!www\.w3\.org|matplotlib\.org)", written)
    assert '<td class="number good">0.2</td>' in written
    assert '<td class="number bad">0.9</td>' in written
    assert WHY.split(":")[0] in written
    assert written.count("<svg") == 2
    assert "Of all alerts: none of 1 alerts was judged." in written


def test_drop_without_a_decision_is_not_counted_as_run(state: Path) -> None:
    write_decisions(state, [FIRST])
    lake = Lake(state / "lake" / NAME)
    rows = [
        {"batch_date": FIRST, "source": "schedule", "expected": True, "received": True, "state": "admitted",
         "landed": 1, "validated": 1, "quarantined": 0, "late": 0, "reasons": [], "notes": []}
    ]  # fmt: skip
    lake.replace_drops(DROPS.name, arrow_rows(DROPS, rows), [FIRST])

    assert answers()["Is it running?"] == ("1 of 1 drops ran to a decision; no incident is open.", "good")
