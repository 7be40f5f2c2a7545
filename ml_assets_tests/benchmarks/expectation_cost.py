"""What the expectations of a contract cost on one large drop: compiled to SQL, beside Great Expectations.

    python -m ml_assets_tests.benchmarks.expectation_cost [--rows 1000000] [--repeats 3]

The rows are the year of flights over and over, typed as the contract of `flight_outcomes` says. Two lists: the
expectations that ship with that contract, and a dozen of other kinds. Both sides do what ingestion does with them: find
the rows and drops that fail and note their reasons. They run in turn in this process, with Great Expectations loaded;
loading it is timed apart. Peak memory is that of one run each in a process of its own, above the rows themselves.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb

import ml_assets
from ml_assets.demo.flights import read_feeds
from ml_assets.ingestion import failed_expectations
from ml_assets.ingestion.failed_expectations import judge_expectations
from ml_assets.ingestion.rules import RuleResult
from ml_assets.spec.contract import SQL_TYPES, Expectation, Source
from ml_assets.spec.declaration import load_use_case
from ml_assets.stores.telemetry import switch_off_telemetry

DROP = date(2013, 7, 1)
_DOZEN: list[tuple[str, dict[str, Any]]] = [
    ("column_values_to_not_be_null", {"column": "tail_number"}),
    ("column_values_to_match_regex", {"column": "tail_number", "regex": "^N[0-9A-Z]{1,5}$"}),
    ("column_values_to_not_be_in_set", {"column": "dest", "value_set": ["LGA", "JFK"]}),
    ("column_value_lengths_to_equal", {"column": "dest", "value": 3}),
    ("column_value_lengths_to_be_between", {"column": "carrier", "min_value": 1, "max_value": 2}),
    ("column_pair_values_to_be_equal", {"column_A": "departure_delay_min", "column_B": "arrival_delay_min",
                                        "ignore_row_if": "either_value_is_missing"}),
    ("column_mean_to_be_between", {"column": "departure_delay_min", "min_value": 0, "max_value": 30}),
    ("column_max_to_be_between", {"column": "air_time_min", "max_value": 900}),
    ("column_proportion_of_non_null_values_to_be_between", {"column": "arrived_at", "min_value": 0.9}),
    ("column_unique_value_count_to_be_between", {"column": "dest", "max_value": 150}),
    ("column_distinct_values_to_be_in_set", {"column": "origin", "value_set": ["EWR", "JFK", "LGA"]}),
    ("compound_columns_to_be_unique", {"column_list": ["flight_id", "reported_at"]}),
]  # fmt: skip


def outcomes() -> Source:
    """Give the source that ships."""
    return load_use_case(Path(ml_assets.__file__).parent / "defs" / "flight_delays").source("flight_outcomes")


def lists_of(source: Source) -> dict[str, Source]:
    """Give the source with its own expectations, and with a dozen others."""
    dozen = [
        Expectation.model_validate({"expect": f"expect_{name}", "arguments": arguments, "reason": f"rule_{number}"})
        for number, (name, arguments) in enumerate(_DOZEN)
    ]
    return {"contract": source, "dozen": source.model_copy(update={"expectations": tuple(dozen)})}


def load_rows(connection: duckdb.DuckDBPyConnection, source: Source, rows: int) -> None:
    """Make `_judged` of `rows` rows, all of one drop."""
    with tempfile.TemporaryDirectory() as folder:
        year = Path(folder) / "year.csv"
        feed = read_feeds()[source.name].rows
        feed.to_csv(year, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
        connection.execute("SET TimeZone = 'UTC'; SET threads = 2; SET enable_progress_bar = false")
        columns = ", ".join(
            f'"{name}"::{SQL_TYPES[column.type]} AS "{name}"' for name, column in source.columns.items()
        )
        connection.execute(
            f"CREATE TEMP TABLE _judged AS SELECT row_number() OVER () - 1 AS _position, DATE '{DROP}' AS batch_date, "
            f"false AS _is_late, NULL::VARCHAR AS _text, {columns} FROM (SELECT * EXCLUDE (again) REPLACE (flight_id || '-' || "
            f"again AS flight_id) FROM read_csv('{year}', all_varchar = true), range({rows // len(feed) + 1}) AS again(again) "
            f"LIMIT {rows})"
        )


@contextmanager
def _side(name: str) -> Iterator[None]:
    """Use what is compiled, or Great Expectations for everything."""
    if name == "compiled":
        yield
    else:
        with mock.patch.object(failed_expectations, "compile_expectation", return_value=None):
            yield


def judge(connection: duckdb.DuckDBPyConnection, source: Source, side: str) -> tuple[float, list[RuleResult]]:
    """Judge the rows once; give the seconds and what was found."""
    connection.execute("CREATE OR REPLACE TEMP TABLE _reasons (_position BIGINT, reason VARCHAR)")
    began = time.perf_counter()
    with _side(side):
        found = judge_expectations(connection, source, [DROP])
    return time.perf_counter() - began, found


def say_peak(rows: int, of: str, side: str) -> None:
    """Run one side once; print by how many MB the peak of memory grew."""
    import great_expectations  # noqa: F401 - what is loaded is no part of it
    import pandas  # noqa: F401

    source = lists_of(outcomes())[of]
    with duckdb.connect() as connection:
        load_rows(connection, source, rows)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, with the rows in memory
        before = _peak_mb()
        judge(connection, source, side)
        sys.stdout.write(f"{_peak_mb() - before:.0f}\n")


def _peak_mb() -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main(arguments: Sequence[str]) -> None:
    """Run both sides, warm, in turn, and print medians of seconds, their ratio, and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peak", nargs=2, default=None, help=argparse.SUPPRESS)  # one side, in a process of its own
    asked = parser.parse_args(arguments)
    switch_off_telemetry()
    if asked.peak:
        say_peak(asked.rows, *asked.peak)
        return
    began = time.perf_counter()
    import great_expectations  # noqa: F401

    sys.stdout.write(f"loading Great Expectations {time.perf_counter() - began:.2f} s\n")
    with duckdb.connect() as connection:
        load_rows(connection, outcomes(), asked.rows)
        for name, source in lists_of(outcomes()).items():
            _compare(connection, name, source, asked)


def _compare(connection: duckdb.DuckDBPyConnection, name: str, source: Source, asked: argparse.Namespace) -> None:
    took: dict[str, list[float]] = {"compiled": [], "library": []}
    found: dict[str, list[RuleResult]] = {}
    for repeat in range(asked.repeats + 1):
        for side, seconds in took.items():
            second, found[side] = judge(connection, source, side)
            if repeat:  # the first is for warming up
                seconds.append(second)
    is_same = found["compiled"] == found["library"]
    failed = sum(result.failed_rows for result in found["compiled"])
    sys.stdout.write(f"{name}: {len(source.expectations)} expectations on {asked.rows:,} rows, {failed:,} failures, "
                     f"{'the same' if is_same else 'NOT THE SAME'}\n")  # fmt: skip
    for side, seconds in took.items():
        peak = subprocess.run(
            [sys.executable, "-m", __spec__.name, "--rows", str(asked.rows), "--peak", name, side],
            capture_output=True, text=True, check=True,
        ).stdout.strip().splitlines()[-1]  # fmt: skip
        sys.stdout.write(f"  {side:9} {statistics.median(seconds):6.2f} s; peak memory {peak} MB\n")
    ratio = statistics.median(took["library"]) / statistics.median(took["compiled"])
    sys.stdout.write(f"  ratio {ratio:.1f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
