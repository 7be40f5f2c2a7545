from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb
import pytest

from ml_assets.demo.flights import land_flights
from ml_assets.ingestion.history import HistoryError, HistoryRange
from ml_assets.spec.contract import Source
from ml_assets.stores import history
from ml_assets.stores.history import Split, land_pasts, read_past
from ml_assets_tests.rehearsal import flagship

FIRST, LAST = date(2013, 3, 8), date(2013, 3, 13)  # the clocks changed on the 10th
ALL = HistoryRange(FIRST, LAST)
SOURCES = ("schedule", "flight_outcomes", "weather")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the drops as their publishers sent them, and each source's rows in one file beside."""
    root = tmp_path_factory.mktemp("published")
    land_flights(root / "drops", flagship().calendar, FIRST, LAST)
    for name in SOURCES:
        files = [folder / f"{name}.csv" for folder in sorted((root / "drops").iterdir())]
        parts = [file.read_text().partition("\n") for file in files]
        (root / f"{name}.csv").write_text(parts[0][0] + "\n" + "".join(rows for _, _, rows in parts))
    return root


def land(root: Path, files: dict[str, Path], asked: dict[str, HistoryRange] | None = None) -> list[Split]:
    """Split files into drops below `root`."""
    calendar = flagship().calendar
    pasts = {name: read_past(flagship().source(name), file, calendar, root / "working") for name, file in files.items()}
    together = {name: (past, (asked or {}).get(name, ALL)) for name, past in pasts.items()}
    return land_pasts(root / "landing", calendar, together, root / "working")


def bytes_below(folder: Path, names: Sequence[str] = SOURCES) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.csv") if file.stem in names
    }  # fmt: skip


def test_split_past_is_to_the_byte_what_was_published_drop_by_drop(published: Path, tmp_path: Path) -> None:
    files = {name: published / f"{name}.csv" for name in SOURCES}

    splits = land(tmp_path, files, {"schedule": HistoryRange(FIRST, LAST, ahead=1)})

    assert bytes_below(tmp_path / "landing") == bytes_below(published / "drops")
    assert [(split.source, split.rows == split.landed, split.drops, split.left_out) for split in splits] == [
        (name, True, 6, {}) for name in SOURCES
    ]


def test_parquet_gives_the_facts_that_csv_gives(published: Path, tmp_path: Path) -> None:
    source = str(published / "flight_outcomes.csv")
    parquet = tmp_path / "out[1].parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Kolkata'")
        typed = "SELECT * REPLACE (CAST(reported_at AS TIMESTAMPTZ) AS reported_at) FROM read_csv"
        connection.sql(f"{typed}('{source}', all_varchar = true)").write_parquet(str(parquet))
    shutil.copytree(published / "drops", tmp_path / "landing")
    folder = tmp_path / "landing" / "2013-03-09"
    expected = (folder / "flight_outcomes.csv").read_text().splitlines()
    for day in (tmp_path / "landing").iterdir():
        (day / "flight_outcomes.csv").unlink()

    (split,) = land(tmp_path, {"flight_outcomes": parquet})

    found = (folder / "flight_outcomes.csv").read_text().splitlines()
    assert split.rows == split.landed > 4_000
    assert split.unreadable == 0
    assert len(found) == len(expected) > 500
    assert found[0] == expected[0]
    assert [row.split(",")[0] for row in found] == [row.split(",")[0] for row in expected]
    assert found[1].split(",")[-1] == expected[1].split(",")[-1].replace("T", " ").replace("Z", "+00")


def test_every_expected_drop_gets_a_file_and_others_do_not(published: Path, tmp_path: Path) -> None:
    lines = (published / "weather.csv").read_text().splitlines()
    (tmp_path / "weather.csv").write_text("\n".join([lines[0], lines[1]]) + "\n")
    (tmp_path / "planes.csv").write_text("tail_number,seats\nN1,2\n")
    planes = Source.model_validate({"name": "planes", "key": ["tail_number"], "arrives": "once", "columns": {
        "tail_number": {"type": "string"}, "seats": {"type": "integer"}}})  # fmt: skip
    calendar = flagship().calendar.model_copy(update={"start": FIRST})
    pasts = {
        "weather": (read_past(flagship().source("weather"), tmp_path / "weather.csv", calendar, tmp_path / "w"), ALL),
        "planes": (read_past(planes, tmp_path / "planes.csv", calendar, tmp_path / "w"), ALL),
    }

    weather, register = land_pasts(tmp_path / "landing", calendar, pasts, tmp_path / "w")

    assert (weather.landed, weather.drops, register.landed, register.drops) == (1, 6, 1, 1)
    contents = {day.name: (day / "weather.csv").read_text().splitlines() for day in (tmp_path / "landing").iterdir()}
    assert contents["2013-03-08"] == [lines[0], lines[1]]
    assert all(rows == [lines[0]] for name, rows in contents.items() if name != "2013-03-08")
    assert len(contents) == 6
    assert [file.parent.name for file in (tmp_path / "landing").rglob("planes.csv")] == ["2013-03-08"]


