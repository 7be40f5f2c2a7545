from __future__ import annotations

import hashlib
from datetime import date, time
from pathlib import Path

import pytest

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.received import ExpectedFile
from ml_assets.stores.landing import landed_drops, take_file, write_whole

DROP = date(2013, 1, 2)


@pytest.fixture
def landed(tmp_path: Path) -> Path:
    """Land one file, and give the folder that it and its copies lie in."""
    (tmp_path / "landing" / "2013-01-02").mkdir(parents=True)
    (tmp_path / "landing" / "2013-01-02" / "stops.csv").write_bytes(b"id\na\n")
    return tmp_path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_received_file_is_copied_to_a_name_made_from_its_content(landed: Path) -> None:
    file = take_file(landed / "landing", landed / "received", DROP, "stops.csv")

    sha256 = hashlib.sha256(b"id\na\n").hexdigest()
    assert file is not None
    assert (file.drop, file.name, file.sha256, file.size_bytes) == (DROP, "stops.csv", sha256, 5)
    assert file.copy == landed / "received" / f"{sha256}.csv"
    assert file.copy.read_bytes() == b"id\na\n"


def test_what_was_received_stays_when_the_landed_file_changes(landed: Path) -> None:
    before = take_file(landed / "landing", landed / "received", DROP, "stops.csv")
    (landed / "landing" / "2013-01-02" / "stops.csv").write_bytes(b"id\nb\n")
    after = take_file(landed / "landing", landed / "received", DROP, "stops.csv")

    assert before is not None
    assert after is not None
    assert (before.copy.read_bytes(), after.copy.read_bytes()) == (b"id\na\n", b"id\nb\n")


def test_copy_that_was_cut_short_is_made_again(landed: Path) -> None:
    first = take_file(landed / "landing", landed / "received", DROP, "stops.csv")
    assert first is not None
    first.copy.write_bytes(b"id")

    take_file(landed / "landing", landed / "received", DROP, "stops.csv")

    assert first.copy.read_bytes() == b"id\na\n"


def test_file_that_did_not_land_is_none(landed: Path) -> None:
    assert take_file(landed / "landing", landed / "received", date(2013, 1, 3), "stops.csv") is None
    assert take_file(landed / "landing", landed / "received", DROP, "other.csv") is None
    assert not (landed / "received").exists()


def test_drops_are_the_folders_named_by_a_date(landed: Path) -> None:
    for name in ("2012-12-31", "2012-12-30", "2011-01-01", "2013-01-02.partial", "notes"):
        (landed / "landing" / name).mkdir()
    for name in ("2012-12-31", "2011-01-01", "notes"):
        (landed / "landing" / name / "stops.csv").touch()
    calendar = Calendar(start=date(2012, 12, 1), at=time(4), timezone="America/New_York")

    assert landed_drops(landed / "landing", calendar, [ExpectedFile("stops.csv")]) == [date(2012, 12, 31), DROP]
    assert landed_drops(landed / "nowhere", calendar, [ExpectedFile("stops.csv")]) == []


def test_what_landed_but_is_no_file_is_refused_and_not_followed(landed: Path) -> None:
    folder = landed / "landing" / DROP.isoformat()
    (folder / "folder.csv").mkdir()
    (folder / "link.csv").symlink_to("/etc/passwd")

    for name in ("folder.csv", "link.csv"):
        taken = take_file(landed / "landing", landed / "received", DROP, name)
        assert taken is not None
        assert taken.refusal == "file_refused:not_a_file"


def test_written_file_replaces_the_one_before_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "made" / "list.csv", b"long content")
    write_whole(tmp_path / "made" / "list.csv", b"short")

    assert (tmp_path / "made" / "list.csv").read_bytes() == b"short"
    assert names_in(tmp_path / "made") == ["list.csv"]


def test_reader_that_opened_the_file_before_a_write_reads_the_old_content(tmp_path: Path) -> None:
    write_whole(tmp_path / "list.csv", b"old")

    with (tmp_path / "list.csv").open("rb") as opened:
        write_whole(tmp_path / "list.csv", b"new")

        assert opened.read() == b"old"


def test_write_that_fails_leaves_the_old_content_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "list.csv", b"old")

    def fail(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "list.csv", b"new and longer")

    assert (tmp_path / "list.csv").read_bytes() == b"old"
    assert names_in(tmp_path) == ["list.csv"]
