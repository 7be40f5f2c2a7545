from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.cli.console import console
from ml_assets.spec.tables.monitoring import DRIFT_REPORT, PERFORMANCE_VERDICTS
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_rows import arrow_rows

DROPS = [date(2013, 7, 1), date(2013, 7, 2)]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    monkeypatch.setattr(console, "_width", 200)
    return tmp_path


@pytest.fixture
def report(state: Path) -> None:
    """Two drops; in the second one a monitor alarms."""
    calm = {"family": "training", "statistic": "steady_psi", "value": 0.1, "usual": 0.1, "threshold": 5.0}
    rows = [
        {**calm, "batch_date": drop, "monitor": monitor, "z": z, "ratio": z / 5, "state": "alarm" if z > 5 else "ok",
         "meaning": "has [moved] away" if z > 5 else None}
        for drop, moved in zip(DROPS, (0.5, 7.5), strict=True)
        for monitor, z in (("training/temp_f", moved), ("training/wind", 1.0))
    ]  # fmt: skip
    Lake(state / "lake" / "flight_delays").replace_drops("drift_report", arrow_rows(DRIFT_REPORT, rows), DROPS)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["drift", "flight_delays", *arguments], terminal_width=200)


def test_without_a_report_it_says_so() -> None:
    result = run()

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no drift report of any drop; drops with a report: none yet" in result.stderr


@pytest.mark.usefixtures("report")
def test_newest_drop_is_shown_with_what_alarms_first() -> None:
    result = run()

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].strip() == "flight_delays, drop 2013-07-02: 1 of 2 monitors alarm, 0 have not enough data"
    monitors = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert monitors == ["training/temp_f", "training/wind"]
    assert "has [moved] away" in result.stdout


@pytest.mark.usefixtures("report")
def test_named_drop_as_json_holds_every_monitor() -> None:
    told = json.loads(run("--drop", "2013-07-01", "--json").stdout)

    assert (told["drop"], told["decision"], told["page"]) == ("2013-07-01", None, None)
    assert [each["z"] for each in told["monitors"]] == [1.0, 0.5]


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize(
    ("drop", "said"),
    [
        (
            "2013-07-09",
            "no drift report of 2013-07-09; drops with a report: 2013-07-01 to 2013-07-02; nearest: 2013-07-02",
        ),
        ("july", "--drop: found 'july'; allowed: a date such as 2013-01-01"),
    ],
)
def test_drop_without_report_is_refused_with_those_that_have_one(drop: str, said: str) -> None:
    result = run("--drop", drop)

    assert result.exit_code == 1
    assert said in " ".join(result.stderr.split())


@pytest.mark.usefixtures("report")
def test_performance_stands_above_the_monitors_with_its_sums_and_their_limits(state: Path) -> None:
    verdict = {
        "batch_date": DROPS[1], "state": "failed", "model_version": "m1", "n": 90, "window_from": DROPS[0],
        "window_until": DROPS[1], "loss_now": 0.6, "loss_at_gate": 0.5, "loss_level": 7.25, "loss_limit": 5.0,
        "loss_since": DROPS[0], "label_share": 0.31, "mean_score": 0.25, "prior_state": "shifted",
    }  # fmt: skip
    rows = arrow_rows(PERFORMANCE_VERDICTS, [verdict])
    Lake(state / "lake" / "flight_delays").replace_drops("performance_verdicts", rows, DROPS[1:])

    lines = [line.strip() for line in run().stdout.splitlines()]

    assert lines[:6] == [
        "performance of champion m1: failed",
        "log loss 0.6000 from 2013-07-01 to 2013-07-02 (90 rows), 0.5000 at the gate: 20.0% higher, risen since "
        "2013-07-01",
        "not enough data to compare with the baseline",
        "evidence, summed since it serves, that it does worse than before it served: 7.25, alarm above 5.00",
        "evidence, summed since it serves, that it does worse than the baseline: not known",
        "31.0% positives where scores average 25.0%: apart in this window; told once that has lasted",
    ]
    assert json.loads(run("--json").stdout)["performance"]["loss_level"] == 7.25
    assert json.loads(run("--drop", "2013-07-01", "--json").stdout)["performance"] is None
