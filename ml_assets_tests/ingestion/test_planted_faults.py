"""Faults in the files of real drops, on days and rows drawn by a seed: each is found under its own reason code.

The files are what the demo lands, changed as text; the contracts are those that ship. What else a drop holds is known
from judging it unchanged: a fault adds its own reason, and no other.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import duckdb
import pytest

from ml_assets.demo.flight_tables import plane_table
from ml_assets.demo.flights import land_flights
from ml_assets.ingestion.acceptance import accept_rows
from ml_assets.ingestion.reading import read_landed
from ml_assets.spec.received import LandedFile
from ml_assets_tests.rehearsal import flagship

pytestmark = [
    pytest.mark.xdist_group("planted_faults"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]

START = date(2013, 1, 1)
Rows = list[dict[str, str]]
Where = Callable[[dict[str, str]], object]  # rows that a fault may go on
Plant = Callable[[Rows, int], None]  # changes rows, at the drawn position
Text = Callable[[str, random.Random], bytes]  # gives a file's bytes anew


@dataclass(frozen=True)
class Verdict:
    """What became of one file: why it was refused, reasons by line, validated rows, failed rows by reason."""

    refusal: str | None
    warning: str | None
    quarantined: dict[int, list[str]]
    validated: list[tuple[object, ...]]
    found: Counter[str]
    landed: int


@dataclass(frozen=True)
class Year:
    """Lands drops of 2013 on demand and judges files of theirs by the shipped contracts."""

    folder: Path
    connection: duckdb.DuckDBPyConnection
    judged: dict[tuple[str, str], Verdict] = field(default_factory=dict)

    def text(self, drop: date, source: str) -> str:
        """Give a file as it is published."""
        path = self.folder / "landing" / str(drop) / f"{source}.csv"
        if not path.exists():
            land_flights(self.folder / "landing", flagship().calendar, drop, drop)
        return path.read_text()

    def judge(self, drop: date, source: str, content: bytes) -> Verdict:
        """Read and judge one file as the drop's own."""
        contract, sha256 = flagship().source(source), hashlib.sha256(content).hexdigest()
        if (source, sha256 + str(drop)) in self.judged:
            return self.judged[source, sha256 + str(drop)]
        copy = self.folder / f"{sha256}.csv"
        copy.write_bytes(content)
        file = LandedFile(drop, f"{source}.csv", sha256, len(content), copy)
        relation, (receipt,) = read_landed(self.connection, contract, [file])
        self.connection.register("_read", relation.to_arrow_table())
        self.connection.execute("CREATE OR REPLACE TEMP TABLE raw AS SELECT * FROM _read")
        self.connection.unregister("_read")
        keys = {name: flagship().source(name).key for name in contract.reads}
        landed = [drop] if receipt.refusal is None else []
        accepted = accept_rows(self.connection, contract, flagship().calendar, landed, keys)
        quarantined = dict(accepted.quarantine.project("_line, reasons").fetchall())
        columns = ", ".join(f'"{name}"' for name in contract.columns)
        found = Verdict(
            receipt.refusal, receipt.warning, quarantined,
            accepted.validated.project(f"{columns}, known_at").fetchall(),
            Counter({each.reason: each.failed_rows for each in accepted.results}), receipt.rows,
        )  # fmt: skip
        return self.judged.setdefault((source, sha256 + str(drop)), found)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Year]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        found = Year(tmp_path_factory.mktemp("year"), connection)
        for name in ("planes", "airports"):
            found.judge(START, name, found.text(START, name).encode())
            # the tables that rules read: validated as they are in the lake
            columns = ", ".join(f'"{column}"' for column in flagship().source(name).columns)
            connection.execute(
                f"CREATE TABLE read_{name} AS SELECT batch_date, {columns}, known_at FROM _judged "
                "WHERE _position NOT IN (SELECT _position FROM _reasons)"
            )
        yield found


def draw(name: str) -> random.Random:
    return random.Random(zlib.crc32(name.encode()))  # noqa: S311 - drawn to be drawn again, no secret


DAYS = sorted(START + timedelta(days=n) for n in draw("the days").sample(range(5, 360), 10))


