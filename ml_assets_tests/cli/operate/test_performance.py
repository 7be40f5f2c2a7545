from __future__ import annotations

import json
import math
import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.cli.console import console
from ml_assets.cli.operate.quality_chart import loss_chart
from ml_assets.stats.binary import BINARY
from ml_assets_tests.cli.operate.served_weeks import FIRST, WHY, write_decisions, write_served

GOOD, BAD, EVEN, SHADOW = (-math.log(score) for score in (0.8, 0.2, 0.5, 0.6))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))
    return tmp_path / "state"


def run(*arguments: str, width: int = 80) -> Result:
    console._width = width
    try:
        return CliRunner().invoke(app, ["performance", "flight_delays", *arguments], terminal_width=width)
    finally:
        console._width = None


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_before_any_run_it_says_so_and_writes_nothing(state: Path) -> None:
    assert "flight_delays: no drop has been run yet" in said(run())
    assert json.loads(run("--json").stdout)["weeks"] == []
    assert not state.exists()


def test_without_a_champion_it_says_so(state: Path) -> None:
    write_decisions(state, [FIRST])

    assert said(run()).startswith("flight_delays, drop 2013-02-05: no champion serves yet next")


def test_where_nothing_has_matured_the_verdict_alone_is_told(state: Path) -> None:
    write_served(state, 1, verdict={"batch_date": FIRST + timedelta(days=1), "state": "not enough data", "n": 0,
                                    "n_days": 0, "loss_now": None, "gain": None})  # fmt: skip

    result = run("--to", "2013-02-06")

    assert "there is no outcome of what m1 predicted; none is due, or none came" in said(result)
    assert "No week of prediction has matured yet." in said(result)
    assert "by week of prediction" not in result.stdout


def test_one_week_is_a_row_without_a_chart(state: Path) -> None:
    write_served(state, 1)

    result = run()

    assert "champion m1, performance ok" in said(result)
    assert "week of 2013-02-05 rows 14 log loss champion 0.2231" in said(result)
    assert "⣀" not in result.stdout


def test_weeks_are_those_that_matured_with_what_each_role_would_have_lost(state: Path) -> None:
    write_served(state, 4)

    told = json.loads(run("--json").stdout)

    losses = [[week[role]["log_loss"] for role in ("champion", "first_champion", "baseline")] for week in told["weeks"]]
    assert losses == [pytest.approx([mine, SHADOW, EVEN]) for mine in (GOOD, GOOD, BAD, EVEN)]
    assert (told["last"], told["matured_until"]) == ("2013-03-06", "2013-03-04")
    assert [(row["week"], row["than"]) for row in told["worse_weeks"]] == [
        ("2013-02-19", "first_champion"), ("2013-02-19", "baseline"), ("2013-02-26", "first_champion"),
    ]  # fmt: skip
    assert told["now"]["loss_now"] == 0.22
    assert told["fallback"] == {"since": "2013-02-26", "serves": "baseline", "model_version": "m1", "why": WHY}


def test_events_are_listed_by_their_week_with_their_reason(state: Path) -> None:
    write_served(state, 4)

    events = json.loads(run("--json").stdout)["events"]

    assert [(each["week"], each["drop"], each["kind"]) for each in events] == [
        ("2013-01-29", "2013-02-04", "promotion"), ("2013-02-19", "2013-02-19", "loss_risen"),
        ("2013-02-19", "2013-02-22", "refusal"), ("2013-02-19", "2013-02-25", "fallback"),
    ]  # fmt: skip
    shown = said(run())
    assert "2013-02-22 refusal: m2: asked for by performance: gain_too_small: 0.1 %, at least 0.2 % is asked" in shown
    assert f"2013-02-25 fallback: {WHY}" in shown
    assert "2013-02-04 promotion: m1: by hand, gate disabled: no champion before it" in shown


def test_range_counts_weeks_from_its_first_drop_and_knows_nothing_later(state: Path) -> None:
    write_served(state, 4)

    told = json.loads(run("--from", "2013-02-12", "--to", "2013-02-24", "--json").stdout)

    assert [(week["week"], week["n"]) for week in told["weeks"]] == [("2013-02-12", 14), ("2013-02-19", 8)]
    assert (told["matured_until"], told["now"], told["fallback"]) == ("2013-02-22", None, None)
    assert [each["kind"] for each in told["events"]] == ["loss_risen", "refusal"]


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal_and_none_has_colour(state: Path, width: int) -> None:
    risen = {"state": "failed", "loss_since": date(2013, 2, 19), "behind_since": date(2013, 2, 20), "gain": -0.3,
             "gain_lower": -0.4, "gain_upper": -0.2, "first_gain": -0.1, "first_gain_upper": -0.05}  # fmt: skip
    write_served(state, 4, verdict=risen)

    result = run(width=width)

    assert [line for line in result.stdout.splitlines() if len(line) > width] == []
    assert "\x1b" not in result.stdout
    shown = said(result)
    assert "0.2000 at the gate: 10.0% higher, risen since 2013-02-19" in shown
    assert "30.0% higher than the baseline" in shown
    assert "worse since 2013-02-20" in shown
    assert "10.0% higher than the first champion, never retrained, would have: surely worse" in shown
    assert "fallback: since drop 2013-02-26 the baseline of m1 serves" in shown
    assert "⣀⡠⠒ champion oo first champion .. baseline" in shown


@pytest.mark.parametrize(("first", "last", "message"), [
    ("2013-02-13", "2013-02-12", "--from 2013-02-13 is after --to 2013-02-12"),
    ("july", "2013-02-12", "--from: found 'july'; allowed: a date such as 2013-01-01"),
])  # fmt: skip
def test_range_that_is_none_is_refused(first: str, last: str, message: str) -> None:
    result = run("--from", first, "--to", last)

    assert (result.exit_code, result.stdout) == (1, "")
    assert message in " ".join(result.stderr.split())


def weeks_of(*losses: float | None) -> list[dict[str, object]]:
    return [
        {"week": str(FIRST + timedelta(days=7 * number)), "champion": {"log_loss": loss},
         "first_champion": {"log_loss": None}, "baseline": {"log_loss": 0.7}}
        for number, loss in enumerate(losses)
    ]  # fmt: skip


@pytest.mark.parametrize("losses", [(), (0.5,), (None, 0.5), (None, None)])
def test_chart_of_fewer_than_two_weeks_is_none(losses: tuple[float | None, ...]) -> None:
    assert loss_chart(BINARY, weeks_of(*losses), [], 80) == []


@pytest.mark.parametrize("losses", [(0.5, 0.5), (0.7, 0.7), (0.5, None, 0.6, 0.4), (0.0, 30.0)])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_chart_keeps_to_its_width_and_marks_promotions(losses: tuple[float | None, ...], width: int) -> None:
    lines = loss_chart(BINARY, weeks_of(*losses), [FIRST + timedelta(days=3), date(2012, 1, 1)], width)

    assert all(len(line.plain) <= width for line in lines)
    drawn = "\n".join(line.plain for line in lines)
    assert drawn.endswith("│ promotion")
    assert re.search("[⠁-⣿]", drawn)
    assert str(FIRST) in drawn
