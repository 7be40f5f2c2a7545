from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer import Exit
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.cli.replay import run as command
from ml_assets.cli.replay.run import ReplayOptions, land_absent, run_replay
from ml_assets.graph.runs import replay as replaying
from ml_assets.pipeline.runs.replay_steps import ReplayStoppedError, StepOutcome, replay_steps
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import day, flagship, small_spec

SPEC = small_spec()


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_drop_of_which_something_landed_stays_as_it_is(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    planted = paths.landing / SPEC.name / "2013-01-02" / "weather.csv"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"planted\n")
    (paths.landing / SPEC.name / "2013-01-03").mkdir()  # nothing in it: nothing landed

    landed = land_absent(SPEC, paths, [day(1), day(2), day(3)])

    assert landed == [day(1), day(3)]
    found = files_of(paths.landing / SPEC.name)
    assert {name for name in found if name.startswith("2013-01-02")} == {"2013-01-02/weather.csv"}
    assert found["2013-01-02/weather.csv"] == b"planted\n"
    assert {"2013-01-01/planes.csv", "2013-01-01/schedule.csv", "2013-01-03/schedule.csv"} <= set(found)
    assert land_absent(SPEC, paths, [day(1), day(2), day(3)]) == []
    assert files_of(paths.landing / SPEC.name) == found


def test_landing_that_was_killed_leaves_no_half_of_a_drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = StatePaths(tmp_path)
    land_flights = command.land_flights

    def die(folder: Path, *arguments: Any, **named: Any) -> dict[str, int]:
        land_flights(folder, *arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "land_flights", die)
    with pytest.raises(KeyboardInterrupt):
        land_absent(SPEC, paths, [day(2)])
    assert files_of(paths.landing) == {}

    monkeypatch.setattr(command, "land_flights", land_flights)
    assert land_absent(SPEC, paths, [day(2)]) == [day(2)]


Take = Callable[..., list[StepOutcome]]


def told(monkeypatch: pytest.MonkeyPatch, take: Take) -> None:
    monkeypatch.setattr(replaying, "replay", take)


def test_replay_that_stopped_says_why_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: Any, **__: Any) -> list[StepOutcome]:
        raise ReplayStoppedError("drops 2013-01-08 to 2013-01-14: drop 2013-01-09 waits for schedule")

    told(monkeypatch, stop)

    with pytest.raises(Exit) as ended:
        run_replay(SPEC, StatePaths(tmp_path), ReplayOptions(day(1), day(14), every=7, schedule=2))

    printed = capsys.readouterr()
    assert (ended.value.exit_code, printed.out) == (1, "")
    assert "error drops 2013-01-08 to 2013-01-14: drop 2013-01-09 waits for schedule" in printed.err
    assert f"what is missing goes into {tmp_path}/landing/flight_delays/<drop>/" in printed.err
    assert (
        "ml-assets replay flight_delays --from 2013-01-01 --to 2013-01-14 --every 7 --schedule 2  goes on"
    ) in printed.err
    assert not (tmp_path / "reports").exists()


def test_options_become_steps_and_a_schedule_and_the_page_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def take(_spec: Any, _paths: Any, steps: Sequence[Sequence[date]], **options: Any) -> list[StepOutcome]:
        asked.update(options, steps=[(step[0], step[-1]) for step in steps])
        outcomes = [StepOutcome(tuple(step), "nothing", "no trigger fires", (), {"batch": 1.5}) for step in steps]
        for outcome in outcomes:
            options["on_step"](outcome)
        return outcomes

    told(monkeypatch, take)
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))

    arguments = "replay flight_delays --from 2013-01-01 --to 2013-01-05 --every 2 --schedule 3"
    result = CliRunner().invoke(app, arguments.split(), env={"COLUMNS": "200"})

    assert result.exit_code == 0, result.output
    assert asked["steps"] == [(day(1), day(2)), (day(3), day(4)), (day(5), day(5))]
    assert asked["retrain_after"] == 3
    page = tmp_path / "reports" / "flight_delays" / "replay_2013-01-01_2013-01-05.html"
    assert "flight_delays: replay of 2013-01-01 to 2013-01-05" in page.read_text()
    assert f"page {page}" in result.stdout.replace("\n", "")
    assert "4 s: batch 4" in result.stdout


def test_retraining_inside_a_step_is_told_with_its_drop_and_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(_spec: Any, _paths: Any, steps: Sequence[Sequence[date]], **options: Any) -> list[StepOutcome]:
        acted = ((day(3), "the champion is old"),)
        outcome = StepOutcome(tuple(steps[0]), "nothing", "no trigger fires", ("a", "b"), {"batch": 1.5}, acted)
        options["on_step"](outcome)
        return [outcome]

    told(monkeypatch, take)
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))

    arguments = "replay flight_delays --from 2013-01-01 --to 2013-01-05"
    result = CliRunner().invoke(app, arguments.split(), env={"COLUMNS": "200"})

    assert "2013-01-03 retrain: the champion is old" in result.output
    assert "2013-01-05 nothing" not in result.output


def test_default_step_is_the_declared_one() -> None:
    steps = replay_steps(flagship(), day(1), day(30))  # flight_delays declares 14d

    assert [len(step) for step in steps] == [14, 14, 2]


@pytest.mark.parametrize("option", ["--every", "--schedule"])
def test_step_of_no_drop_is_refused(option: str) -> None:
    arguments = ["replay", "flight_delays", "--from", "2013-01-01", "--to", "2013-01-05", option, "0"]

    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 2
    assert "greater than or equal to 1" in result.stderr