def drawn_day(rng: random.Random) -> date:
    return rng.choice(DAYS)


def rows_of(text: str) -> Rows:
    return list(csv.DictReader(io.StringIO(text)))


def text_of(rows: Rows) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def put(column: str, value: str) -> Plant:
    def plant(rows: Rows, at: int) -> None:
        rows[at][column] = value

    return plant


def raise_temperature(rows: Rows, at: int) -> None:
    rows[at]["temp_f"] = str(float(rows[at]["temp_f"]) + 45)


def cool_below_dew_point(rows: Rows, at: int) -> None:
    rows[at]["temp_f"] = str(float(rows[at]["dewpoint_f"]) - 1)


def swap_times(rows: Rows, at: int) -> None:
    names = ("scheduled_departure_at", "scheduled_arrival_at")
    rows[at] |= dict(zip(names, (rows[at][name] for name in reversed(names)), strict=True))


def repeat(rows: Rows, at: int) -> None:
    rows.append(dict(rows[at]))


def arrive_before_departing(rows: Rows, at: int) -> None:
    rows[at]["departed_at"], rows[at]["arrived_at"] = rows[at]["arrived_at"], rows[at]["departed_at"]


@cache
def registered() -> frozenset[str]:
    return frozenset(plane_table()["tail_number"])


def any_row(_: dict[str, str]) -> bool:
    return True


def has_flown(row: dict[str, str]) -> bool:
    return row["status"] == "completed" and bool(row["tail_number"] and row["arrived_at"])


def is_by_a_known_aircraft(row: dict[str, str]) -> bool:
    return has_flown(row) and row["tail_number"] in registered()


def goes_to_a_known_place(row: dict[str, str]) -> bool:
    return row["dest"] not in ("SJU", "BQN", "STT", "PSE")


ROW_FAULTS: dict[str, tuple[str, Plant, Where, str]] = {
    "clock value 2400": ("flight_outcomes", put("departed_at", "2400"), any_row, "unreadable:departed_at"),
    "wind of 1048 mph": ("weather", put("wind_speed_mph", "1048.36058"), any_row, "wind_speed_out_of_range"),
    "temperature jump": ("weather", raise_temperature, lambda row: row["temp_f"], "temperature_jump"),
    "colder than the dew point": ("weather", cool_below_dew_point, lambda row: float(row["temp_f"]) -
                                  float(row["dewpoint_f"]) < 20, "colder_than_dew_point"),
    "unknown station": ("weather", put("origin", "BOS"), any_row, "station_unknown"),
    "unknown origin": ("schedule", put("origin", "BOS"), any_row, "origin_unknown"),
    "unknown origin of an outcome": ("flight_outcomes", put("origin", "BOS"), any_row, "origin_unknown"),
    "destination of four letters": ("schedule", put("dest", "KBOS"), any_row, "dest_malformed"),
    "distance": ("schedule", put("distance_mi", "0"), any_row, "distance_out_of_range"),
    "arrives before it departs": ("schedule", swap_times, any_row, "arrives_before_departure"),
    "unreadable number": ("schedule", put("distance_mi", "1,400 mi"), any_row, "unreadable:distance_mi"),
    "half a minute": ("flight_outcomes", put("arrival_delay_min", "12.5"), any_row, "unreadable:arrival_delay_min"),
    "text for a number": ("weather", put("pressure_hpa", "high"), any_row, "unreadable:pressure_hpa"),
    "time without a date": ("flight_outcomes", put("arrived_at", "05:00"), any_row, "unreadable:arrived_at"),
    "no key": ("flight_outcomes", put("flight_id", ""), any_row, "missing:flight_id"),
    "no carrier": ("schedule", put("carrier", ""), any_row, "missing:carrier"),
    "unknown status": ("flight_outcomes", put("status", "landed"), any_row, "status_unknown"),
    "known after the batch": ("flight_outcomes", put("reported_at", "2014-06-01T00:00:00Z"), any_row,
                              "known_after_batch"),
    "seats": ("planes", put("seats", "0"), any_row, "seats_out_of_range"),
}  # fmt: skip
WARNED: dict[str, tuple[str, Plant, Where, str]] = {
    "tail not in planes": ("flight_outcomes", put("tail_number", "N0NONE"),
                           is_by_a_known_aircraft, "tail_not_in_planes"),
    "no tail number, yet flown": ("flight_outcomes", put("tail_number", ""), is_by_a_known_aircraft, "tail_missing"),
    "unknown carrier": ("schedule", put("carrier", "ZZ"), any_row, "carrier_unknown"),
    "unknown carrier of an outcome": ("flight_outcomes", put("carrier", "ZZ"), any_row, "carrier_unknown"),
    "airport not in airports": ("schedule", put("dest", "XYZ"), goes_to_a_known_place,
                                "dest_not_in_airports"),
    "arrives before it departed": ("flight_outcomes", arrive_before_departing, has_flown, "arrived_before_departed"),
    "few seats": ("planes", put("seats", "9"), lambda row: int(row["seats"]) >= 15, "seats_fewer_than_15"),
    "no wind speed": ("weather", put("wind_speed_mph", ""), lambda row: row["wind_speed_mph"], "wind_speed_missing"),
}  # fmt: skip


