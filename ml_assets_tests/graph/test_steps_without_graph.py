"""The steps of the pipeline one after another leave what the graph's jobs leave, on two use cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.demo.flights import land_flights
from ml_assets.graph.automation.run_requests import range_tags, retrain_config
from ml_assets.graph.definitions.jobs import batch_job_name, retrain_job_name
from ml_assets.graph.definitions.use_case import build_use_case
from ml_assets.pipeline.runs.batch import BatchContext, batch_steps, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, retraining_steps, run_retraining_steps
from ml_assets.pipeline.runs.steps import BLOCKING_CHECKS
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.reports.candidate_tables import holdout_plots
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import checks_of, flagship, give_registry, publish_card, run_job, small_spec
from ml_assets_tests.second_use_case.generate import write_past

pytestmark = [
    pytest.mark.xdist_group("steps"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATE_LOANS = Path(__file__).parents[1] / "second_use_case" / "late_loans"


@dataclass(frozen=True)
class World:
    """A use case, how its files land in a folder of state, the drop to retrain as of, and the last one."""

    spec: UseCaseSpec
    land: Callable[[Path], object]
    as_of: date
    last: date

    @property
    def ranges(self) -> list[tuple[DropKey, DropKey]]:
        return [(self.spec.calendar.start, self.as_of), (self.spec.calendar.next_drop(self.as_of), self.last)]


def flights(_: Path) -> World:
    spec, last = small_spec(), date(2013, 1, 11)

    def land(root: Path) -> None:
        land_flights(StatePaths(root).landing / spec.name, spec.calendar, spec.calendar.start, last)

    return World(spec, land, date(2013, 1, 9), last)


def loans(folder: Path) -> World:
    spec, last = load_use_case(LATE_LOANS), date(2022, 9, 18)
    files = write_past(folder)

    def land(root: Path) -> None:
        history = [f"{source.name}={file}" for source, file in zip(spec.sources, files, strict=True)]
        run_history(spec, StatePaths(root), HistoryOptions(history, last=str(last)), NOW)

    return World(spec, land, date(2022, 9, 4), last)


def run_through_graph(world: World, root: Path) -> list[dict[str, Any]]:
    """Give the checks of a batch, a retraining and another batch through Dagster's jobs."""
    spec, said = world.spec, []
    for number, (first, last) in enumerate(world.ranges):
        said.append(checks_of(run_job(spec, root, batch_job_name(spec.name), tags=range_tags(first, last))))
        if number == 0:
            config = retrain_config(spec, Retraining(str(world.as_of), gate="disabled"))
            said.append(checks_of(run_job(spec, root, retrain_job_name(spec.name), config=config)))
    return [spelt(checks, root) for checks in said]


def run_through_steps(world: World, root: Path) -> list[dict[str, Any]]:
    """Give the checks of the same three runs without Dagster."""
    spec, state, said = world.spec, UseCaseState(world.spec.name, StatePaths(root)), []
    context = RetrainingContext(
        NOW,
        draw_plots=lambda fitted: holdout_plots(spec.task, fitted.rows, fitted.fitted_candidates.candidates),
        write_card=publish_card,
    )
    for number, bounds in enumerate(world.ranges):
        said.append(run_batch_steps(spec, state, spec.calendar.drops_between(*bounds), BatchContext(NOW)).checks)
        if number == 0:
            asked = Retraining(str(world.as_of), gate="disabled")
            said.append(run_retraining_steps(spec, state, asked, context).checks)
    return [spelt(checks, root) for checks in said]


def spelt(checks: Mapping[str, Any], root: Path) -> dict[str, tuple[bool, str]]:
    """Give what checks said, without the folder of state."""
    return {name: (each.passed, (each.description or "").replace(str(root), "")) for name, each in checks.items()}


def tables_of(spec: UseCaseSpec, root: Path) -> dict[str, str]:
    """Give the content hash of every table, the model card too: no run id is in it."""
    lake = UseCaseState(spec.name, StatePaths(root)).lake
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {name: content_hash(lake.relation(connection, name)) for name in lake.tables()}


