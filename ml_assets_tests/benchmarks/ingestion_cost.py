"""What ingestion of one large file costs, beside reading it with DuckDB and one pass of the same expectations.

    python -m ml_assets_tests.benchmarks.ingestion_cost [--rows 1000000] [--repeats 3] [--source flight_outcomes]

The file is the year of flights over and over, all of it received in one drop, under the contract that ships. Ingestion
is what the assets raw, validated and quarantine do: receive, read, judge, and write five tables of the lake. Beside it:
`read_csv` with the contract's types into memory, and its expectations in Great Expectations on that frame, with the
failing rows' index. Both sides run in turn in this process; peak memory is that of one run each in a process of its
own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import duckdb

from ml_assets.demo.flights import land_flights, read_feeds
from ml_assets.ingestion.acceptance import accept_rows
from ml_assets.ingestion.expectations import Judge
from ml_assets.ingestion.reading import read_landed
from ml_assets.pipeline.ingestion.raw import receipt_rows
from ml_assets.pipeline.ingestion.validated import result_rows
from ml_assets.spec.contract import SQL_TYPES, Source
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.receiving import Folders, receive
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.telemetry import switch_off_telemetry
from ml_assets_tests.rehearsal import flagship

DROP, START = date(2013, 7, 1), date(2013, 1, 1)
# what makes a row of the year one of the drop, again and again: its key, and when it was known
_MOVED = {
    "flight_outcomes": "flight_id || '-' || again AS flight_id, (TIMESTAMP '2013-06-30 09:00:00' + to_seconds(80000 * "
    "(row_number() OVER ()) // $rows))::VARCHAR || 'Z' AS reported_at",
    "schedule": "flight_id || '-' || again AS flight_id",
}


def land_large(landing: Path, source: str, rows: int) -> Path:
    """Write the file, of `rows` rows."""
    path = landing / str(DROP) / f"{source}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        year = Path(folder) / "year.csv"
        feed = read_feeds()[source].rows
        feed.to_csv(year, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
        connection.execute("SET TimeZone = 'UTC'")
        moved = _MOVED[source].replace("$rows", str(rows))
        connection.execute(
            f"COPY (SELECT * EXCLUDE (again) REPLACE ({moved}) FROM read_csv('{year}', all_varchar = true), "
            f"range({rows // len(feed) + 1}) AS again(again) LIMIT {rows}) TO '{path}' (HEADER, DELIMITER ',')"
        )
    return path


def read_and_judge(path: Path, source: Source) -> dict[str, float]:
    """Do what must be done at least; give the seconds of each part."""
    clock = _Clock()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 2; SET enable_progress_bar = false")
        types = ", ".join(f"'{name}': '{SQL_TYPES[column.type]}'" for name, column in source.columns.items())
        connection.execute(
            f"CREATE TABLE rows AS SELECT * FROM read_csv('{path}', columns = {{{types}}}, auto_detect = false, "
            "header = true, delim = ',', quote = '\"', nullstr = '')"
        )
        clock.note("read_csv")
        frame = connection.table("rows").df()
        clock.note("frame")
    Judge().find_failures(frame, source.expectations)
    clock.note("expectations")
    return clock.seconds


def ingest(source: Source, paths: StatePaths) -> dict[str, float]:
    """Do what the assets do; give the seconds of each part."""
    spec, lake, clock = flagship(), Lake(paths.lake / "flight_delays"), _Clock()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        folders = Folders(paths.landing / "flight_delays", paths.received)
        files = receive(folders, source.expected_file, [DROP], set(), [])
        clock.note("receive")
        relation, receipts = read_landed(connection, source, files)
        rows = relation.to_arrow_table()
        clock.note("read")
    lake.replace_drops(f"received_{source.name}", receipt_rows(source, receipts, DROP), [DROP])
    lake.replace_drops(f"raw_{source.name}", rows, [DROP])
    del rows
    clock.note("write raw")
    with duckdb.connect() as connection:
        views = {"raw": lake.files(f"raw_{source.name}", drops=(DROP, DROP))}
        views |= {f"read_{name}": lake.files(f"validated_{name}", drops=(START, DROP)) for name in source.reads}
        restrict_to_tables(connection, views)
        connection.execute("CREATE TEMP VIEW earlier AS SELECT * FROM raw LIMIT 0")
        keys = {name: spec.source(name).key for name in source.reads}
        accepted = accept_rows(connection, source, spec.calendar, [DROP], keys)
        clock.note("judge")
        validated, quarantined = accepted.validated.to_arrow_table(), accepted.quarantine.to_arrow_table()
    clock.note("draw")
    lake.replace_drops(f"validated_{source.name}", validated, [DROP])
    lake.replace_drops(f"quarantine_{source.name}", quarantined, [DROP])
    lake.replace_drops(f"contract_{source.name}", result_rows(source, accepted.results, DROP), [DROP])
    clock.note("write the rest")
    if validated.num_rows + quarantined.num_rows != receipts[0].rows:
        raise RuntimeError(f"{receipts}: {validated.num_rows} validated, {quarantined.num_rows} quarantined")
    return clock.seconds


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._at = time.perf_counter()

    def note(self, what: str) -> None:
        now = time.perf_counter()
        self.seconds[what], self._at = now - self._at, now


def prepared(root: Path, source: str, rows: int) -> tuple[StatePaths, Path]:
    """Land the file, and validate what its rules read."""
    paths = StatePaths(root)
    path = land_large(paths.landing / "flight_delays", source, rows)
    land_flights(root / "first", flagship().calendar, START, START)
    lake = Lake(paths.lake / "flight_delays")
    for name in ("planes", "airports"):
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            folders = Folders(root / "first", paths.received)
            files = receive(folders, flagship().source(name).expected_file, [START], set(), [])
            relation, _ = read_landed(connection, flagship().source(name), files)
            rows_of = relation.project("* EXCLUDE (_text), batch_date::TIMESTAMPTZ AS known_at").to_arrow_table()
        lake.replace_drops(f"validated_{name}", rows_of, [START])
    return paths, path


def say_peak(source: Source, side: str, root: str) -> None:
    """Run one side once; print by how many MB the peak of memory grew."""
    import great_expectations  # noqa: F401 - what is loaded is no part of it
    import pandas  # noqa: F401

    before = _peak_mb()
    if side == "ingest":
        ingest(source, StatePaths(Path(root)))
    else:
        read_and_judge(StatePaths(Path(root)).landing / "flight_delays" / str(DROP) / source.file_name, source)
    sys.stdout.write(f"{_peak_mb() - before:.0f}\n")


def _peak_mb() -> float:
    """Give the most this process held so far; `ru_maxrss` would begin with that of its parent."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main(arguments: Sequence[str]) -> None:
    """Run both sides, warm, in turn, and print medians of seconds, their ratio, and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--source", choices=list(_MOVED), default="flight_outcomes")
    parser.add_argument("--peak", nargs=2, default=None, help=argparse.SUPPRESS)  # one side, in a process of its own
    asked = parser.parse_args(arguments)
    switch_off_telemetry()
    source = flagship().source(asked.source)
    if asked.peak:
        say_peak(source, *asked.peak)
        return
    with tempfile.TemporaryDirectory() as folder:
        paths, path = prepared(Path(folder), asked.source, asked.rows)
        sys.stdout.write(f"{asked.source}: {asked.rows:,} rows, {path.stat().st_size / 1e6:.0f} MB\n")
        work: dict[str, Callable[[], dict[str, float]]] = {
            "least": lambda: read_and_judge(path, source),
            "ingest": lambda: ingest(source, paths),
        }
        took: dict[str, list[dict[str, float]]] = {side: [] for side in work}
        for repeat in range(asked.repeats + 1):
            for side, do in work.items():
                found = do()
                if repeat:  # the first is for warming up
                    took[side].append(found)
        medians = {}
        for side, runs in took.items():
            medians[side] = statistics.median(sum(run.values()) for run in runs)
            parts = ", ".join(f"{part} {statistics.median(run[part] for run in runs):.2f}" for part in runs[0])
            peak = subprocess.run(
                [sys.executable, "-m", __spec__.name, "--source", asked.source, "--peak", side, folder],
                capture_output=True, text=True, check=True,
            ).stdout.strip().splitlines()[-1]  # fmt: skip
            sys.stdout.write(f"{side:7} {medians[side]:6.2f} s ({parts}); peak memory {peak} MB\n")
        sys.stdout.write(f"ratio {medians['ingest'] / medians['least']:.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
