"""What the landing sensor may take, on folders of files made by hand."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets.ingestion.ledger import DropsNotFinalError
from ml_assets.pipeline.ingestion.ready_drops import (
    ACCEPTED_GAPS,
    ReadyRange,
    find_ready_drops,
    overdue_sources,
    refuse_undue_drops,
)
from ml_assets.pipeline.monitoring.newest_decision import newest_decision
from ml_assets.spec.contract import Upload
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import SOURCES, day, small_spec

SPEC = small_spec()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WRITTEN = NOW.timestamp()


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return StatePaths(tmp_path)


def land(paths: StatePaths, *numbers: int, sources: tuple[str, ...] = SOURCES, age: float = 60) -> None:
    for number in numbers:
        folder = paths.landing / SPEC.name / day(number).isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            file = folder / f"{source}.csv"
            file.write_text(f"{source} {number}\n")
            os.utime(file, (WRITTEN - age, WRITTEN - age))


def settle(paths: StatePaths, *numbers: int, action: str = "nothing") -> None:
    lake = Lake(paths.lake / SPEC.name)
    drops = [day(number) for number in numbers]
    rows = pa.table({"batch_date": drops, "action": [action] * len(drops)})
    lake.replace_drops("decisions", rows, drops)
    for source in SOURCES:
        files = [paths.landing / SPEC.name / str(drop) / f"{source}.csv" for drop in drops]
        hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
        lake.replace_drops(f"received_{source}", pa.table({"batch_date": drops, "sha256": hashes}), drops)


def take(paths: StatePaths, until: date | None = None, deadline: date | None = None) -> ReadyRange | str:
    return find_ready_drops(SPEC, paths, now=NOW, is_patient=True, until=until, deadline=deadline)


def bounds(due: ReadyRange | str) -> tuple[DropKey, DropKey]:
    assert isinstance(due, ReadyRange), due
    return due.first, due.last


def test_empty_landing_folder_says_so(paths: StatePaths) -> None:
    assert take(paths) == "nothing has landed yet"


def test_complete_drops_are_taken_as_one_range(paths: StatePaths) -> None:
    land(paths, 1, 2, 3)

    assert bounds(take(paths)) == (day(1), day(3))


def test_drop_without_all_its_files_waits_and_is_named(paths: StatePaths) -> None:
    land(paths, 1)
    land(paths, 2, sources=("schedule", "flight_outcomes"))

    assert bounds(take(paths)) == (day(1), day(1))
    settle(paths, 1)
    assert take(paths) == "drop 2013-01-02 waits for weather"


def test_no_drop_is_skipped(paths: StatePaths) -> None:
    land(paths, 1, 3)
    settle(paths, 1)

    assert take(paths) == "drop 2013-01-02 waits for schedule, flight_outcomes"  # weather is gone on without


def test_file_that_just_changed_may_still_be_written(paths: StatePaths) -> None:
    land(paths, 1, age=0)

    assert "may still be written" in str(take(paths))


def test_replay_takes_nothing_beyond_its_step(paths: StatePaths) -> None:
    land(paths, 1, 2, 3)

    assert bounds(take(paths, until=day(2))) == (day(1), day(2))


def test_what_was_decided_is_not_taken_again(paths: StatePaths) -> None:
    land(paths, 1, 2)
    settle(paths, 1, 2)

    assert take(paths) == "every drop that landed was run"


def test_settled_drop_landed_again_with_other_content_is_a_revision_for_the_next_drop(paths: StatePaths) -> None:
    land(paths, 1, 2)
    settle(paths, 1, 2)
    (paths.landing / SPEC.name / "2013-01-02" / "weather.csv").write_text("corrected\n")

    assert take(paths) == "every drop that landed was run"


def test_source_that_a_person_accepted_as_missing_is_neither_waited_for_nor_overdue(paths: StatePaths) -> None:
    land(paths, 1, 2, sources=("schedule", "weather"))
    Lake(paths.lake / SPEC.name).append(
        ACCEPTED_GAPS, pa.table({"batch_date": [day(1)], "source": ["flight_outcomes"], "reason": ["lost"]})
    )

    assert bounds(take(paths)) == (day(1), day(1))
    assert overdue_sources(SPEC, paths, day(3), NOW) == [(day(2), "flight_outcomes")]


def test_deadline_takes_the_drop_with_what_is_there(paths: StatePaths) -> None:
    land(paths, 1, sources=("schedule", "flight_outcomes"))

    assert take(paths) == "drop 2013-01-01 waits for weather"
    assert bounds(take(paths, until=day(1), deadline=day(1))) == (day(1), day(1))


def test_source_is_overdue_once_a_later_drop_has_landed(paths: StatePaths) -> None:
    land(paths, 1, 3)
    land(paths, 2, sources=("schedule", "weather"))
    settle(paths, 1)

    assert overdue_sources(SPEC, paths, day(2), NOW) == []
    assert overdue_sources(SPEC, paths, day(3), NOW) == [(day(2), "flight_outcomes")]


def test_newest_decision_knows_whether_a_candidate_was_judged_since(paths: StatePaths) -> None:
    assert newest_decision(SPEC, paths) is None
    land(paths, 1, 2)
    settle(paths, 1, 2, action="retrain")

    before = newest_decision(SPEC, paths)
    Lake(paths.lake / SPEC.name).append("champion", pa.table({"as_of": [day(2)]}))
    after = newest_decision(SPEC, paths)

    assert before is not None
    assert after is not None
    assert (before["batch_date"], before["action"], before["is_judged"]) == (day(2), "retrain", False)
    assert after["is_judged"]


def on_the_wall(paths: StatePaths, now: datetime) -> ReadyRange | str:
    spec = SPEC.model_copy(update={"clock": "wall"})
    return find_ready_drops(spec, paths, now=now, is_patient=False)


def test_file_that_lands_early_for_tomorrow_does_not_make_today_past(paths: StatePaths) -> None:
    land(paths, 1, 3)
    land(paths, 2, sources=("schedule", "flight_outcomes"))
    settle(paths, 1)
    batch = SPEC.calendar.batch_at(day(2))

    assert on_the_wall(paths, batch - timedelta(minutes=1)) == "drop 2013-01-02 waits for weather"
    assert bounds(on_the_wall(paths, batch)) == (day(2), day(2))  # weather is gone on without, and 3 has not begun


def test_drop_that_has_not_begun_waits_though_it_is_complete(paths: StatePaths) -> None:
    land(paths, 1, 2)

    assert bounds(on_the_wall(paths, SPEC.calendar.batch_at(day(1)))) == (day(1), day(1))
    assert bounds(on_the_wall(paths, SPEC.calendar.batch_at(day(1)) + timedelta(seconds=1))) == (day(1), day(2))


def test_drop_without_any_file_is_run_once_it_is_past_where_its_sources_are_gone_on_without(paths: StatePaths) -> None:
    land(paths, 1)
    settle(paths, 1)
    sources = tuple(each.model_copy(update={"when_missing": "go_on"}) for each in SPEC.sources)
    spec = SPEC.model_copy(update={"clock": "wall", "sources": sources})
    batch = SPEC.calendar.batch_at(day(2))

    before = find_ready_drops(spec, paths, now=batch - timedelta(minutes=1), is_patient=False)
    after = find_ready_drops(spec, paths, now=batch, is_patient=False)

    assert before == "every drop that landed was run"
    assert bounds(after) == (day(2), day(2))


@pytest.mark.parametrize("clock", ["wall", "data"])
def test_drop_whose_batch_has_not_come_is_refused(clock: str, paths: StatePaths) -> None:
    spec, state = SPEC.model_copy(update={"clock": clock}), UseCaseState(SPEC.name, paths)
    now = SPEC.calendar.batch_at(day(2))
    with pytest.raises(DropsNotFinalError, match="2013-01-01 has not come yet: nothing has landed in"):
        refuse_undue_drops(spec, state, [day(1)], now)
    land(paths, 1, 2)

    refuse_undue_drops(spec, state, [day(1), day(2)], now)

    with pytest.raises(DropsNotFinalError, match="2013-01-03 has not come yet: the newest that can be run is"):
        refuse_undue_drops(spec, state, [day(2), day(3)], now)


def test_file_whose_sender_has_a_clock_ahead_is_taken_once_it_is_stable_here(paths: StatePaths) -> None:
    land(paths, 1)
    now = datetime.now(UTC)  # noqa: TID251 - the kernel's clock tells when a file changed
    for source in SOURCES:
        file = paths.landing / SPEC.name / "2013-01-01" / f"{source}.csv"
        os.utime(file, (now.timestamp() + 86_400, now.timestamp() + 86_400))

    early = find_ready_drops(SPEC, paths, now=now, is_patient=True)
    later = find_ready_drops(SPEC, paths, now=now + timedelta(seconds=10), is_patient=True)

    assert "may still be written" in str(early)
    assert bounds(later) == (day(1), day(1))


def uploaded(**declared: str) -> UseCaseSpec:
    """Give the spec with its first source uploaded in another way."""
    first = SPEC.sources[0].model_copy(update={"upload": Upload.model_validate(declared)})
    return SPEC.model_copy(update={"sources": (first, *SPEC.sources[1:])})


def test_file_waits_for_its_marker_and_is_whole_once_that_is_there(paths: StatePaths) -> None:
    land(paths, 1, age=1)
    for source in SOURCES[1:]:
        file = paths.landing / SPEC.name / str(day(1)) / f"{source}.csv"
        os.utime(file, (WRITTEN - 60, WRITTEN - 60))
    spec, name = uploaded(marker="{file}.done"), SPEC.sources[0].name

    before = find_ready_drops(spec, paths, now=NOW, is_patient=True)
    (paths.landing / SPEC.name / str(day(1)) / f"{name}.csv.done").touch()

    assert before == f"drop 2013-01-01 waits for {name} ({name}.csv is there, its marker {name}.csv.done is not)"
    assert bounds(find_ready_drops(spec, paths, now=NOW, is_patient=True)) == (day(1), day(1))


def test_source_says_how_long_its_files_settle_and_a_checksum_settles_with_its_file(paths: StatePaths) -> None:
    land(paths, 1, age=60)
    spec, name = uploaded(stable_for="2min"), SPEC.sources[0].name
    checksum = paths.landing / SPEC.name / str(day(1)) / f"{name}.csv.sha256"

    assert find_ready_drops(spec, paths, now=NOW, is_patient=True) == (
        f"drop 2013-01-01: {name}.csv changed 60 s ago and may still be written"
    )
    assert bounds(take(paths)) == (day(1), day(1))
    checksum.touch()
    os.utime(checksum, (WRITTEN - 1, WRITTEN - 1))
    assert take(paths) == f"drop 2013-01-01: {name}.csv.sha256 changed 1 s ago and may still be written"
