"""Incidents and the messages about them: written in one transaction, so that none is lost and none is said twice.

What opens and closes is decided in decisions/incidents.py; what is sent, and how, in alert_relay.py. Any number of
processes may settle and send at once. No clock is read: `now` is an argument, and it is the wall's; `at` is data time,
or the wall's moment where several evaluations may concern one drop.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml_assets.decisions.incidents import Change, Changes, Finding, Incident, Severity, message_of, reconcile_incidents
from ml_assets.spec.drop import DropKey
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.write_lock import write_lock

FIRST_WAIT_S = 30
LONGEST_WAIT_S = 3600
MOST_TRIES = 48  # about two days; then a message is a dead letter until somebody asks for it to be sent
_ADDED_COLUMNS = ("opened_drop", "closed_drop")  # of incidents, after files of older versions were made

_SCHEMA = """
CREATE TABLE incidents (
    incident_id TEXT PRIMARY KEY, use_case TEXT NOT NULL, monitor TEXT NOT NULL, kind TEXT NOT NULL,
    severity TEXT NOT NULL, message TEXT NOT NULL, measurement REAL, threshold REAL, doing TEXT NOT NULL,
    look_at TEXT NOT NULL, is_event INTEGER NOT NULL, opened_at TEXT NOT NULL, closed_at TEXT,
    opened_drop TEXT, closed_drop TEXT
);
CREATE TABLE messages (
    message_id TEXT PRIMARY KEY, incident_id TEXT NOT NULL REFERENCES incidents, use_case TEXT NOT NULL,
    title TEXT NOT NULL, body TEXT NOT NULL, severity TEXT NOT NULL, at TEXT NOT NULL, created_at TEXT NOT NULL,
    attempts INTEGER NOT NULL, next_try_at TEXT NOT NULL, sent_at TEXT, last_error TEXT
);
CREATE TABLE deliveries (
    message_id TEXT NOT NULL REFERENCES messages, url_key TEXT NOT NULL, sent_at TEXT NOT NULL,
    PRIMARY KEY (message_id, url_key)
);
CREATE TABLE settled (
    use_case TEXT NOT NULL, scope TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (use_case, scope)
);
"""


class AlertOutboxError(RuntimeError):
    """The outbox cannot be read or written; says which file, why, and what to do."""


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
        self._file = paths.alerts / "alerts.sqlite"
        self._busy_timeout_s = busy_timeout_s

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
        moment, written_at, prefixes = _moment(at), _utc(now), tuple(sorted(scope))
        with self._transaction() as connection:
            of_scope = (use_case, "\n".join(prefixes))
            last = connection.execute("SELECT at FROM settled WHERE (use_case, scope) = (?, ?)", of_scope).fetchone()
            if last is not None and moment < _moment(last["at"]):
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
                _write_message(connection, incident, "closed", at, written_at)
            connection.execute("INSERT OR REPLACE INTO settled VALUES (?, ?, ?)", (*of_scope, at))
        return replace(changes, opened=opened)

    def last_settled(self, use_case: str, scope: Sequence[str]) -> str | None:
        """Give the newest `at` that was settled for a scope; None before the first."""
        rows = self._read(
            "SELECT at FROM settled WHERE (use_case, scope) = (?, ?)", (use_case, "\n".join(sorted(scope)))
        )
        return rows[0]["at"] if rows else None

    def incidents(self, use_case: str | None = None, *, open_only: bool = False) -> list[Incident]:
        """List incidents in the order they were opened."""
        condition = "WHERE (use_case = ?1 OR ?1 IS NULL)" + (" AND closed_at IS NULL" if open_only else "")
        rows = self._read(
            f"SELECT * FROM incidents {condition} ORDER BY coalesce(opened_drop, opened_at), monitor, kind", (use_case,)
        )
        return [_incident(row) for row in rows]

    def messages(self, use_case: str | None = None, *, last: int | None = None) -> list[Message]:
        """List messages, or the last few, in the order they were written."""
        query = "SELECT * FROM messages WHERE (use_case = ?1 OR ?1 IS NULL) ORDER BY rowid DESC LIMIT ?2"
        rows = self._read(query, (use_case, -1 if last is None else last))
        return [Message(**dict(row)) for row in reversed(rows)]

    def pending(self, now: datetime) -> list[Message]:
        """List the messages that are not sent and whose next try is due, the least tried and the oldest first."""
        condition = "sent_at IS NULL AND next_try_at <= ? AND attempts < ?"
        query = f"SELECT * FROM messages WHERE {condition} ORDER BY attempts, rowid"
        return [Message(**dict(row)) for row in self._read(query, (_utc(now), MOST_TRIES))]

    def dead_letters(self) -> list[Message]:
        """List the messages that failed so often that they are not tried any more, the oldest first."""
        query = "SELECT * FROM messages WHERE sent_at IS NULL AND attempts >= ? ORDER BY rowid"
        return [Message(**dict(row)) for row in self._read(query, (MOST_TRIES,))]

    def retry_dead_letters(self, now: datetime) -> int:
        """Make dead letters due now, as if they had never been tried; give how many."""
        if not self.dead_letters():
            return 0
        query = "UPDATE messages SET attempts = 0, next_try_at = ? WHERE sent_at IS NULL AND attempts >= ?"
        with self._transaction() as connection:
            return connection.execute(query, [_utc(now), MOST_TRIES]).rowcount

    def unsent(self) -> int:
        """Count the messages that are not sent, due or not."""
        rows = self._read("SELECT count(*) AS n FROM messages WHERE sent_at IS NULL", ())
        return int(rows[0]["n"]) if rows else 0

    def deliveries(self) -> set[tuple[str, str]]:
        """Give (message id, key of a URL) for each message not yet sent to all and each URL that has it."""
        query = (
            "SELECT deliveries.message_id, url_key FROM deliveries JOIN messages USING (message_id) "
            "WHERE messages.sent_at IS NULL"
        )
        return {(row["message_id"], row["url_key"]) for row in self._read(query, ())}

    def record_delivery(self, message_ids: Iterable[str], url_key: str, now: datetime) -> None:
        """Record that one URL took these messages."""
        rows = [(message_id, url_key, _utc(now)) for message_id in message_ids]
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?)", rows)

    def mark_sent(self, message_ids: Iterable[str], now: datetime) -> None:
        """Record that every receiver has these messages."""
        rows = [(_utc(now), message_id) for message_id in message_ids]
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE messages SET sent_at = ?, attempts = attempts + 1, last_error = NULL "
                "WHERE message_id = ? AND sent_at IS NULL",
                rows,
            )

    def mark_failed(self, message_ids: Iterable[str], now: datetime, error: str) -> None:
        """Record a failed try of these messages; the next is due after 30 s, twice that each time, at most an hour."""
        with self._transaction() as connection:
            for message_id in message_ids:
                query = "SELECT attempts FROM messages WHERE message_id = ? AND sent_at IS NULL"
                row = connection.execute(query, [message_id]).fetchone()
                if row is not None:
                    attempts = row["attempts"] + 1
                    due = _utc(now + timedelta(seconds=wait_s(attempts)))
                    connection.execute(
                        "UPDATE messages SET attempts = ?, next_try_at = ?, last_error = ? WHERE message_id = ?",
                        [attempts, due, error, message_id],
                    )

    def postpone(self, message_ids: Iterable[str], now: datetime) -> None:
        """Leave messages alone for a while that wait behind a failed one; it counts as no try of theirs."""
        due = _utc(now + timedelta(seconds=FIRST_WAIT_S))
        query = "UPDATE messages SET next_try_at = ? WHERE message_id = ? AND sent_at IS NULL AND next_try_at < ?"
        with self._transaction() as connection:
            connection.executemany(query, [(due, message_id, due) for message_id in message_ids])

    def _read(self, query: str, values: Sequence[object]) -> list[sqlite3.Row]:
        if not self._file.exists():
            return []
        if not os.access(self.folder, os.W_OK):
            return self._read_only(query, values)
        with self._connection() as connection:
            return connection.execute(query, values).fetchall()

    def _read_only(self, query: str, values: Sequence[object]) -> list[sqlite3.Row]:
        """Read where nothing can be written, as on a disk that was mounted read-only after an error.

        SQLite cannot make the file there that readers of this database share. Where no writer has left one, the
        database is read as it lies.
        """
        for how in ("mode=ro", "immutable=1"):
            with suppress(sqlite3.OperationalError), closing(_connect(self._file, self._busy_timeout_s, how)) as opened:
                opened.row_factory = sqlite3.Row
                return opened.execute(query, values).fetchall()
        raise AlertOutboxError(f"{self._file}: it cannot be read, and nothing can be written to {self.folder}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if not self._file.exists():
            self._create()
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(_connect(self._file, self._busy_timeout_s)) as connection:
                connection.row_factory = sqlite3.Row
                _add_missing_columns(connection)
                yield connection
        except sqlite3.DatabaseError as error:
            raise AlertOutboxError(_explain(self._file, error, self._busy_timeout_s)) from error

    def _create(self) -> None:
        """Make the file whole under another name first: where it exists, it has its tables."""
        with write_lock(self.folder, "alerts"):
            if self._file.exists():
                return
            unfinished = self._file.with_suffix(".unfinished")
            for leftover in self.folder.glob(f"{unfinished.name}*"):
                leftover.unlink()
            with closing(_connect(unfinished, self._busy_timeout_s)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_SCHEMA)
            unfinished.rename(self._file)


def wait_s(attempts: int) -> int:
    """Give the seconds to wait after so many failed tries.

    Examples
    --------
    >>> [wait_s(attempts) for attempts in (1, 2, 3, 7, 8, 10_000)]
    [30, 60, 120, 1920, 3600, 3600]
    """
    return min(FIRST_WAIT_S * 2 ** min(attempts - 1, 10), LONGEST_WAIT_S)


def _connect(file: Path, busy_timeout_s: float, how: str = "mode=rwc") -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?{how}"
    # transactions are begun by hand
    return sqlite3.connect(address, uri=True, timeout=busy_timeout_s, isolation_level=None)


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """Bring a file of an older version up to date; of several processes at once one does it."""
    if _missing_columns(connection):
        connection.execute("BEGIN IMMEDIATE")
        for name in _missing_columns(connection):
            connection.execute(f"ALTER TABLE incidents ADD COLUMN {name} TEXT")
        connection.commit()


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    known = {row["name"] for row in connection.execute("PRAGMA table_info(incidents)")}
    return [name for name in _ADDED_COLUMNS if name not in known]


def _explain(file: Path, error: sqlite3.DatabaseError, waited_s: float) -> str:
    if "locked" in str(error):
        return f"{file}: another process has held it for {waited_s:g} s; try again when that has ended"
    if any(words in str(error) for words in ("readonly", "unable to open", "disk")):  # the machine, not the file
        return (
            f"{file}: it cannot be written to ({error}). Let this user write there, and see that its disk is not full"
        )
    return (
        f"{file}: it cannot be used ({error}); move it away, and the next evaluation starts a new one: "
        "what is still wrong then opens again"
    )


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
    values = dict.fromkeys(_ADDED_COLUMNS) | dict(row)  # a file that cannot be written to may lack them
    return Incident(**{**values, "is_event": bool(values["is_event"])})


def _moment(at: str) -> datetime:
    """Read a drop or an ISO moment; without a time zone it is UTC."""
    moment = datetime.fromisoformat(at)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _utc(now: datetime) -> str:
    """Write a moment so that the order of texts is the order of moments."""
    if now.tzinfo is None:
        raise ValueError(f"now: found {now}, without a time zone; allowed: a moment with one")
    return now.astimezone(UTC).isoformat(timespec="milliseconds")