def mirror_of(spec: UseCaseSpec, root: Path) -> list[tuple[Any, ...]]:
    """Give what MLflow keeps of each run: parameters, metrics, tags of ours, and names of files."""
    from mlflow import MlflowClient

    folder = StatePaths(root).mlflow
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(spec.name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return [
        (
            run.data.params, run.data.metrics, run.data.tags["model_version"],
            sorted(path.name for path in (folder / "artifacts" / spec.name / run.info.run_id).rglob("*")),
        )
        for run in runs
    ]  # fmt: skip


def delivered_by(root: Path) -> dict[str, bytes]:
    folder = StatePaths(root).delivered
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow  # two batches and a retraining, each twice; the next test is the quick one of its kind
@pytest.mark.parametrize("world_of", [flights, loans])
def test_steps_leave_the_tables_models_files_and_checks_of_the_graph(
    world_of: Callable[[Path], World], tmp_path: Path
) -> None:
    world = world_of(tmp_path)
    graph, steps = tmp_path / "graph", tmp_path / "steps"
    for root in (graph, steps):
        world.land(root)
        give_registry(StatePaths(root))

    in_graph, without = run_through_graph(world, graph), run_through_steps(world, steps)

    assert without == in_graph
    assert tables_of(world.spec, steps) == tables_of(world.spec, graph)
    assert len(tables_of(world.spec, steps)) > 25
    assert mirror_of(world.spec, steps) == mirror_of(world.spec, graph)
    assert delivered_by(steps) == delivered_by(graph) != {}


def test_batch_of_steps_leaves_the_tables_and_checks_of_the_graph(tmp_path: Path) -> None:
    spec, drops = small_spec(), [date(2013, 1, 1), date(2013, 1, 2)]
    graph, steps = tmp_path / "graph", tmp_path / "steps"
    for root in (graph, steps):
        land_flights(StatePaths(root).landing / spec.name, spec.calendar, drops[0], drops[-1])

    in_graph = checks_of(run_job(spec, graph, batch_job_name(spec.name), tags=range_tags(drops[0], drops[-1])))
    without = run_batch_steps(spec, UseCaseState(spec.name, StatePaths(steps)), drops, BatchContext(NOW)).checks

    assert spelt(without, steps) == spelt(in_graph, graph)
    assert tables_of(spec, steps) == tables_of(spec, graph)
    assert len(tables_of(spec, steps)) > 15


@pytest.mark.parametrize("spec", [flagship(), load_use_case(LATE_LOANS)], ids=lambda spec: spec.name)
def test_steps_are_named_and_ordered_as_the_assets_of_the_two_jobs(spec: UseCaseSpec, tmp_path: Path) -> None:
    graph = build_use_case(spec, tmp_path)
    state = UseCaseState(spec.name, StatePaths(tmp_path))
    context = RetrainingContext(NOW, write_card=publish_card)
    named = {
        batch_job_name(spec.name): list(batch_steps(spec, state, [], BatchContext(NOW))),
        retrain_job_name(spec.name): list(retraining_steps(spec, state, Retraining(), context)),
    }

    for job, steps in named.items():
        layer = graph.resolve_job_def(job).asset_layer
        keys = {"/".join(key.path[1:]): key for key in layer.selected_asset_keys}
        assert set(steps) == {name for name in keys if not name.startswith("quarantine/")}
        for place, name in enumerate(steps):
            parents = {"/".join(key.path[1:]) for key in layer.asset_graph.get(keys[name]).parent_keys}
            assert parents & set(steps) <= set(steps[:place]), name


def test_checks_that_stop_the_steps_are_those_that_block_in_the_graph(tmp_path: Path) -> None:
    graph = build_use_case(small_spec(), tmp_path).resolve_asset_graph()

    blocking = {_named(key) for key in graph.asset_check_keys if graph.get(key).blocking}

    assert blocking == BLOCKING_CHECKS


def _named(key: dg.AssetCheckKey) -> str:
    return f"{key.asset_key.path[-1]}:{key.name}"
