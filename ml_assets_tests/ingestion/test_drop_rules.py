"""Rules about a whole drop: its rows, its newest row and the mix of its values, beside what earlier drops kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.ingestion.acceptance import accept_rows
from ml_assets.ingestion.rules import RuleResult
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import Source
from ml_assets.stats.divergence import psi
from ml_assets_tests.conftest import drawn
from ml_assets_tests.ingestion.conftest import declare

START = date(2013, 1, 1)
DAILY = Calendar(start=START, at=time(4), timezone="America/New_York")
WEEKLY = Calendar(start=START, at=time(4), timezone="America/New_York", every=timedelta(days=7))
COLUMNS = {"id": "string", "kind": "string", "n": "float", "seen_at": "timestamp"}
SCHEMA = pa.schema(
    {"batch_date": pa.date32(), "id": pa.string(), "kind": pa.string(), "n": pa.float64(),
     "seen_at": pa.timestamp("us", tz="UTC"), "_file": pa.string(), "_sha256": pa.string(), "_line": pa.int64(),
     "_is_late": pa.bool_(), "_text": pa.string(), "_unreadable": pa.list_(pa.string()), "_refused": pa.string()}
)  # fmt: skip
VOLUME = {"within": 0.3, "of_weeks": 4, "reason": "volume_unusual"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """What came of some drops, run in one range or one by one."""

    results: list[RuleResult]
    validated: list[tuple[Any, ...]]
    quarantined: list[tuple[Any, ...]]

    def said_of(self, drop: date) -> list[tuple[str, int, bool, bool]]:
        found = [result for result in self.results if result.drop == drop]
        return [(result.reason, result.failed_rows, result.is_refused, result.is_judged) for result in found]

    def observed(self, drop: date) -> list[str | None]:
        return [result.observed for result in self.results if result.drop == drop]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'; SET threads = 1")
        yield opened


def rows(number: int, **more: Any) -> list[Row]:
    return [{"id": f"r{place}", "kind": "a", "n": float(place), **more} for place in range(number)]


def day(number: int, calendar: Calendar = DAILY) -> date:
    """Give the n-th drop of a calendar, from 0."""
    return calendar.start + number * calendar.mean_length


def run(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    drops: Sequence[list[Row] | None],
    ranges: Sequence[int] = (),
    calendar: Calendar = DAILY,
) -> Judged:
    """Judge drops (None: no file) in ranges that end before each of `ranges`; the last takes what is left."""
    connection.register("_rows", SCHEMA.empty_table())
    times = ", ".join(
        f"NULL::TIMESTAMPTZ AS {name}" for name in ("event_at", "known_at", "claimed_known_at", "_first_known_at")
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE kept AS SELECT *, {times} FROM _rows")
    connection.execute("CREATE OR REPLACE TEMP VIEW earlier AS SELECT * FROM kept")
    connection.execute("CREATE OR REPLACE TEMP VIEW recent AS SELECT * FROM kept")
    results: list[RuleResult] = []
    quarantined: list[tuple[Any, ...]] = []
    ends = sorted({*ranges, len(drops)})
    for first, last in zip([0, *ends], ends, strict=False):
        part = [(day(number, calendar), drops[number]) for number in range(first, last)]
        raw = [{"batch_date": drop, "_line": line, "_file": "stops.csv", "_is_late": False, **row}
               for drop, landed in part for line, row in enumerate(landed or (), start=2)]  # fmt: skip
        connection.register("_rows", pa.Table.from_pylist(raw, SCHEMA))
        connection.execute("CREATE OR REPLACE TEMP TABLE raw AS SELECT * FROM _rows")
        accepted = accept_rows(connection, source, calendar, [drop for drop, landed in part if landed is not None])
        results += accepted.results
        quarantined += accepted.quarantine.project("batch_date, id, reasons").fetchall()
        connection.register("_kept", accepted.validated.to_arrow_table())
        connection.execute("INSERT INTO kept BY NAME SELECT * FROM _kept")
    validated = connection.execute("SELECT batch_date, id, _is_late FROM kept ORDER BY ALL").fetchall()
    results.sort(key=lambda result: (result.drop, result.reason))
    return Judged(results, validated, sorted(quarantined))


def test_drop_of_unusual_size_is_refused_beside_the_same_weekday(connection: duckdb.DuckDBPyConnection) -> None:
    source = declare(COLUMNS, volume=[VOLUME])
    sizes = {0: 10, 7: 10, 14: 12}  # every seventh drop is small; the others are large
    drops = [rows(sizes.get(number, 40)) for number in range(23)]
    drops[21], drops[22] = rows(6), rows(6)

    judged = run(connection, source, drops)

    assert judged.said_of(day(20)) == [("volume_unusual", 0, False, False)]  # two of its weeks are there
    assert judged.observed(day(20)) == ["not judged: 2 of the 4 weeks before hold rows; 3 are needed"]
    assert judged.said_of(day(21)) == [("volume_unusual", 6, True, True)]
    assert judged.observed(day(21)) == ["6 rows; usual 10, the median of 3 weeks; allowed 7 to 13"]
    assert judged.observed(day(22)) == ["6 rows; usual 40, the median of 3 weeks; allowed 28 to 52"]
    refused = {(drop, *reasons) for drop, _, reasons in judged.quarantined}
    assert refused == {(day(21), "drop_refused:volume_unusual"), (day(22), "drop_refused:volume_unusual")}
    assert [row for row in judged.validated if row[0] >= day(21)] == []


def test_drop_inside_its_bounds_is_not_noted(connection: duckdb.DuckDBPyConnection) -> None:
    drops = [rows(10) for _ in range(28)] + [rows(13), rows(7)]

    judged = run(connection, declare(COLUMNS, volume=[VOLUME]), drops)

    assert judged.said_of(day(28)) == judged.said_of(day(29)) == []


def test_drop_without_a_row_breaks_its_volume_without_any_history(connection: duckdb.DuckDBPyConnection) -> None:
    warned = declare(COLUMNS, volume=[{**VOLUME, "severity": "warning"}])

    refused = run(connection, declare(COLUMNS, volume=[VOLUME]), [[], None])

    assert [astuple(result) for result in refused.results] == [
        (day(0), "volume_unusual", "error", 0, "no row", True, True)
    ]
    assert run(connection, warned, [[]]).said_of(day(0)) == [("volume_unusual", 0, False, True)]


def test_refused_empty_and_absent_drops_are_nothing_to_compare_with(connection: duckdb.DuckDBPyConnection) -> None:
    source = declare(COLUMNS, volume=[{**VOLUME, "of_weeks": 2}])
    drops: list[list[Row] | None] = [rows(10), rows(10), rows(90), None, rows(10), rows(10)]

    judged = run(connection, source, drops, calendar=WEEKLY)

    weeks = [day(number, WEEKLY) for number in range(6)]
    assert judged.said_of(weeks[2]) == [("volume_unusual", 90, True, True)]
    assert judged.observed(weeks[4]) == ["not judged: 0 of the 2 weeks before hold rows; 2 are needed"]
    assert judged.observed(weeks[5]) == ["not judged: 1 of the 2 weeks before hold rows; 2 are needed"]


def test_rows_that_came_late_and_rows_in_quarantine_count_on_neither_side(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    source = declare(COLUMNS, volume=[{**VOLUME, "of_weeks": 1}])
    late = [{"id": f"late{place}", "_is_late": True, "_file": "2013-01-01/stops.csv"} for place in range(50)]
    twice = [*rows(10), *rows(10), *rows(30, _unreadable=["n=many"])]

    judged = run(connection, source, [rows(10) + late, twice, rows(10)], calendar=WEEKLY)

    assert judged.observed(day(1, WEEKLY)) == judged.observed(day(2, WEEKLY)) == []
    assert sum(is_late for _, _, is_late in judged.validated) == 50


# great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
@pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning")
def test_one_rule_does_not_hide_another(connection: duckdb.DuckDBPyConnection) -> None:
    few = {"expect": "expect_table_row_count_to_be_between", "arguments": {"min_value": 5}, "reason": "too_few"}
    source = declare(
        COLUMNS, expectations=[few], volume=[{**VOLUME, "of_weeks": 1}], event_at="seen_at",
        freshness=[{"at_most": "6h", "severity": "warning", "reason": "stale"}],
    )  # fmt: skip
    old = datetime(2013, 1, 8, 0, tzinfo=UTC)  # nine hours before the second batch

    judged = run(connection, source, [rows(10), rows(3, seen_at=old)], calendar=WEEKLY)

    assert judged.said_of(day(1, WEEKLY)) == [
        ("stale", 3, False, True), ("too_few", 3, True, True), ("volume_unusual", 3, True, True)
    ]  # fmt: skip
    assert {tuple(reasons) for _, _, reasons in judged.quarantined} == {
        ("drop_refused:too_few", "drop_refused:volume_unusual")
    }


@pytest.mark.parametrize(
    ("times", "hours", "observed"),
    [
        ({"event_at": "seen_at"}, 6.0, None),
        ({"event_at": "seen_at"}, 6.5, "newest row 6.5 h before the batch; allowed 6h"),
        ({"known_at": "seen_at + INTERVAL 1 HOUR"}, 7.0, None),
        ({"known_at": "seen_at + INTERVAL 1 HOUR"}, 30.0, "newest row 29.0 h before the batch; allowed 6h"),
        ({"event_at": "seen_at"}, -5.0, None),  # a plan lies ahead
    ],
)
def test_newest_row_is_measured_against_the_batch(
    connection: duckdb.DuckDBPyConnection, times: dict[str, str], hours: float, observed: str | None
) -> None:
    source = declare(COLUMNS, freshness=[{"at_most": "6h", "reason": "stale"}], **times)
    newest = DAILY.batch_at(day(0)) - timedelta(hours=hours)
    older = rows(1, seen_at=newest - timedelta(days=2))

    judged = run(connection, source, [[*older, {"id": "newest", "seen_at": newest}]])

    assert judged.observed(day(0)) == ([] if observed is None else [observed])


def test_drop_without_a_moment_is_not_judged_fresh(connection: duckdb.DuckDBPyConnection) -> None:
    source = declare(COLUMNS, event_at="seen_at", freshness=[{"at_most": "6h", "reason": "stale"}])

    judged = run(connection, source, [rows(3), []])

    assert [judged.said_of(day(number)) for number in (0, 1)] == [[("stale", 0, False, False)]] * 2
    assert judged.observed(day(0)) == ["not judged: no row with a moment"]
    assert len(judged.validated) == 3


def mixed(**shares: int) -> list[Row]:
    kinds = [kind for kind, number in shares.items() for _ in range(number)]
    return [{"id": f"r{place}", "kind": None if kind == "none" else kind} for place, kind in enumerate(kinds)]


def test_mix_of_texts_is_compared_with_the_drops_of_the_reference(connection: duckdb.DuckDBPyConnection) -> None:
    rule = {"column": "kind", "reference": "14d", "max_psi": 0.2, "min_rows": 40, "reason": "kinds_shifted"}
    source = declare(COLUMNS, distribution=[rule])
    drops = [mixed(a=30, b=20), mixed(a=20, b=30), mixed(a=10, b=10, new=20, none=10)]

    judged = run(connection, source, drops, calendar=WEEKLY)

    assert judged.observed(day(1, WEEKLY)) == ["not judged: 1 drops of the 14d before hold values; 2 are needed"]
    expected = psi([50, 50, 0, 0], [10, 10, 20, 10])
    (observed,) = judged.observed(day(2, WEEKLY))
    assert observed == (f"PSI {expected:.3f} of kind beside 2 drops; allowed 0.2; most of it unseen: 0.0% to 40.0%")
    assert judged.said_of(day(2, WEEKLY)) == [("kinds_shifted", 50, True, True)]


def test_mix_of_numbers_is_compared_in_the_bins_of_the_reference(connection: duckdb.DuckDBPyConnection) -> None:
    rule = {
        "column": "n",
        "reference": "7d",
        "max_psi": 0.2,
        "min_rows": 10,
        "severity": "warning",
        "reason": "n_shifted",
    }
    source = declare(COLUMNS, distribution=[rule])
    hundred = rows(100)
    moved = [{**row, "n": 95.0} if place < 50 else row for place, row in enumerate(hundred)]

    judged = run(connection, source, [hundred, hundred, moved], calendar=WEEKLY)

    assert judged.said_of(day(1, WEEKLY)) == []
    expected = psi([10] * 10, [0] * 5 + [10] * 4 + [60])
    (observed,) = judged.observed(day(2, WEEKLY))
    assert observed == f"PSI {expected:.3f} of n beside 1 drops; allowed 0.2; most of it > 89: 10.0% to 60.0%"
    assert judged.said_of(day(2, WEEKLY)) == [("n_shifted", 100, False, True)]


def test_column_that_was_not_sent_before_and_few_rows_are_no_shift(connection: duckdb.DuckDBPyConnection) -> None:
    rule = {"column": "kind", "reference": "7d", "max_psi": 0.2, "min_rows": 40, "reason": "kinds_shifted"}
    drops = [mixed(none=50), mixed(a=50), mixed(b=39)]

    judged = run(connection, declare(COLUMNS, distribution=[rule]), drops, calendar=WEEKLY)

    assert judged.observed(day(1, WEEKLY)) == ["not judged: 0 drops of the 7d before hold values; 1 are needed"]
    assert judged.observed(day(2, WEEKLY)) == ["not judged: 39 rows beside 50; 40 are needed"]


RULES = {
    "volume": [VOLUME, {"within": 0.1, "of_weeks": 2, "severity": "warning", "reason": "volume_odd"}],
    "distribution": [
        {"column": "kind", "reference": "14d", "max_psi": 0.3, "min_rows": 4, "reason": "kinds_shifted"},
        {"column": "n", "reference": "7d", "max_psi": 0.4, "min_rows": 4, "severity": "warning", "reason": "n_shifted"},
    ],
    "freshness": [{"at_most": "2d", "severity": "warning", "reason": "stale"}],
}
SEEN_AT = datetime(2013, 1, 4, tzinfo=UTC)


def landed(a: int, b: int, late: int, repeated: int) -> list[Row]:
    own = [("a", a), ("b", b), ("a", repeated)]
    rows = [{"id": f"{kind}{place}", "kind": kind, "n": float(place % 7)} for kind, n in own for place in range(n)]
    rows += [{"id": f"late{place}", "kind": "b", "_is_late": True, "_file": "x/stops.csv"} for place in range(late)]
    return [{**row, "seen_at": SEEN_AT} for row in rows]


LANDED = st.builds(landed, st.integers(0, 12), st.integers(0, 4), st.integers(0, 2), st.integers(0, 1))


@drawn(10)
@given(
    drops=st.lists(st.none() | LANDED, min_size=4, max_size=14),
    cuts=st.lists(st.integers(1, 13), max_size=3),
    is_weekly=st.booleans(),
)
def test_drops_of_one_range_are_judged_as_if_run_one_by_one(
    connection: duckdb.DuckDBPyConnection, drops: list[list[Row] | None], cuts: list[int], is_weekly: bool
) -> None:
    source, calendar = declare(COLUMNS, event_at="seen_at", **RULES), WEEKLY if is_weekly else DAILY

    one_by_one = run(connection, source, drops, range(1, len(drops)), calendar)

    ranges = [cut for cut in cuts if cut < len(drops)]
    assert run(connection, source, drops, (), calendar) == one_by_one
    assert run(connection, source, drops, ranges, calendar) == one_by_one