def planted(year: Year, name: str, source: str, plant: Plant, where: Where) -> tuple[Verdict, Verdict, int]:
    """Judge a drawn drop as published and with the fault in a drawn row; give both, and the line of the row."""
    rng = draw(name)
    drop = START if source == "planes" else drawn_day(rng)
    rows = rows_of(year.text(drop, source))
    at = rng.choice([place for place, row in enumerate(rows) if where(row)])
    before = year.judge(drop, source, text_of(rows).encode())
    plant(rows, at)
    return before, year.judge(drop, source, text_of(rows).encode()), at + 2


@pytest.mark.parametrize("name", ROW_FAULTS)
def test_row_goes_to_quarantine_under_its_own_reason_and_no_other_does(year: Year, name: str) -> None:
    source, plant, where, reason = ROW_FAULTS[name]

    before, after, line = planted(year, name, source, plant, where)

    assert after.quarantined == before.quarantined | {line: [reason]}
    assert len(after.validated) + len(after.quarantined) == after.landed == before.landed


@pytest.mark.parametrize("name", WARNED)
def test_row_is_let_through_and_counted_under_its_own_reason(year: Year, name: str) -> None:
    source, plant, where, reason = WARNED[name]

    before, after, _ = planted(year, name, source, plant, where)

    assert after.quarantined == before.quarantined
    assert after.found[reason] == before.found[reason] + 1


def test_of_a_repeated_row_the_last_is_the_fact(year: Year) -> None:
    before, after, line = planted(year, "repeated", "flight_outcomes", repeat, any_row)

    assert after.quarantined == before.quarantined | {line: ["duplicate_key"]}
    assert after.validated == before.validated


def test_same_flight_number_from_two_airports_is_two_flights(year: Year) -> None:
    rng = draw("two airports")
    drop = drawn_day(rng)
    rows = rows_of(year.text(drop, "schedule"))
    other = dict(rng.choice([row for row in rows if row["origin"] == "EWR"]))
    other |= {"origin": "JFK", "flight_id": other["flight_id"].replace("EWR", "JFK")}

    verdict = year.judge(drop, "schedule", text_of([*rows, other]).encode())

    assert verdict.quarantined == {}
    assert len(verdict.validated) == len(rows) + 1


def test_cancelled_flight_without_a_tail_number_is_no_fault(year: Year) -> None:
    before, after, _ = planted(
        year, "cancelled", "flight_outcomes", put("tail_number", ""), lambda row: row["status"] == "cancelled"
    )

    assert after.found["tail_missing"] == before.found["tail_missing"]
    assert after.quarantined == before.quarantined


