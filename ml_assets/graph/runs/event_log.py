"""Dagster's SQLite event log, with the events of a range stored in one transaction.

A range of 120 drops over 21 assets has 5,000 events; one at a time, with a new engine for each of
four connections, they take longer than the data. Measured in docs/graph_cost.md.

A connection is kept open to the index and to the newest run's file: closing the last one of a file in write-ahead mode
copies its log back, which costs more than the event. With synchronous=NORMAL the files stay sound whatever happens; a
machine that loses power may forget its last events, which tell what happened, while what was made lies in the lake.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import sqlalchemy as db
from dagster import AssetKey, EventLogEntry, __version__
from dagster._config import UserConfigSchema
from dagster._core.definitions.data_version import DATA_VERSION_IS_USER_PROVIDED_TAG, DATA_VERSION_TAG
from dagster._core.events import ASSET_EVENTS, DagsterEventType, StepMaterializationData
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy.event import listen
from sqlalchemy.pool import QueuePool

from ml_assets.graph.assets.layout import CONTENT_VERSION
from ml_assets.stores.database_copies import begin_as_copy, copy_database
from ml_assets.stores.paths import state_paths

BATCH_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"


def store_events_in_batches() -> None:
    """Ask Dagster to hand over the events of a step together, in this process and those it starts."""
    os.environ.setdefault(BATCH_VARIABLE, "2000")


class BatchedSqliteEventLogStorage(SqliteEventLogStorage):
    """The default storage, same files and same rows; only how they are written differs."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, db.Engine] = {}  # first: the parent connects when it makes new files
        self._newest: str | None = None
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Take no setting: the files lie where the default storage has them, under DAGSTER_HOME."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Any,
    ) -> "BatchedSqliteEventLogStorage":
        """Find the files under DAGSTER_HOME, or where the commands keep it."""
        home = Path(os.environ.get("DAGSTER_HOME") or state_paths().dagster_home)
        return cls(base_dir=str(home / "history" / "runs"), inst_data=inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock:
            engine = self._engine_of(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _initdb(self, engine: db.Engine, for_index_shard: bool = False) -> None:
        """Make the tables of a new file. That of a run is a copy of one that this Dagster made before."""
        made, empty = Path(engine.url.database or ""), Path(self._base_dir).parent / f"empty-{__version__}.db"
        if not for_index_shard and begin_as_copy(empty, made):
            with engine.connect() as connection:
                connection.execute(db.text("PRAGMA journal_mode=WAL"))
            return
        super()._initdb(engine, for_index_shard)
        if made.stem != INDEX_SHARD_NAME and not empty.exists():
            copy_database(made, empty)

    def has_table(self, table_name: str) -> bool:
        """Say whether the index has a table, asking the file until it has."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _engine_of(self, shard: str) -> db.Engine:
        """Keep one engine a file and an open connection to two: the index, and the run that was asked for last."""
        if shard not in self._engines:
            self._engines[shard] = db.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool, pool_size=1, max_overflow=3,  # one stays open; a new file takes more
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )  # fmt: skip
            listen(self._engines[shard], "connect", _set_synchronous)
        if shard not in (INDEX_SHARD_NAME, self._newest):
            if self._newest is not None:
                self._engines[self._newest].dispose()
            self._newest = shard
        return self._engines[shard]

    def dispose(self) -> None:
        """Close what is open."""
        for engine in self._engines.values():
            engine.dispose()
        super().dispose()

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store neighbouring asset events of one run in one transaction a file; any others one by one."""
        events = [with_own_version(event) for event in events]
        for (_, are_about_assets), group in groupby(events, lambda event: (event.run_id, _is_asset_event(event))):
            if are_about_assets:
                self._store_asset_events(list(group))
            else:
                super().store_event_batch(list(group))

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event."""
        super().store_event(with_own_version(event))

    def _store_asset_events(self, events: Sequence[EventLogEntry]) -> None:
        statements = [self.prepare_insert_event(event) for event in events]
        with self.run_connection(events[0].run_id) as connection:
            for statement in statements:
                connection.execute(statement)
        with self.index_transaction() as connection:
            ids = [int((connection.execute(statement).inserted_primary_key or (0,))[0]) for statement in statements]
            self._store_asset_event_tags(connection, events, ids)
            newest = {_subject(event): (event, event_id) for event, event_id in zip(events, ids, strict=True)}
            for event, event_id in sorted(newest.values(), key=lambda stored: stored[1]):
                self._store_asset_event(connection, event, event_id)


def with_own_version(event: EventLogEntry) -> EventLogEntry:
    """Give the materialization of a partition the data version that its metadata names; leave other events as they are.

    Dagster 1.13 stamps one data version on every partition of a run over a range, made of the code version and of
    inputs; then "Unsynced" is wrong for most drops. The content version of a drop is in the metadata that each
    partition has of its own, and this is the last place where the events of a range can be told apart.
    """
    made = event.asset_materialization
    if made is None or made.partition is None or CONTENT_VERSION not in made.metadata:
        return event
    own = {DATA_VERSION_TAG: str(made.metadata[CONTENT_VERSION].value), DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
    if own.items() <= (made.tags or {}).items():
        return event
    occurred = event.get_dagster_event()
    data = StepMaterializationData(made._replace(tags={**(made.tags or {}), **own}))
    return event._replace(dagster_event=occurred._replace(event_specific_data=data))


def _set_synchronous(connection: Any, _: object) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA synchronous=NORMAL")


def _subject(event: EventLogEntry) -> tuple[AssetKey | None, DagsterEventType | None]:
    """Say what an event is the newest of: an observation does not replace a materialization."""
    return event.dagster_event.asset_key if event.dagster_event is not None else None, event.dagster_event_type


def _is_asset_event(event: EventLogEntry) -> bool:
    return event.dagster_event is not None and event.dagster_event.event_type in ASSET_EVENTS
