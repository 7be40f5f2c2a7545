"""What is received in which drop: own files, files beside them, and what comes late for closed drops."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ml_assets.spec.drop import DropKey
from ml_assets.spec.received import ExpectedFile, LandedFile
from ml_assets.stores.landing import take_file
from ml_assets.stores.receiving import Folders, LostCopyError, Recorded, receive

FIRST, SECOND, THIRD = (date(2013, 1, day) for day in (1, 2, 3))


@dataclass
class Source:
    """A source with what it has landed and the record of what was received."""

    root: Path
    recorded: list[Recorded] = field(default_factory=list)
    expected: ExpectedFile = field(default_factory=lambda: ExpectedFile("stops.csv"))

    @property
    def folders(self) -> Folders:
        return Folders(self.root / "landing", self.root / "received")

    def land(self, drop: date, content: str, name: str = "stops.csv", at: float | None = None) -> Path:
        path = self.folders.landing / str(drop) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        if at is not None:
            os.utime(path, (at, at))
        return path

    def receive(
        self, drops: Sequence[DropKey], closed: Collection[date] = (), batch_at: dict[DropKey, datetime] | None = None
    ) -> list[LandedFile]:
        """Receive, and record it as the asset does: the drops are replaced."""
        found = receive(self.folders, self.expected, drops, closed, self.recorded, batch_at)
        self.recorded = [each for each in self.recorded if each.drop not in drops] + [
            Recorded(f.drop, f.name, f.sha256, f.size_bytes, f.refusal, f.is_late, f.modified_ns) for f in found
        ]
        return found


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


def named(files: Sequence[LandedFile]) -> list[tuple[DropKey, str, str]]:
    return [(file.drop, file.name, file.copy.read_text()) for file in files]


def test_open_drop_receives_its_own_file_and_those_beside_it(source: Source) -> None:
    source.land(FIRST, "own")
    source.land(FIRST, "more", "stops.second.csv")
    source.land(FIRST, "no", "stopsign.csv")

    found = source.receive([FIRST])

    assert named(found) == [(FIRST, "stops.csv", "own"), (FIRST, "stops.second.csv", "more")]
    assert [file.is_late for file in found] == [False, True]


def test_revision_of_a_closed_drop_is_received_in_the_next_open_one_and_once(source: Source) -> None:
    source.land(FIRST, "own")
    source.receive([FIRST])
    source.land(FIRST, "revised")
    source.land(SECOND, "second")

    found = source.receive([SECOND], closed={FIRST})

    assert named(found) == [(SECOND, "2013-01-01/stops.csv", "revised"), (SECOND, "stops.csv", "second")]
    source.land(THIRD, "third")
    assert named(source.receive([THIRD], closed={FIRST, SECOND})) == [(THIRD, "stops.csv", "third")]


def test_closed_drop_stays_what_was_recorded_however_often_it_is_run(source: Source) -> None:
    source.land(FIRST, "own")
    before = source.receive([FIRST])
    source.land(FIRST, "revised").unlink()

    assert source.receive([FIRST], closed={FIRST}) == before


def test_file_that_was_missing_is_late_once_its_drop_is_closed(source: Source) -> None:
    source.land(SECOND, "second")
    source.receive([FIRST])
    source.land(FIRST, "late")

    assert named(source.receive([SECOND], closed={FIRST}))[0] == (SECOND, "2013-01-01/stops.csv", "late")


def test_file_that_was_missing_is_the_drops_own_while_it_is_open(source: Source) -> None:
    source.receive([FIRST])
    source.land(FIRST, "waited for")

    (file,) = source.receive([FIRST])

    assert (file.name, file.is_late) == ("stops.csv", False)


def test_same_content_under_another_name_or_written_again_is_counted_once(source: Source) -> None:
    source.land(FIRST, "own")
    source.receive([FIRST])
    source.land(FIRST, "own", at=1_000_000_000)
    source.land(FIRST, "own", "stops.again.csv")
    source.land(SECOND, "second")
    source.land(SECOND, "second", "stops.again.csv")

    assert named(source.receive([SECOND], closed={FIRST})) == [(SECOND, "stops.csv", "second")]


def test_own_file_equal_to_an_earlier_one_is_received(source: Source) -> None:
    source.land(FIRST, "frozen")
    source.land(SECOND, "frozen")

    assert [file.drop for file in source.receive([FIRST, SECOND])] == [FIRST, SECOND]


def test_run_that_failed_before_its_drop_was_closed_receives_the_same_again(source: Source) -> None:
    source.land(FIRST, "own")
    source.receive([FIRST])
    source.land(FIRST, "revised")
    source.land(SECOND, "second")

    assert source.receive([SECOND], closed={FIRST}) == source.receive([SECOND], closed={FIRST})


def test_by_the_clock_on_the_wall_a_late_file_belongs_to_the_drop_it_was_written_in(source: Source) -> None:
    batch_at: dict[DropKey, datetime] = {drop: datetime(2013, 1, drop.day, 4, tzinfo=UTC) for drop in (SECOND, THIRD)}
    source.land(FIRST, "own")
    source.receive([FIRST])
    for written, drop in ((datetime(2013, 1, 2, 3, tzinfo=UTC), SECOND), (datetime(2013, 1, 2, 5, tzinfo=UTC), THIRD)):
        source.land(FIRST, f"revised {written}", at=written.timestamp())
        (file,) = receive(source.folders, source.expected, [SECOND, THIRD], {FIRST}, source.recorded, batch_at)
        assert file.drop == drop


def test_lost_copy_is_made_again_from_the_landed_file(source: Source) -> None:
    source.land(FIRST, "own")
    (file,) = source.receive([FIRST])
    file.copy.write_text("tampered")

    assert named(source.receive([FIRST], closed={FIRST})) == [(FIRST, "stops.csv", "own")]


def test_closed_drop_that_cannot_be_read_again_is_refused_by_name(source: Source) -> None:
    source.land(FIRST, "own")
    (file,) = source.receive([FIRST])
    file.copy.unlink()
    source.land(FIRST, "revised")

    with pytest.raises(LostCopyError, match=r"stops\.csv as received in drop 2013-01-01 cannot be read again"):
        source.receive([FIRST], closed={FIRST})


def test_link_beside_a_closed_drop_is_not_followed(source: Source, tmp_path: Path) -> None:
    source.land(FIRST, "own")
    source.receive([FIRST])
    (tmp_path / "secret").write_text("secret")
    (source.folders.landing / str(FIRST) / "stops.link.csv").symlink_to(tmp_path / "secret")

    (refused,) = source.receive([SECOND], closed={FIRST})
    assert (refused.refusal, refused.sha256, refused.size_bytes) == ("file_refused:not_a_file", "", 0)


def test_requeued_file_is_received_once_though_its_content_was_received_before(source: Source) -> None:
    source.land(FIRST, "own")
    source.receive([FIRST])
    source.land(FIRST, "own", "stops.requeued-1.csv")

    (file,) = source.receive([SECOND], closed={FIRST})
    assert (file.drop, file.name, file.is_late) == (SECOND, "2013-01-01/stops.requeued-1.csv", True)
    source.land(FIRST, "own", "stops.requeued-1.csv", at=1_000_000_000)
    assert source.receive([THIRD], closed={FIRST, SECOND}) == []


def test_revision_back_to_the_first_content_is_a_revision_too(source: Source) -> None:
    source.land(FIRST, "own")
    source.receive([FIRST])
    source.land(FIRST, "revised")
    source.receive([SECOND], closed={FIRST})
    source.land(FIRST, "own")

    assert named(source.receive([THIRD], closed={FIRST, SECOND})) == [(THIRD, "2013-01-01/stops.csv", "own")]


def test_late_file_equal_to_that_of_another_drop_is_received(source: Source) -> None:
    source.land(SECOND, "header only")
    source.receive([FIRST, SECOND])
    source.land(FIRST, "header only")

    (file,) = source.receive([THIRD], closed={FIRST, SECOND})
    assert (file.name, file.is_late) == ("2013-01-01/stops.csv", True)


def test_run_of_a_later_drop_that_failed_takes_nothing_from_an_earlier_one(source: Source) -> None:
    source.land(FIRST, "own")
    source.receive([FIRST])
    source.land(FIRST, "revised")
    source.receive([THIRD], closed={FIRST})  # the second drop is open: this run fails after it received

    assert named(source.receive([SECOND], closed={FIRST})) == [(SECOND, "2013-01-01/stops.csv", "revised")]


def test_revised_file_of_the_same_size_and_time_is_seen_and_received_in_the_next_drop(source: Source) -> None:
    path = source.land(FIRST, "own", at=1_357_000_000)
    source.receive([FIRST])
    source.land(SECOND, "two")
    assert named(source.receive([SECOND], closed=[FIRST])) == [(SECOND, "stops.csv", "two")]

    path.write_text("OWN")
    os.utime(path, (1_357_000_000, 1_357_000_000))
    source.land(THIRD, "three")

    assert named(source.receive([THIRD], closed=[FIRST, SECOND])) == [
        (THIRD, "2013-01-01/stops.csv", "OWN"),
        (THIRD, "stops.csv", "three"),
    ]


def test_files_of_closed_drops_are_read_again_only_when_they_changed(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[date, str]] = []

    def counted(landing: Path, received: Path, drop: date, name: str) -> LandedFile | None:
        read.append((drop, name))
        return take_file(landing, received, drop, name)

    monkeypatch.setattr("ml_assets.stores.receiving.take_file", counted)
    for drop in (FIRST, SECOND):
        source.land(drop, str(drop))
        source.receive([drop])
    source.land(THIRD, "three")
    looks: list[list[tuple[date, str]]] = []
    for _ in range(2):
        read.clear()
        source.receive([THIRD], closed=[FIRST, SECOND])
        looks.append(list(read))
        time.sleep(0.01)  # beyond a tick of the clock of files
    (source.folders.landing / str(FIRST) / "stops.csv").touch()  # another time, the same content
    read.clear()
    source.receive([THIRD], closed=[FIRST, SECOND])

    own = (THIRD, "stops.csv")
    assert looks == [[own, (FIRST, "stops.csv"), (SECOND, "stops.csv")], [own]]
    assert read == [own, (FIRST, "stops.csv")]


@pytest.mark.parametrize("marker", ["{file}.done", "_SUCCESS"])
def test_file_without_its_marker_has_not_landed(source: Source, marker: str) -> None:
    source.expected = ExpectedFile("stops.csv", marker)
    source.land(FIRST, "own")
    source.land(FIRST, "more", "stops.second.csv")
    assert source.receive([FIRST]) == []

    source.land(FIRST, "", marker.replace("{file}", "stops.csv"))

    names = [name for _, name, _ in named(source.receive([FIRST]))]
    assert names == (["stops.csv"] if "{" in marker else ["stops.csv", "stops.second.csv"])


def test_late_file_waits_for_its_marker(source: Source) -> None:
    source.expected = ExpectedFile("stops.csv", "{file}.done")
    source.land(SECOND, "two")
    source.land(SECOND, "", "stops.csv.done")
    source.land(FIRST, "half")
    assert [name for _, name, _ in named(source.receive([SECOND], closed=[FIRST]))] == ["stops.csv"]

    source.land(FIRST, "", "stops.csv.done")

    found = [name for _, name, _ in named(source.receive([SECOND], closed=[FIRST]))]
    assert found == ["2013-01-01/stops.csv", "stops.csv"]


def test_file_is_refused_where_its_sender_gave_another_checksum(source: Source) -> None:
    right = hashlib.sha256(b"own").hexdigest()
    source.land(FIRST, "own")
    source.land(FIRST, f"{right.upper()}  stops.csv\n", "stops.csv.sha256")
    source.land(SECOND, "cut")
    source.land(SECOND, right, "stops.csv.sha256")

    first, second = source.receive([FIRST, SECOND])

    assert (first.refusal, first.sha256) == (None, right)
    assert (second.refusal, second.sha256) == ("file_refused:checksum_mismatch", "")
    cut = hashlib.sha256(b"cut").hexdigest()
    assert second.found == f"sha256 {cut[:12]}..., stops.csv.sha256 says {right[:12]}..."


def test_file_that_was_refused_by_its_checksum_is_received_once_it_is_right(source: Source) -> None:
    source.land(FIRST, "cut")
    source.land(FIRST, hashlib.sha256(b"whole").hexdigest(), "stops.csv.sha256")
    source.receive([FIRST])
    source.land(SECOND, "two")
    assert len(source.receive([SECOND], closed=[FIRST])) == 1

    source.land(FIRST, "whole")

    assert named(source.receive([SECOND], closed=[FIRST]))[0] == (SECOND, "2013-01-01/stops.csv", "whole")


def test_late_file_that_cannot_be_read_is_received_as_refused_once(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.land(SECOND, "two")
    source.land(THIRD, "three")
    source.land(FIRST, "late")
    read = Path.read_bytes

    def locked(path: Path) -> bytes:
        if path.parent.name == str(FIRST):
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", locked)
    found = source.receive([SECOND], closed=[FIRST])
    later = source.receive([THIRD], closed=[FIRST, SECOND])
    monkeypatch.undo()
    mended = source.receive([THIRD], closed=[FIRST, SECOND])

    refused = [(file.name, file.refusal, file.is_late) for file in found if file.refusal]
    assert refused == [("2013-01-01/stops.csv", "file_refused:unreadable:eacces", True)]
    assert [file.name for file in later] == ["stops.csv"]
    assert [file.name for file in mended] == ["2013-01-01/stops.csv", "stops.csv"]


def test_files_by_pattern_are_the_drops_own_also_in_a_folder_below(source: Source) -> None:
    source.expected = ExpectedFile("stops.csv", "", ("eu/stops_*.csv", "stops.csv"))
    source.land(FIRST, "one", "eu/stops_1.csv")
    source.land(FIRST, "two", "eu/stops_2.csv")
    source.land(FIRST, "no", "us/stops_1.csv")
    source.land(FIRST, "no", "eu/old/stops_3.csv")

    found = source.receive([FIRST])

    assert named(found) == [(FIRST, "eu/stops_1.csv", "one"), (FIRST, "eu/stops_2.csv", "two")]
    assert not any(file.is_late for file in found)


def test_part_that_comes_late_is_received_in_the_next_drop_and_the_others_are_not_again(source: Source) -> None:
    source.expected = ExpectedFile("stops.csv", "", ("eu/stops_*.csv",))
    source.land(FIRST, "one", "eu/stops_1.csv")
    source.receive([FIRST])
    source.land(FIRST, "two", "eu/stops_2.csv")
    source.land(SECOND, "new", "eu/stops_1.csv")

    found = source.receive([FIRST, SECOND], closed=[FIRST])

    assert named(found) == [
        (FIRST, "eu/stops_1.csv", "one"), (SECOND, f"{FIRST}/eu/stops_2.csv", "two"), (SECOND, "eu/stops_1.csv", "new"),
    ]  # fmt: skip
    assert [file.is_late for file in found] == [False, True, False]
    assert named(source.receive([FIRST, SECOND], closed=[FIRST, SECOND])) == named(found)


def test_folder_below_that_is_a_link_is_not_followed(source: Source, tmp_path: Path) -> None:
    source.expected = ExpectedFile("stops.csv", "", ("eu/stops_*.csv",))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "stops_1.csv").write_text("secret")
    (source.folders.landing / str(FIRST)).mkdir(parents=True)
    (source.folders.landing / str(FIRST) / "eu").symlink_to(tmp_path / "elsewhere")

    assert source.receive([FIRST]) == []
