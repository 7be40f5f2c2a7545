"""Leaks planted in the tables of a lake, as systems that have them would have filled them, and what the audit names.

    .venv/bin/python -m ml_assets_tests.benchmarks.planted_leaks DATA_FOLDER [--drops 60] [--sample 100] [--honest 20]

DATA_FOLDER is a state folder of ml_assets in which flight_delays was run and trained once (`ML_ASSETS_DATA`). It is
copied, and left as it was. The table says for each leak whether it was caught, and where the audit says it came in;
then the honest graph is audited with other seeds, and every alarm is false.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
from rich.console import Console
from rich.table import Table

from ml_assets.features.feature_table import compute_features
from ml_assets.pipeline.audit.leakage import AuditRequest, audit_leakage
from ml_assets.pipeline.audit.outcomes import audit_outcomes
from ml_assets.spec.contract import Column
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.features import RowExpression
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.kept_files import scan
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.dates import dates_of
from ml_assets_tests.rehearsal import DEFS_FOLDER

OUTCOMES = "validated_flight_outcomes"


@dataclass(frozen=True)
class Scene:
    """A lake to plant a leak in: its use case, and the drops whose examples are touched."""

    spec: UseCaseSpec
    lake: Lake
    drops: Sequence[date]

    @property
    def state(self) -> UseCaseState:
        """The state over the lake: its folder is `<root>/lake/<use case>`."""
        return UseCaseState(self.lake.folder.name, StatePaths(self.lake.folder.parents[1]))


@dataclass(frozen=True)
class Planted:
    """A leak: how it is planted, and what an audit must say of it (a table or a kind, and the beginning of a column)."""

    name: str
    plant: Callable[[Scene], UseCaseSpec]
    named: str
    column: str


def recompute(scene: Scene, changed: dict[str, str], examples: str = "SELECT * FROM examples") -> None:
    """Fill the features of the drops by the real engine, over sources as `changed` says they look."""
    lake, spec, (first, last) = scene.lake, scene.spec, (scene.drops[0], scene.drops[-1])
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1; SET enable_progress_bar = false")
        for source in {view.source for view in spec.features.views}:
            scan(connection, lake.files(f"validated_{source}")).create_view(f"stored_{source}")
            query = changed.get(source, f"SELECT * FROM stored_{source}")
            connection.execute(f"CREATE VIEW validated_{source} AS {query}")
        scan(connection, lake.files("examples", drops=(first, last))).create_view("examples")
        connection.execute(f"CREATE TABLE _examples AS {examples} ORDER BY batch_date, example_id")
        rows = compute_features(connection, spec, scene.drops)
        real = scan(connection, lake.files("examples", drops=(first, last))).project(
            "example_id, prediction_at AS real_at"
        )
        real.create_view("real")
        connection.register("leaky", rows)
        kept = connection.sql(
            "SELECT leaky.* REPLACE (real_at AS prediction_at) FROM leaky JOIN real USING (example_id)"
        )
        lake.replace_drops("features", kept.to_arrow_table(), scene.drops)


def rewrite(scene: Scene, table: str, query: str, *, whole: bool = False) -> None:
    """Replace the drops of a table by what `query` makes of `stored`; it may read `labels` and other tables."""
    bounds = None if whole else (scene.drops[0], scene.drops[-1])
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        scan(connection, scene.lake.files(table, drops=bounds)).create_view("stored")
        for other in ("labels", OUTCOMES, "examples"):
            scan(connection, scene.lake.files(other)).create_view(f"all_{other}")
        rows = connection.sql(query).to_arrow_table()
    if whole:
        scene.lake.replace(table, rows, scene.lake.metadata(table))
    else:
        scene.lake.replace_drops(table, rows, scene.drops)


def _by_event_time(source: str, moment: str) -> Callable[[Scene], UseCaseSpec]:
    def plant(scene: Scene) -> UseCaseSpec:
        recompute(scene, {source: f"SELECT * REPLACE (least(known_at, {moment}) AS known_at) FROM stored_{source}"})
        return scene.spec

    return plant


def _replaced(table: str, query: str, *, whole: bool = False) -> Callable[[Scene], UseCaseSpec]:
    def plant(scene: Scene) -> UseCaseSpec:
        rewrite(scene, table, query, whole=whole)
        return scene.spec

    return plant


def _late_boundary(scene: Scene) -> UseCaseSpec:
    recompute(scene, {"flight_outcomes": "SELECT * REPLACE (known_at - INTERVAL 30 MINUTE AS known_at) FROM "
                      "stored_flight_outcomes"})  # fmt: skip
    return scene.spec


def _departure_weather(scene: Scene) -> UseCaseSpec:
    recompute(
        scene, {}, "SELECT * REPLACE (greatest(prediction_at, scheduled_departure_at) AS prediction_at) FROM examples"
    )
    return scene.spec


def _early_correction(scene: Scene) -> UseCaseSpec:
    """Revise outcomes of the days before in the last drop, and let earlier features see what they became."""
    revised = scene.drops[-1]
    opens_at = scene.spec.calendar.drop(revised).start
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for kind in ("raw", "validated"):
            table = f"{kind}_flight_outcomes"
            scan(connection, scene.lake.files(table)).create_view(table)
            times = f", TIMESTAMPTZ '{opens_at.isoformat()}' + INTERVAL 1 MICROSECOND AS known_at, known_at AS _first_known_at"
            more = times if kind == "validated" else ""
            rows = connection.sql(
                f"SELECT * FROM {table} WHERE batch_date = DATE '{revised}' UNION ALL BY NAME SELECT * REPLACE (DATE "
                f"'{revised}' AS batch_date, 600 AS arrival_delay_min, 'revised.csv' AS _file"
                + (f"{more})" if more else ")")
                + f" FROM {table} WHERE batch_date BETWEEN DATE '{scene.drops[0]}' AND DATE '{scene.drops[-2]}' AND "
                "_line % 7 = 0 AND status = 'completed'"
            ).to_arrow_table()
            scene.lake.replace_drops(table, rows, [revised])
    recompute(scene, {"flight_outcomes": "SELECT * REPLACE (coalesce(_first_known_at, known_at) AS known_at) FROM "
                      "stored_flight_outcomes"})  # fmt: skip
    return scene.spec


def _with_column(spec: UseCaseSpec, name: str, sql: str, kind: str) -> UseCaseSpec:
    """Declare a column of the examples, taken from the schedule, and a feature that is it."""
    schedule = spec.source("schedule")
    widened = schedule.model_copy(update={"columns": {**schedule.columns, name: Column.model_validate({"type": kind})}})
    examples = spec.examples.model_copy(
        update={"sql": spec.examples.sql.replace("    flight_number,\n", f"    flight_number,\n    {sql} AS {name},\n")}
    )
    return spec.model_copy(
        update={
            "sources": tuple(widened if source.name == "schedule" else source for source in spec.sources),
            "examples": examples,
        }
    )


def _outcome_in_examples(column: str) -> Callable[[Scene], UseCaseSpec]:
    """Fill a column of stored examples with what became of them, as an export of history has it."""

    def plant(scene: Scene) -> UseCaseSpec:
        spec = _with_column(scene.spec, column, "CAST(NULL AS BIGINT)", "integer")
        joined = f"SELECT s.*, o.{column} FROM stored AS s LEFT JOIN (SELECT flight_id, max({column}) AS {column} FROM " \
                 f"all_{OUTCOMES} GROUP BY 1) AS o ON o.flight_id = s.example_id"  # fmt: skip
        rewrite(scene, "examples", joined)
        expression = RowExpression(name=f"{column}_told", sql=column)
        features = spec.features.model_copy(update={"expressions": (*spec.features.expressions, expression)})
        rewrite(scene, "features", f"SELECT s.*, o.{column} AS {column}_told FROM stored AS s LEFT JOIN (SELECT flight_id, "
                f"max({column}) AS {column} FROM all_{OUTCOMES} GROUP BY 1) AS o ON o.flight_id = s.example_id")  # fmt: skip
        return spec.model_copy(update={"features": features})

    return plant


def _told_by_schedule(column: str, kind: str, value: str) -> Callable[[Scene], UseCaseSpec]:
    """Let the schedule itself carry something of the outcome, said to be known the evening before."""

    def plant(scene: Scene) -> UseCaseSpec:
        every = replace(scene, drops=scene.spec.calendar.drops_between(scene.spec.calendar.start, scene.drops[-1]))
        told = (
            f"SELECT s.*, {value} AS {column} FROM stored AS s LEFT JOIN (SELECT flight_id, max(tail_number) AS tail_number, "
            f"max(arrival_delay_min) AS arrival_delay_min FROM all_{OUTCOMES} GROUP BY 1) AS o ON o.flight_id = s."
        )
        for table in ("raw_schedule", "validated_schedule"):
            rewrite(every, table, told + "flight_id")
        rewrite(every, "examples", told + "example_id")
        return _with_column(scene.spec, column, column, kind)

    return plant


_SAME_DAY = (
    "SELECT s.* REPLACE (coalesce(d.share, s.origin_late_share_1d) AS origin_late_share_1d) FROM stored AS s LEFT JOIN "
    "(SELECT e.example_id, avg(l.label) OVER (PARTITION BY e.batch_date, e.origin) AS share FROM all_examples AS e "
    "LEFT JOIN all_labels AS l USING (example_id)) AS d USING (example_id)"
)
_ENCODED = (
    "SELECT s.* REPLACE (coalesce(c.share, 0.2) AS carrier_late_share_28d) FROM stored AS s LEFT JOIN (SELECT e.carrier, "
    "avg(l.label) AS share FROM all_examples AS e JOIN all_labels AS l USING (example_id) GROUP BY 1) AS c USING (carrier)"
)
_SCALED = "SELECT * REPLACE ((distance_mi - avg(distance_mi) OVER ()) / stddev(distance_mi) OVER () AS distance_mi) FROM stored"
_FUTURE_ROW = (
    "SELECT * REPLACE (CASE WHEN status = 'completed' THEN arrival_delay_min + 30 ELSE arrival_delay_min END AS "
    "arrival_delay_min) FROM stored"
)
_BOOKING = (
    "substr(md5(coalesce(o.flight_id, '')), 1, 9) || CASE WHEN coalesce(o.arrival_delay_min, 0) >= 15 THEN 'k' ELSE 'q' "
    "END || substr(md5(coalesce(o.flight_id, '')), 10, 8)"
)
LEAKS = (
    Planted("outcomes by scheduled time, before they landed", _by_event_time("flight_outcomes", "scheduled_arrival_at"),
            "features", ""),
    Planted("weather by the time of observing, not of knowing", _by_event_time("weather", "event_at"), "features",
            "weather"),
    Planted("weather of the hour of departure", _departure_weather, "features", ""),
    Planted("mean of the same day, own row included", _replaced("features", _SAME_DAY), "features",
            "origin_late_share_1d"),
    Planted("target encoding over all data", _replaced("features", _ENCODED), "features", "carrier_late_share_28d"),
    Planted("window that ends half an hour late", _late_boundary, "features", ""),
    Planted("correction applied before it came", _early_correction, "features", ""),
    Planted("air time in the examples", _outcome_in_examples("air_time_min"), "examples", "air_time_min"),
    Planted("departure delay in the examples", _outcome_in_examples("departure_delay_min"), "examples",
            "departure_delay_min"),
    Planted("scaler fitted on all rows", _replaced("training_set", _SCALED, whole=True), "training_set", "distance_mi"),
    Planted("accepted rows overwritten by what they became", _replaced(OUTCOMES, _FUTURE_ROW), OUTCOMES, ""),
    Planted("tail number that is null when cancelled", _told_by_schedule("tail_number", "string", "o.tail_number"),
            "absence", "tail_number"),
    Planted("label in disguise, said to be known", _told_by_schedule("crew_code", "integer",
            "CAST(coalesce(o.arrival_delay_min, 0) / 15 AS BIGINT) + 7"), "target", "crew_code"),
    Planted("label in one letter of a text of its own in every row", _told_by_schedule("booking", "string", _BOOKING),
            "target", "booking"),
)  # fmt: skip


@contextmanager
def _all_declared() -> Any:
    """Audit whatever is stored: a planted declaration has other versions of features by intent."""
    with patch("ml_assets.pipeline.audit.leakage.stale_drops", lambda *_: {}):
        yield


def audit_scene(scene: Scene, spec: UseCaseSpec, sample: int, seed: int) -> list[tuple[str, str]]:
    """Audit a scene; give each table or kind that raises an alarm, with the column."""
    with _all_declared():
        audit = audit_leakage(spec, scene.state, AuditRequest(sample, seed, (scene.drops[0], scene.drops[-1])))
    found = [(table, column) for table, column, _, _ in audit.by_place()]
    findings = audit_outcomes(spec, scene.state) if scene.lake.has("training_set") else []
    return found + [(finding.kind, finding.column) for finding in findings if finding.is_alarm]


def run_planted(scene: Scene, planted: Planted, sample: int, seed: int = 1) -> list[tuple[str, str]]:
    """Plant a leak in a copy of a lake, and audit it."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "lake" / scene.lake.folder.name
        shutil.copytree(scene.lake.folder, copied)
        other = replace(scene, lake=Lake(copied))
        return audit_scene(other, planted.plant(other), sample, seed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of what was planted and what was named, then the honest audits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--drops", type=int, default=60)
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--honest", type=int, default=20)
    args = parser.parse_args(arguments)
    console = Console()
    spec = load_use_case(DEFS_FOLDER / "flight_delays")
    lake = Lake(args.data / "lake" / spec.name)
    with duckdb.connect() as connection:
        newest = lake.relation(connection, "training_set").aggregate("max(batch_date)").fetchall()[0][0]
    drops = spec.calendar.drops_between(spec.calendar.start, newest)[-args.drops :]
    scene = Scene(spec, lake, dates_of(drops))
    table = Table("planted", "caught", "named", title=f"{drops[0]} to {drops[-1]}, {args.sample} examples")
    for planted in LEAKS:
        found = run_planted(scene, planted, args.sample)
        is_caught = any(place == planted.named and column.startswith(planted.column) for place, column in found)
        places = dict.fromkeys(place for place, _ in found)
        first = [f"{place}: {', '.join([c for p, c in found if p == place][:3])}" for place in places]
        table.add_row(planted.name, "yes" if is_caught else "[red]no[/]", "; ".join(first) or "nothing")
        console.print(f"{planted.name}: {'caught' if is_caught else 'MISSED'}")
    console.print(table)
    alarms = [audit_scene(scene, spec, args.sample, seed) for seed in range(args.honest)]
    console.print(
        f"honest graph, {args.honest} audits: {sum(map(bool, alarms))} with an alarm {[a for a in alarms if a]}"
    )


if __name__ == "__main__":
    main()
