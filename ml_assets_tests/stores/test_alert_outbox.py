from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ml_assets.decisions.incidents import Changes, Finding
from ml_assets.stores import alert_file
from ml_assets.stores.alert_file import AlertOutboxError
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
LATE = Finding(
    "drop/weather", "missing_drop", "error", "weather did not arrive", None, None, "waits", "ml-assets status"
)
PROMOTED = Finding("promotion", "promotion", "info", "m-7 serves", None, None, "", "ml-assets status", is_event=True)
SCOPE = ("drop/", "promotion")

SETTLE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ml_assets.decisions.incidents import Finding
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths

outbox = AlertOutbox(StatePaths(Path(sys.argv[1])))
findings = [Finding(f"drop/{n}", "missing_drop", "error", "late", None, None, "", "") for n in range(20)]
print("ready", flush=True)
sys.stdin.readline()
changes = outbox.reconcile("flights", ("drop/",), "2013-07-01", findings, datetime(2026, 1, 5, tzinfo=UTC))
print(len(changes.opened), len(changes.still_open), flush=True)
"""


@pytest.fixture
def outbox(tmp_path: Path) -> AlertOutbox:
    return AlertOutbox(StatePaths(tmp_path))


def settle(outbox: AlertOutbox, at: str, *findings: Finding, now: datetime = NOW) -> Changes:
    return outbox.reconcile("flights", SCOPE, at, findings, now)


def titles(outbox: AlertOutbox) -> list[str]:
    return [message.title for message in outbox.messages()]


def test_one_message_when_it_opens_one_when_it_closes_none_between(outbox: AlertOutbox) -> None:
    for day in (1, 2, 3):
        settle(outbox, f"2013-07-0{day}", LATE)
    settle(outbox, "2013-07-04")
    settle(outbox, "2013-07-05")

    (incident,) = outbox.incidents()
    assert (incident.opened_at, incident.closed_at) == ("2013-07-01", "2013-07-04")
    assert [(message.message_id, message.at, message.severity) for message in outbox.messages()] == [
        (f"{incident.incident_id}:opened", "2013-07-01", "error"),
        (f"{incident.incident_id}:closed", "2013-07-04", "info"),
    ]
    assert titles(outbox) == [
        "flights: missing drop (drop/weather)",
        "flights: closed: missing drop (drop/weather)",
    ]


def test_settling_again_changes_nothing(outbox: AlertOutbox) -> None:
    first = settle(outbox, "2013-07-01", LATE, PROMOTED)
    before = outbox.messages()

    second = settle(outbox, "2013-07-01", PROMOTED, LATE, now=NOW + timedelta(hours=1))

    assert [incident.kind for incident in first.opened] == ["missing_drop", "promotion"]
    assert (second.opened, second.closed) == ((), ())
    assert second.still_open == first.opened[:1]
    assert outbox.messages() == before


def test_open_incident_says_what_was_found_last_and_sends_nothing_more(outbox: AlertOutbox) -> None:
    settle(outbox, "2013-07-01", LATE)
    sent = outbox.messages()

    settle(outbox, "2013-07-20", replace(LATE, message="weather did not arrive for 20 drops", measurement=20.0))

    (incident,) = outbox.incidents(open_only=True)
    assert (incident.opened_at, incident.message) == ("2013-07-01", "weather did not arrive for 20 drops")
    assert incident.measurement == 20.0
    assert outbox.messages() == sent


def test_history_run_again_opens_nothing(outbox: AlertOutbox) -> None:
    settle(outbox, "2013-07-05")

    assert settle(outbox, "2013-07-04", LATE) == Changes()
    assert settle(outbox, "2013-07-04T23:00:00-04:00", LATE).opened != ()  # 03:00 UTC of the 5th
    assert len(outbox.incidents()) == 1


def test_scopes_and_use_cases_are_settled_apart(outbox: AlertOutbox) -> None:
    settle(outbox, "2013-07-05")
    drift = replace(LATE, monitor="drift/a", kind="drift")

    outbox.reconcile("flights", ("drift/",), "2013-07-01", [drift], NOW)
    outbox.reconcile("trips", SCOPE, "2013-07-01", [LATE], NOW)
    settle(outbox, "2013-07-06")

    assert [(one.use_case, one.monitor) for one in outbox.incidents(open_only=True)] == [
        ("flights", "drift/a"),
        ("trips", "drop/weather"),
    ]
    assert [one.use_case for one in outbox.incidents("trips")] == ["trips"]
    assert [one.use_case for one in outbox.messages("flights")] == ["flights"]


def test_what_closed_at_this_moment_and_is_found_again_is_said_again(outbox: AlertOutbox) -> None:
    settle(outbox, "2013-07-01", LATE)
    settle(outbox, "2013-07-01")
    (again,) = settle(outbox, "2013-07-01", replace(LATE, message="late again")).opened

    assert outbox.incidents(open_only=True) == [again]
    assert again.message == "late again"
    ids = [message.message_id.removeprefix(again.incident_id) for message in outbox.messages()]
    assert ids == [":opened", ":closed", ":opened:2"]


def test_two_processes_that_settle_at_once_open_each_incident_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SETTLE, str(tmp_path)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()

    said = sorted(process.communicate()[0].strip() for process in running)

    outbox = AlertOutbox(StatePaths(tmp_path))
    assert said == ["0 20", "20 0"]
    assert len(outbox.incidents()) == len(outbox.messages()) == 20


def test_a_transaction_that_breaks_off_leaves_neither_incident_nor_message(
    outbox: AlertOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(outbox, "2013-06-30")
    with monkeypatch.context() as patch:
        patch.setattr("ml_assets.stores.alert_outbox.message_of", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            settle(outbox, "2013-07-01", LATE)
    assert (outbox.incidents(), outbox.messages()) == ([], [])

    assert len(settle(outbox, "2013-07-01", LATE).opened) == 1


def test_a_failed_message_is_due_later_and_later_and_a_sent_one_never(outbox: AlertOutbox) -> None:
    settle(outbox, "2013-07-01", LATE, PROMOTED)
    late, promoted = [message.message_id for message in outbox.messages()]
    outbox.mark_sent([promoted], NOW)
    now, waits = NOW, []
    for _ in range(9):
        outbox.mark_failed([late, promoted], now, "no answer")
        (message, sent) = outbox.messages()
        due = datetime.fromisoformat(message.next_try_at)
        waits.append((due - now).total_seconds())
        assert outbox.pending(due - timedelta(milliseconds=1)) == []
        assert [one.message_id for one in outbox.pending(due)] == [late]
        now = due

    message, sent = outbox.messages()
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert (message.attempts, message.last_error, message.sent_at) == (9, "no answer", None)
    assert (sent.attempts, sent.last_error, sent.sent_at) == (1, None, "2026-01-05T09:00:00.000+00:00")
    assert outbox.unsent() == 1


def test_reading_makes_nothing(tmp_path: Path) -> None:
    outbox = AlertOutbox(StatePaths(tmp_path / "state"))

    assert (outbox.incidents(), outbox.messages(), outbox.pending(NOW), outbox.unsent()) == ([], [], [], 0)
    assert not (tmp_path / "state").exists()


def test_moments_are_kept_in_utc_and_one_without_a_zone_is_refused(outbox: AlertOutbox) -> None:
    settle(outbox, "2013-07-01", LATE, now=NOW.astimezone(timezone(timedelta(hours=-5))))

    assert outbox.messages()[0].created_at == "2026-01-05T09:00:00.000+00:00"
    with pytest.raises(ValueError, match="without a time zone"):
        settle(outbox, "2013-07-01", LATE, now=NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="yesterday"):
        settle(outbox, "yesterday", LATE)


def test_a_file_that_is_no_database_is_named_with_what_to_do(outbox: AlertOutbox, tmp_path: Path) -> None:
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "alerts.sqlite").write_bytes(b"no database at all, and long enough to be looked at" * 9)

    with pytest.raises(
        AlertOutboxError, match=r"alerts\.sqlite: it cannot be used \(file is not a database\); move it"
    ):
        settle(outbox, "2013-07-01", LATE)
    with pytest.raises(AlertOutboxError, match="move it away"):
        outbox.incidents()


@pytest.mark.parametrize("is_shared", [True, False])
def test_incidents_are_read_where_nothing_can_be_written(
    outbox: AlertOutbox, monkeypatch: pytest.MonkeyPatch, is_shared: bool
) -> None:
    settle(outbox, "2013-07-01", LATE)
    written = outbox.incidents()
    monkeypatch.setattr("os.access", lambda *_: False)
    if not is_shared:  # what SQLite says on a disk that is mounted read-only, unless the file is opened as immutable
        opening = alert_file._connect

        def refuse(file: Path, busy_timeout_s: float, how: str = "mode=rwc") -> sqlite3.Connection:
            if how != "immutable=1":
                raise sqlite3.OperationalError("unable to open database file")
            return opening(file, busy_timeout_s, how)

        monkeypatch.setattr(alert_file, "_connect", refuse)

    assert written
    assert outbox.incidents() == written
    if not is_shared:
        with pytest.raises(AlertOutboxError, match=r"written to \(unable to open database file\)\. Let this"):
            settle(outbox, "2013-07-02", LATE)


def test_a_locked_outbox_is_an_error_that_says_so(outbox: AlertOutbox, tmp_path: Path) -> None:
    settle(outbox, "2013-07-01")
    impatient = AlertOutbox(StatePaths(tmp_path), busy_timeout_s=0.05)
    other = sqlite3.connect(tmp_path / "alerts" / "alerts.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(AlertOutboxError, match=r"another process has held it for 0\.05 s"):
        settle(impatient, "2013-07-01", LATE)
    assert impatient.incidents() == []  # readers do not wait for a writer
    other.close()


def test_drop_of_an_evaluation_at_a_moment_is_kept_and_orders_incidents(outbox: AlertOutbox) -> None:
    failed = Finding("run/batch", "failed_run", "error", "it failed", None, None, "", "")
    outbox.reconcile("flights", ("run/",), NOW.isoformat(), [failed], NOW, date(2013, 6, 30))
    settle(outbox, "2013-07-01", LATE)
    outbox.reconcile("flights", ("run/",), (NOW + timedelta(hours=1)).isoformat(), [], NOW, date(2013, 7, 2))

    first, second = outbox.incidents()

    assert (first.monitor, first.since, first.until) == ("run/batch", "2013-06-30", "2013-07-02")
    assert (first.opened_at, second.since) == (NOW.isoformat(), "2013-07-01")


def test_file_of_an_older_version_is_brought_up_to_date_and_keeps_what_it_holds(outbox: AlertOutbox) -> None:
    settle(outbox, "2013-07-01", LATE)
    file = outbox.folder / "alerts.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        for name in ("opened_drop", "closed_drop"):
            connection.execute(f"ALTER TABLE incidents DROP COLUMN {name}")
        connection.commit()

    (before,) = AlertOutbox(StatePaths(outbox.folder.parent)).incidents()
    settle(outbox, "2013-07-02")
    (after,) = outbox.incidents()

    assert (before.opened_drop, before.since) == (None, "2013-07-01")
    assert (after.since, after.until, after.closed_drop) == ("2013-07-01", "2013-07-02", "2013-07-02")