def test_rows_left_out_are_kept_with_their_reason_and_line(published: Path, tmp_path: Path) -> None:
    header, row, *_ = (published / "weather.csv").read_text().splitlines()
    early = row.replace(row.split(",")[1], "2012-01-01T00:00:00Z")
    unread = row.replace(row.split(",")[1], "noon")
    (tmp_path / "weather.csv").write_text("\n".join([header, row, early, "torn,line", unread]) + "\n")

    (split,) = land(tmp_path, {"weather": tmp_path / "weather.csv"})

    assert (split.rows, split.landed) == (4, 1)
    assert split.left_out == {"known_before_first_drop": 1, "malformed_line": 1, "moment_missing": 1}
    left_out = tmp_path / "landing" / "left_out" / "weather.csv"
    assert split.left_out_file == left_out
    kept = [line.split(",")[:3] for line in left_out.read_text().splitlines()]
    assert kept[0] == ["reason", "line", "text"]
    assert kept[1:] == [
        ["known_before_first_drop", "3", ""],
        ["malformed_line", "4", '"torn'],
        ["moment_missing", "5", ""],
    ]


def test_cell_that_does_not_read_lands_as_it_is_for_quarantine(published: Path, tmp_path: Path) -> None:
    header, row, *_ = (published / "weather.csv").read_text().splitlines()
    cells = row.split(",")
    broken = ",".join([*cells[:2], "warm", *cells[3:]])
    (tmp_path / "weather.csv").write_text(f"{header}\n{broken}\n")

    (split,) = land(tmp_path, {"weather": tmp_path / "weather.csv"})

    assert (split.landed, split.unreadable) == (1, 1)
    assert (tmp_path / "landing" / "2013-03-08" / "weather.csv").read_text() == f"{header}\n{broken}\n"


def test_landing_again_changes_nothing_and_other_content_is_refused_whole(published: Path, tmp_path: Path) -> None:
    files = {"weather": published / "weather.csv"}
    land(tmp_path, files)
    before = bytes_below(tmp_path / "landing")
    land(tmp_path, files)
    assert bytes_below(tmp_path / "landing") == before
    changed = tmp_path / "landing" / "2013-03-09" / "weather.csv"
    changed.write_text("by hand\n")
    shutil.rmtree(tmp_path / "landing" / "2013-03-08")

    with pytest.raises(HistoryError, match=r"never overwritten: 2013-03-09/weather\.csv, in .*Nothing was written"):
        land(tmp_path, files)

    assert changed.read_text() == "by hand\n"
    assert not (tmp_path / "landing" / "2013-03-08").exists()


def test_split_killed_half_way_leaves_whole_drops_and_goes_on(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: published / f"{name}.csv" for name in ("flight_outcomes", "weather")}
    landed, original = [], history._land_drop

    def killed(staged: Path, target: Path) -> None:
        if len(landed) == 2:
            raise KeyboardInterrupt
        landed.append(target.name)
        original(staged, target)

    monkeypatch.setattr(history, "_land_drop", killed)
    with pytest.raises(KeyboardInterrupt):
        land(tmp_path, files)
    half = {day.name: sorted(file.name for file in day.iterdir()) for day in (tmp_path / "landing").iterdir()}
    assert half == {f"2013-03-0{day}": ["flight_outcomes.csv", "weather.csv"] for day in (8, 9)}
    monkeypatch.setattr(history, "_land_drop", original)

    land(tmp_path, files)

    expected = bytes_below(published / "drops", ("flight_outcomes", "weather"))
    assert bytes_below(tmp_path / "landing") == expected


def test_header_may_be_spelled_otherwise_and_hold_more(tmp_path: Path) -> None:
    source = Source.model_validate({"name": "orders", "key": ["order_no"], "known_at": "placed_at", "columns": {
        "order_no": {"type": "string"}, "placed_at": {"type": "timestamp", "zone": "America/New_York"}}})  # fmt: skip
    (tmp_path / "x.csv").write_text('"Order No",Colour,PlacedAt\n7,"red, dark",2013-03-08 12:00:00\n')
    calendar = flagship().calendar

    past = read_past(source, tmp_path / "x.csv", calendar, tmp_path / "w")
    land_pasts(tmp_path / "landing", calendar, {"orders": (past, ALL)}, tmp_path / "w")

    assert (tmp_path / "landing/2013-03-09/orders.csv").read_text() == "order_no,placed_at\n7,2013-03-08 12:00:00\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"", r"found \.txt; allowed: \.csv, \.parquet"),
        ("x.csv", b"", "is empty"),
        ("x.csv", b"\xff\xfe", "allowed: CSV in UTF-8"),
        ("x.csv", b"a;b\n1;2\n", "found one column, 'a;b'; allowed: columns separated by commas"),
        ("x.csv", b"origin,observed\nEWR,1\n", "missing_column:observed_at"),
        ("x.parquet", b"nothing", "allowed: Parquet"),
    ],
)
def test_file_that_is_none_of_the_source_is_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(HistoryError, match=message):
        land(tmp_path, {"weather": tmp_path / name})
