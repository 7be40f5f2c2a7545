"""The file of incidents and messages: one SQLite database a state folder, read and written by many processes.

What is in it is known to alert_outbox.py. Here it is made, opened, brought up to date, and its errors are explained.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ml_assets.stores.paths import StatePaths
from ml_assets.stores.write_lock import write_lock

ADDED_COLUMNS = ("opened_drop", "closed_drop")  # of incidents, after files of older versions were made
_JUDGEMENTS = """
CREATE TABLE IF NOT EXISTS judgements (
    incident_id TEXT NOT NULL, is_useful INTEGER NOT NULL, note TEXT NOT NULL, judged_by TEXT NOT NULL,
    judged_at TEXT NOT NULL
);
"""
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


class AlertFile:
    """The database of one state folder; nothing is made before the first write."""

    def __init__(self, paths: StatePaths, busy_timeout_s: float) -> None:
        self.folder = paths.alerts
        self._file = paths.alerts / "alerts.sqlite"
        self._busy_timeout_s = busy_timeout_s

    def read(self, query: str, values: Sequence[object]) -> list[sqlite3.Row]:
        """Give the rows of a query; none before the first write, AlertOutboxError where the file cannot be read."""
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
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all or nothing; AlertOutboxError where the file cannot be written."""
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
                connection.executescript(_SCHEMA + _JUDGEMENTS)
            unfinished.rename(self._file)


def _connect(file: Path, busy_timeout_s: float, how: str = "mode=rwc") -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?{how}"
    # transactions are begun by hand
    return sqlite3.connect(address, uri=True, timeout=busy_timeout_s, isolation_level=None)


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """Bring a file of an older version up to date; of several processes at once one does it."""
    if _missing_columns(connection) or not _has_judgements(connection):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_JUDGEMENTS)
        for name in _missing_columns(connection):
            connection.execute(f"ALTER TABLE incidents ADD COLUMN {name} TEXT")
        connection.commit()


def _has_judgements(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'judgements'").fetchone() is not None


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    known = {row["name"] for row in connection.execute("PRAGMA table_info(incidents)")}
    return [name for name in ADDED_COLUMNS if name not in known]


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


def is_judged(connection: sqlite3.Connection, incident_id: str) -> bool:
    """Say whether a person closed an incident."""
    found = connection.execute("SELECT 1 FROM judgements WHERE incident_id = ? LIMIT 1", [incident_id])
    return found.fetchone() is not None


def moment_of(at: str) -> datetime:
    """Read a drop or an ISO moment; without a time zone it is UTC."""
    moment = datetime.fromisoformat(at)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def utc_text(now: datetime) -> str:
    """Write a moment so that the order of texts is the order of moments."""
    if now.tzinfo is None:
        raise ValueError(f"now: found {now}, without a time zone; allowed: a moment with one")
    return now.astimezone(UTC).isoformat(timespec="milliseconds")
