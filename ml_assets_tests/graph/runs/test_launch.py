from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml_assets.graph.runs.event_log import BatchedSqliteEventLogStorage
from ml_assets.graph.runs.launch import RunOutcome, migrate_instance, open_instance, run_batch, run_retrain
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.rehearsal import Rehearsal, day, rehearse

pytestmark = pytest.mark.xdist_group("launch")  # one worker runs the shared drops once


@dataclass(frozen=True)
class TwoDays:
    """Two drops run on the instance of the project, what was told on the way, and a retraining too far ahead."""

    state: Rehearsal
    outcome: RunOutcome
    told: list[tuple[str, str]]
    refused: RunOutcome


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> TwoDays:
    state = rehearse(tmp_path_factory.mktemp("two_days"), last=2)
    told: list[tuple[str, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")  # running sets both; restored after
        patch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
        outcome = run_batch(
            state.spec, state.paths, day(1), day(2), on_event=lambda step, what: told.append((step, what))
        )
        refused = run_retrain(state.spec, state.paths, Retraining(str(day(5))))
    return TwoDays(state, outcome, told, refused)


def test_run_is_recorded_where_the_ui_looks_with_its_range(two_days: TwoDays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(two_days.state.paths) as instance:
        run = instance.get_run_by_id(two_days.outcome.run_id)
        features = dg.AssetKey(["flight_delays", "features", "features"])

        assert isinstance(instance.event_log_storage, BatchedSqliteEventLogStorage)
        assert run is not None
        assert (run.job_name, run.status) == ("flight_delays_batch", dg.DagsterRunStatus.SUCCESS)
        assert run.tags["ml_assets/write"] == "flight_delays"
        bounds = (run.tags[ASSET_PARTITION_RANGE_START_TAG], run.tags[ASSET_PARTITION_RANGE_END_TAG])
        assert bounds == ("2013-01-01", "2013-01-02")
        assert instance.get_materialized_partitions(features) == {"2013-01-01", "2013-01-02"}
        records = instance.fetch_materializations(features, limit=10).records
        counts = {record.partition_key: _row_count(record.asset_materialization) for record in records}
    rows = two_days.state.rows("features", "SELECT batch_date, count(*) AS n FROM t GROUP BY batch_date")
    assert counts == {str(row["batch_date"]): row["n"] for row in rows}
    assert counts["2013-01-01"] != counts["2013-01-02"]


def _row_count(materialization: dg.AssetMaterialization | None) -> object:
    assert materialization is not None
    return materialization.metadata["dagster/partition_row_count"].value


def test_steps_and_what_they_log_are_told_as_they_go_by(two_days: TwoDays) -> None:
    assert (two_days.outcome.succeeded, two_days.outcome.failures) == (True, ())

    features = [what for step, what in two_days.told if step == "flight_delays__features__features"]

    assert features == ["STEP_START", "features of flight_outcomes", "features of weather", "STEP_SUCCESS"]
    steps = [step for step, what in two_days.told if what == "STEP_SUCCESS"]
    assert len(steps) == 2 * len(two_days.state.spec.sources) + 16  # what the terminal's bar counts up to
    assert steps.index("flight_delays__raw__drops") < steps.index("flight_delays__features__examples")


def test_failed_run_gives_the_step_and_the_error_at_its_root(two_days: TwoDays) -> None:
    assert not two_days.refused.succeeded
    assert two_days.refused.failures == (
        (
            "flight_delays__training__training_set",
            "ValueError: as_of: found 2013-01-05, which was not run; allowed: a drop that was run, from 2013-01-01 to "
            "2013-01-02; nearest: 2013-01-02",
        ),
    )


def test_incidents_are_told_after_a_run_by_the_drop_they_concern(two_days: TwoDays) -> None:
    found = AlertOutbox(two_days.state.paths).incidents("flight_delays", open_only=True)

    (failed,) = [each for each in found if each.kind == "failed_run"]
    assert (failed.monitor, failed.since) == ("run/flight_delays_retrain/by_hand", "2013-01-02")
    assert failed.opened_at != failed.since


def test_processes_that_start_on_a_fresh_state_at_once_leave_one_good_instance(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ml_assets.graph.runs.launch import make_instance; "
        "from ml_assets.stores.paths import StatePaths; make_instance(StatePaths(Path(sys.argv[1])))"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]

    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    home = StatePaths(tmp_path).dagster_home
    for database in (home / "history" / "runs.db", home / "schedules" / "schedules.db"):
        with closing(sqlite3.connect(database)) as connection:
            assert len(connection.execute("SELECT version_num FROM alembic_version").fetchall()) == 1


def test_tables_of_an_older_dagster_are_brought_to_the_schema_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
    paths = StatePaths(tmp_path)
    with open_instance(paths):
        pass
    with closing(sqlite3.connect(paths.dagster_home / "schedules" / "schedules.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '54666da3db5c'")  # before ticks had selectors

    planned = migrate_instance(paths, is_dry_run=True)
    done = migrate_instance(paths)

    assert planned == done
    assert len(done) == 1
    assert done[0].startswith("Dagster's schedules: schema 54666da3db5c becomes ")
    assert migrate_instance(paths) == []
