from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.cli.console import console
from ml_assets_tests.cli.operate.served_weeks import WHY, write_served

RISEN = {"state": "failed", "loss_since": date(2013, 2, 19), "first_gain": -0.1, "first_gain_upper": -0.05}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))
    monkeypatch.setattr(console, "_width", 80)
    return tmp_path / "state"


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["status", "flight_delays", *arguments], terminal_width=80)
    assert result.exit_code == 0, result.output
    return result


def test_quality_stands_beside_the_gate_the_baseline_and_the_first_champion(state: Path) -> None:
    write_served(state, 2, verdict=RISEN)

    shown = " ".join(run().stdout.split())

    assert "quality log loss 0.2200 from" in shown
    assert "0.2000 at the gate: 10.0% higher, risen since 2013-02-19" in shown
    assert "vs baseline log loss 60.0% lower than the baseline" in shown
    assert "vs first log loss 10.0% higher than the first champion, never retrained, would have: surely worse" in shown
    assert "fallback" not in shown


def test_fallback_that_serves_is_a_line_with_its_reason(state: Path) -> None:
    write_served(state, 4)

    (facts,) = json.loads(run("--json").stdout)

    assert f"fallback since drop 2013-02-26 the baseline of m1 serves: {WHY}" in " ".join(run().stdout.split())
    assert facts["fallback"]["serves"] == "baseline"
    assert facts["quality"]["loss_at_gate"] == 0.2
    assert facts["failure"] is None
