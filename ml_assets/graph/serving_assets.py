"""Assets that people and systems take away: predictions of each drop, and the list of a day."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.graph.layout import SINGLE_RUN, asset_key, described, partition_keys, partitions_of, table_schema
from ml_assets.graph.pictures import as_markdown, score_histogram_png
from ml_assets.graph.resources import UseCaseState
from ml_assets.graph.row_counts import describe_drops
from ml_assets.graph.verdicts import read_promotions
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.serving.scoring import score_drop
from ml_assets.serving.worklist import draw_worklist
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.landing import write_whole
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.sandbox import shut_in

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_PREDICTION_COLUMNS = {
    "batch_date": "DATE",
    "example_id": "VARCHAR",
    "prediction_at": "TIMESTAMPTZ",
    "score": "DOUBLE",
    "baseline_score": "DOUBLE",
    "model_version": "VARCHAR",
}


def build_serving_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build predictions and worklist."""
    return [_predictions(spec), _worklist(spec)]


def _predictions(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "predictions", "predictions")

    @dg.asset(
        key=key,
        deps=[asset_key(spec, "features", "features"), asset_key(spec, "models", "champion")],
        description="Each example scored by the champion of its drop, with the heuristic's baseline_score beside it. "
        "Before the first champion a drop has none.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        check_specs=[
            dg.AssetCheckSpec("trained_before", asset=key, blocking=True, description="Every score is by a model "
                              "trained as of an earlier drop."),
            dg.AssetCheckSpec("complete", asset=key, description="Every example of a drop with a champion is scored, "
                              "and every drop has a champion."),
        ],
        metadata={"dagster/column_schema": table_schema(_PREDICTION_COLUMNS)},
        **described(spec, "predictions", "delta", "xgboost"),
    )  # fmt: skip
    def predictions(context: dg.AssetExecutionContext, state: UseCaseState, duckdb: DuckDBResource):  # noqa: ANN202
        drops, lake = partition_keys(context), state.lake
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            promotions = read_promotions(connection, lake)
            features = lake.files("features", drops=(drops[0], drops[-1]))
            champions = {drop: champion_of(drop, promotions) for drop in drops}
            bundles: dict[str, ModelBundle] = {}
            scored, notes = [], {}
            shut_in(connection, {"features": features})
            for drop in drops:
                champion = champions[drop]
                if champion is None:
                    notes[drop] = {"champion": "none yet: no model was promoted as of an earlier drop"}
                    continue
                if champion.model_version not in bundles:
                    bundles[champion.model_version] = state.models.load(champion.model_version, champion.artifact_sha256)
                rows = connection.execute("SELECT * FROM features WHERE batch_date = ?", [drop]).df()
                scored.append(_score(rows, drop, champion, bundles[champion.model_version]))
                notes[drop] = {"champion": champion.model_version, "mean score": float(scored[-1]["score"].mean())}
            table = _prediction_table(scored, features.version)
        lake.replace_drops("predictions", table, drops)
        counts = Counter(table["batch_date"].to_pylist())
        picture = {}
        if table.num_rows:
            columns = {name: table[name].to_numpy() for name in ("score", "baseline_score")}
            picture = {"scores": as_markdown(score_histogram_png(columns), f"{drops[0]} to {drops[-1]}")}
        describe_drops(context, drops, counts, notes, on_last=picture)
        yield dg.MaterializeResult()
        expected = _example_counts(state, duckdb, drops)
        yield from _checks(drops, champions, counts, expected)

    return predictions


def _score(rows: "pd.DataFrame", drop: date, champion: Promotion, bundle: ModelBundle) -> "pd.DataFrame":
    return score_drop(
        rows,
        drop,
        as_of=date.fromisoformat(bundle.as_of),
        model=bundle.model,
        baseline=bundle.baseline,
        model_version=champion.model_version,
    )


