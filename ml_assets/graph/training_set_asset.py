"""The training set: a new version of one table at each materialization, rebuilt from its own record."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.graph import leakage_check, skew_check
from ml_assets.graph.computed import computed_drops
from ml_assets.graph.described_columns import describe_columns
from ml_assets.graph.drift_measures import read_faults
from ml_assets.graph.feature_assets import refuse_open_drops
from ml_assets.graph.feature_sets import require_one_set, stale_drops
from ml_assets.graph.layout import Results, asset_key, described
from ml_assets.graph.resources import StateResource
from ml_assets.ingestion.ledger import require_computed
from ml_assets.spec.feature_versions import feature_definitions
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake, content_hash, scan
from ml_assets.stores.sandbox import shut_in
from ml_assets.training.training_set import (
    DrawPlan,
    check_size,
    count_resolved_without_label,
    draw_training_set,
    plan_draw,
)

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

TABLE = "training_set"
AUDIT = "training_set_audit"  # what the audit of the newest training set found: the gate refuses what learned of it
_INPUTS = ("features", "labels")


class DrawConfig(dg.Config):
    """As of which drop to draw: all that was admitted up to it. Empty is the newest drop with features.

    `mix_features` lets drops in that hold older versions of features than are declared now.
    """

    as_of: str = ""
    mix_features: bool = False


@dataclass(frozen=True)
class Drawn:
    """A training set as drawn: its rows, their content hash, and the examples resolved without a label."""

    rows: "pa.Table"
    content_hash: str
    without_label: int


def draw(connection: "duckdb.DuckDBPyConnection", lake: Lake, plan: DrawPlan, versions: dict[str, int]) -> Drawn:
    """Draw the training set of `plan` from the given lake versions of its inputs."""
    for table in _INPUTS:
        scan(connection, lake.files(table, versions[table])).create_view(table)
    drawn = draw_training_set(connection, plan)
    rows = drawn.to_arrow_table()
    return Drawn(rows, content_hash(connection.from_arrow(rows)), count_resolved_without_label(connection, plan))


def rebuild(connection: "duckdb.DuckDBPyConnection", lake: Lake, version: int) -> tuple[str, str]:
    """Draw a past version again from what it recorded; give the recorded content hash and the new one."""
    recorded = lake.metadata(TABLE, version)
    if "plan" not in recorded:
        raise LookupError(f"{TABLE} version {version} holds no training set; allowed: {_drawn_versions(lake)}")
    again = draw(connection, lake, DrawPlan.from_json(recorded["plan"]), recorded["inputs"])
    return recorded["content_hash"], again.content_hash


def drawn_before(lake: Lake) -> date | None:
    """Give the drop that the newest training set was drawn as of."""
    plan = lake.metadata(TABLE).get("plan") if lake.has(TABLE) else None
    return date.fromisoformat(plan["as_of"]) if plan else None


def _drawn_versions(lake: Lake) -> str:
    return ", ".join(str(commit["version"]) for commit in reversed(lake.history(TABLE)) if "plan" in commit)


def choose_as_of(spec: UseCaseSpec, asked: str, newest: date | None) -> date:
    """Read the asked drop, or take the newest one with features.

    Raises
    ------
    ValueError
        If it is no date, no drop of the calendar, or later than what has been run.
    """
    if newest is None:
        raise ValueError(f"no drop has features yet; run `ml-assets batch {spec.name} --from … --to …` first")
    if not asked:
        return newest
    try:
        as_of = date.fromisoformat(asked)
    except ValueError as error:
        raise ValueError(f"as_of: found {asked!r}; allowed: a date such as {newest}") from error
    if not spec.calendar.is_drop(as_of):
        raise ValueError(f"as_of: found {as_of}; allowed: a drop of the calendar, from {spec.calendar.start}")
    if as_of > newest:
        raise ValueError(f"as_of: found {as_of}; allowed: up to {newest}, the newest drop that was run")
    return as_of


def build_training_set(spec: UseCaseSpec) -> dg.AssetsDefinition:
    """Build the training set asset."""
    key = asset_key(spec, "training", TABLE)

    @dg.asset(
        key=key,
        deps=[asset_key(spec, "features", "features"), asset_key(spec, "training", "labels"),
              asset_key(spec, "raw", "drops")],
        description="Matured, labelled examples as of a drop with the features they were predicted from, split by "
        "time. Each version records its plan and the lake version of every input, and can be rebuilt.",
        check_specs=[dg.AssetCheckSpec("known_in_time", asset=key, description="Every example is matured and its "
                     "label was known as of the drop; no training example reaches into the holdout.", blocking=True),
                     dg.AssetCheckSpec(leakage_check.CHECK, asset=key, description=leakage_check.DESCRIPTION,
                                       blocking=True),
                     dg.AssetCheckSpec(skew_check.CHECK, asset=key, description=skew_check.DESCRIPTION)],
        **described(spec, "training", "delta", "duckdb"),
    )  # fmt: skip
    def training_set(
        context: dg.AssetExecutionContext, config: DrawConfig, store: StateResource, duckdb: DuckDBResource
    ) -> Results:
        lake = store.of(spec.name).lake
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            computed = computed_drops(lake, duckdb)
            as_of = choose_as_of(spec, config.as_of, max(computed, default=None))
            refuse_open_drops(spec, lake, duckdb, as_of)
            require_computed(spec, computed, as_of)
            if not config.mix_features:
                stale = stale_drops(connection, lake, spec)
                require_one_set(stale, sorted(drop for drop in computed if drop <= as_of), spec)
            # read without a declared arrow: the report depends on the champion, so the graph would turn in a circle
            broken = read_faults(connection, spec, lake, as_of).broken_drops(as_of)
            plan = plan_draw(spec, as_of, broken)
            versions = {table: version for table, version in lake.versions(_INPUTS).items() if version is not None}
            drawn = draw(connection, lake, plan, versions)
            connection.register("drawn", drawn.rows)
            counts = dict(connection.sql("SELECT split, count(*) FROM drawn GROUP BY split").fetchall())
        check_size(counts, plan)
        record = {"plan": plan.to_json(), "inputs": versions, "content_hash": drawn.content_hash,
                  "definitions": feature_definitions(spec)}  # fmt: skip
        before = drawn_before(lake)
        version = lake.replace(TABLE, drawn.rows, record)
        context.log.info(f"training set as of {as_of}: version {version}, {drawn.rows.num_rows} examples")
        yield dg.MaterializeResult(
            metadata={
                "as_of": str(as_of),
                "dagster/row_count": drawn.rows.num_rows,
                "train": counts["train"],
                "holdout": counts["holdout"],
                "holdout from": plan.holdout_after,
                "matured until": plan.matured_until,
                "left out, with a broken feed": ", ".join(plan.excluded) or "none",
                "resolved without label": drawn.without_label,
                "content hash": drawn.content_hash,
                "lake version": version,
                **{f"input version/{table}": number for table, number in versions.items()},
                **describe_columns(
                    spec, "training", TABLE, {field.name: str(field.type) for field in drawn.rows.schema}
                ),
            }
        )
        yield _check_known_in_time(lake, duckdb, plan, version)
        audited = leakage_check.check_leakage(spec, lake, duckdb, as_of, before)
        lake.replace(AUDIT, _audit_table(version, audited), {"training_set_version": version})
        yield audited
        yield skew_check.check_skew(spec, lake, duckdb)

    return training_set


def _audit_table(version: int, audited: dg.AssetCheckResult) -> "pa.Table":
    """Give a row a finding: values that could not be known, columns that say the outcome.

    What compares the training set with rows outside of it is for people: it would let a verdict depend on what else
    was run by then.
    """
    import pyarrow as pa

    alarms = audited.metadata["alarms"].value
    found = (
        [str(alarm) for alarm in alarms if not str(alarm).startswith("afterwards ")] if isinstance(alarms, list) else []
    )
    if audited.severity == dg.AssetCheckSeverity.ERROR and not audited.passed:
        found.append(f"values that could not be known: {audited.description}")
    schema = pa.schema({"training_set_version": pa.int64(), "finding": pa.string()})
    return pa.Table.from_pylist([{"training_set_version": version, "finding": each} for each in found], schema)


def _check_known_in_time(lake: Lake, duckdb: DuckDBResource, plan: DrawPlan, version: int) -> dg.AssetCheckResult:
    """Judge the stored rows against the stored labels, without the query that drew them."""
    with duckdb.get_connection() as connection:
        shut_in(connection, {TABLE: lake.files(TABLE, version), "labels": lake.files("labels")})
        unknown = connection.execute(
            f"SELECT count(*) FROM {TABLE} AS t WHERE NOT EXISTS (SELECT 1 FROM labels AS l WHERE l.example_id = "
            "t.example_id AND l.label = t.label AND l.known_at <= ?::TIMESTAMPTZ AND l.batch_date <= ?::DATE)",
            [plan.known_until, plan.as_of],
        ).fetchall()[0][0]
        unmatured = connection.execute(
            f"SELECT count(*) FROM {TABLE} WHERE prediction_at > ?::TIMESTAMPTZ", [plan.matured_until]
        ).fetchall()[0][0]
        overlap = connection.execute(
            f"SELECT count(*) FROM {TABLE} WHERE split = 'train' AND prediction_at >= (SELECT min(prediction_at) FROM "
            f"{TABLE} WHERE split = 'holdout')"
        ).fetchall()[0][0]
    return dg.AssetCheckResult(
        check_name="known_in_time",
        passed=unknown + unmatured + overlap == 0,
        metadata={"label not known by as_of": unknown, "not matured": unmatured, "trained on inside holdout": overlap},
    )
