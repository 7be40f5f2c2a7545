"""A state of an earlier release, taken along to this one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ml_assets.pipeline.champion.record import read_record
from ml_assets.pipeline.migrations import migrate
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.state_version import (
    STATE_VERSION,
    StateVersionError,
    begin_state,
    check_state,
    found_version,
    writing,
)
from ml_assets_tests.rehearsal import give_registry

TEXTS = ["kept finite: the log loss is finite", "broken gain: too little: -0.1"]
DAY = date(2013, 1, 1)


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    """Give a state as the first releases left it: other names, reasons as texts, settings that name a gone module."""
    folder = tmp_path / "lake" / "trips"
    write_deltalake(str(folder / "computed_drops"), pa.table({"batch_date": [DAY], "examples": [3]}))
    record = {"sequence": [1, 2], "verdict": ["refused", "promoted"], "as_of": [DAY] * 2, "reasons": [TEXTS, None]}
    write_deltalake(str(folder / "champion"), pa.table(record))
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text(
        "# The Dagster instance. Dagster reads this file from DAGSTER_HOME and keeps its state beside it.\nold: 1\n"
    )
    return StatePaths(tmp_path)


def run(paths: StatePaths, *, is_dry_run: bool = False) -> list[str]:
    return list(migrate(paths, lambda _: [], is_dry_run=is_dry_run))


def test_state_of_an_earlier_release_is_refused_until_it_was_migrated(paths: StatePaths) -> None:
    for opened in (check_state, begin_state):
        with pytest.raises(StateVersionError, match=r"version 0; allowed: 1\. Run `ml-assets migrate` once"):
            opened(paths)

    planned = run(paths, is_dry_run=True)
    assert (found_version(paths), Lake(paths.lake / "trips").tables()) == (0, ["champion", "computed_drops"])
    done = run(paths)

    check_state(paths)
    assert [each.partition(":")[0] for each in done] == [
        "dagster_home/dagster.yaml", "trips.computed_drops", "trips.champion", "trips.closed_drops", "trips.champion",
        "state.json",
    ]  # fmt: skip
    assert len(planned) == len(done)
    assert run(paths) == []


def test_record_of_an_earlier_release_gets_the_columns_of_now_and_its_table_keeps_the_version_before(
    paths: StatePaths,
) -> None:
    run(paths)

    lake = Lake(paths.lake / "trips")
    with duckdb.connect() as connection:
        first, second = read_record(connection, lake)
        before = lake.relation(connection, "champion", version=0).to_arrow_table().to_pylist()
    nothing = {"measured": None, "threshold": None}
    assert first["reasons"] == [
        {"code": "finite", "message": "the log loss is finite", **nothing, "passed": True},
        {"code": "gain", "message": "too little: -0.1", **nothing, "passed": False},
    ]
    assert second["reasons"] is None
    assert {name: second[name] for name in ("decided_by", "serves_after", "serves", "asked_by")} == {
        "decided_by": "gate", "serves_after": DAY, "serves": "model", "asked_by": None,
    }  # fmt: skip
    assert before[0]["reasons"] == TEXTS
    assert read_rows(lake, "closed_drops", ["examples"]) == [{"examples": 3}]


@pytest.mark.parametrize("changes", range(6))
def test_migration_that_is_killed_after_any_change_goes_on_from_there(paths: StatePaths, changes: int) -> None:
    going_on = migrate(paths, lambda _: [])
    first = [next(going_on) for _ in range(changes)]
    assert found_version(paths) == 0

    second = run(paths)

    assert len(first) + len(second) == 6
    assert found_version(paths) == STATE_VERSION
    with duckdb.connect() as connection:
        assert len(read_record(connection, Lake(paths.lake / "trips"))) == 2


def test_schema_of_mlflow_that_is_behind_is_brought_along_and_the_file_before_is_kept(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    give_registry(paths)
    file = paths.mlflow / "mlflow.db"
    with closing(sqlite3.connect(file)) as database:
        head = database.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        before = _set_back(head, database)

    planned, done = run(paths, is_dry_run=True), run(paths)

    assert planned == done
    assert done[0].startswith(f"mlflow/mlflow.db: schema {before} becomes {head}")
    assert file.with_name(f"mlflow.db.before_{before}").exists()
    assert run(paths) == []


def _set_back(head: str, database: sqlite3.Connection) -> str:
    """Take back the last migration of MLflow's schema, by MLflow's own scripts."""
    from alembic.command import downgrade
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config
    from sqlalchemy import create_engine

    file = database.execute("PRAGMA database_list").fetchone()[2]
    config = _get_alembic_config(f"sqlite:///{file}")
    before = str(ScriptDirectory.from_config(config).get_revision(head).down_revision)
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        downgrade(config, before)
    engine.dispose()
    return before


def test_new_state_is_declared_with_its_first_write_and_one_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path / "state")
    check_state(paths)
    assert found_version(paths) is None

    with writing(paths, "trips"):
        assert found_version(paths) == STATE_VERSION

    (paths.root / "state.json").write_text('{"version": 9}')
    with pytest.raises(StateVersionError, match=r"state: found a state of version 9; allowed: 1\. .*newer release"):
        check_state(paths)
    (paths.root / "state.json").write_text("{")
    with pytest.raises(StateVersionError, match=r"state\.json: found .*; allowed: what ml_assets wrote"):
        check_state(paths)
