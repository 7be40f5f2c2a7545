"""Assets of how good the models are: what others would have said, and the quality of what matured in each drop."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.graph.layout import (
    SINGLE_RUN,
    Results,
    asset_key,
    described,
    history_mapping,
    partition_keys,
    partitions_of,
    table_schema,
)
from ml_assets.graph.pictures import as_markdown, log_loss_by_day_png
from ml_assets.graph.prior_correction import PriorCorrector, drops_read
from ml_assets.graph.resources import StateResource
from ml_assets.graph.row_counts import describe_drops
from ml_assets.graph.serving_assets import scored_from, server_of
from ml_assets.graph.verdicts import read_record
from ml_assets.monitoring.performance import (
    first_prediction_date,
    judge_performance,
    measure_performance,
    read_scored,
)
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.serving.scoring import score_drop
from ml_assets.serving.shadows import RecordedVerdict, Shadow, as_promotion, shadows_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelBundle, ModelStore, TamperedModelError
from ml_assets.stores.sandbox import shut_in

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

SHADOWS, REPORT, VERDICTS = "shadow_predictions", "performance_report", "performance_verdicts"
_PICTURED = timedelta(days=56)  # a run of one drop still shows how it came here
_PICTURED_ROLES = {"champion": "champion", "baseline": "baseline", "first_champion": "first champion"}
_TYPES = {"DATE": "date32", "VARCHAR": "string", "DOUBLE": "double", "BIGINT": "int64"}

_SHADOW_COLUMNS = {
    "batch_date": "DATE",
    "example_id": "VARCHAR",
    "role": "VARCHAR",
    "model_version": "VARCHAR",
    "score": "DOUBLE",
    "_features_version": "BIGINT",
}
_REPORT_COLUMNS = {
    "batch_date": "DATE",
    "prediction_date": "DATE",
    "role": "VARCHAR",
    "slice_column": "VARCHAR",
    "slice_value": "VARCHAR",
    "model_version": "VARCHAR",
    "n": "BIGINT",
    "n_unresolved": "BIGINT",
    **dict.fromkeys(
        ("label_share", "mean_score", "auc", "log_loss", "log_loss_over_entropy", "brier", "ece",
         "precision_at_capacity", "cost", "log_loss_lower", "log_loss_upper"), "DOUBLE"),
}  # fmt: skip
_VERDICT_COLUMNS = {
    "batch_date": "DATE",
    "model_version": "VARCHAR",
    "state": "VARCHAR",
    "prior_state": "VARCHAR",
    **dict.fromkeys(("gain", "gain_lower", "gain_upper", "gain_at_gate", "threshold"), "DOUBLE"),
    "n": "BIGINT",
    "n_days": "BIGINT",
    **dict.fromkeys(("label_share", "mean_score", "prior_shift", "ece"), "DOUBLE"),
    "window_from": "DATE",
    "window_until": "DATE",
}
_MEANINGS = {
    "batch_date": "the drop in which the examples matured",
    "prediction_date": "the drop in which they were predicted",
    "role": "champion, baseline (the heuristic), first_champion (never retrained) or last_refused",
    "slice_column": "the feature that splits them; null for all",
    "slice_value": "its value; null for all, and where the feature is unknown",
    "n": "matured with a label known by the drop",
    "n_unresolved": "matured without one",
    "log_loss": "in nats; null where undefined, and in slices of too few labels",
    "log_loss_over_entropy": "over that of always saying the label share",
    "precision_at_capacity": "share of positives among a drop's highest scores, as many as a list has",
    "cost": "mean cost an example, in the unit of the declaration",
    "log_loss_lower": "of slices: normal-theory 90 % interval",
}


def build_performance_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build shadow_predictions and performance_report."""
    return [_shadow_predictions(spec), _performance_report(spec)]


def read_verdicts(connection: "duckdb.DuckDBPyConnection", lake: Lake) -> list[RecordedVerdict]:
    """Read every verdict ever recorded; none when none was given yet."""
    names = ("as_of", "sequence", "verdict", "model_version", "artifact_sha256", "serves_after")
    return [RecordedVerdict(*(row[name] for name in names)) for row in read_record(connection, lake)]


