"""Assets that people and systems take away: predictions of each drop, and the list of a day."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.graph.described_columns import describe_columns
from ml_assets.graph.feature_sets import require_trained_features
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
from ml_assets.graph.pictures import as_markdown, score_histogram_png
from ml_assets.graph.prior_correction import PriorCorrector, describe_shift, drops_read
from ml_assets.graph.resources import StateResource
from ml_assets.graph.row_counts import describe_drops
from ml_assets.graph.verdicts import read_promotions
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.serving.scoring import Server, score_drop
from ml_assets.serving.worklist import draw_worklist
from ml_assets.spec.objectives import SCORE
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.delivering import deliver
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.sandbox import shut_in
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

_COLUMN_MEANINGS = {
    "batch_date": "the drop",
    "score": "probability of a positive, what is acted on: the champion's with the prior shift of the drop, or the "
    "heuristic's where the champion abstains",
    "model_score": "the champion's own, before the prior shift",
    "baseline_score": "the same by the heuristic, group history, fitted on the champion's training rows",
    "prior_shift": "log odds added to the champion's score: positives have become rarer or more frequent since",
    "abstained": "the inputs too far from the training rows for the champion to score; null: none",
    "model_version": "as-of drop, rung and content of the champion",
}
_PREDICTION_COLUMNS = {
    "batch_date": "DATE",
    "example_id": "VARCHAR",
    "prediction_at": "TIMESTAMPTZ",
    "score": "DOUBLE",
    "model_score": "DOUBLE",
    "baseline_score": "DOUBLE",
    "prior_shift": "DOUBLE",
    "abstained": "VARCHAR",
    "model_version": "VARCHAR",
}


def build_serving_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build predictions and worklist."""
    return [_predictions(spec), _worklist(spec)]


def _columns(spec: UseCaseSpec) -> dict[str, str]:
    return _PREDICTION_COLUMNS | {objective.name: "DOUBLE" for objective in spec.model.objectives}


def _meanings(spec: UseCaseSpec) -> dict[str, str]:
    said = {each.name: each.description or f"{each.measure} as foretold" for each in spec.model.objectives}
    return _COLUMN_MEANINGS | said


def scored_from(spec: UseCaseSpec) -> list[dg.AssetDep]:
    """Give what scores of a drop are made of: its features, and matured ones with their labels for the prior shift."""
    features = asset_key(spec, "features", "features")
    rule = spec.model.prior_correction
    if rule is None:
        return [dg.AssetDep(features)]
    mapping = history_mapping(rule.window + spec.labels.matures_after, spec.calendar.every)
    labels = asset_key(spec, "training", "labels")
    return [dg.AssetDep(features, partition_mapping=mapping), dg.AssetDep(labels, partition_mapping=mapping)]


