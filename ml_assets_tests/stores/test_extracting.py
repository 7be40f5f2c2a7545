"""Rows of a database land once each: late, changed and deleted ones, and whatever breaks in the middle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import Source
from ml_assets.stores import databases, extracting
from ml_assets.stores.databases import DatabaseError
from ml_assets.stores.extracting import Extraction, extract_source
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.stores.shop import Shop, has_postgres, postgres

FIRST, SECOND, THIRD = (date(2024, 3, day) for day in (1, 2, 3))
CALENDAR = Calendar(start=FIRST, at=time(6), timezone="UTC")
LATER = datetime(2024, 6, 1, tzinfo=UTC)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2024, 3, day, hour, minute, tzinfo=UTC)


@dataclass
class SomeSpec:
    """What extraction reads of a use case."""

    sources: tuple[Source, ...]
    name: str = "shop"
    calendar: Calendar = CALENDAR
    clock: str = "wall"


@dataclass
class Machine:
    """A machine that extracts from a shop."""

    shop: Shop
    root: Path
    keys: dict[str, Any] = field(default_factory=dict)
    kind: str = "timestamp"

    @property
    def source(self) -> Source:
        columns = {"id": {"type": "string"}, "town": {"type": "string"}, "total": {"type": "float"},
                   "updated_at": {"type": self.kind}, "is_deleted": {"type": "boolean"}}  # fmt: skip
        deleted = {} if "deleted" in self.keys else {"is_deleted"}
        kept = {name: column for name, column in columns.items() if name not in deleted}
        extract = {"url": "${SHOP_DATABASE}", "table": "orders", "watermark": "updated_at", **self.keys}
        return Source.model_validate({"name": "orders", "key": ["id"], "known_at": "updated_at", "columns": kept,
                                      "file": {"format": "parquet"}, "extract": extract})  # fmt: skip

    def extract(self, last: date | None = None, now: datetime = LATER) -> list[Extraction]:
        spec: Any = SomeSpec((self.source,))
        os.environ["SHOP_DATABASE"] = self.shop.url
        return extract_source(spec, StatePaths(self.root), self.source, now, last)

    def landed(self) -> dict[str, list[tuple[Any, ...]]]:
        """Give what landed in each drop: id, town and, where it is extracted, whether it was deleted."""
        found = {}
        for path in sorted((self.root / "landing" / "shop").glob("*/orders.parquet")):
            table = pq.read_table(path)
            names = [name for name in ("id", "town", "is_deleted") if name in table.column_names]
            found[path.parent.name] = sorted(zip(*(table[name].to_pylist() for name in names), strict=True))
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not has_postgres():
        pytest.skip("PostgreSQL is not installed")
    folder = Path("/tmp") / f"ml_assets_postgres_{tmp_path_factory.getbasetemp().name}"  # noqa: S108 - its user has to reach it
    with postgres(folder) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("timestamptz", marks=pytest.mark.slow),
                        pytest.param("timestamp", marks=pytest.mark.slow)])  # fmt: skip
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    """Give a machine with an empty shop, on SQLite with texts, and on PostgreSQL with moments with and without zone."""
    if request.param == "sqlite":
        shop = Shop(f"sqlite:///{tmp_path / 'shop.db'}")
        shop.make("TEXT")
    else:
        shop = Shop(request.getfixturevalue("server"))
        shop.run("DROP TABLE IF EXISTS orders")
        shop.make(request.param)
        shop.run("SET TIME ZONE 'UTC'")
    return Machine(shop, tmp_path / "state")


def test_rows_land_in_the_drop_of_their_watermark_and_only_once(machine: Machine) -> None:
    machine.shop.write(("a", "Bonn", 1.5, at(1, 5)), ("b", "Köln", 2, at(1, 6)), ("c", "Ulm", 3, at(1, 6, 1)))

    first = machine.extract(FIRST)
    second = machine.extract(SECOND)
    again = machine.extract(SECOND)

    assert [(each.drop, each.rows) for each in first + second + again] == [("2024-03-01", 2), ("2024-03-02", 1)]
    assert machine.landed() == {"2024-03-01": [("a", "Bonn"), ("b", "Köln")], "2024-03-02": [("c", "Ulm")]}


def test_several_drops_are_caught_up_each_with_its_rows_and_one_without_rows(machine: Machine) -> None:
    machine.shop.write(("a", "Bonn", 1, at(1, 5)), ("b", "Köln", 2, at(3, 5)))

    machine.extract(now=at(3, 7))

    assert machine.landed() == {"2024-03-01": [("a", "Bonn")], "2024-03-02": [], "2024-03-03": [("b", "Köln")]}


def test_batch_that_is_still_to_come_is_not_extracted(machine: Machine) -> None:
    machine.shop.write(("a", "Bonn", 1, at(1, 5)), ("b", "Köln", 2, at(1, 20)))

    machine.extract(now=at(2, 5, 59))

    assert list(machine.landed()) == ["2024-03-01"]


def test_changed_row_comes_again_in_the_drop_of_its_change(machine: Machine) -> None:
    machine.shop.write(("a", "Bonn", 1, at(1, 5)))
    machine.extract(FIRST)
    machine.shop.write(("a", "Ulm", 1, at(1, 9)))
    machine.extract(SECOND)

    assert machine.landed() == {"2024-03-01": [("a", "Bonn")], "2024-03-02": [("a", "Ulm")]}


def test_row_that_was_committed_late_is_taken_by_the_overlap_and_others_not_again(machine: Machine) -> None:
    machine.keys = {"overlap": "2h"}
    machine.shop.write(("a", "Bonn", 1, at(1, 5)), ("b", "Köln", 2, at(1, 5, 30)))
    machine.extract(FIRST)
    machine.shop.write(("late", "Ulm", 3, at(1, 5, 10)), ("c", "Jena", 4, at(1, 7)))
    machine.extract(SECOND)
    machine.extract(THIRD)

    assert machine.landed() == {
        "2024-03-01": [("a", "Bonn"), ("b", "Köln")], "2024-03-02": [("c", "Jena"), ("late", "Ulm")], "2024-03-03": [],
    }  # fmt: skip


def test_deleted_row_comes_as_its_last_version_that_says_so_and_once(machine: Machine) -> None:
    machine.keys = {"deleted": "is_deleted"}
    machine.shop.write(("a", "Bonn", 1, at(1, 5)), ("b", "Köln", 2, at(1, 5)))
    machine.extract(FIRST)
    machine.shop.write(("a", "Ulm", 1, at(1, 9)))
    machine.shop.delete("b")
    (second,) = machine.extract(SECOND)
    machine.shop.delete("a")
    machine.extract(THIRD)
    machine.extract(date(2024, 3, 4))

    assert (second.rows, second.deleted) == (2, 1)
    assert machine.landed() == {
        "2024-03-01": [("a", "Bonn", "false"), ("b", "Köln", "false")],
        "2024-03-02": [("a", "Ulm", "false"), ("b", "Köln", "true")],
        "2024-03-03": [("a", "Ulm", "true")],
        "2024-03-04": [],
    }
    gone = pq.read_table(machine.root / "landing/shop/2024-03-03/orders.parquet")
    assert gone["updated_at"].to_pylist() == ["2024-03-03 06:00:00+00:00"]


def test_deleted_row_that_comes_back_unchanged_is_taken_again(machine: Machine) -> None:
    machine.keys = {"deleted": "is_deleted"}
    machine.shop.write(("a", "Bonn", 1, at(1, 5)))
    machine.extract(FIRST)
    machine.shop.delete("a")
    machine.extract(SECOND)
    machine.shop.write(("a", "Bonn", 1, at(1, 5)))
    machine.extract(THIRD)

    assert list(machine.landed().values()) == [
        [("a", "Bonn", "false")], [("a", "Bonn", "true")], [("a", "Bonn", "false")],
    ]  # fmt: skip


@pytest.mark.parametrize("breaks", ["fetch_parts", "write_whole"])
def test_what_breaks_in_the_middle_loses_nothing_and_doubles_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    """Break each call of its kind once, one after the other, and go on; compare with what an unbroken one lands."""
    rows = [(f"r{n:03d}", "Bonn", float(n), at(1, 5) + timedelta(minutes=11 * n)) for n in range(300)]
    machine.shop.write(*rows)
    whole = Machine(machine.shop, machine.root.with_name("whole"), {"overlap": "1h"})
    whole.extract(THIRD)
    machine.keys = {"overlap": "1h"}
    real, calls = getattr(extracting, breaks), [0]

    def broken(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] % 2:
            raise DatabaseError("the connection broke")
        return real(*arguments)

    monkeypatch.setattr(extracting, breaks, broken)
    failures = 0
    for _ in range(30):
        try:
            machine.extract(THIRD)
        except DatabaseError:
            failures += 1
    monkeypatch.setattr(extracting, breaks, real)
    machine.extract(THIRD)

    assert failures >= 3
    assert machine.landed() == whole.landed()
    landed = [row[0] for day in machine.landed().values() for row in day]
    assert sorted(landed) == sorted(row[0] for row in rows if row[3] <= at(3, 6))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*psycopg:pytest.PytestUnraisableExceptionWarning")  # its cursor cannot be closed
def test_connection_that_the_server_ends_in_the_middle_loses_nothing(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(server)
    shop.run("DROP TABLE IF EXISTS orders")
    shop.make("timestamptz")
    shop.write(*((f"r{n:03d}", "Bonn", float(n), at(1, 1) + timedelta(minutes=n)) for n in range(290)))
    machine = Machine(shop, tmp_path / "state", {"deleted": "is_deleted"})
    real, broken = extracting.fetch_parts, []

    def cut(connection: Any, sql: str, values: dict[str, Any]) -> Iterator[Any]:
        for number, part in enumerate(real(connection, sql, values)):
            yield part
            if number == 1 and len(broken) < 2:
                broken.append(sql)
                shop.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                         "AND backend_type = 'client backend'")  # fmt: skip

    monkeypatch.setattr(databases, "_AT_ONCE", 50)
    monkeypatch.setattr(extracting, "fetch_parts", cut)
    for _ in range(2):
        with pytest.raises(DatabaseError, match="connection"):
            machine.extract(FIRST)
        assert machine.landed() == {}
    (done,) = machine.extract(FIRST)

    assert (len(broken), done.rows) == (2, 290)
    assert len({row[0] for row in machine.landed()["2024-03-01"]}) == 290


def test_sequence_of_numbers_is_a_watermark_too(tmp_path: Path) -> None:
    shop = Shop(f"sqlite:///{tmp_path / 'shop.db'}")
    shop.make("INTEGER")
    machine = Machine(shop, tmp_path / "state", kind="integer")
    insert = "INSERT INTO orders VALUES (:id, 'Bonn', 1, :n)"
    shop.run(insert, {"id": "a", "n": 1}, {"id": "b", "n": 2})
    machine.extract(now=at(1, 12))
    shop.run(insert, {"id": "c", "n": 3})
    machine.extract(now=at(2, 12))

    assert machine.landed() == {"2024-03-02": [("a", "Bonn"), ("b", "Bonn")], "2024-03-03": [("c", "Bonn")]}


def test_landed_file_with_other_content_is_never_changed(machine: Machine) -> None:
    target = machine.root / "landing/shop/2024-03-01/orders.parquet"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"somebody's")
    machine.shop.write(("a", "Bonn", 1, at(1, 5)))

    with pytest.raises(DatabaseError, match="is there with other content"):
        machine.extract(FIRST)

    assert target.read_bytes() == b"somebody's"
    target.unlink()
    assert machine.extract(FIRST) == []
    assert machine.landed() == {"2024-03-01": [("a", "Bonn")]}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", r"\$\{SHOP_DATABASE\} is not set"),
        ("postgresql+psycopg://nobody:secret@127.0.0.1:1/x", r"\$\{SHOP_DATABASE\}: .*refused"),
        ("sqlite:////no/such/folder/shop.db", "unable to open database file"),
        ("oracle://x", "no driver for it|No module named"),
    ],
)
def test_database_that_cannot_be_read_is_named_without_its_password(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(DatabaseError, match=said) as caught:
        Machine(Shop(url), tmp_path).extract(FIRST)

    assert "secret" not in str(caught.value)
