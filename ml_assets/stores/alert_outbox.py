"""Incidents and the messages about them: written in one transaction, so that none is lost and none is said twice.

What opens and closes is decided in decisions/incidents.py; what is sent, and how, in alert_relay.py. Any number of
processes may settle and send at once. No clock is read: `now` is an argument, and it is the wall's; `at` is data time,
or the wall's moment where several evaluations may concern one drop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta

from ml_assets.decisions.alert_precision import Judgement
from ml_assets.decisions.incidents import Change, Changes, Finding, Incident, Severity, message_of, reconcile_incidents
from ml_assets.spec.drop import DropKey
from ml_assets.stores.alert_file import ADDED_COLUMNS, AlertFile, is_judged, moment_of, utc_text
from ml_assets.stores.paths import StatePaths

FIRST_WAIT_S = 30
LONGEST_WAIT_S = 3600
MOST_TRIES = 48  # about two days; then a message is a dead letter until somebody asks for it to be sent


@dataclass(frozen=True)
class Message:
    """One thing to say about an incident, and what became of it.

    Attributes
    ----------
    message_id
        The incident's id and what happened to it: the same in every copy a receiver ever gets.
    at
        The drop of what it says, or a moment of the wall, as of its incident; all other moments are UTC of the wall.
    sent_at
        None until every receiver has it.
    last_error
        Why the last try failed, without secrets; None before one did, and after it was sent.
    """

    message_id: str
    incident_id: str
    use_case: str
    title: str
    body: str
    severity: Severity
    at: str
    created_at: str
    attempts: int
    next_try_at: str
    sent_at: str | None
    last_error: str | None


class AlertOutbox:
    """The alerts of one state folder; nothing is made before the first write."""

    def __init__(self, paths: StatePaths, *, busy_timeout_s: float = 30.0) -> None:
        self.folder = paths.alerts
        self._file = AlertFile(paths, busy_timeout_s)

    def reconcile(
        self,
        use_case: str,
        scope: Sequence[str],
        at: str,
        findings: Iterable[Finding],
        now: datetime,
        drop: DropKey | None = None,
    ) -> Changes:
        """Open and close incidents by what was found at `at`, and write the messages that say so.

        Repeating it changes nothing. An `at` before the last one settled for this scope is history run again, and is
        ignored. What closed at this very `at` and is found again opens again, under the same id, with a message.
        `drop` is the drop that is looked at, where `at` is a moment.

        Returns
        -------
        Changes
            What was written; nothing where it had been written before.

        Raises
        ------
        ValueError
            When `at` is neither a date nor an ISO moment, or `now` has no time zone.
        """
        moment, written_at, prefixes = moment_of(at), utc_text(now), tuple(sorted(scope))
        with self._file.transaction() as connection:
            of_scope = (use_case, "\n".join(prefixes))
            last = connection.execute("SELECT at FROM settled WHERE (use_case, scope) = (?, ?)", of_scope).fetchone()
            if last is not None and moment < moment_of(last["at"]):
                return Changes()
            known = connection.execute("SELECT * FROM incidents WHERE use_case = ? AND closed_at IS NULL", [use_case])
            open_incidents = [_incident(row) for row in known]
            in_drop = str(drop) if drop else None
            changes = reconcile_incidents(
                open_incidents, findings, use_case=use_case, at=at, scope=prefixes, drop=in_drop
            )
            opened = tuple(incident for incident in changes.opened if _open(connection, incident))
            for incident in opened:
                _write_message(connection, incident, "opened", at, written_at)
            for incident in changes.still_open:
                _write_again(connection, incident)
            for incident in changes.closed:
                closed = (incident.closed_at, incident.closed_drop, incident.incident_id)
                connection.execute("UPDATE incidents SET closed_at = ?, closed_drop = ? WHERE incident_id = ?", closed)
                if not is_judged(connection, incident.incident_id):  # a person closed it: nobody waits for its end
                    _write_message(connection, incident, "closed", at, written_at)
            connection.execute("INSERT OR REPLACE INTO settled VALUES (?, ?, ?)", (*of_scope, at))
        return replace(changes, opened=opened)

    def last_settled(self, use_case: str, scope: Sequence[str]) -> str | None:
        """Give the newest `at` that was settled for a scope; None before the first."""
        rows = self._file.read(
            "SELECT at FROM settled WHERE (use_case, scope) = (?, ?)", (use_case, "\n".join(sorted(scope)))
        )
        return rows[0]["at"] if rows else None

    def incidents(self, use_case: str | None = None, *, open_only: bool = False) -> list[Incident]:
        """List incidents in the order they were opened."""
        condition = "WHERE (use_case = ?1 OR ?1 IS NULL)" + (" AND closed_at IS NULL" if open_only else "")
        rows = self._file.read(
            f"SELECT * FROM incidents {condition} ORDER BY coalesce(opened_drop, opened_at), monitor, kind", (use_case,)
        )
        return [_incident(row) for row in rows]

    def judge(self, judgement: Judgement) -> None:
        """Record what a person says of an incident. Append only: what was said before stays."""
        with self._file.transaction() as connection:
            names = list(asdict(judgement))
            said = ", ".join(f":{name}" for name in names)
            connection.execute(f"INSERT INTO judgements ({', '.join(names)}) VALUES ({said})", asdict(judgement))

    def judgements(self) -> dict[str, Judgement]:
        """Give what was said last of each incident that a person judged, by its id."""
        if not self._file.read("SELECT 1 FROM sqlite_master WHERE name = 'judgements'", ()):
            return {}  # a file of an older version that cannot be written to
        rows = self._file.read("SELECT * FROM judgements ORDER BY rowid", ())
        found = [Judgement(**{**dict(row), "is_useful": bool(row["is_useful"])}) for row in rows]
        return {each.incident_id: each for each in found}

    def messages(self, use_case: str | None = None, *, last: int | None = None) -> list[Message]:
        """List messages, or the last few, in the order they were written."""
        query = "SELECT * FROM messages WHERE (use_case = ?1 OR ?1 IS NULL) ORDER BY rowid DESC LIMIT ?2"
        rows = self._file.read(query, (use_case, -1 if last is None else last))
        return [Message(**dict(row)) for row in reversed(rows)]

    def pending(self, now: datetime) -> list[Message]:
        """List the messages that are not sent and whose next try is due, the least tried and the oldest first."""
        condition = "sent_at IS NULL AND next_try_at <= ? AND attempts < ?"
        query = f"SELECT * FROM messages WHERE {condition} ORDER BY attempts, rowid"
        return [Message(**dict(row)) for row in self._file.read(query, (utc_text(now), MOST_TRIES))]

    def dead_letters(self) -> list[Message]:
        """List the messages that failed so often that they are not tried any more, the oldest first."""
        query = "SELECT * FROM messages WHERE sent_at IS NULL AND attempts >= ? ORDER BY rowid"
        return [Message(**dict(row)) for row in self._file.read(query, (MOST_TRIES,))]

    def retry_dead_letters(self, now: datetime) -> int:
        """Make dead letters due now, as if they had never been tried; give how many."""
        if not self.dead_letters():
            return 0
        query = "UPDATE messages SET attempts = 0, next_try_at = ? WHERE sent_at IS NULL AND attempts >= ?"
        with self._file.transaction() as connection:
            return connection.execute(query, [utc_text(now), MOST_TRIES]).rowcount

    def unsent(self) -> int:
        """Count the messages that are not sent, due or not."""
        rows = self._file.read("SELECT count(*) AS n FROM messages WHERE sent_at IS NULL", ())
        return int(rows[0]["n"]) if rows else 0

    def deliveries(self) -> set[tuple[str, str]]:
        """Give (message id, key of a URL) for each message not yet sent to all and each URL that has it."""
        query = (
            "SELECT deliveries.message_id, url_key FROM deliveries JOIN messages USING (message_id) "
            "WHERE messages.sent_at IS NULL"
        )
        return {(row["message_id"], row["url_key"]) for row in self._file.read(query, ())}

    def record_delivery(self, message_ids: Iterable[str], url_key: str, now: datetime) -> None:
        """Record that one URL took these messages."""
        rows = [(message_id, url_key, utc_text(now)) for message_id in message_ids]
        with self._file.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?)", rows)

    def mark_sent(self, message_ids: Iterable[str], now: datetime) -> None:
        """Record that every receiver has these messages."""
        rows = [(utc_text(now), message_id) for message_id in message_ids]
        with self._file.transaction() as connection:
            connection.executemany(
                "UPDATE messages SET sent_at = ?, attempts = attempts + 1, last_error = NULL "
                "WHERE message_id = ? AND sent_at IS NULL",
                rows,
            )

    def mark_failed(self, message_ids: Iterable[str], now: datetime, error: str) -> None:
        """Record a failed try of these messages; the next is due after 30 s, twice that each time, at most an hour."""
        with self._file.transaction() as connection:
            for message_id in message_ids:
                query = "SELECT attempts FROM messages WHERE message_id = ? AND sent_at IS NULL"
                row = connection.execute(query, [message_id]).fetchone()
                if row is not None:
                    attempts = row["attempts"] + 1
                    due = utc_text(now + timedelta(seconds=wait_s(attempts)))
                    connection.execute(
                        "UPDATE messages SET attempts = ?, next_try_at = ?, last_error = ? WHERE message_id = ?",
                        [attempts, due, error, message_id],
                    )

    def postpone(self, message_ids: Iterable[str], now: datetime) -> None:
        """Leave messages alone for a while that wait behind a failed one; it counts as no try of theirs."""
        due = utc_text(now + timedelta(seconds=FIRST_WAIT_S))
        query = "UPDATE messages SET next_try_at = ? WHERE message_id = ? AND sent_at IS NULL AND next_try_at < ?"
        with self._file.transaction() as connection:
            connection.executemany(query, [(due, message_id, due) for message_id in message_ids])


def wait_s(attempts: int) -> int:
    """Give the seconds to wait after so many failed tries.

    Examples
    --------
    >>> [wait_s(attempts) for attempts in (1, 2, 3, 7, 8, 10_000)]
    [30, 60, 120, 1920, 3600, 3600]
    """
    return min(FIRST_WAIT_S * 2 ** min(attempts - 1, 10), LONGEST_WAIT_S)


def _open(connection: sqlite3.Connection, incident: Incident) -> bool:
    """Write an incident, or open it again where it closed at this very moment; say whether anything changed."""
    names = [field.name for field in fields(Incident)]
    changed = ", ".join(f"{name} = excluded.{name}" for name in names)
    cursor = connection.execute(
        f"INSERT INTO incidents ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)}) "
        f"ON CONFLICT (incident_id) DO UPDATE SET {changed} WHERE NOT excluded.is_event",
        asdict(incident),
    )
    return cursor.rowcount > 0


def _write_again(connection: sqlite3.Connection, incident: Incident) -> None:
    """Let an open incident say what was found last; its message has gone out and stays."""
    names = [field.name for field in fields(Finding)]
    query = f"UPDATE incidents SET {', '.join(f'{name} = :{name}' for name in names)} WHERE incident_id = :incident_id"
    connection.execute(query, asdict(incident))


def _write_message(connection: sqlite3.Connection, incident: Incident, change: Change, at: str, now: str) -> None:
    message_id = f"{incident.incident_id}:{change}"
    query = "SELECT count(*) AS n FROM messages WHERE message_id = ?1 OR message_id LIKE ?1 || ':%'"
    said = connection.execute(query, [message_id]).fetchone()["n"]
    title, body = message_of(incident, change)
    message = Message(
        message_id=f"{message_id}:{said + 1}" if said else message_id,
        incident_id=incident.incident_id,
        use_case=incident.use_case,
        title=title,
        body=body,
        severity=incident.severity if change == "opened" else "info",
        at=at,
        created_at=now,
        attempts=0,
        next_try_at=now,
        sent_at=None,
        last_error=None,
    )
    names = list(asdict(message))
    connection.execute(
        f"INSERT OR IGNORE INTO messages ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})",
        asdict(message),
    )


def _incident(row: sqlite3.Row) -> Incident:
    values = dict.fromkeys(ADDED_COLUMNS) | dict(row)  # a file that cannot be written to may lack them
    return Incident(**{**values, "is_event": bool(values["is_event"])})