def _predictions(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "predictions", "predictions")

    @dg.asset(
        key=key,
        deps=[*scored_from(spec), asset_key(spec, "models", "champion")],
        description="Each example scored by the champion of its drop, with the heuristic's baseline_score beside "
        f"it{_delivered_as(spec, 'predictions')}. Before the first champion a drop has none.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        check_specs=[
            dg.AssetCheckSpec("trained_before", asset=key, blocking=True, description="Every score is by a model "
                              "trained as of an earlier drop."),
            dg.AssetCheckSpec("complete", asset=key, description="Every example of a drop with a champion is scored, "
                              "and every drop has a champion."),
        ],
        metadata={"dagster/column_schema": table_schema(_columns(spec))},
        **described(spec, "predictions", "delta", "xgboost", *_formats(spec, "predictions")),
    )  # fmt: skip
    def predictions(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> Results:
        state = store.of(spec.name)
        drops, lake = partition_keys(context), state.lake
        bounds = (drops[0], drops[-1])
        with duckdb.get_connection() as connection:
            promotions = read_promotions(connection, lake)
            champions = {drop: champion_of(drop, promotions) for drop in drops}
            read = _features_to_read(connection, lake, champions)
            newest = lake.version("features")
            by_model: dict[str, list[date]] = {}
            for drop, champion in champions.items():
                if champion is not None and read[drop] == newest:
                    by_model.setdefault(champion.model_version, []).append(drop)
            require_trained_features(connection, lake, spec, by_model)
            reach = drops_read(spec, drops)
            tables = {f"features_{version}": lake.files("features", version, reach) for version in set(read.values())}
            shut_in(connection, tables | {"labels": lake.files("labels", drops=reach)})
            table, notes = _score_drops(PriorCorrector(connection, spec), state, champions, read)
        lake.replace_drops("predictions", table, drops)
        with duckdb.get_connection() as connection:
            names = ["predictions", "examples", *(["champion"] if promotions else [])]
            shut_in(
                connection, {name: lake.files(name, drops=None if name == "champion" else bounds) for name in names}
            )
            checks = list(_check_stored(connection, champions))
        if all(check.passed for check in checks if check.check_name == "trained_before"):
            for drop in drops:  # only what may be acted on leaves the house
                notes[drop] |= _deliver(spec, state, "predictions", drop, table)
        counts = Counter(table["batch_date"].to_pylist())
        shown = describe_columns(spec, "predictions", "predictions", _columns(spec), _meanings(spec))
        describe_drops(context, drops, counts, notes, on_last=_score_picture(table, drops) | shown)
        yield dg.MaterializeResult()
        yield from checks

    return predictions


def _features_to_read(
    connection: "duckdb.DuckDBPyConnection", lake: Lake, champions: Mapping[date, Promotion | None]
) -> dict[date, int]:
    """Give the lake version of the features of each drop: for what its champion scored before, the one it read then.

    So a drop that was served stays as it was served, also after its features were computed again.
    """
    newest = lake.version("features") or 0
    read = dict.fromkeys(champions, newest)
    if not lake.has("predictions"):
        return read
    scored = lake.relation(connection, "predictions", (min(champions), max(champions)))
    for drop, model, version in scored.project("batch_date, model_version, _features_version").distinct().fetchall():
        champion = champions.get(drop)
        if champion is not None and champion.model_version == model and version is not None:
            read[drop] = version
    return read


def _score_drops(
    corrector: PriorCorrector,
    state: UseCaseState,
    champions: Mapping[date, Promotion | None],
    read: Mapping[date, int],
) -> tuple["pa.Table", dict[date, dict[str, object]]]:
    """Score each drop by its champion; each model is read once, and a drop without one has no rows.

    `read` gives the version of the features of each drop, a view `features_<version>` of the connection.
    """
    bundles: dict[str, ModelBundle] = {}
    scored: list[pd.DataFrame] = []
    notes: dict[date, dict[str, object]] = {}
    for drop, champion in champions.items():
        if champion is None:
            notes[drop] = {"champion": "none yet: no model was promoted as of an earlier drop"}
            continue
        version = champion.model_version
        if version not in bundles:
            bundles[version] = state.models.load(version, champion.artifact_sha256)
        rows = corrector.connection.execute(f"SELECT * FROM features_{read[drop]} WHERE batch_date = ?", [drop]).df()
        notes[drop] = {"champion": version}
        if len(rows):
            bundle = bundles[version]
            prior = corrector.shift_of(drop, version, bundle, read[drop])
            frame = score_drop(rows, drop, server_of(bundle, version), prior.shift)
            scored.append(frame.assign(_features_version=read[drop]))
            notes[drop] |= {"mean score": float(frame["score"].mean()), **describe_shift(prior)}
            notes[drop]["abstained"] = int(frame["abstained"].notna().sum())
    return _prediction_table(corrector.spec, scored), notes


def _score_picture(table: "pa.Table", drops: Sequence[date]) -> dict[str, object]:
    if table.num_rows == 0:
        return {}
    columns = {name: table[name].to_numpy() for name in ("score", "baseline_score")}
    return {"scores": as_markdown(score_histogram_png(columns), f"{drops[0]} to {drops[-1]}")}


def server_of(bundle: ModelBundle, model_version: str) -> Server:
    """Give a stored model as what scores drops."""
    as_of = date.fromisoformat(bundle.as_of)
    return Server(as_of, model_version, bundle.model, bundle.baseline, bundle.envelope, bundle.objectives)


def _prediction_table(spec: UseCaseSpec, scored: Sequence["pd.DataFrame"]) -> "pa.Table":
    import pyarrow as pa

    schema = pa.schema(
        {"batch_date": pa.date32(), "example_id": pa.string(), "prediction_at": pa.timestamp("us", tz="UTC"),
         "score": pa.float64(), "model_score": pa.float64(), "baseline_score": pa.float64(),
         "prior_shift": pa.float64(), "abstained": pa.string(), "model_version": pa.string(),
         "_features_version": pa.int64()}
    )  # fmt: skip
    for objective in spec.model.objectives:
        schema = schema.append(pa.field(objective.name, pa.float64()))
    names = [objective.name for objective in spec.model.objectives]  # null where a champion does not foretell it yet
    parts = [
        pa.Table.from_pandas(
            frame.reindex(columns=[*frame.columns, *(n for n in names if n not in frame)]), schema, preserve_index=False
        )
        for frame in scored
    ]
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _check_stored(
    connection: "duckdb.DuckDBPyConnection", champions: Mapping[date, Promotion | None]
) -> Iterator[dg.AssetCheckResult]:
    """Judge the predictions by what is stored, not by how they were made."""
    late = 0
    if any(champions.values()):
        late = connection.sql(
            "SELECT count(*) FROM predictions AS p LEFT JOIN (SELECT model_version, max(as_of) AS as_of FROM champion "
            "WHERE verdict = 'promoted' GROUP BY model_version) AS c USING (model_version) "
            "WHERE c.as_of IS NULL OR c.as_of >= p.batch_date"
        ).fetchall()[0][0]
    counts = "SELECT batch_date, count(*) FROM {} GROUP BY batch_date"
    scored = dict(connection.sql(counts.format("predictions")).fetchall())
    expected = dict(connection.sql(counts.format("examples")).fetchall())
    yield dg.AssetCheckResult(
        check_name="trained_before",
        passed=late == 0,
        metadata={"predictions": sum(scored.values()), "by a model not promoted as of an earlier drop": late},
    )
    bare = [drop for drop, champion in champions.items() if champion is None and expected.get(drop, 0)]
    partial = [drop for drop in champions if drop not in bare and scored.get(drop, 0) != expected.get(drop, 0)]
    yield dg.AssetCheckResult(
        check_name="complete",
        passed=not bare and not partial,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(bare)} of {len(champions)} drops have no champion yet; {len(partial)} are scored in part",
        metadata={"without champion": len(bare), "scored in part": len(partial), "scored": sum(scored.values())},
    )


