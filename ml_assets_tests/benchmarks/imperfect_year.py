"""A year in which files come late, are revised, stay away: two runs of the same receipts, compared table by table.

    python -m ml_assets_tests.benchmarks.imperfect_year FOLDER [--last 2013-03-31] [--seed 7]

5 % of the files of the year come one to five drops late, 2 % are published with faults and revised later, weather is
silent for a week and one file of outcomes is lost. What comes when is drawn here; the product sees a landing folder.
One side runs ranges as long as the receipts allow, the other at most three drops a range, and in May single drops;
both train twice and run some closed drops again at the end. The year takes 20 minutes in long ranges and three times
that in short ones, so `--last` ends it earlier, and `--side long` or `short` runs one of them; what was run already is
only compared.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from ml_assets.demo.flights import land_flights
from ml_assets.graph.automation.alerts import reconcile
from ml_assets.graph.runs.launch import RunOutcome, open_instance, run_batch, run_retrain
from ml_assets.pipeline.ingestion.corrections import AcceptedGap, accept_gap
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.telemetry import switch_off_telemetry
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import flagship

USE_CASE, DAY = "flight_delays", timedelta(days=1)
START = date(2013, 1, 1)
DAILY = {"schedule": "distance_mi", "flight_outcomes": "arrival_delay_min", "weather": "temp_f"}  # what is revised
SILENT = [date(2013, 8, 5) + n * DAY for n in range(7)]  # of weather
LOST = date(2013, 10, 10)  # of flight_outcomes; a person goes on without it
TRAINED = (date(2013, 3, 31), date(2013, 7, 31))
AGAIN = (
    (date(2013, 1, 10), date(2013, 1, 23)),
    (date(2013, 5, 5), date(2013, 5, 11)),
    (date(2013, 8, 3), date(2013, 8, 16)),
)
KEPT = ("predictions", "worklist", "features", "examples", "labels", "drops", "validated_flight_outcomes",
        "validated_weather", "decisions", "drift_report")  # fmt: skip


@dataclass(frozen=True)
class Event:
    """What happens to one file: it arrives as `text` with drop `arrives`; `kind` is late, waited, lost or revised."""

    drop: date
    source: str
    kind: str
    arrives: date | None


@dataclass
class Plan:
    """The receipts of a year: what arrives with each drop, and what a person accepts as missing."""

    last: date
    events: list[Event] = field(default_factory=list)

    def of(self, drop: date, source: str) -> Event | None:
        return next((each for each in self.events if (each.drop, each.source) == (drop, source)), None)

    def arriving(self, drop: date, *kinds: str) -> list[Event]:
        return [each for each in self.events if each.arrives == drop and each.kind in kinds]

    def is_closed(self, event: Event) -> bool:
        """Say whether the drop of an event was run before the event arrived: nothing that was waited for held it up."""
        days = ((event.arrives or event.drop) - event.drop).days
        return any(not self.waits(event.drop + n * DAY) for n in range(days))

    def waits(self, today: date) -> bool:
        """Say whether something that is waited for has not come by `today`."""
        return any(e.kind == "waited" and e.drop <= today and (e.arrives is None or e.arrives > today)
                   for e in self.events)  # fmt: skip


def draw_plan(seed: int, last: date) -> Plan:
    """Draw what comes late, how late, and what is revised."""
    rng = random.Random(seed)  # noqa: S311 - drawn to be drawn again, no secret
    plan = Plan(last)  # what is drawn of a shorter year is the beginning of the whole
    drops = [START + n * DAY for n in range((last - START).days + 1)]
    for drop in drops:
        for source in DAILY:
            chance, delay, wait = rng.random(), rng.choice((1, 1, 2, 3, 5)), rng.random() < 0.5
            revised_after = rng.randrange(1, 15)
            if (source == "weather" and drop in SILENT) or (source == "flight_outcomes" and drop == LOST):
                plan.events.append(Event(drop, source, "lost", None))
            elif drop == START or drop > last - 6 * DAY or drop in TRAINED:
                continue
            elif chance < 0.05:
                kind = "waited" if wait and source != "weather" else "late"
                plan.events.append(Event(drop, source, kind, drop + delay * DAY))
            elif chance < 0.07:
                plan.events.append(Event(drop, source, "revised", drop + revised_after * DAY))
    return _without_waits_over(plan)


def _without_waits_over(plan: Plan) -> Plan:
    """Wait for nothing over a drop that is trained on: its champion would serve drops of the same range."""
    plan.events = [
        Event(e.drop, e.source, "late", e.arrives)
        if e.kind == "waited" and any(e.drop <= day < (e.arrives or day) for day in TRAINED)
        else e
        for e in plan.events
    ]
    return plan


@dataclass
class Side:
    """One run of the plan, in ranges of at most so many drops."""

    paths: StatePaths
    year: Path
    plan: Plan
    longest: int
    single_in: tuple[int, ...] = ()
    kept: dict[str, dict[str, str]] = field(default_factory=dict)
    seconds: list[tuple[int, float]] = field(default_factory=list)

    def run(self) -> None:
        """Land, run and train as the plan says."""
        pending = START
        day = START
        while day <= self.plan.last:
            self.land(day)
            following = day + DAY
            is_due = (
                bool(self.plan.arriving(following, "late", "revised"))
                or self.plan.waits(following)
                or day in TRAINED
                or day == self.plan.last
                or (day - pending).days + 1 >= (1 if day.month in self.single_in else self.longest)
            )
            if is_due and not self.plan.waits(day):
                self.batch(pending, day)
                pending = following
                if day in TRAINED:
                    begun = time.perf_counter()
                    retraining = Retraining(day.isoformat(), gate="disabled")
                    _succeeded(run_retrain(flagship(), self.paths, retraining))
                    say(f"  trained as of {day}: {time.perf_counter() - begun:.0f} s")
            day = following
        for first, last in AGAIN:
            if last <= self.plan.last:
                _succeeded(run_batch(flagship(), self.paths, first, last))

    def land(self, day: date) -> None:
        """Land what arrives with `day`, and accept what a person accepts."""
        folder = self.paths.landing / USE_CASE / str(day)
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted((self.year / str(day)).iterdir()):
            event = self.plan.of(day, path.stem)
            if event is None:
                shutil.copyfile(path, folder / path.name)
            elif event.kind == "revised":
                (folder / path.name).write_text(first_published(path, DAILY[path.stem]))
            elif event.kind in ("late", "lost") and path.stem != "weather":
                reason = "lost by its publisher" if event.kind == "lost" else "promised for later"
                gap = AcceptedGap(path.stem, [day], reason)
                accept_gap(flagship(), UseCaseState(USE_CASE, self.paths), gap, flagship().calendar.batch_at(day))
        for event in self.plan.arriving(day, "late", "waited", "revised"):
            name = f"{event.source}.csv"
            shutil.copyfile(self.year / str(event.drop) / name, self.paths.landing / USE_CASE / str(event.drop) / name)

    def batch(self, first: date, last: date) -> None:
        """Run a range, settle the alerts, and keep the hash of every drop as it is now."""
        begun = time.perf_counter()
        _succeeded(run_batch(flagship(), self.paths, first, last))
        self.seconds.append(((last - first).days + 1, time.perf_counter() - begun))
        with open_instance(self.paths) as instance:
            reconcile(flagship(), self.paths, instance, [], flagship().calendar.batch_at(last))
        for table, found in hashes_by_drop(self.paths, first, last).items():
            self.kept.setdefault(table, {}).update(found)
        say(f"  {first} to {last}: {self.seconds[-1][1]:.1f} s")


def first_published(path: Path, column: str) -> str:
    """Give a file as it was before it was revised: every 40th row is not there yet, every 25th says something else."""
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    given = rows[column] != ""
    wrong = given & (rows.index % 25 == 3)
    rows.loc[wrong, column] = (pd.to_numeric(rows.loc[wrong, column]) + 20).map("{:g}".format)
    return rows[rows.index % 40 != 7].to_csv(index=False, lineterminator="\n")


def _succeeded(outcome: RunOutcome) -> None:
    if not outcome.succeeded:
        raise RuntimeError(f"a run failed: {outcome.failures}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def hashes_by_drop(paths: StatePaths, first: date, last: date) -> dict[str, dict[str, str]]:
    """Give the content of each drop of the tables that must never change."""
    lake, found = Lake(paths.lake / USE_CASE), {}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        for table in KEPT:
            rows = lake.relation(connection, table, (first, last))
            columns = ", ".join(f'"{name}"' for name in sorted(rows.columns) if not name.startswith("_"))
            lines = rows.project(f"batch_date, md5(CAST(row({columns}) AS VARCHAR)) AS line")
            grouped = lines.aggregate("batch_date, md5(string_agg(line ORDER BY line))", "batch_date").fetchall()
            found[table] = {str(drop): content for drop, content in grouped}
    return found


def content_of_tables(paths: StatePaths) -> dict[str, str]:
    """Give the content hash of every table of the lake."""
    lake = Lake(paths.lake / USE_CASE)
    found = {}
    for table in lake.tables():
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            found[table] = content_hash(lake.relation(connection, table))
    return found


def ledger_faults(plan: Plan, paths: StatePaths) -> Iterator[str]:
    """Name what the ledger does not say of the plan."""
    lake = Lake(paths.lake / USE_CASE)
    ledger = {(row["batch_date"], row["source"]): row for row in read_rows(lake, "drops", None)}
    receipts = [row["batch_date"] for row in read_rows(lake, "drops", ["batch_date"])]
    for event in plan.events:
        row = ledger[event.drop, event.source]
        is_late = event.kind in ("late", "revised") and plan.is_closed(event)
        is_missing = event.kind == "lost" or (event.kind == "late" and is_late)
        if row["state"] != ("missing_accepted" if is_missing else "admitted"):
            yield f"{event}: state {row['state']}"
        person = any(reason.startswith("accepted by a person") for reason in row["reasons"])
        if person != (is_missing and event.source != "weather"):
            yield f"{event}: reasons {row['reasons']}"
        named = f"late: {event.drop}/{event.source}.csv"
        where = [drop for (drop, source), each in ledger.items() if source == event.source and named in each["reasons"]]
        fits = [
            drop
            for drop in where
            if event.drop < drop <= (event.arrives or drop) and ledger[drop, event.source]["late"]
        ]
        if len(where) != is_late or fits != where:
            yield f"{event}: named late in {where}"
    odd = Counter(row["state"] for row in ledger.values()) - Counter()
    if set(odd) - {"admitted", "missing_accepted", "not_expected"} or len(set(receipts)) != len({d for d, _ in ledger}):
        yield f"states {odd}"
    unsure = [row for row in ledger.values() if row["landed"] != row["validated"] + row["quarantined"]]
    if unsure:
        yield f"{len(unsure)} rows of the ledger do not add up"


# Each feature by joining every fact with every example, in SQL that shares nothing with ml_assets.features
_NEWEST = """(SELECT a.example_id AS _id, f.* FROM asked AS a, LATERAL (SELECT * FROM (SELECT *, min(known_at) OVER
    (PARTITION BY {key}) AS counted_at, row_number() OVER (PARTITION BY {key} ORDER BY known_at DESC, batch_date DESC)
    AS place FROM {facts} WHERE known_at <= a.prediction_at {more}) WHERE place = 1) AS f)"""
_CHECKED = {
    "carrier_late_share_7d": ("flight_outcomes", "flight_id", "f.carrier = a.carrier",
                              "avg((f.arrival_delay_min >= 15)::INT)", 7 * 24),
    "network_late_share_1d": ("flight_outcomes", "flight_id", "true", "avg((f.arrival_delay_min >= 15)::INT)", 24),
    "route_late_share_28d": ("flight_outcomes", "flight_id", "f.origin = a.origin AND f.dest = a.dest",
                             "avg((f.arrival_delay_min >= 15)::INT)", 28 * 24),
    "weather_trend_temp_mean_f_1d": ("weather", "origin, observed_at", "f.origin = a.origin", "avg(f.temp_f)", 24),
}  # fmt: skip


def check_features(plan: Plan, paths: StatePaths, seed: int) -> str:
    """Work out some features of examples just after corrections by brute force; say how many a correction changed."""
    lake, rng = Lake(paths.lake / USE_CASE), random.Random(seed)  # noqa: S311 - drawn to be drawn again, no secret
    said = []
    for feature, (source, key, match, value, hours) in _CHECKED.items():
        moments = [e.arrives for e in plan.events if e.kind in ("revised", "late") and e.source == source
                   and e.arrives is not None and e.arrives + DAY <= plan.last]  # fmt: skip
        drops = sorted(rng.sample(moments, min(8, len(moments))))
        checked = changed = wrong = 0
        for drop in drops:
            with duckdb.connect() as connection:
                connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
                since = max(START, drop - timedelta(days=hours // 24 + 20))  # a revision is at most 14 drops late
                lake.relation(connection, f"validated_{source}", (since, drop)).create("facts")
                lake.relation(connection, "features", (drop, drop)).create_view("features")
                lake.relation(connection, "examples", (drop, drop)).create_view("examples")
                connection.execute(
                    "CREATE TABLE asked AS SELECT e.example_id, e.prediction_at, e.carrier, e.origin, e.dest, "
                    f'f."{feature}" AS found FROM examples AS e JOIN features AS f USING (example_id) '
                    "ORDER BY md5(e.example_id) LIMIT 25"
                )
                values = []
                for more in ("", "AND NOT _is_late"):
                    facts = _NEWEST.format(key=key, facts="facts", more=more)
                    values.append(connection.sql(
                        f"SELECT a.example_id, any_value(a.found) AS found, {value} AS brute FROM asked AS a LEFT JOIN "
                        f"{facts} AS f ON f._id = a.example_id AND {match} AND f.counted_at > a.prediction_at - "
                        f"INTERVAL {hours} HOUR GROUP BY 1 ORDER BY 1").fetchall())  # fmt: skip
            for (_, found, brute), (_, _, without) in zip(*values, strict=True):
                checked += 1
                wrong += not _same(found, brute)
                changed += not _same(brute, without)
        said.append(f"| {feature} | {checked} | {checked - wrong} | {changed} |")
    return "\n".join(said)


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None or math.isnan(one):
        return (one is None or math.isnan(one)) and other is None
    return abs(one - other) <= 1e-9 * max(1.0, abs(other))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--last", type=date.fromisoformat, default=date(2013, 12, 31))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--side", choices=["long", "short"], default=None)
    asked = parser.parse_args(arguments)
    switch_off_telemetry()
    plan = draw_plan(asked.seed, asked.last)
    year = asked.folder / "year"
    if not (year / "complete").exists():
        land_flights(year, flagship().calendar, START, date(2013, 12, 31))
        (year / "complete").mkdir()
    sides = {
        "long": Side(StatePaths(asked.folder / "long"), year, plan, 21),
        "short": Side(StatePaths(asked.folder / "short"), year, plan, 3, (5,)),
    }
    for name, side in sides.items():
        if asked.side in (None, name):
            take(name, side, asked.folder / f"{name}.json")
    if all((asked.folder / f"{name}.json").exists() for name in sides):
        compare(plan, sides, asked.folder, asked.seed)


def take(name: str, side: Side, mark: Path) -> None:
    """Run one side, unless it was run."""
    if mark.exists():
        return
    shutil.rmtree(side.paths.root, ignore_errors=True)
    begun = time.perf_counter()
    say(f"{name}:")
    side.run()
    now = hashes_by_drop(side.paths, START, side.plan.last)
    changed = {table: sorted(drop for drop, content in kept.items() if now[table].get(drop) != content)
               for table, kept in side.kept.items()}  # fmt: skip
    mark.write_text(json.dumps({"ranges": len(side.seconds), "seconds": round(time.perf_counter() - begun),
                                "changed": {table: drops for table, drops in changed.items() if drops}}))  # fmt: skip


def compare(plan: Plan, sides: dict[str, Side], folder: Path, seed: int) -> None:
    """Print what both sides say."""
    counted = Counter((event.source, event.kind) for event in plan.events)
    say("\n| source | kind | files |\n|---|---|---|")
    for (source, kind), count in sorted(counted.items()):
        say(f"| {source} | {kind} | {count} |")
    say("\n| side | ranges | seconds | tables with a drop that changed after it was run | the ledger does not say |")
    say("|---|---|---|---|---|")
    for name, side in sides.items():
        done: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
        faults = list(ledger_faults(plan, side.paths))
        said = "; ".join(faults[:3]) + (f" and {len(faults) - 3} more" if len(faults) > 3 else "")
        say(f"| {name} | {done['ranges']} | {done['seconds']} | {done['changed'] or 'none'} | {said or 'nothing'} |")
    long, short = (content_of_tables(side.paths) for side in sides.values())
    differ = sorted(table for table in long.keys() | short.keys() if long.get(table) != short.get(table))
    say(f"\n{len(long)} tables, different between the sides: {', '.join(differ) or 'none'}\n")
    say("| feature | examples just after a correction | equal to brute force | changed by the correction |")
    say("|---|---|---|---|")
    say(check_features(plan, sides["long"].paths, seed))
    say("\nincidents of what is missing:")
    for incident in AlertOutbox(sides["long"].paths).incidents(USE_CASE):
        if any(word in f"{incident.monitor} {incident.kind}" for word in ("missing", "drop/", "freshness")):
            say(f"  {incident.opened_at} to {incident.closed_at}: {incident.kind}: {incident.message}")


if __name__ == "__main__":
    main(sys.argv[1:])
