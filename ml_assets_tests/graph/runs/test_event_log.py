import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml_assets.graph.runs.event_log import BatchedSqliteEventLogStorage
from ml_assets.stores.database_copies import begin_as_copy

DAYS = dg.DailyPartitionsDefinition("2013-01-01", end_date="2013-01-31")
TABLES = {  # without the moment at which a row was inserted
    "event_logs": "id, run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition",
    "asset_keys": "asset_key, last_materialization, last_run_id, last_materialization_timestamp, asset_details",
    "asset_event_tags": "event_id, asset_key, key, value, event_timestamp",
}


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def rows(context: dg.AssetExecutionContext) -> None:
    for number, key in enumerate(context.partition_keys):
        context.add_asset_metadata({"rows": number}, partition_key=key)


@dg.asset(deps=[rows], partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def report(context: dg.AssetExecutionContext) -> None:
    context.log_event(dg.AssetObservation("rows", metadata={"seen": len(context.partition_keys)}))


def run_range(instance: dg.DagsterInstance, first: str, last: str) -> dg.ExecuteInProcessResult:
    tags = {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}
    job = dg.Definitions(assets=[rows, report], jobs=[dg.define_asset_job("both", [rows, report])])
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.resolve_job_def("both").execute_in_process(instance=instance, tags=tags, run_config=quiet)


@pytest.fixture(scope="module")
def events() -> Sequence[dg.EventLogEntry]:
    """Give every event of a run over five days: planned, materialized, observed, and those of its steps."""
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = run_range(instance, "2013-01-03", "2013-01-07").run_id
        return instance.all_logs(run_id)


def about_assets(events: Sequence[dg.EventLogEntry]) -> list[dg.EventLogEntry]:
    return [event for event in events if event.dagster_event and event.dagster_event.event_type in ASSET_EVENTS]


def stored(base: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Read every row of the index and of the runs."""
    found = {}
    for file in sorted(base.glob("*.db")):
        with closing(sqlite3.connect(file)) as connection:
            for table, columns in TABLES.items():
                found[f"{file.name}:{table}"] = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
    return found


def store_one_by_one(events: Sequence[dg.EventLogEntry], base: Path) -> dict[str, list[tuple[Any, ...]]]:
    storage = SqliteEventLogStorage(str(base))
    for event in events:
        storage.store_event(event)
    storage.dispose()
    return stored(base)


def store_in_batches(events: Sequence[dg.EventLogEntry], base: Path) -> dict[str, list[tuple[Any, ...]]]:
    storage = BatchedSqliteEventLogStorage(str(base))
    storage.store_event_batch(events)
    storage.dispose()
    return stored(base)


def test_batch_of_materializations_leaves_the_rows_of_the_default_storage(
    events: Sequence[dg.EventLogEntry], tmp_path: Path
) -> None:
    made = [event for event in about_assets(events) if event.dagster_event_type == "ASSET_MATERIALIZATION"]

    expected = store_one_by_one(made, tmp_path / "default")

    assert store_in_batches(made, tmp_path / "batched") == expected
    assert [len(expected[f"index.db:{table}"]) for table in ("event_logs", "asset_keys")] == [10, 2]
    assert len(expected["index.db:asset_event_tags"]) > 0


def test_observation_in_a_batch_does_not_hide_the_materialization_before_it(
    events: Sequence[dg.EventLogEntry], tmp_path: Path
) -> None:
    kinds = {event.dagster_event_type for event in about_assets(events)}
    assert kinds == {"ASSET_MATERIALIZATION_PLANNED", "ASSET_MATERIALIZATION", "ASSET_OBSERVATION"}

    expected = store_one_by_one(about_assets(events), tmp_path / "default")

    assert store_in_batches(about_assets(events), tmp_path / "batched") == expected


def test_batch_with_other_events_is_stored_one_by_one(events: Sequence[dg.EventLogEntry], tmp_path: Path) -> None:
    assert len(events) > len(about_assets(events)) > 10

    assert store_in_batches(events, tmp_path / "batched") == store_one_by_one(events, tmp_path / "default")


def test_range_run_on_the_instance_of_the_project_is_known_drop_by_drop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = {"module": "ml_assets.graph.runs.event_log", "class": "BatchedSqliteEventLogStorage"}
    settings: dict[str, dict[str, Any]] = {"default": {}, "batched": {"event_log_storage": storage}}
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
    found = {}
    for name, overrides in settings.items():
        home = tmp_path / name
        home.mkdir()
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.local_temp(str(home), overrides=overrides) as instance:
            is_batched = isinstance(instance.event_log_storage, BatchedSqliteEventLogStorage)
            assert is_batched == (name == "batched")
            run_range(instance, "2013-01-03", "2013-01-07")
            run_range(instance, "2013-01-06", "2013-01-09")
            newest = instance.get_latest_materialization_event(dg.AssetKey("rows"))
            assert newest is not None
            assert newest.asset_materialization is not None
            found[name] = (
                sorted(instance.get_materialized_partitions(dg.AssetKey("rows"))),
                newest.asset_materialization.partition,
                newest.asset_materialization.metadata,
                {
                    str(kind): len(instance.fetch_materializations(dg.AssetKey(kind), limit=100).records)
                    for kind in ("rows", "report")
                },
            )

    assert found["batched"] == found["default"]
    assert found["batched"][0] == [f"2013-01-0{day}" for day in range(3, 10)]
    assert found["batched"][3] == {"rows": 9, "report": 9}


def test_file_of_a_later_run_is_a_copy_with_the_same_tables(tmp_path: Path) -> None:
    base = tmp_path / "history" / "runs"
    storage = BatchedSqliteEventLogStorage(str(base))
    for run_id in ("first", "second"):
        storage.get_logs_for_run(run_id)

    def schema(run_id: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(base / f"{run_id}.db")) as connection:
            tables = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
            return [*tables, *connection.execute("PRAGMA journal_mode").fetchall(),
                    *connection.execute("SELECT * FROM alembic_version").fetchall()]  # fmt: skip

    assert (tmp_path / "history" / f"empty-{dg.__version__}.db").exists()
    assert schema("second") == schema("first")
    assert ("wal",) in schema("second")
    storage.dispose()


def test_copy_never_replaces_a_file_that_has_begun(tmp_path: Path) -> None:
    begun, empty = tmp_path / "begun.db", tmp_path / "empty.db"
    begun.write_bytes(b"begun")
    empty.write_bytes(b"empty")

    assert not begin_as_copy(empty, begun)
    assert not begin_as_copy(tmp_path / "none.db", tmp_path / "new.db")
    assert begun.read_bytes() == b"begun"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun.db", "empty.db"]