def _formats(spec: UseCaseSpec, table: str) -> list[str]:
    return sorted({delivery.format for delivery in spec.deliveries if delivery.table == table})


def _delivered_as(spec: UseCaseSpec, table: str) -> str:
    formats = " and ".join(name.replace("csv", "CSV").replace("parquet", "Parquet") for name in _formats(spec, table))
    return f", in the lake and as a {formats} file" if formats else ""


def _ranked_by(spec: UseCaseSpec) -> str:
    weights = spec.worklist.rank_by
    return (
        "scores" if set(weights) == {SCORE} else " + ".join(f"{weight:g} x {name}" for name, weight in weights.items())
    )


def _worklist(spec: UseCaseSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "predictions", "worklist"),
        deps=[asset_key(spec, "predictions", "predictions"), asset_key(spec, "features", "examples")],
        description=f"The {spec.worklist.capacity} examples of each drop with the highest {_ranked_by(spec)}"
        f"{_delivered_as(spec, 'worklist')}.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        **described(spec, "predictions", "delta", *_formats(spec, "worklist")),
    )
    def worklist(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> None:
        state = store.of(spec.name)
        drops = partition_keys(context)
        bounds = (drops[0], drops[-1])
        with duckdb.get_connection() as connection:
            tables = {name: state.lake.files(name, drops=bounds) for name in ("predictions", "examples")}
            shut_in(connection, tables)
            rows = draw_worklist(connection, spec.worklist).to_arrow_table()
        state.lake.replace_drops("worklist", rows, drops)
        notes = {drop: _deliver(spec, state, "worklist", drop, rows) for drop in drops}
        schema = table_schema({field.name: str(field.type) for field in rows.schema})
        counts = Counter(rows["batch_date"].to_pylist())
        describe_drops(context, drops, counts, notes, on_last={"dagster/column_schema": schema})

    return worklist


def _deliver(spec: UseCaseSpec, state: UseCaseState, table: str, drop: date, rows: "pa.Table") -> dict[str, str]:
    """Deliver the rows of a drop as declared; a file that no longer stands is taken back."""
    import pyarrow.compute as pc

    of_drop = rows.filter(pc.field("batch_date") == drop)
    asked = [delivery for delivery in spec.deliveries if delivery.table == table]
    written = [deliver(state.paths, spec.name, delivery, drop, of_drop) for delivery in asked]
    if not asked:
        return {}
    paths = ", ".join(str(path) for path in written if path is not None)
    return {"delivered": paths or "nothing: the drop has no predictions"}
