"""What housekeeping removes of a use case, and what it never does."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from ml_assets.graph.assets.layout import WRITE_TAG
from ml_assets.graph.runs.run_logs import remove_run_logs
from ml_assets.pipeline.housekeeping import housekeep
from ml_assets.stores.model_registry import CandidateLog
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import day, give_registry, small_spec

SPEC = small_spec()
QUIET = {"telemetry": {"enabled": False}}
OLD = timedelta(days=120)  # beyond what is kept of a refused candidate


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UseCaseState:
    """Give a state with four models, three of them old: one promoted, one refused, one without a verdict."""
    monkeypatch.setenv("ML_ASSETS_SQL_SPILL", str(tmp_path / "spill"))
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
    assert [(each.what, each.files) for each in removed[:2]] == [("versions of tables", 0), ("models", 2)]
    assert [each.files for each in housekeep(SPEC, state, now)] == [0, 0, 0, 0, 0]


@dg.op
def _say() -> None:
    """Do nothing: a run of a job leaves a log."""


@dg.job(name=f"{SPEC.name}_housekeep", tags={WRITE_TAG: SPEC.name})
def _housekeep() -> None:
    _say()


@dg.job(name="another_batch", tags={WRITE_TAG: "another"})
def _another() -> None:
    _say()


@dg.asset(key=[SPEC.name, "labels"])
def _own_asset() -> None:
    """Do nothing, as materialized from its page: such a run has no job of the use case and no tag of it."""


@dg.asset(key=["another", "labels"])
def _other_asset() -> None:
    """Do nothing for another use case."""


def test_logs_of_all_old_runs_of_a_use_case_go_and_the_list_of_runs_stays(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    paths.dagster_home.mkdir()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    from_page = (
        dg.Definitions(assets=[_own_asset, _other_asset]).get_repository_def().get_implicit_global_asset_job_def()
    )

    with dg.DagsterInstance.local_temp(str(paths.dagster_home), overrides=QUIET) as instance:

        def run(job: dg.JobDefinition, asset: str = "") -> Path:
            selected = [dg.AssetKey([asset, "labels"])] if asset else None
            ended = job.execute_in_process(instance=instance, run_config=quiet, asset_selection=selected)
            return paths.dagster_home / "history" / "runs" / f"{ended.run_id}.db"

        own = [run(_housekeep), run(from_page, SPEC.name)]
        others = [run(_another), run(from_page, "another")]
        now = datetime.now(UTC)  # noqa: TID251 - runs have real ages

        young = remove_run_logs(SPEC, paths, instance, now)
        assert (young.files, [file.exists() for file in own + others]) == (0, [True] * 4)
        old = remove_run_logs(SPEC, paths, instance, now + timedelta(days=31))

        assert old.files > 1
        assert [file.exists() for file in own + others] == [False, False, True, True]
        assert len(instance.get_runs()) == 4


def aged(path: Path, content: str = "x", age: timedelta = OLD * 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    moment = datetime.now(UTC).timestamp() - age.total_seconds()  # noqa: TID251 - files have real ages
    for each in (path, path.parent):
        os.utime(each, (moment, moment))
    return path


def test_old_pages_go_but_cards_of_promoted_models_and_pages_of_drift(state: UseCaseState) -> None:
    reports = state.paths.reports / SPEC.name
    kept = [aged(reports / "models" / "promoted.html"), aged(reports / "drift" / "2013-01-01.html"),
            aged(reports / "replay_new.html", age=timedelta(days=3))]  # fmt: skip
    gone = [aged(reports / "models" / "refused.md", "12345"), aged(reports / "sources" / "weather.html")]

    removed = housekeep(SPEC, state, datetime.now(UTC))  # noqa: TID251 - files have real ages

    (pages,) = (each for each in removed if each.what == "pages")
    assert (pages.files, pages.bytes) == (2, 6)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)


def test_what_killed_processes_spilled_goes_after_a_day(state: UseCaseState, tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    old = timedelta(days=2)
    left = aged(spill / "ml_assets_sql_4194305_ab" / "duckdb_temp_storage-0.tmp", "12345", old)  # beyond any process
    running = aged(spill / f"ml_assets_sql_{os.getpid()}_ab" / "duckdb_temp_storage-0.tmp", age=old)
    young = aged(spill / "ml_assets_sql_4194305_cd" / "duckdb_temp_storage-0.tmp", age=timedelta(hours=1))
    other = aged(spill / "somebody_else" / "file", age=old)

    removed = housekeep(SPEC, state, datetime.now(UTC))  # noqa: TID251 - files have real ages

    (spilled,) = (each for each in removed if each.what == "spilled by SQL")
    assert (spilled.files, spilled.bytes) == (1, 5)
    assert not left.parent.exists()
    assert running.exists()
    assert young.exists()
    assert other.exists()


def test_old_runs_of_mlflow_go_but_those_of_promoted_models_and_of_aliases(state: UseCaseState, tmp_path: Path) -> None:
    give_registry(state.paths)
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "model.json").write_text("12345")
    runs = {}
    for name in ("promoted", "refused", "abandoned"):
        log = CandidateLog(name, {"rounds": 3}, {"log_loss": 0.5}, {"model_version": name}, artifacts=tmp_path / "made")
        runs[name], _ = state.registry.log_candidate(log)
    _, newest = state.registry.log_candidate(CandidateLog("newest", {}, {}, {"model_version": "newest"}))
    state.registry.name_champion(newest)
    later = datetime.now(UTC) + timedelta(days=401)  # noqa: TID251 - runs have real ages

    young = housekeep(SPEC, state, later - timedelta(days=2), is_dry_run=True)
    planned = housekeep(SPEC, state, later, is_dry_run=True)
    removed = housekeep(SPEC, state, later)

    sizes = [
        [(each.files, each.bytes) for each in found if each.what == "runs of MLflow"] for found in (young, planned)
    ]
    assert sizes == [[(0, 0)], [(2, 10)]]
    assert removed == planned
    assert state.registry.version_of("promoted") == "1"
    assert state.registry.version_of("newest") == newest
    assert state.registry.version_of("refused") is None
    artifacts = state.paths.mlflow / "artifacts" / SPEC.name
    assert {path.name for path in artifacts.iterdir()} == {runs["promoted"]}
