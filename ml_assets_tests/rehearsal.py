"""A small flight_delays on real drops of January 2013, for tests of the whole.

Drops are named by their day of January. The spec is the flagship's, cut down: three sources without
expectations, three views, a holdout of four days, few trees. `Rehearsal` calls the steps of the pipeline, which takes
half the time of the graph; `Rehearsal.graph` runs Dagster's jobs over the same state. That both leave the same tables
is tested in graph/test_steps_without_graph.py.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

import dagster as dg
import duckdb
import pyarrow as pa
from dagster._core.events import ASSET_EVENTS

import ml_assets
from ml_assets.demo.flights import land_flights
from ml_assets.graph.assets.metadata import check_results
from ml_assets.graph.automation.run_requests import range_tags, retrain_config
from ml_assets.graph.definitions.use_case import batch_job_name, build_use_case, retrain_job_name
from ml_assets.pipeline.evaluation.card_facts import CardFacts
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.runs.steps import StepsResult, StepsStoppedError
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.reports.model_card import build_card, write_card
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.drop_rules import DROP_RULES
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_registry import ModelRegistry
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.use_case_state import UseCaseState

REPOSITORY = Path(__file__).parents[1]
DEFS_FOLDER = Path(ml_assets.__file__).parent / "defs"
SOURCES = ("schedule", "flight_outcomes", "weather")
UP_TO_FEATURES = (
    *(f"{layer}/{source}" for layer in ("raw", "validated", "quarantine") for source in SOURCES),
    "raw/drops", "training/labels", "features/examples", "features/features",
)  # fmt: skip
_VIEWS = ("carrier", "origin_hour", "weather")
_EXPRESSIONS = ("carrier", "origin", "departure_hour", "distance_mi", "is_holiday", "carrier_trend")
_GATE = {"min_gain": -1.0, "max_loss": 1.0, "min_auc": 0.4, "max_auc_drop": 0.5, "max_ece": 0.4,
         "min_examples": 200, "min_days": 2, "resamples": 100, "max_auc": 1.0, "max_slice_loss": 1.0,
         "interval_level": 0.01}  # fmt: skip


def day(number: int) -> date:
    """Give the drop of a day of January 2013."""
    return date(2013, 1, number)


@cache
def flagship() -> UseCaseSpec:
    """Give flight_delays as it ships."""
    return load_use_case(DEFS_FOLDER / "flight_delays")


def small_spec(**gate: float) -> UseCaseSpec:
    """Give flight_delays cut down; `gate` sets numbers of a gate that else refuses next to nothing."""
    declared = flagship().model_dump(by_alias=True)
    bare: dict[str, list[object]] = {part: [] for part in ("expectations", "rules", *DROP_RULES)}
    declared["sources"] = [{**source, **bare} for source in declared["sources"] if source["name"] in SOURCES]
    features, model = declared["features"], declared["model"]
    features["views"] = [view for view in features["views"] if view["name"] in _VIEWS]
    features["expressions"] = [each for each in features["expressions"] if each["name"] in _EXPRESSIONS]
    noise = {"name": "noise", "kind": "perturbation", "noise": 0.1, "max_change": 0.2}
    model |= {"holdout": "4d", "threads": 1, "gate": model["gate"] | _GATE | gate, "behaviours": [noise]}
    model["abstain"] = None
    model["folds"] = {"count": 2, "length": "5d"}
    for candidate in model["candidates"]:
        if candidate["kind"] == "xgboost":
            candidate["parameters"] = {"rounds": 15, "max_depth": 3}
    declared["worklist"]["capacity"] = 20
    declared["experiments"] = []  # tests of experiments declare their own
    return UseCaseSpec.model_validate(declared)


@dataclass(frozen=True)
class StepsRun:
    """A run of steps without Dagster: what its checks found, and the error of a step that failed, by its asset."""

    checks: Mapping[str, CheckOutcome]
    failures: Mapping[str, str]

    @property
    def success(self) -> bool:
        """Whether every step ended well."""
        return not self.failures


@dataclass(frozen=True)
class Rehearsal:
    """One folder of state and the runs over it."""

    spec: UseCaseSpec
    root: Path

    @property
    def graph(self) -> GraphRuns:
        """Give the same runs through Dagster, for tests of the graph itself."""
        return GraphRuns(self)

    @property
    def paths(self) -> StatePaths:
        """Give the folders of all state."""
        return StatePaths(self.root)

    @property
    def state(self) -> UseCaseState:
        """Give the state as the steps of the pipeline take it."""
        return UseCaseState(self.spec.name, self.paths)

    @property
    def landing(self) -> Path:
        """Give the folder of landed drops."""
        return self.paths.landing / self.spec.name

    @property
    def lake(self) -> Lake:
        """Give the tables."""
        return Lake(self.paths.lake / self.spec.name)

    def landed(self, number: int, source: str) -> Path:
        """Give the path of a landed file."""
        return self.landing / day(number).isoformat() / f"{source}.csv"

    def batch(self, first: int, last: int, *, only: Sequence[str] = (), raise_on_error: bool = True) -> StepsRun:
        """Run a range of drops in one run, all of it or `only` some assets of the layer predictions."""
        return self._run_batch([f"predictions/{name}" for name in only], first, last, raise_on_error)

    def run_assets(self, names: Sequence[str], first: int, last: int) -> StepsRun:
        """Run a range of drops of some assets, named as `layer/name`."""
        return self._run_batch([name for name in names if not name.startswith("quarantine/")], first, last, True)

    def ingest(self, first: int, last: int) -> StepsRun:
        """Run a range of drops up to their features: half the time of all of it."""
        return self.run_assets(UP_TO_FEATURES, first, last)

    def score(self, first: int, last: int, *, raise_on_error: bool = True) -> StepsRun:
        """Run predictions and worklist alone: the features of these drops are there."""
        return self.batch(first, last, only=("predictions", "worklist"), raise_on_error=raise_on_error)

    def retrain(
        self,
        as_of: int,
        *,
        candidate: str = "",
        gate: str = "enabled",
        spec: UseCaseSpec | None = None,
        mix_features: bool = False,
        raise_on_error: bool = True,
        only: Sequence[str] = (),
    ) -> StepsRun:
        """Retrain as of a drop, all but the card, or `only` some assets, named as `layer/name`.

        The model card takes a third of the time and nothing reads it: who looks at it names it in `only`.
        """
        asked = Retraining(day(as_of).isoformat(), candidate, gate, mix_features)
        now = datetime.now(UTC)  # noqa: TID251 - as the graph does
        context = RetrainingContext(now, write_card=publish_card if "models/model_card" in only else None)
        used = spec or self.spec
        return _steps_run(
            lambda: run_retraining_steps(used, self.state, asked, context, only=only), raise_on_error=raise_on_error
        )

    def _run_batch(self, only: Sequence[str], first: int, last: int, raise_on_error: bool) -> StepsRun:
        drops = self.spec.calendar.drops_between(day(first), day(last))
        context = BatchContext(datetime.now(UTC))  # noqa: TID251 - as the graph does
        return _steps_run(
            lambda: run_batch_steps(self.spec, self.state, drops, context, only=only), raise_on_error=raise_on_error
        )

    def rows(self, table: str, query: str = "SELECT * FROM t") -> list[dict[str, Any]]:
        """Ask one table, as `t`."""
        with self._open(table) as relation:
            found = relation.query("t", query)
            assert found is not None
            return found.to_arrow_table().to_pylist()

    def values(self, table: str, first: int, last: int) -> pa.Table:
        """Give a table of drops as it must be to the byte: without provenance, in order of drop and example."""
        with self._open(table, (day(first), day(last))) as relation:
            columns = sorted(name for name in relation.columns if not name.startswith("_"))
            return relation.order("batch_date, example_id").project(", ".join(columns)).to_arrow_table()

    def content(self, table: str, first: int | None = None, last: int | None = None) -> str:
        """Give the content hash of a table, of a range of its drops if named."""
        drops = None if first is None or last is None else (day(first), day(last))
        with self._open(table, drops) as relation:
            return content_hash(relation)

    @contextmanager
    def _open(self, table: str, drops: tuple[date, date] | None = None) -> Iterator[duckdb.DuckDBPyRelation]:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
            yield self.lake.relation(connection, table, drops)


def _steps_run(work: Callable[[], StepsResult], *, raise_on_error: bool) -> StepsRun:
    """Do the work; give what came of it, and raise what stopped it only where that is asked for."""
    try:
        return StepsRun(work().checks, {})
    except StepsStoppedError as stopped:
        if raise_on_error:
            raise
        said = "".join(traceback.format_exception_only(stopped.__cause__ or stopped))
        return StepsRun(stopped.result.checks, {stopped.step.rpartition("/")[2]: said})


def publish_card(spec: UseCaseSpec, state: UseCaseState, facts: CardFacts) -> str:
    """Write the model card as the graph does, and give its Markdown."""
    card = build_card(spec, facts)
    write_card(state, facts, card)
    return card.to_markdown(pictures=False)


@dataclass(frozen=True)
class GraphRuns:
    """The runs of a rehearsal through Dagster's jobs."""

    of: Rehearsal

    def batch(self, first: int, last: int, *, only: Sequence[str] = ()) -> dg.ExecuteInProcessResult:
        """Run a range of drops in one run, all of it or `only` some assets, named as `layer/name`."""
        spec, keys = self.of.spec, [dg.AssetKey([self.of.spec.name, *name.split("/")]) for name in only]
        return run_job(spec, self.of.root, batch_job_name(spec.name), tags=range_tags(day(first), day(last)), only=keys)

    def retrain(
        self, as_of: int, *, candidate: str = "", gate: str = "enabled", raise_on_error: bool = True
    ) -> dg.ExecuteInProcessResult:
        """Retrain as of a drop."""
        spec, asked = self.of.spec, Retraining(day(as_of).isoformat(), candidate, gate)
        config = retrain_config(spec, asked)
        return run_job(spec, self.of.root, retrain_job_name(spec.name), config=config, raise_on_error=raise_on_error)