def _shadow_predictions(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "predictions", SHADOWS)

    @dg.asset(
        key=key,
        deps=[*scored_from(spec), asset_key(spec, "models", "champion")],
        description="What other models say of each example: the first champion, as it would be without retraining, and "
        "the last refused candidate while none newer serves.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        check_specs=[
            dg.AssetCheckSpec("shadows_scored", asset=key, description="Every shadow of every drop could be loaded "
                              "and has scored it."),
        ],
        metadata={"dagster/column_schema": table_schema(_SHADOW_COLUMNS, {"batch_date": "the drop"})},
        **described(spec, "predictions", "delta", "xgboost"),
    )  # fmt: skip
    def shadow_predictions(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> Results:
        state = store.of(spec.name)
        drops, lake = partition_keys(context), state.lake
        with duckdb.get_connection() as connection:
            verdicts = read_verdicts(connection, lake)
            reach = drops_read(spec, drops)
            features = lake.files("features", drops=reach)
            shut_in(connection, {"features": features, "labels": lake.files("labels", drops=reach)})
            # read once: a query a drop would open every file of the range each time
            name = f"features_{features.version}"
            connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM features")
            scorer = _ShadowScorer(PriorCorrector(connection, spec), state.models, features.version)
            scored = [frame for drop in drops for frame in scorer.score(drop, shadows_of(drop, verdicts))]
        rows = _shadow_table(scored, features.version)
        lake.replace_drops(SHADOWS, rows, drops)
        describe_drops(context, drops, Counter(rows["batch_date"].to_pylist()), scorer.notes)
        yield dg.MaterializeResult()
        yield _check_shadows(scorer.left_out, len(drops))

    return shadow_predictions


class _ShadowScorer:
    """Scores drops by their shadows, each model read once; one that cannot be used is left out, and why is kept.

    Attributes
    ----------
    notes
        By drop: what scored it, and what could not.
    left_out
        By model version: why it could not score, and the drops it is missing in.
    """

    def __init__(self, corrector: PriorCorrector, models: ModelStore, features: int) -> None:
        self._corrector = corrector
        self._features = features
        self._models = models
        self._bundles: dict[str, ModelBundle | TamperedModelError] = {}
        self.notes: dict[date, dict[str, object]] = defaultdict(dict)
        self.left_out: dict[str, tuple[str, list[date]]] = {}

    def score(self, drop: date, shadows: Sequence[Shadow]) -> list["pd.DataFrame"]:
        """Score one drop, in the order of its shadows."""
        if not shadows:
            self.notes[drop] = {"shadows": "none yet: no verdict was given as of an earlier drop"}
            return []
        rows = self._rows(drop)
        scored = [(shadow, self._score(rows, drop, shadow)) for shadow in shadows]
        return [frame.assign(role=shadow.role) for shadow, frame in scored if frame is not None]

    def _rows(self, drop: date) -> "pd.DataFrame":
        table = f"features_{self._features}"
        return self._corrector.connection.execute(f"SELECT * FROM {table} WHERE batch_date = ?", [drop]).df()

    def _score(self, rows: "pd.DataFrame", drop: date, shadow: Shadow) -> "pd.DataFrame | None":
        try:
            bundle = self._load(shadow)
            # an old model may ask for a feature that is no longer declared: a ValueError that names it
            scored = None if rows.empty else score_drop(
                rows, drop, server_of(bundle, shadow.model_version),
                self._corrector.shift_of(drop, shadow.model_version, bundle, self._features).shift,
            )  # fmt: skip
        except (TamperedModelError, ValueError) as error:
            self.notes[drop][shadow.role] = f"left out: {shadow.model_version}: {error}"
            self.left_out.setdefault(shadow.model_version, (str(error), []))[1].append(drop)
            return None
        self.notes[drop][shadow.role] = shadow.model_version
        return scored

    def _load(self, shadow: Shadow) -> ModelBundle:
        version = shadow.model_version
        if version not in self._bundles:
            try:
                self._bundles[version] = self._models.load(version, shadow.artifact_sha256)
            except TamperedModelError as error:
                self._bundles[version] = error
        found = self._bundles[version]
        if isinstance(found, TamperedModelError):
            raise found
        return found


def _shadow_table(scored: Sequence["pd.DataFrame"], features_version: int) -> "pa.Table":
    import pyarrow as pa

    schema = _schema(_SHADOW_COLUMNS)
    parts = [
        pa.Table.from_pandas(frame.assign(_features_version=features_version), schema, preserve_index=False)
        for frame in scored
    ]
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _check_shadows(left_out: Mapping[str, tuple[str, Sequence[date]]], n_drops: int) -> dg.AssetCheckResult:
    missing = {drop for _, drops in left_out.values() for drop in drops}
    why = "; ".join(f"{version}: {error}" for version, (error, _) in left_out.items())
    return dg.AssetCheckResult(
        check_name="shadows_scored",
        passed=not left_out,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(missing)} of {n_drops} drops lack a shadow" + (f". {why}" if why else ""),
        metadata={"drops": n_drops, "drops without a shadow": len(missing), "models left out": sorted(left_out)},
    )


