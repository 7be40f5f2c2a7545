"""A drop that comes in several files: all of them are its own, their rows are one delivery, and counts add up."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ml_assets.stores.unread_files import find_unmarked, find_unread
from ml_assets_tests.pipeline.ingestion.deliveries import Deliveries, orders

FIRST, SECOND = date(2013, 1, 1), date(2013, 1, 2)
HEAD = "id,ordered_at,depot,kg,n\n"


def row(name: str) -> str:
    return f"{name},2013-01-01T05:00:00Z,N,1.5,2\n"


def parts(tmp_path: Path, **more: Any) -> Deliveries:
    """Give deliveries whose files are `eu/orders_*.csv.gz`."""
    file = {"compression": "gzip", "names": ["eu/orders_*.csv.gz"]}
    return Deliveries(tmp_path, (orders(file=file, known_at="received", **more),))


def packed(*names: str) -> bytes:
    return gzip.compress((HEAD + "".join(map(row, names))).encode(), mtime=0)


def test_parts_of_a_drop_are_one_delivery(tmp_path: Path) -> None:
    machine = parts(tmp_path, volume=[{"within": 9, "reason": "rows_unusual", "severity": "warning"}])
    machine.land(FIRST, packed("a", "b"), "eu/orders_1.csv.gz")
    machine.land(FIRST, packed("c"), "eu/orders_2.csv.gz")

    (ledger,) = machine.run([FIRST])

    assert (ledger["state"], ledger["landed"], ledger["validated"], ledger["quarantined"]) == ("admitted", 3, 3, 0)
    assert ledger["late"] == 0


def test_key_in_two_parts_is_one_fact_and_the_other_is_told(tmp_path: Path) -> None:
    machine = parts(tmp_path)
    machine.land(FIRST, packed("a", "b"), "eu/orders_1.csv.gz")
    machine.land(FIRST, packed("b", "c"), "eu/orders_2.csv.gz")

    (ledger,) = machine.run([FIRST])

    assert (ledger["landed"], ledger["validated"], ledger["quarantined"]) == (4, 3, 1)
    assert ledger["reasons"] == ["duplicate_key x1"]


def test_refused_part_refuses_the_drop_and_the_mended_one_brings_all(tmp_path: Path) -> None:
    machine = parts(tmp_path)
    machine.land(FIRST, packed("a", "b"), "eu/orders_1.csv.gz")
    machine.land(FIRST, packed("c")[:-4], "eu/orders_2.csv.gz")

    (refused,) = machine.run([FIRST])
    machine.land(FIRST, packed("c"), "eu/orders_2.csv.gz")
    (admitted,) = machine.run([FIRST])

    assert (refused["state"], refused["landed"], refused["validated"], refused["quarantined"]) == ("refused", 2, 0, 2)
    assert sorted(reason.partition(" (")[0] for reason in refused["reasons"]) == [
        "file_refused:another_part_is_refused in eu/orders_1.csv.gz",
        "file_refused:gzip_cut_or_damaged in eu/orders_2.csv.gz",
    ]
    assert (admitted["state"], admitted["validated"]) == ("admitted", 3)


def test_part_that_is_late_is_received_in_the_next_drop(tmp_path: Path) -> None:
    machine = parts(tmp_path)
    machine.land(FIRST, packed("a"), "eu/orders_1.csv.gz")
    machine.run([FIRST], closes=True)
    machine.land(FIRST, packed("b"), "eu/orders_2.csv.gz")
    machine.land(SECOND, packed("c"), "eu/orders_1.csv.gz")

    (ledger,) = machine.run([SECOND])

    assert (ledger["landed"], ledger["validated"], ledger["late"]) == (2, 2, 1)
    assert "late: 2013-01-01/eu/orders_2.csv.gz" in ledger["reasons"]


@pytest.mark.parametrize("marker", ["{file}.done", "_SUCCESS"])
def test_parts_wait_for_their_marker_which_is_no_part(tmp_path: Path, marker: str) -> None:
    file = {"compression": "gzip", "names": ["eu/*"]}
    source = orders(file=file, known_at="received", upload={"marker": marker})
    machine = Deliveries(tmp_path, (source,))
    machine.land(FIRST, packed("a"), "eu/orders_1.csv.gz")
    landing, expected = machine.state.landing, [source.expected_file]
    waiting = find_unmarked(landing, machine.spec.calendar, expected)
    machine.land(FIRST, b"", f"eu/{marker.replace('{file}', 'orders_1.csv.gz')}")

    (ledger,) = machine.run([FIRST])

    assert waiting == [f"eu/orders_1.csv.gz of {FIRST} is there, its marker "
                       f"{marker.replace('{file}', 'eu/orders_1.csv.gz')} is not"]  # fmt: skip
    assert (ledger["state"], ledger["landed"]) == ("admitted", 1)
    assert find_unmarked(landing, machine.spec.calendar, expected) == []
    assert find_unread(landing, machine.spec.calendar, expected) == []


def test_file_of_no_pattern_is_named_as_unread(tmp_path: Path) -> None:
    machine = parts(tmp_path)
    machine.land(FIRST, packed("a"), "eu/orders_1.csv.gz")
    machine.land(FIRST, packed("a"), "eu/odrers_2.csv.gz")
    machine.land(FIRST, packed("a"), "us/orders_2.csv.gz")
    expected = [source.expected_file for source in machine.sources]

    found = find_unread(machine.state.landing, machine.spec.calendar, expected)

    assert [entry.name for entry in found] == ["2013-01-01/eu/odrers_2.csv.gz", "2013-01-01/us"]
    assert "allowed: eu/orders_*.csv.gz" in found[0].message