def _prediction_table(scored: Sequence["pd.DataFrame"], features_version: int) -> "pa.Table":
    import pyarrow as pa

    schema = pa.schema(
        {"batch_date": pa.date32(), "example_id": pa.string(), "prediction_at": pa.timestamp("us", tz="UTC"),
         "score": pa.float64(), "baseline_score": pa.float64(), "model_version": pa.string()}
    )  # fmt: skip
    parts = [pa.Table.from_pandas(frame, schema, preserve_index=False) for frame in scored]
    table = pa.concat_tables(parts) if parts else schema.empty_table()
    versions = pa.array([features_version] * table.num_rows, pa.int64())
    return table.append_column("_features_version", versions)


def _example_counts(state: UseCaseState, duckdb: DuckDBResource, drops: Sequence[date]) -> dict[date, int]:
    with duckdb.get_connection() as connection:
        shut_in(connection, {"examples": state.lake.files("examples", drops=(drops[0], drops[-1]))})
        return dict(connection.execute("SELECT batch_date, count(*) FROM examples GROUP BY batch_date").fetchall())


def _checks(
    drops: Sequence[date], champions: dict[date, Promotion | None], counts: Counter[date], expected: dict[date, int]
):  # noqa: ANN202
    late = [drop for drop in drops if (champion := champions[drop]) is not None and champion.as_of >= drop]
    yield dg.AssetCheckResult(
        check_name="trained_before", passed=not late, metadata={"drops": len(drops), "trained too late": len(late)}
    )
    bare = [drop for drop in drops if champions[drop] is None and expected.get(drop, 0)]
    partial = [drop for drop in drops if champions[drop] is not None and counts[drop] != expected.get(drop, 0)]
    said = f"{len(bare)} of {len(drops)} drops have no champion yet; {len(partial)} are scored in part"
    yield dg.AssetCheckResult(
        check_name="complete",
        passed=not bare and not partial,
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={"without champion": len(bare), "scored in part": len(partial), "scored": sum(counts.values())},
    )


def _worklist(spec: UseCaseSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "predictions", "worklist"),
        deps=[asset_key(spec, "predictions", "predictions"), asset_key(spec, "features", "examples")],
        description=f"The {spec.worklist.capacity} examples of each drop with the highest scores, in the lake and as a "
        "CSV file.",
        partitions_def=partitions_of(spec),
        backfill_policy=SINGLE_RUN,
        **described(spec, "predictions", "delta", "csv"),
    )
    def worklist(context: dg.AssetExecutionContext, state: UseCaseState, duckdb: DuckDBResource) -> None:
        drops = partition_keys(context)
        bounds = (drops[0], drops[-1])
        with duckdb.get_connection() as connection:
            tables = {name: state.lake.files(name, drops=bounds) for name in ("predictions", "examples")}
            shut_in(connection, tables)
            rows = draw_worklist(connection, spec.worklist).to_arrow_table()
        state.lake.replace_drops("worklist", rows, drops)
        notes = {drop: _deliver(state, drop, rows) for drop in drops}
        schema = table_schema({field.name: str(field.type) for field in rows.schema})
        counts = Counter(rows["batch_date"].to_pylist())
        describe_drops(context, drops, counts, notes, on_last={"dagster/column_schema": schema})

    return worklist


def _deliver(state: UseCaseState, drop: date, rows: "pa.Table") -> dict[str, str]:
    """Deliver the list of a drop as a file; a list that no longer stands is taken back."""
    import pyarrow as pa
    import pyarrow.compute as pc

    path = state.delivered / "worklist" / f"{drop}.csv"
    of_drop = rows.filter(pc.equal(rows["batch_date"], pa.scalar(drop, pa.date32())))
    if of_drop.num_rows == 0:
        path.unlink(missing_ok=True)
        return {"delivered": "nothing: the drop has no predictions"}
    write_whole(path, of_drop.to_pandas().to_csv(index=False, lineterminator="\n").encode())
    return {"delivered": str(path)}
