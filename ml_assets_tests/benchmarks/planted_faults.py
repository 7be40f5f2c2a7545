"""Faults planted in landed files, and what the product says of them: what is named, decided, opened and closed.

    python -m ml_assets_tests.benchmarks.planted_faults FOLDER [--only NAME ...] [--season january]

FOLDER keeps two states of the flagship, made on first use: January up to the 19th, without a champion, and the year up
to July 14 with one. Each fault is written into the landed files of the seven drops after, those are run as the batch
job does, and the alerts are settled; then the feed is repaired and seven more drops are run. What detects the faults
knows nothing of them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from ml_assets.demo.flights import land_flights
from ml_assets.graph.automation.alerts import reconcile
from ml_assets.graph.runs.launch import RunOutcome, open_instance, run_batch, run_retrain
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.telemetry import switch_off_telemetry
from ml_assets_tests.rehearsal import flagship

USE_CASE = "flight_delays"
START, DAYS, DAY = date(2013, 1, 1), 7, timedelta(days=1)
SEASONS = {"january": date(2013, 1, 20), "july": date(2013, 7, 15)}  # the first drop with a fault
CHAMPIONS_AS_OF = (date(2013, 3, 31), date(2013, 6, 30))

Frame = pd.DataFrame
Landed = Callable[[int], Frame]  # what was published for the n-th drop from the first with a fault; -1 the one before
Plant = Callable[[Landed, int], Frame | None]  # what arrives instead in the n-th drop; None when nothing does


@dataclass(frozen=True)
class Fault:
    """A fault of one or more sources."""

    name: str
    sources: tuple[str, ...]
    plant: Plant


def _numbers(rows: Frame, column: str, change: Callable[[pd.Series], pd.Series]) -> Frame:
    changed = rows.copy()
    changed[column] = change(pd.to_numeric(rows[column])).map("{:g}".format, na_action="ignore")
    return changed


def _celsius(landed: Landed, n: int) -> Frame:
    return _numbers(landed(n), "temp_f", lambda values: ((values - 32) / 1.8).round(2))


def _mostly_null(column: str) -> Plant:
    def plant(landed: Landed, n: int) -> Frame:
        rows = landed(n).reset_index(drop=True)
        rows.loc[rows.index % 10 != 0, column] = None
        return rows

    return plant


def _hours(landed: Landed, n: int) -> Frame:
    rows = landed(n)
    for column in ("departure_delay_min", "arrival_delay_min"):
        rows = _numbers(rows, column, lambda values: (values / 60).round())
    return rows


def _comes_next_day(landed: Landed, n: int) -> Frame | None:
    return None if n == 0 else pd.concat([landed(0), landed(1)]) if n == 1 else landed(n)


FLIGHTS = ("schedule", "flight_outcomes")
FAULTS = (
    Fault("celsius", ("weather",), _celsius),
    Fault("carrier renamed", FLIGHTS, lambda landed, n: landed(n).replace({"carrier": {"UA": "U2"}})),
    Fault("visibility 90 % null", ("weather",), _mostly_null("visibility_mi")),
    Fault("departure delay 90 % null", ("flight_outcomes",), _mostly_null("departure_delay_min")),
    Fault("one station silent", ("weather",), lambda landed, n: landed(n).query("origin != 'JFK'")),
    Fault("one day late, once", ("weather",), _comes_next_day),
    Fault("one day late, each day", ("weather",), lambda landed, n: landed(n - 1)),
    Fault("weather stops", ("weather",), lambda _landed, _n: None),
    Fault("outcomes without rows", ("flight_outcomes",), lambda landed, n: landed(n).iloc[:0]),
    Fault("duplicates", ("flight_outcomes",), lambda landed, n: pd.concat([landed(n), landed(n)])),
    Fault("minutes as hours", ("flight_outcomes",), _hours),
    Fault("frozen weather", ("weather",), lambda landed, _: landed(-1)),
    Fault("frozen outcomes", ("flight_outcomes",), lambda landed, _: landed(-1)),
    Fault("half of the outcomes", ("flight_outcomes",), lambda landed, n: landed(n).iloc[::2]),
    Fault("half of the schedule", ("schedule",), lambda landed, n: landed(n).iloc[::2]),
)  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[], choices=[fault.name for fault in FAULTS])
    parser.add_argument("--season", choices=list(SEASONS), default=None)
    asked = parser.parse_args(arguments)
    switch_off_telemetry()
    bases = prepared(asked.folder)
    say("| season | fault | drop | first named | kind | decision | incidents opened | open after the repair |")
    say("|---|---|---|---|---|---|---|---|")
    for season, first in SEASONS.items():
        for fault in FAULTS:
            if (asked.season in (None, season)) and (not asked.only or fault.name in asked.only):
                say(rehearse(fault, season, first, bases[season], asked.folder / "faulty"))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def prepared(folder: Path) -> dict[str, StatePaths]:
    """Make the two states, or take those that are there."""
    found = {season: StatePaths(folder / season) for season in SEASONS}
    mark = folder / "prepared"
    if mark.exists():
        return found
    spec, january, july = flagship(), found["january"], found["july"]
    for paths in found.values():
        shutil.rmtree(paths.root, ignore_errors=True)
    land_flights(january.landing / USE_CASE, spec.calendar, START, SEASONS["july"] + 2 * DAYS * DAY)
    _succeeded(run_batch(spec, january, START, SEASONS["january"] - DAY))
    settle(january, SEASONS["january"] - DAY)
    shutil.copytree(january.root, july.root)
    first = SEASONS["january"]
    for as_of in CHAMPIONS_AS_OF:
        _succeeded(run_batch(spec, july, first, as_of))
        _succeeded(run_retrain(spec, july, Retraining(as_of.isoformat())))
        first = as_of + DAY
    _succeeded(run_batch(spec, july, first, SEASONS["july"] - DAY))
    settle(july, SEASONS["july"] - DAY)
    mark.touch()
    return found


def _succeeded(outcome: RunOutcome) -> None:
    if not outcome.succeeded:
        raise RuntimeError(f"a batch failed: {outcome.failures}")


def landed_file(paths: StatePaths, drop: date, source: str) -> Path:
    return paths.landing / USE_CASE / drop.isoformat() / f"{source}.csv"


def read_landed(paths: StatePaths, drop: date, source: str) -> Frame:
    return pd.read_csv(landed_file(paths, drop, source), dtype=str)


def settle(paths: StatePaths, drop: date) -> None:
    """Open and close incidents, as the alert sensor does."""
    with open_instance(paths) as instance:
        reconcile(flagship(), paths, instance, [], flagship().calendar.batch_at(drop))


def rehearse(fault: Fault, season: str, first: date, base: StatePaths, root: Path) -> str:
    """Plant one fault, run, repair, run; give a line of the table."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base.root, root)
    paths, spec = StatePaths(root), flagship()
    known = {incident["incident_id"] for incident in incidents(paths)}
    last = first + (DAYS - 1) * DAY
    for source in fault.sources:
        for number in range(DAYS):
            arrives = fault.plant(lambda n, of=source: read_landed(base, first + n * DAY, of), number)
            path = landed_file(paths, first + number * DAY, source)
            path.unlink()
            if arrives is not None:
                arrives.to_csv(path, index=False)
    outcome = run_batch(spec, paths, first, last)
    if not outcome.succeeded:
        return f"| {season} | {fault.name} | run failed: {outcome.failures[:1]} | | | | | |"
    settle(paths, last)
    opened = [incident for incident in incidents(paths) if incident["incident_id"] not in known]
    drop, said, kind = first_named(paths, fault, first, last)
    decided = read_rows(Lake(paths.lake / USE_CASE), "decisions", None, (first, last))
    actions = [f"{(row['batch_date'] - first).days + 1}: {row['action']}" for row in decided]
    _succeeded(run_batch(spec, paths, last + DAY, last + DAYS * DAY))
    settle(paths, last + DAYS * DAY)
    still = [
        f"{i['monitor']} {i['kind']}" for i in incidents(paths) if i["incident_id"] not in known and not i["closed_at"]
    ]
    listed = ", ".join(f"{incident['monitor']} {incident['kind']} ({incident['opened_at']})" for incident in opened)
    turn = next((action for action in actions if "fix_upstream" in action), f"never ({actions[-1]})")
    return f"| {season} | {fault.name} | {drop} | {said} | {kind} | {turn} | {listed} | {', '.join(still) or 'none'} |"


