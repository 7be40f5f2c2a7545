"""Ticks of sensors that find nothing changed read no table, no landed file and no model."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml_assets.pipeline.ingestion.ready_drops import find_ready_drops
from ml_assets.pipeline.monitoring.incidents import reconcile_incidents
from ml_assets.pipeline.monitoring.newest_decision import newest_decision
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import SOURCES, day, small_spec

SPEC = small_spec()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    """Give a state with one landed drop that was decided."""
    found = StatePaths(tmp_path)
    land(found, 1)
    decide(found, 1)
    return found


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the tables that are opened from now on."""
    found: list[str] = []
    real = Lake._opened

    def counted(self: Lake, table: str) -> Any:
        found.append(table)
        return real(self, table)

    monkeypatch.setattr(Lake, "_opened", counted)
    return found


def land(paths: StatePaths, number: int) -> None:
    folder = paths.landing / SPEC.name / str(day(number))
    folder.mkdir(parents=True)
    for source in SOURCES:
        (folder / f"{source}.csv").write_text(f"{source} {number}\n")


def decide(paths: StatePaths, number: int) -> None:
    time.sleep(0.02)  # beyond a tick of the clock of files
    rows = {"batch_date": [day(number)], "action": ["nothing"], "trigger": ["none"], "reason": [str(number)]}
    Lake(paths.lake / SPEC.name).replace_drops("decisions", pa.table(rows), [day(number)])


def look(paths: StatePaths, now: datetime = NOW) -> str:
    found = find_ready_drops(SPEC, paths, now=now, is_patient=False)
    return found if isinstance(found, str) else found.key.partition(":")[0]


def test_landing_sensor_reads_again_only_what_changed(paths: StatePaths, opened: list[str]) -> None:
    assert [look(paths) for _ in range(3)] == ["every drop that landed was run"] * 3
    first = len(opened)
    assert look(paths) == "every drop that landed was run"
    assert len(opened) == first

    time.sleep(0.02)
    land(paths, 2)

    assert look(paths) == "2013-01-02..2013-01-02"
    decide(paths, 2)
    assert look(paths) == "every drop that landed was run"
    reads = len(opened)
    assert look(paths, NOW + timedelta(minutes=6)) == "every drop that landed was run"
    assert len(opened) > reads  # whatever the marks say, once in five minutes


def test_decision_is_read_again_only_after_a_commit(paths: StatePaths, opened: list[str]) -> None:
    first = newest_decision(SPEC, paths)
    reads = len(opened)
    assert newest_decision(SPEC, paths) == first
    assert len(opened) == reads

    decide(paths, 2)

    found = newest_decision(SPEC, paths)
    assert found is not None
    assert found["batch_date"] == day(2)


def test_incidents_are_looked_at_again_only_when_something_changed(paths: StatePaths, opened: list[str]) -> None:
    paths = StatePaths(paths.root / "empty")
    land(paths, 1)
    reconcile_incidents(SPEC, paths, [], [], NOW)
    reads = len(opened)
    assert reconcile_incidents(SPEC, paths, [], [], NOW) == []
    assert len(opened) == reads

    time.sleep(0.02)
    land(paths, 2)

    assert reconcile_incidents(SPEC, paths, [], [], NOW) != []
