"""Half an hour of `ml-assets ui` and its daemon: a drop every minute and a half, with what goes wrong in between.

A file is broken, one is revised, one comes late, everything is killed with -9 in the middle of a run and started again.
At the end nothing is lost, nothing hangs, and what went wrong was told. `ML_ASSETS_MINUTES` gives other lengths.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
from dagster import DagsterRunStatus

from ml_assets.demo.flights import land_flights
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets_tests.daemon import (
    USE_CASE,
    command,
    drops_in,
    kinds_of_alerts,
    lake,
    runs,
    ticks,
    user_interface,
    wait_for,
)
from ml_assets_tests.rehearsal import flagship

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("half_hour")]

FIRST, AS_OF = date(2013, 1, 1), date(2013, 1, 31)
MINUTES = float(os.environ.get("ML_ASSETS_MINUTES", "30"))
EVERY_S = 90.0
ENDED = {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}
BROKEN_IN, REVISED_IN, LATE_IN = 2, 4, 6  # numbers of landed drops


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> StatePaths:
    """A month of drops with a model that serves."""
    found = StatePaths(tmp_path_factory.mktemp("half_hour"))
    land_flights(found.landing / USE_CASE, flagship().calendar, FIRST, AS_OF)
    command(found, "batch", USE_CASE, "--from", f"{FIRST}", "--to", f"{AS_OF}")
    command(found, "retrain", USE_CASE, "--as-of", f"{AS_OF}", "--gate", "disabled")
    return found


class Sender:
    """Lands drops as another system would: each is written elsewhere and moved in whole."""

    def __init__(self, paths: StatePaths) -> None:
        self._paths, self.landed = paths, list[date]()

    def land(self, change: Callable[[Path], None] | None = None) -> Path:
        """Land the next drop, after `change` did something to its folder."""
        drop = (self.landed[-1] if self.landed else AS_OF) + timedelta(days=1)
        aside, folder = self._paths.root / "aside", self._paths.landing / USE_CASE / drop.isoformat()
        land_flights(aside, flagship().calendar, drop, drop)
        if change is not None:
            change(aside / drop.isoformat())
        shutil.move(aside / drop.isoformat(), folder)
        self.landed.append(drop)
        return folder


def break_weather(folder: Path) -> None:
    """Replace the readings by the start of another file."""
    (folder / "weather.csv").write_text("nothing,of,the,contract\n1,2,3,4\n")


def hold_weather_back(folder: Path) -> None:
    """Keep the readings beside the folder, to be sent later."""
    (folder / "weather.csv").rename(folder.parent / "weather.csv")


def revise_outcomes(folder: Path) -> None:
    """Send the outcomes again in another order, in which every row is known already."""
    head, *rows = (folder / "flight_outcomes.csv").read_text().splitlines(keepends=True)
    (folder / "flight_outcomes.csv").write_text("".join([head, *reversed(rows)]))


def processes_of(session: int) -> Iterator[Path]:
    """Give the folder below /proc of each process of a session."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if int((folder / "stat").read_text().rpartition(") ")[2].split()[3]) == session:
                yield folder


def memory_of(session: int) -> int:
    """Give the resident memory, in bytes, of the processes of a session."""
    pages = 0
    for folder in processes_of(session):
        with suppress(FileNotFoundError, ProcessLookupError):
            pages += int((folder / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def kill_all(session: int) -> None:
    """Kill every process of a session with -9, as a machine that loses its power does."""
    for folder in processes_of(session):
        with suppress(ProcessLookupError):
            os.kill(int(folder.name), signal.SIGKILL)


def is_running(paths: StatePaths) -> bool:
    return any(run.status == DagsterRunStatus.STARTED for run in runs(paths, f"{USE_CASE}_batch"))


def all_runs_ended(paths: StatePaths) -> bool:
    found = [run for job in ("batch", "retrain") for run in runs(paths, f"{USE_CASE}_{job}")]
    return all(run.status in ENDED for run in found)


@dataclass(frozen=True)
class Lived:
    """What was landed, how the memory of all processes grew after the first drop, and how the command ended."""

    landed: list[date]
    grown: int
    exit_code: int | None


@pytest.fixture(scope="module")
def lived(paths: StatePaths) -> Lived:
    """Live through it."""
    ends, sender = time.monotonic() + MINUTES * 60, Sender(paths)
    with user_interface(paths) as process:
        wait_for("the daemon's first tick", lambda: ticks(paths, f"{USE_CASE}_landing") > 0, 240)
        sender.land()
        wait_for("a run to kill", lambda: is_running(paths), 240)
        kill_all(process.pid)
        process.wait(60)

    changes = {BROKEN_IN: break_weather, LATE_IN: hold_weather_back}
    with user_interface(paths) as process:
        wait_for("the killed drop", lambda: sender.landed[-1] in drops_in(paths, "decisions"), 600)
        begun_with = memory_of(process.pid)
        while time.monotonic() < ends or len(sender.landed) < LATE_IN + 2:
            folder = sender.land(changes.get(len(sender.landed) + 1))
            time.sleep(EVERY_S)
            if len(sender.landed) == REVISED_IN:
                revise_outcomes(folder)
            if len(sender.landed) == LATE_IN + 1:
                held = paths.root / "aside" / "weather.csv"
                shutil.move(held, paths.landing / USE_CASE / sender.landed[-2].isoformat() / held.name)
        wait_for("every landed drop", lambda: set(sender.landed) <= drops_in(paths, "decisions"), 600)
        wait_for("the end of every run", lambda: all_runs_ended(paths), 300)
        grown = memory_of(process.pid) - begun_with
    return Lived(sender.landed, grown, process.returncode)


def test_every_row_is_accounted_for_and_what_was_broken_is_refused_alone(paths: StatePaths, lived: Lived) -> None:
    ledger = read_rows(lake(paths), "drops", None)

    assert all(row["landed"] == row["validated"] + row["quarantined"] for row in ledger)
    refused = {(row["batch_date"], row["source"]) for row in ledger if row["state"] == "refused"}
    assert refused == {(lived.landed[BROKEN_IN - 1], "weather")}
    gone_on = {(row["batch_date"], row["source"]) for row in ledger
               if row["state"] == "missing_accepted" and row["batch_date"] in lived.landed}  # fmt: skip
    assert gone_on == {(lived.landed[LATE_IN - 1], "weather")}
    late = {row["source"] for row in ledger if row["late"]}
    assert late == {"weather", "flight_outcomes"}


def test_every_run_ended_well_but_the_one_that_was_killed_and_people_were_told(paths: StatePaths, lived: Lived) -> None:
    failed = [run.status for run in runs(paths, f"{USE_CASE}_batch") if run.status != DagsterRunStatus.SUCCESS]

    assert failed == [DagsterRunStatus.FAILURE]
    assert kinds_of_alerts(paths, "--all") >= {"failed_run", "refused_drop", "missing_drop"}
    assert command(paths, "doctor", USE_CASE)
    assert lived.exit_code is not None


def test_memory_does_not_grow_with_the_drops(lived: Lived) -> None:
    assert lived.grown < 300e6, f"{lived.grown / 1e6:.0f} MB more than after the first drop"