def _performance_report(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "monitoring", REPORT)
    window = spec.monitoring.performance_window + spec.labels.matures_after
    mapping = history_mapping(window, spec.calendar.every)
    read = [asset_key(spec, "features", "features"), asset_key(spec, "training", "labels"),
            asset_key(spec, "predictions", "predictions"), asset_key(spec, "predictions", SHADOWS)]  # fmt: skip

    @dg.asset(
        key=key,
        deps=[*(dg.AssetDep(each, partition_mapping=mapping) for each in read), asset_key(spec, "models", "champion")],
        description="How good the scores of each model were on what matured in each drop, in all and by slice, and the "
        "verdict on the champion of the drop.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        check_specs=[
            dg.AssetCheckSpec("performance", asset=key, description="The champion keeps the declared share of the "
                              "gain over the heuristic that it had at the gate, on the last matured window."),
        ],
        metadata={"dagster/column_schema": table_schema(_REPORT_COLUMNS, _MEANINGS)},
        **described(spec, "monitoring", "delta", "numpy"),
    )  # fmt: skip
    def performance_report(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> Results:
        state = store.of(spec.name)
        drops, lake = partition_keys(context), state.lake
        bounds = (first_prediction_date(spec, drops[0]), drops[-1])
        with duckdb.get_connection() as connection:
            promotions = [as_promotion(each) for each in read_verdicts(connection, lake) if each.verdict == "promoted"]
            gains = _gains_at_gate(connection, lake)
            shut_in(connection, {each.path[-1]: lake.files(each.path[-1], drops=bounds) for each in read})
            scored = read_scored(connection, spec, drops)
        rows = measure_performance(scored, drops, spec.monitoring, spec.worklist.capacity)
        verdicts: dict[date, dict[str, Any]] = {}
        for drop in drops:
            version, gain = _serving(champion_of(drop, promotions), gains)
            verdicts[drop] = judge_performance(scored, spec, drop, version, gain)
        lake.replace_drops(REPORT, _table(rows, _REPORT_COLUMNS), drops)
        lake.replace_drops(VERDICTS, _table(verdicts.values(), _VERDICT_COLUMNS), drops)
        counts = Counter(row["batch_date"] for row in rows)
        with duckdb.get_connection() as connection:
            picture = _picture(connection, lake, min(drops[0], drops[-1] - _PICTURED), drops[-1])
        describe_drops(context, drops, counts, _notes(drops, rows, verdicts), on_last=picture)
        yield dg.MaterializeResult()
        yield _check_performance(verdicts[drops[-1]])

    return performance_report


def _gains_at_gate(connection: "duckdb.DuckDBPyConnection", lake: Lake) -> dict[int, float]:
    """Give the relative gain over the heuristic that each verdict measured, by its sequence; 0 where unknown."""
    if not lake.has("champion"):
        return {}
    gain = "coalesce((heuristic_log_loss - candidate_log_loss) / nullif(heuristic_log_loss, 0), 0)"
    return dict(lake.relation(connection, "champion").project(f"sequence, {gain}").fetchall())


def _serving(champion: Promotion | None, gains: Mapping[int, float]) -> tuple[str | None, float]:
    return (None, 0.0) if champion is None else (champion.model_version, gains[champion.sequence])


def _notes(
    drops: Sequence[date], rows: Sequence[Mapping[str, Any]], verdicts: Mapping[date, Mapping[str, Any]]
) -> dict[date, dict[str, object]]:
    """Say of each drop what matured; of several prediction dates in one drop, the measures are the newest's."""
    notes: dict[date, dict[str, object]] = {
        drop: {"matured with a label": 0, "matured without": 0, "performance": verdicts[drop]["state"]}
        for drop in drops
    }
    for row in rows:
        if row.get("slice_column") is not None or row["role"] not in {"champion", "baseline"}:
            continue
        noted = notes[row["batch_date"]]
        measured = {f"{name} {row['role']}": row[column] for name, column in (("log loss", "log_loss"), ("AUC", "auc"))}
        noted |= {name: value for name, value in measured.items() if value is not None}
        if row["role"] == "champion":
            noted["matured with a label"] += row["n"]
            noted["matured without"] += row["n_unresolved"]
    return notes


def _picture(
    connection: "duckdb.DuckDBPyConnection", lake: Lake, first: date, last: date
) -> dict[str, dg.MarkdownMetadataValue]:
    """Draw the stored log losses of the drops first..last, so that a run of one drop shows more than a point."""
    found = lake.relation(connection, REPORT, (first, last)).filter("slice_column IS NULL AND log_loss IS NOT NULL")
    lines = {}
    for role, name in _PICTURED_ROLES.items():
        rows = found.filter(f"role = '{role}'").order("prediction_date, batch_date").to_arrow_table()
        if rows.num_rows:
            lines[name] = (rows["prediction_date"].to_numpy(), rows["log_loss"].to_numpy())
    return {"log loss": as_markdown(log_loss_by_day_png(lines), f"matured {first} to {last}")} if lines else {}


def _check_performance(verdict: Mapping[str, Any]) -> dg.AssetCheckResult:
    """Fail on a failed verdict; too little to judge by passes, and says so first."""
    state, gate = verdict["state"], verdict.get("threshold")
    counted = (
        f"{verdict['n']} examples of {verdict['n_days']} days, {verdict['window_from']} to {verdict['window_until']}"
    )
    if state == "no champion":
        said = "not enough data: no model serves yet"
    elif state == "not enough data":
        said = f"not enough data: {verdict['model_version']} scored {counted}"
    else:
        said = (
            f"gain over the heuristic {verdict['gain']:.1%} (80 % interval {verdict['gain_lower']:.1%} to "
            f"{verdict['gain_upper']:.1%}); wanted at least {gate:.1%}, of {verdict['gain_at_gate']:.1%} at the gate; "
            f"{counted}; {verdict['label_share']:.1%} positives where scores average {verdict['mean_score']:.1%}: "
            + ("the prior has shifted" if verdict["prior_state"] == "shifted" else "no more apart than such days are")
        )
    return dg.AssetCheckResult(
        check_name="performance",
        passed=state != "failed",
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={name: str(value) if isinstance(value, date) else value
                  for name, value in verdict.items() if value is not None},
    )  # fmt: skip


def _table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> "pa.Table":
    import pyarrow as pa

    return pa.Table.from_pylist([dict(row) for row in rows], _schema(columns))


def _schema(columns: Mapping[str, str]) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema({name: pa.type_for_alias(_TYPES[kind]) for name, kind in columns.items()})