def run_job(
    spec: UseCaseSpec,
    root: Path,
    job: str,
    *,
    tags: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    only: Sequence[dg.AssetKey] = (),
    raise_on_error: bool = True,
) -> dg.ExecuteInProcessResult:
    """Run a job of a use case in this process, on an instance that is forgotten."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with _forgetful_instance() as instance:
        return build_use_case(spec, root).resolve_job_def(job).execute_in_process(
            instance=instance, tags=dict(tags or {}), run_config={**(config or {}), **quiet},
            raise_on_error=raise_on_error, asset_selection=list(only) or None,
        )  # fmt: skip


def rehearse(root: Path, landed: Path | None = None, last: int = 0) -> Rehearsal:
    """Begin with drops up to the `last` day of January, copied from the folder `landed` or landed anew."""
    rehearsal = Rehearsal(small_spec(), root)
    give_registry(rehearsal.paths)
    if landed is None:
        land_flights(rehearsal.landing, rehearsal.spec.calendar, day(1), day(last))
        return rehearsal
    for number in range(1, last + 1):
        name = day(number).isoformat()
        shutil.copytree(landed / name, rehearsal.landing / name)
    return rehearsal


def give_registry(paths: StatePaths) -> None:
    """Give a folder of state the empty store of MLflow, which takes seconds to make: once a process is enough."""
    paths.mlflow.mkdir(parents=True, exist_ok=True)
    (paths.mlflow / "mlflow.db").write_bytes(_empty_registry())


@cache
def _empty_registry() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        ModelRegistry(Path(folder), "nobody").version_of("none")
        with closing(sqlite3.connect(Path(folder) / "mlflow.db")) as made:
            return made.serialize()


def go_on_from(earlier: Rehearsal, root: Path) -> Rehearsal:
    """Go on from a copy of the state of another rehearsal, which stays as it is."""
    shutil.copytree(earlier.root, root, dirs_exist_ok=True)
    return Rehearsal(earlier.spec, root)


@contextmanager
def _forgetful_instance() -> Iterator[dg.DagsterInstance]:
    """Give an instance that keeps no asset events: with them a run takes twice as long.

    What a run and its checks said is in its result; how events are kept is tested in graph/test_event_log.py.
    """
    with dg.DagsterInstance.ephemeral() as instance:
        store = instance.event_log_storage.store_event

        def store_but_for_assets(event: dg.EventLogEntry) -> None:
            kind = event.dagster_event_type
            if kind is None or kind not in ASSET_EVENTS:
                store(event)

        instance.event_log_storage.store_event = store_but_for_assets
        yield instance


def checks_of(result: StepsRun | dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Give what the checks of a run said, by `<asset>:<check>`."""
    if isinstance(result, StepsRun):
        return {name: _evaluation(name, outcome) for name, outcome in result.checks.items()}
    found = cast("list[dg.AssetCheckEvaluation]", result.get_asset_check_evaluations())
    return {f"{each.asset_key.path[-1]}:{each.check_name}": each for each in found}


def _evaluation(name: str, outcome: CheckOutcome) -> dg.AssetCheckEvaluation:
    """Give an outcome as the graph shows it."""
    key = dg.AssetKey(name.partition(":")[0])
    (result,) = check_results([outcome], key)
    return dg.AssetCheckEvaluation(
        asset_key=key, check_name=outcome.name, passed=result.passed,
        metadata=result.metadata, severity=result.severity, description=result.description,
    )  # fmt: skip


def failures_of(result: StepsRun | dg.ExecuteInProcessResult) -> dict[str, str]:
    """Give the message at the root of each failed step, by the name of its asset."""
    if isinstance(result, StepsRun):
        return dict(result.failures)
    failures = {}
    for event in result.all_node_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            failures[(event.step_key or "").rpartition("__")[2]] = error.message if error else ""
    return failures
