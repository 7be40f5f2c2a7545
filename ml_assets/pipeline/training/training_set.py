"""The training set: a new version of one table at each run, and drawn again from its own record."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml_assets.ingestion.ledger import require_computed
from ml_assets.pipeline.declaring.calendar_changes import keep_calendar
from ml_assets.pipeline.features.closed_drops import closed_drops, refuse_drop_not_run, refuse_open_drops
from ml_assets.pipeline.features.versions import require_one_set, stale_drops
from ml_assets.pipeline.monitoring.feed_health import read_faults
from ml_assets.pipeline.training.sampling import EXAMPLES_VIEW, sampled, sampling_of
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.drop_names import named_drop
from ml_assets.spec.feature_versions import feature_definitions
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.kept_files import scan
from ml_assets.stores.lake import Lake, MissingTableError
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.training_set import (
    DrawPlan,
    check_size,
    count_resolved_without_label,
    draw_training_set,
    first_drawable,
    plan_draw,
)

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

TABLE = "training_set"
_INPUTS = ("features", "labels")
_TRAINING_LABELS = "training_labels"


@dataclass(frozen=True)
class Drawn:
    """A training set as drawn: its rows, their content hash, the examples resolved without a label, and rows left out.

    `left_out` counts what a declared sampling did not draw, and what is of a group that is held out.
    """

    rows: pa.Table
    content_hash: str
    without_label: int
    left_out: int = 0


@dataclass(frozen=True)
class TrainingSetResult:
    """A stored training set.

    Attributes
    ----------
    rows
        By split, `train` and `holdout`.
    inputs
        Lake version of each table it was drawn from.
    before
        The drop that the training set before was drawn as of; None where this is the first.
    columns
        Arrow types of the columns, by name.
    """

    plan: DrawPlan
    version: int
    rows: Mapping[str, int]
    inputs: Mapping[str, int]
    content_hash: str
    without_label: int
    before: DropKey | None
    columns: Mapping[str, str]

    @property
    def as_of(self) -> DropKey:
        """The drop it was drawn as of."""
        return read_key(self.plan.as_of)

    @property
    def size(self) -> int:
        """Rows of both splits."""
        return sum(self.rows.values())


def store_training_set(
    spec: UseCaseSpec, state: UseCaseState, as_of: str, *, mix_features: bool = False
) -> TrainingSetResult:
    """Draw the training set as of a drop, by default the newest with features, and store it as a new version.

    Drops in which a feed was broken, as known by then, are left out.

    Raises
    ------
    ValueError
        On an `as_of` that is no drop, or later than what was run; on too few rows.
    DropsNotFinalError
        While an earlier drop has no final state, or no features.
    MixedFeaturesError
        Where drops hold other versions of features than are declared now, unless `mix_features`.
    """
    keep_calendar(spec, state)
    lake = state.lake
    with state.connect() as connection:
        computed = closed_drops(state)
        drop = choose_as_of(spec, as_of, computed)
        refuse_open_drops(spec, state, drop)
        require_computed(spec, computed, drop)
        if not mix_features:
            stale = stale_drops(connection, lake, spec)
            require_one_set(stale, sorted(each for each in computed if each <= drop), spec)
        broken = read_faults(connection, spec, lake, drop).broken_drops(drop)
        plan = plan_draw(spec, drop, broken)
        if plan.has_weak_labels:
            _require_labels_as_of(spec, lake, plan)
        found = lake.versions(inputs_of(plan))
        versions = {table: version for table, version in found.items() if version is not None}
        drawn = draw(connection, lake, plan, versions)
        connection.register("drawn", drawn.rows)
        counts = dict(connection.sql("SELECT split, count(*) FROM drawn GROUP BY split").fetchall())
    check_size(counts, plan, first_drawable(spec, min(computed)))
    record = {"plan": plan.to_json(), "inputs": versions, "content_hash": drawn.content_hash,
              "definitions": feature_definitions(spec), "left_out": drawn.left_out}  # fmt: skip
    before = drawn_before(lake)
    version = lake.replace(TABLE, drawn.rows, record)
    columns = {field.name: str(field.type) for field in drawn.rows.schema}
    return TrainingSetResult(plan, version, counts, versions, drawn.content_hash, drawn.without_label, before, columns)


@dataclass(frozen=True, eq=False)
class NewestTrainingSet:
    """The newest training set and its plan as recorded. Grain of `rows`: a labelled example, in order of drop."""

    plan: dict[str, Any]
    rows: pd.DataFrame


def read_newest(spec: UseCaseSpec, state: UseCaseState) -> NewestTrainingSet:
    """Read the newest training set; raises MissingTableError when none was drawn yet, saying what to run."""
    if not state.lake.has(TABLE):
        raise MissingTableError(f"{spec.name} has no training set yet; run `ml-assets retrain {spec.name}` first")
    with state.connect() as connection:
        rows = state.lake.relation(connection, TABLE).order("batch_date, example_id").df()
    return NewestTrainingSet(state.lake.metadata(TABLE)["plan"], rows)


def inputs_of(plan: DrawPlan) -> tuple[str, ...]:
    """Name the tables that a training set is drawn from."""
    sampling = sampling_of(plan)
    found = (*_INPUTS, _TRAINING_LABELS) if plan.has_weak_labels else _INPUTS
    return (*found, "examples") if sampling and sampling.groups else found


def _require_labels_as_of(spec: UseCaseSpec, lake: Lake, plan: DrawPlan) -> None:
    """Refuse training labels as of another drop: those of a later one would know what was not known."""
    found = lake.metadata(_TRAINING_LABELS).get("as_of") if lake.has(_TRAINING_LABELS) else None
    if found != plan.as_of:
        there = f"they are as of {found}" if found else "there are none"
        raise ValueError(
            f"{spec.name}: the training set as of {plan.as_of} needs training labels as of that drop; {there}. Run "
            f"`ml-assets retrain {spec.name} --as-of {plan.as_of}`, or label_model and training_labels with it"
        )


def draw(connection: duckdb.DuckDBPyConnection, lake: Lake, plan: DrawPlan, versions: dict[str, int]) -> Drawn:
    """Draw the training set of `plan` from the given lake versions of its inputs."""
    for table in inputs_of(plan):
        name = EXAMPLES_VIEW if table == "examples" else table
        scan(connection, lake.files(table, versions[table])).create_view(name)
    everything = draw_training_set(connection, plan).to_arrow_table()
    rows = sampled(connection, plan, everything)
    return Drawn(rows, content_hash(connection.from_arrow(rows)), count_resolved_without_label(connection, plan),
                 everything.num_rows - rows.num_rows)  # fmt: skip


def rebuild(connection: duckdb.DuckDBPyConnection, lake: Lake, version: int) -> tuple[str, str]:
    """Draw a past version again from what it recorded; give the recorded content hash and the new one."""
    recorded = lake.metadata(TABLE, version)
    if "plan" not in recorded:
        raise LookupError(f"{TABLE} version {version} holds no training set; allowed: {_drawn_versions(lake)}")
    again = draw(connection, lake, DrawPlan.from_json(recorded["plan"]), recorded["inputs"])
    return recorded["content_hash"], again.content_hash


def drawn_before(lake: Lake) -> DropKey | None:
    """Give the drop that the newest training set was drawn as of."""
    plan = lake.metadata(TABLE).get("plan") if lake.has(TABLE) else None
    return read_key(plan["as_of"]) if plan else None


def _drawn_versions(lake: Lake) -> str:
    return ", ".join(str(commit["version"]) for commit in reversed(lake.history(TABLE)) if "plan" in commit)


def choose_as_of(spec: UseCaseSpec, asked: str, computed: Collection[DropKey]) -> DropKey:
    """Read the asked drop, or take the newest one with features.

    Raises
    ------
    ValueError
        If it is no date, no drop of the calendar, or one that was not run.
    """
    refuse_drop_not_run(spec, computed, None, "as_of")
    newest = max(computed)
    if not asked:
        return newest
    try:
        as_of = named_drop(spec.calendar, asked)
    except ValueError as error:
        kind = "date" if spec.calendar.has_dates else "drop or a date"
        raise ValueError(f"as_of: found {asked!r}; allowed: a {kind} such as {newest}") from error
    refuse_drop_not_run(spec, computed, as_of, "as_of")
    return as_of
