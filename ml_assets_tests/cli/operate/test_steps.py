"""A long range of drops is several runs, one after another."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer

from ml_assets.cli.operate.runs import batch_with_progress
from ml_assets.graph.runs.launch import RunOutcome
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import day, small_spec

SPEC = small_spec()
DROPS = [day(number) for number in range(1, 8)]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[date, date]]:
    """Give the ranges that are run, in order; the one that begins with the 5th fails."""
    found: list[tuple[date, date]] = []

    def run_batch(_spec: Any, _paths: StatePaths, first: date, last: date, _on_event: Any) -> RunOutcome:
        found.append((first, last))
        failures = (("flight_delays__features__features", "out of luck"),) if first == day(5) else ()
        return RunOutcome(f"run {len(found)}", not failures, failures)

    monkeypatch.setattr("ml_assets.graph.runs.launch.run_batch", run_batch)
    return found


def test_range_is_run_in_steps_in_order(
    runs: list[tuple[date, date]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = batch_with_progress(SPEC, StatePaths(tmp_path), DROPS[:4], 3)

    assert runs == [(day(1), day(3)), (day(4), day(4))]
    assert outcome.run_id == "run 2"
    assert "1 of 2: 2013-01-01 to 2013-01-03, run run 1" in capsys.readouterr().out


def test_step_that_fails_ends_the_range_and_leaves_what_was_run(runs: list[tuple[date, date]], tmp_path: Path) -> None:
    with pytest.raises(typer.Exit):
        batch_with_progress(SPEC, StatePaths(tmp_path), DROPS, 2)

    assert runs == [(day(1), day(2)), (day(3), day(4)), (day(5), day(6))]


def test_range_of_one_step_is_one_run(runs: list[tuple[date, date]], tmp_path: Path) -> None:
    batch_with_progress(SPEC, StatePaths(tmp_path), DROPS[:4], 100)

    assert runs == [(day(1), day(4))]
