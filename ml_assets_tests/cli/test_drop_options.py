"""A drop that is mistyped is refused before anything runs, by every command that takes one, with the nearest."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.stores.lake import Lake
from ml_assets_tests.cli.operate.served_weeks import write_decisions
from ml_assets_tests.rehearsal import day, flagship

NAME = "flight_delays"
RUN = [day(number) for number in range(1, 15)]
OF_THE_CALENDAR = "a drop of the calendar of flight_delays, 2013-01-01 to 2014-01-03"
WHICH_WERE_RUN = "a drop that was run, from 2013-01-01 to 2013-01-14"
OF_ANY_DROP = (
    ("land", NAME, "--to", "2013-01-02", "--from"),
    ("batch", NAME, "--to", "2013-01-02", "--from"),
    ("replay", NAME, "--to", "2013-01-02", "--from"),
    ("champion", NAME, "--drop"),
    ("drift", NAME, "--drop"),
    ("approve", NAME, "--from"),
    ("rollback", NAME, "--from"),
    ("fingerprint", NAME, "--to"),
    ("backfill", NAME, "--features", "--from"),
    ("requeue", NAME, "--source", "weather", "--to"),
    ("accept-missing", NAME, "--source", "weather", "--reason", "lost", "--drop"),
)
OF_A_RUN_DROP = (
    ("retrain", NAME, "--as-of"),
    ("audit", NAME, "--from"),
    ("audit", NAME, "--to"),
    ("performance", NAME, "--from"),
    ("performance", NAME, "--to"),
    ("explain", NAME, "prediction", "x", "--drop"),
    ("explain", NAME, "retrain"),
)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state in which the drops of two weeks were run."""
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("ml_assets.cli.console.load_declared", lambda _: flagship())  # read once
    write_decisions(tmp_path, RUN)
    Lake(tmp_path / "lake" / NAME).append("closed_drops", pa.table({"batch_date": RUN}))
    return tmp_path


def refused(*arguments: str) -> str:
    """Give what a command says of a drop; nothing else was printed, and nothing was run."""
    result = CliRunner().invoke(app, list(arguments), terminal_width=200)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    return " ".join(result.stderr.split()).removeprefix("error ")


def named(command: tuple[str, ...]) -> str:
    return command[-1] if command[-1].startswith("--") else "the drop"


@pytest.mark.parametrize("command", [*OF_ANY_DROP, *OF_A_RUN_DROP])
@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("2013-02-30", "found '2013-02-30'; allowed: a date such as 2013-01-01"),
        ("2012-12-24", f"found 2012-12-24; allowed: {OF_THE_CALENDAR}; nearest: 2013-01-01"),
        ("2014-02-01", f"found 2014-02-01; allowed: {OF_THE_CALENDAR}; nearest: 2014-01-03"),
    ],
)
def test_what_is_no_drop_is_refused_with_the_nearest(
    command: tuple[str, ...], found: str, said: str, state: Path
) -> None:
    assert refused(*command, found) == f"{named(command)}: {said}"
    assert not (state / "dagster_home").exists()


@pytest.mark.parametrize("command", OF_A_RUN_DROP)
def test_drop_that_was_not_run_is_refused_with_those_that_were(command: tuple[str, ...], state: Path) -> None:
    said = refused(*command, "2013-02-03")

    allowed = f"allowed: {WHICH_WERE_RUN}; nearest: 2013-01-14"
    assert said == f"{named(command)}: found 2013-02-03, which was not run; {allowed}"
    assert not (state / "dagster_home").exists()


@pytest.mark.parametrize("as_of", [(), ("--as-of", "2013-01-01")])
def test_retraining_before_any_drop_was_run_starts_no_run(
    as_of: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "empty"))

    said = refused("retrain", NAME, *as_of)

    assert said.endswith("no drop was run yet. Run `ml-assets batch flight_delays --from 2013-01-01 --to …` first")
    assert not (tmp_path / "empty").exists()


def test_verdict_of_another_drop_is_named() -> None:
    assert date(2013, 1, 12) in RUN
    assert refused("explain", NAME, "retrain", "2013-01-12") == (
        "no verdict was given as of 2013-01-12; allowed: none, since no verdict was given yet"
    )