def incidents(paths: StatePaths) -> list[dict[str, Any]]:
    return [vars(incident) for incident in AlertOutbox(paths).incidents(USE_CASE)]


def first_named(paths: StatePaths, fault: Fault, first: date, last: date) -> tuple[str, str, str]:
    """Give the first drop in which a source of the fault is named: by the ledger, or by an alarm of its feed."""
    lake = Lake(paths.lake / USE_CASE)
    ledger = read_rows(lake, "drops", ["batch_date", "source", "state"], (first, last))
    found = [(row["batch_date"], 0.0, f"ledger: {row['source']} {row['state']}", row["state"]) for row in ledger
             if row["source"] in fault.sources and row["state"] not in ("admitted", "not_expected")]  # fmt: skip
    alarms = read_rows(lake, "drift_report", None, (first, last), where="state = 'alarm' AND family = 'feed'")
    found += [(row["batch_date"], -row["ratio"], f"{row['monitor']} (z {row['z']:.1f} / {row['threshold']:.1f}): "
               f"{row['meaning']}", row["kind"]) for row in alarms if row["source"] in fault.sources]  # fmt: skip
    if not found:
        return "-", "not named", "-"
    drop, _, said, kind = min(found)
    return str((drop - first).days + 1), said, kind


if __name__ == "__main__":
    main(sys.argv[1:])
