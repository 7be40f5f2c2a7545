"""A small flight_delays on real drops of January 2013, run through its graph, for tests of the whole.

Drops are named by their day of January. The spec is the flagship's, cut down: three sources without
expectations, three views, a holdout of four days, few trees.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, cast

import dagster as dg
import duckdb
import pyarrow as pa
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

import ml_assets
from ml_assets.demo.flights import land_flights
from ml_assets.graph.automation.run_requests import retrain_config
from ml_assets.graph.definitions.use_case import batch_job_name, build_use_case, retrain_job_name
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.drop_rules import DROP_RULES
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake, content_hash
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState

DEFS_FOLDER = Path(ml_assets.__file__).parent / "defs"
SOURCES = ("schedule", "flight_outcomes", "weather")
_VIEWS = ("carrier", "origin_hour", "weather")
_EXPRESSIONS = ("carrier", "origin", "departure_hour", "distance_mi", "is_holiday", "carrier_trend")
_GATE = {"min_gain": -1.0, "max_loss": 1.0, "min_auc": 0.4, "max_auc_drop": 0.5, "max_ece": 0.4,
         "min_examples": 200, "min_days": 2, "resamples": 100, "max_auc": 1.0, "max_slice_loss": 1.0}  # fmt: skip


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
    for rung in model["ladder"]:
        if rung["kind"] == "xgboost":
            rung["parameters"] = {"rounds": 15, "max_depth": 3}
    declared["worklist"]["capacity"] = 20
    return UseCaseSpec.model_validate(declared)


@dataclass(frozen=True)
class Rehearsal:
    """One folder of state and the runs over it."""

    spec: UseCaseSpec
    root: Path

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

    def batch(
        self, first: int, last: int, *, only: Sequence[str] = (), raise_on_error: bool = True
    ) -> dg.ExecuteInProcessResult:
        """Run a range of drops in one run, all of it or `only` some assets of the layer predictions."""
        tags = {
            ASSET_PARTITION_RANGE_START_TAG: day(first).isoformat(),
            ASSET_PARTITION_RANGE_END_TAG: day(last).isoformat(),
        }
        selected = [dg.AssetKey([self.spec.name, "predictions", name]) for name in only] or None
        return self._run(self.spec, batch_job_name(self.spec.name), tags, {}, raise_on_error, selected)

    def run_assets(self, names: Sequence[str], first: int, last: int) -> dg.ExecuteInProcessResult:
        """Run a range of drops of some assets, named as `layer/name`."""
        tags = {
            ASSET_PARTITION_RANGE_START_TAG: day(first).isoformat(),
            ASSET_PARTITION_RANGE_END_TAG: day(last).isoformat(),
        }
        selected = [dg.AssetKey([self.spec.name, *name.split("/")]) for name in names]
        return self._run(self.spec, batch_job_name(self.spec.name), tags, {}, True, selected)

    def score(self, first: int, last: int, *, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
        """Run predictions and worklist alone: the features of these drops are there."""
        return self.batch(first, last, only=("predictions", "worklist"), raise_on_error=raise_on_error)

    def retrain(
        self,
        as_of: int,
        *,
        rung: str = "",
        gate: str = "enabled",
        spec: UseCaseSpec | None = None,
        mix_features: bool = False,
        raise_on_error: bool = True,
        only: Sequence[str] = (),
    ) -> dg.ExecuteInProcessResult:
        """Retrain as of a drop, all of it or `only` some assets, named as `layer/name`, of a set that was drawn."""
        asked = Retraining(day(as_of).isoformat(), rung, gate, mix_features)
        ops: dict[str, Any] = retrain_config(self.spec, asked)["ops"]
        selected = [dg.AssetKey([self.spec.name, *name.split("/")]) for name in only] or None
        if selected:
            ops = {name: config for name, config in ops.items() if name in {"__".join(key.path) for key in selected}}
        return self._run(spec or self.spec, retrain_job_name(self.spec.name), {}, ops, raise_on_error, selected)

    def _run(
        self,
        spec: UseCaseSpec,
        job: str,
        tags: dict[str, str],
        ops: dict[str, Any],
        raise_on_error: bool,
        selected: list[dg.AssetKey] | None = None,
    ) -> dg.ExecuteInProcessResult:
        quiet = {"console": {"config": {"log_level": "CRITICAL"}}}
        with _forgetful_instance() as instance:
            return build_use_case(spec, self.root).resolve_job_def(job).execute_in_process(
                instance=instance, tags=tags, run_config={"ops": ops, "loggers": quiet},
                raise_on_error=raise_on_error, asset_selection=selected,
            )  # fmt: skip

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


def rehearse(root: Path, landed: Path | None = None, last: int = 0) -> Rehearsal:
    """Begin with drops up to the `last` day of January, copied from the folder `landed` or landed anew."""
    rehearsal = Rehearsal(small_spec(), root)
    if landed is None:
        land_flights(rehearsal.landing, rehearsal.spec.calendar, day(1), day(last))
        return rehearsal
    for number in range(1, last + 1):
        name = day(number).isoformat()
        shutil.copytree(landed / name, rehearsal.landing / name)
    return rehearsal


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


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Give what the checks of a run said, by `<asset>:<check>`."""
    found = cast("list[dg.AssetCheckEvaluation]", result.get_asset_check_evaluations())
    return {f"{each.asset_key.path[-1]}:{each.check_name}": each for each in found}


def failures_of(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Give the message at the root of each failed step, by the name of its asset."""
    failures = {}
    for event in result.all_node_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            failures[(event.step_key or "").rpartition("__")[2]] = error.message if error else ""
    return failures
