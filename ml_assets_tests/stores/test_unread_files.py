from __future__ import annotations

from datetime import date, time
from pathlib import Path

import pytest

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.received import ExpectedFile
from ml_assets.stores.landing import landed_drops
from ml_assets.stores.receiving import Folders, receive
from ml_assets.stores.unread_files import find_unmarked, find_unread
from ml_assets_tests.ingestion.corpus.names import NAMES, NameCase

CALENDAR = Calendar(start=date(2013, 1, 1), at=time(4), timezone="America/New_York")


@pytest.mark.parametrize("case", NAMES, ids=lambda case: case.about)
def test_entry_of_the_landing_folder_is_read_or_told(tmp_path: Path, case: NameCase) -> None:
    landing = tmp_path / "landing"
    case.make(landing)

    found = find_unread(landing, CALENDAR, [ExpectedFile("stops.csv")])

    assert [entry.message for entry in found] == ([] if case.message is None else [case.message])
    for entry in found:
        entry.name.encode()  # a terminal, a message and a table can show it


def test_drop_folder_that_is_a_link_is_not_landed_and_not_received(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    next(case for case in NAMES if case.path.endswith("@")).make(landing)
    (landing / "20130104").mkdir()
    (landing / "20130104" / "stops.csv").write_bytes(b"id\na\n")
    drops = [date(2013, 1, 3), date(2013, 1, 4)]

    assert landed_drops(landing, CALENDAR, [ExpectedFile("stops.csv")]) == []
    assert receive(Folders(landing, tmp_path / "received"), ExpectedFile("stops.csv"), drops, set(), []) == []
    assert not (tmp_path / "received").exists()


def test_file_whose_name_is_no_utf8_costs_the_others_nothing(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    for case in NAMES[:2] + tuple(each for each in NAMES if "UTF-8" in each.about):
        case.make(landing)

    found = receive(Folders(landing, tmp_path / "received"), ExpectedFile("stops.csv"), [date(2013, 1, 2)], set(), [])

    assert [file.name for file in found] == ["stops.csv"]  # the labelled one says the same


def test_checksum_and_marker_of_a_source_are_read_and_a_file_without_its_marker_is_named(tmp_path: Path) -> None:
    landing, files = tmp_path / "landing", [ExpectedFile("stops.csv", "{file}.done"), ExpectedFile("trips.csv")]
    folder = landing / "2013-01-02"
    folder.mkdir(parents=True)
    for name in (
        "stops.csv",
        "stops.csv.sha256",
        "stops.late.csv",
        "stops.late.csv.done",
        "trips.csv",
        "trips.csv.done",
    ):
        (folder / name).touch()

    assert [entry.name for entry in find_unread(landing, CALENDAR, files)] == ["2013-01-02/trips.csv.done"]
    assert find_unmarked(landing, CALENDAR, files) == [
        "stops.csv of 2013-01-02 is there, its marker stops.csv.done is not"
    ]
