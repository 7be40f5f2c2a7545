"""What housekeeping removes of a use case, and what it never does."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from ml_assets.graph.runs.run_logs import remove_run_logs
from ml_assets.pipeline.housekeeping import housekeep
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import day, small_spec

SPEC = small_spec()
QUIET = {"telemetry": {"enabled": False}}
OLD = timedelta(days=120)  # beyond what is kept of a refused candidate


@pytest.fixture
def state(tmp_path: Path) -> UseCaseState:
    """Give a state with four models, three of them old: one promoted, one refused, one without a verdict."""
    found = UseCaseState(SPEC.name, StatePaths(tmp_path))
    for version, is_old in {"promoted": True, "refused": True, "abandoned": True, "newest": False}.items():
        folder = found.models.folder / version
        folder.mkdir(parents=True)
        manifest = folder / "manifest.json"
        manifest.write_text("{}")
        moment = datetime.now(UTC).timestamp() - is_old * OLD.total_seconds()  # noqa: TID251 - files have real ages
        os.utime(manifest, (moment, moment))
    record = [("promoted", "promoted", 3), ("refused", "refused", 4), ("newest", "refused", 5)]
    rows = pa.table(
        {
            "as_of": [day(number) for number in range(1, 4)],
            "model_version": [version for version, _, _ in record],
            "verdict": [verdict for _, verdict, _ in record],
            "sequence": pa.array(range(3), pa.int64()),
            "_training_set_version": [number for _, _, number in record],
            "_recorded_at": [datetime(2013, 1, number, tzinfo=UTC) for number in range(1, 4)],
        }
    )
    found.lake.append("champion", rows)
    return found


def names(state: UseCaseState) -> set[str]:
    return {folder.name for folder in state.models.folder.iterdir()}


def test_old_models_that_were_never_promoted_go_and_the_others_stay(state: UseCaseState) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - files have real ages
    planned = housekeep(SPEC, state, now, is_dry_run=True)
    assert names(state) == {"promoted", "refused", "abandoned", "newest"}

    removed = housekeep(SPEC, state, now)

    assert names(state) == {"promoted", "newest"}
    assert removed == planned
    assert [(each.what, each.files) for each in removed] == [("versions of tables", 0), ("models", 2)]
    assert [each.files for each in housekeep(SPEC, state, now)] == [0, 0]


@dg.op
def _say() -> None:
    """Do nothing: a run of a job leaves a log."""


@dg.job(name=f"{SPEC.name}_batch")
def _batch() -> None:
    _say()


def test_logs_of_old_runs_go_and_the_list_of_runs_stays(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    paths.dagster_home.mkdir()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.local_temp(str(paths.dagster_home), overrides=QUIET) as instance:
        run_id = _batch.execute_in_process(instance=instance, run_config=quiet).run_id
        events = paths.dagster_home / "history" / "runs" / f"{run_id}.db"
        assert events.exists()
        now = datetime.now(UTC)  # noqa: TID251 - runs have real ages

        young = remove_run_logs(SPEC, paths, instance, now)
        assert (young.files, events.exists()) == (0, True)
        old = remove_run_logs(SPEC, paths, instance, now + timedelta(days=31))

        assert (old.files > 0, events.exists()) == (True, False)
        assert [run.run_id for run in instance.get_runs()] == [run_id]
