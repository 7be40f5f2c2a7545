"""A promise that is broken is seen: each check on a state in which one thing is wrong."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml_assets.decisions.incidents import Finding
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.life.good_state import GoodState
from ml_assets_tests.life.promises import (
    EndedRun,
    alerts_are_delivered,
    failures_are_told,
    landed_is_accepted_and_quarantined,
    seen_in_part,
)
from ml_assets_tests.life.sink import Sink
from ml_assets_tests.life.use_case import NAME, SOURCES

DROP = date(2024, 5, 3)
NOW = datetime(2024, 5, 3, 4, 0, tzinfo=UTC)
LINES = (1, 2, 3)
FAILED = Finding(f"run/{NAME}_batch", "failed_run", "error", "run abc failed", None, None, "", "")


def write(paths: StatePaths, table: str, rows: list[dict[str, Any]]) -> None:
    with UseCaseState(NAME, paths).writing("a test") as lake:
        lake.replace_drops(table, pa.Table.from_pylist(rows), [row["batch_date"] for row in rows])


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    """Give a state in which three rows of each source landed, two were accepted and one set aside."""
    found = StatePaths(tmp_path)
    found.received.mkdir()
    ledger: list[dict[str, object]] = []
    for source in SOURCES:
        rows: list[dict[str, object]] = [
            {"batch_date": DROP, "_file": f"{source}.csv", "_line": line} for line in LINES
        ]
        (found.received / f"{source}.csv").write_text("order_id\n" + "".join(f"P{line}\n" for line in LINES))
        write(found, f"received_{source}", [{"batch_date": DROP, "_file": f"{source}.csv", "sha256": source}])
        write(found, f"raw_{source}", rows)
        write(found, f"validated_{source}", rows[:2])
        write(found, f"quarantine_{source}", rows[2:])
        ledger.append({"batch_date": DROP, "source": source, "landed": 3, "validated": 2, "quarantined": 1})
    write(found, "drops", ledger)
    return found


def test_rows_that_add_up_break_nothing(paths: StatePaths) -> None:
    assert landed_is_accepted_and_quarantined(paths) == []


def test_row_that_is_neither_accepted_nor_set_aside_is_seen(paths: StatePaths) -> None:
    kept = {"batch_date": DROP, "_file": "orders.csv", "_line": 1}
    write(paths, "validated_orders", [kept])

    (broken,) = landed_is_accepted_and_quarantined(paths)

    assert broken.startswith("1 orders: landed and neither accepted nor quarantined")


def test_row_that_was_not_read_from_its_file_is_seen(paths: StatePaths) -> None:
    (paths.received / "orders.csv").write_text("order_id\nP1\nP2\nP3\nP4\n")

    assert landed_is_accepted_and_quarantined(paths) == ["orders of 2024-05-03: 4 rows in the file, 3 in raw"]


@pytest.mark.parametrize(("minutes", "told"), [(2, True), (90, False)])
def test_failed_run_that_no_incident_tells_of_is_seen(tmp_path: Path, minutes: int, told: bool) -> None:
    paths = StatePaths(tmp_path)
    opened = NOW + timedelta(minutes=minutes)
    AlertOutbox(paths).reconcile(NAME, ["run/"], opened.isoformat(), [FAILED], opened)

    broken = failures_are_told(paths, [EndedRun(f"{NAME}_batch", "abcdef123", NOW)])

    assert (broken == []) is told


def test_message_that_nobody_took_is_seen(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    AlertOutbox(paths).reconcile(NAME, ["run/"], NOW.isoformat(), [FAILED], NOW)

    broken = alerts_are_delivered(paths, Sink(), Counter(unread_file=1))

    assert broken == [f"1 messages never sent: {NAME}: failed run (run/{NAME}_batch)",
                      "1 troubles without an alert: unread_file"]  # fmt: skip


def test_part_of_a_batch_that_readers_see_is_seen(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    write(paths, "decisions", [{"batch_date": date(2024, 5, 2), "action": "nothing"}])
    assert seen_in_part(paths) == []

    write(paths, "predictions", [{"batch_date": DROP, "example_id": "P1", "score": 0.5}])

    assert seen_in_part(paths) == ["predictions of 2024-05-03 is seen before its batch has ended"]


def test_decided_drop_that_changes_is_seen(tmp_path: Path) -> None:
    paths, good = StatePaths(tmp_path), GoodState(tmp_path, NAME)
    write(paths, "decisions", [{"batch_date": DROP, "action": "nothing"}])
    write(paths, "predictions", [{"batch_date": DROP, "example_id": "P1", "score": 0.5}])
    good.remember()
    before = good.look()

    write(paths, "predictions", [{"batch_date": DROP, "example_id": "P1", "score": 0.6}])

    assert good.lost(before) == good.lost(good.remembered) == ["predictions 2024-05-03"]