def test_aircraft_that_leaves_before_it_arrived_is_counted(year: Year) -> None:
    rng = draw("left before it arrived")
    drop = drawn_day(rng)
    rows = rows_of(year.text(drop, "flight_outcomes"))
    before = year.judge(drop, "flight_outcomes", text_of(rows).encode())
    flown = sorted((row for row in rows if has_flown(row)), key=lambda row: row["departed_at"])
    used = Counter(row["tail_number"] for row in flown)
    first = rng.choice([row for row in flown[: len(flown) // 2] if used[row["tail_number"]] == 1])
    other = next(row for row in flown if first["departed_at"] < row["departed_at"] < first["arrived_at"]
                 and used[row["tail_number"]] == 1)  # fmt: skip
    other["tail_number"] = first["tail_number"]

    after = year.judge(drop, "flight_outcomes", text_of(rows).encode())

    reason = "aircraft_left_before_it_arrived"
    assert after.found[reason] == before.found[reason] + 1
    assert after.quarantined == before.quarantined


def test_hours_that_a_station_misses_are_counted(year: Year) -> None:
    rng = draw("missing hours")
    drop = drawn_day(rng)
    rows = rows_of(year.text(drop, "weather"))
    station = rng.choice(("EWR", "JFK", "LGA"))
    mine = [row for row in rows if row["origin"] == station]
    gone = [id(row) for row in rng.sample(mine, 6)]
    left = [row for row in rows if id(row) not in gone]

    before, after = (year.judge(drop, "weather", text_of(each).encode()) for each in (rows, left))

    assert before.found["station_incomplete"] == 0
    assert after.found["station_incomplete"] == len(mine) - 6
    assert after.quarantined == before.quarantined


def test_local_hour_that_comes_twice_in_november_is_no_fault(year: Year) -> None:
    drop = date(2013, 11, 3)
    rows = rows_of(year.text(drop, "weather"))
    both = {"2013-11-03T05:00:00Z", "2013-11-03T06:00:00Z"}  # 01:00 in New York, once in summer time and once after

    verdict = year.judge(drop, "weather", text_of(rows).encode())

    assert both <= {row["observed_at"] for row in rows if row["origin"] == "EWR"}
    assert verdict.quarantined == {}
    assert len(verdict.validated) == len(rows)


def changed_rows(change: Callable[[Rows], None]) -> Text:
    def text(published: str, _: random.Random) -> bytes:
        rows = rows_of(published)
        change(rows)
        return text_of(rows).encode()

    return text


def without_column(rows: Rows) -> None:
    for row in rows:
        del row["origin"]


def renamed_column(rows: Rows) -> None:
    for row in rows:
        row["departure"] = row.pop("origin")


FILE_FAULTS: dict[str, tuple[Text, str]] = {
    "missing column": (changed_rows(without_column), "file_refused:missing_column:origin"),
    "renamed column": (changed_rows(renamed_column), "file_refused:missing_column:origin"),
    "empty": (lambda _text, _rng: b"", "file_refused:empty"),
    "line ends alone": (lambda _text, _rng: b"\n\n", "file_refused:empty"),
    "another encoding": (lambda text, _rng: text.replace("EWR", "ÄWR", 1).encode("latin-1"), "file_refused:not_utf8"),
    "semicolons": (lambda text, _rng: text.replace(",", ";").encode(), "file_refused:missing_column:"),
    "column twice": (lambda text, _rng: text.replace("origin", "carrier", 1).encode(), "file_refused:column_twice:"),
    "no header": (lambda text, _rng: text.partition("\n")[2].encode(), "file_refused:missing_column:"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILE_FAULTS)
def test_file_is_refused_and_every_line_is_kept(year: Year, name: str) -> None:
    change, refusal = FILE_FAULTS[name]
    rng = draw(name)
    drop = drawn_day(rng)
    content = change(year.text(drop, "schedule"), rng)

    verdict = year.judge(drop, "schedule", content)

    assert str(verdict.refusal).startswith(refusal)
    assert verdict.validated == []
    assert {reason for reasons in verdict.quarantined.values() for reason in reasons} <= {verdict.refusal}
    lines = content.decode("latin-1").count("\n") - (name != "no header")  # its first line may be the first row
    assert len(verdict.quarantined) == (lines if lines > 1 else 0)


@pytest.mark.parametrize(("sent", "as_source"), [("weather", "flight_outcomes"), ("flight_outcomes", "schedule"),
                                                 ("schedule", "flight_outcomes"), ("airports", "planes")])  # fmt: skip
def test_file_of_another_source_is_refused(year: Year, sent: str, as_source: str) -> None:
    drop = START if sent == "airports" else drawn_day(draw(f"{sent} as {as_source}"))

    verdict = year.judge(drop, as_source, year.text(drop, sent).encode())

    assert str(verdict.refusal).startswith("file_refused:missing_column:")
    assert verdict.validated == []


def extra_column(rows: Rows) -> None:
    for row in rows:
        row["gate"] = "B7"


def newline_in_quotes(rows: Rows) -> None:
    rows[len(rows) // 2]["flight_id"] += "\nagain"


SAME_ROWS: dict[str, Text] = {
    "Windows line ends": lambda text, _rng: text.replace("\n", "\r\n").encode(),
    "old Mac line ends": lambda text, _rng: text.replace("\n", "\r").encode(),
    "byte order mark": lambda text, _rng: text.encode("utf-8-sig"),
    "everything quoted": lambda text, _rng: "".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in text.splitlines()).encode(),
    "blank lines": lambda text, rng: text.replace("\n", "\n\n", rng.randrange(2, 50)).encode(),
    "columns in another order": lambda text, _rng: text_of(
        [dict(reversed(row.items())) for row in rows_of(text)]).encode(),
    "extra column": changed_rows(extra_column),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME_ROWS)
@pytest.mark.parametrize("source", ["schedule", "flight_outcomes", "weather"])
def test_what_is_written_in_another_way_says_the_same(year: Year, name: str, source: str) -> None:
    rng = draw(f"{name} {source}")
    drop = drawn_day(rng)
    published = year.text(drop, source)
    before = year.judge(drop, source, published.encode())

    after = year.judge(drop, source, SAME_ROWS[name](published, rng))

    assert (after.refusal, after.validated) == (None, before.validated)
    assert after.warning == {"extra column": "extra_column:gate"}.get(name)
    assert sorted(after.quarantined.values()) == sorted(before.quarantined.values())


def test_line_end_in_quotes_is_part_of_its_cell_and_lines_after_keep_their_numbers(year: Year) -> None:
    drop = drawn_day(draw("line end in quotes"))
    rows = rows_of(year.text(drop, "schedule"))
    newline_in_quotes(rows)
    rows[-1]["origin"] = "BOS"

    verdict = year.judge(drop, "schedule", text_of(rows).encode())

    assert len(verdict.validated) == len(rows) - 1
    assert any(str(row[0]).endswith("\nagain") for row in verdict.validated)
    assert verdict.quarantined == {len(rows) + 2: ["origin_unknown"]}


@pytest.mark.parametrize("source", ["schedule", "flight_outcomes", "weather"])
def test_of_a_file_that_breaks_off_the_last_line_is_found(year: Year, source: str) -> None:
    rng = draw(f"broken off {source}")
    drop = drawn_day(rng)
    lines = year.text(drop, source).splitlines()
    kept = rng.randrange(len(lines) // 2, len(lines) - 1)
    broken = "\n".join([*lines[:kept], lines[kept][: lines[kept].index(",") + 2]])

    verdict = year.judge(drop, source, broken.encode())

    assert verdict.quarantined[kept + 1] == ["malformed_line"]
    assert len(verdict.validated) + len(verdict.quarantined) == kept


KNOWN = {date(2013, 2, 12): {"wind_speed_out_of_range": 1}, date(2013, 5, 9): {"temperature_jump": 1}}


def errors_of(year: Year, drops: Sequence[date], sources: Sequence[str]) -> dict[date, dict[str, int]]:
    """Give the reasons of what real drops have in quarantine, by drop."""
    found: dict[date, dict[str, int]] = {}
    for drop in drops:
        for source in sources:
            verdict = year.judge(drop, source, year.text(drop, source).encode())
            counted = Counter(reason for reasons in verdict.quarantined.values() for reason in reasons)
            if counted:
                found.setdefault(drop, {}).update(counted)
    return found


def test_without_a_fault_nothing_but_the_two_known_rows_of_weather_is_refused(year: Year) -> None:
    drops = sorted({*KNOWN, *DAYS})

    assert errors_of(year, drops, ("schedule", "flight_outcomes", "weather")) == KNOWN
