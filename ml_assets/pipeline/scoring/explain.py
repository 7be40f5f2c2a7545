"""How a score came about: what each feature added, where its values came from, why its model served."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.pipeline.champion.record import PROMOTED, champion_in, read_record
from ml_assets.pipeline.experiments.record import CHALLENGER
from ml_assets.serving.worklist import ranked_sql
from ml_assets.spec.catalogue import catalogue
from ml_assets.spec.drop import DropKey
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.lake import Lake, MissingTableError
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb


def explain_prediction(spec: UseCaseSpec, state: UseCaseState, example_id: str, drop: DropKey | None) -> dict[str, Any]:
    """Gather all that is known of a prediction, as plain values."""
    lake = state.lake
    with state.connect() as connection:
        prediction, day = _find(connection, lake, example_id, drop, spec.name)
        version = int(prediction.pop("_features_version"))
        lake.relation(connection, "labels").create_view("labels")
        rank, of = connection.execute(
            f"SELECT rank, count FROM (SELECT *, count(*) OVER () AS count FROM "
            f"({ranked_sql(spec.worklist, prediction)}) WHERE batch_date = $day) WHERE example_id = $id",
            {"id": prediction["example_id"], "day": day},
        ).fetchall()[0]
        listed = _listed(connection, lake, prediction["example_id"], day)
        label = connection.execute(
            "SELECT arg_max(label, (known_at, batch_date)) FROM labels WHERE example_id = ?", [example_id]
        ).fetchall()[0][0]
        lake.relation(connection, "features", (day, day), version).create_view("features")
        features = connection.execute("SELECT * FROM features WHERE example_id = ?", [example_id]).df()
        record = read_record(connection, lake)
    why = _why(spec, record, prediction["model_version"], day)
    if prediction.get("served_by") == CHALLENGER:
        share = f"{prediction['propensity']:.0%} of its units"
        why = f"the challenger of an experiment, which serves {share}; the champion is {prediction['model_version']}"
        prediction |= {"model_version": prediction["scored_by"], "model_score": prediction["score"]}
    entry = next(row for row in record if row["model_version"] == prediction["model_version"])
    bundle = state.models.load(entry["model_version"], entry["artifact_sha256"])
    parts = bundle.model.contributions(features)
    added = {name: float(part[0]) for name, part in parts[0].items()} if parts else {}
    values = {name: plain_value(features.iloc[0][name]) for name in bundle.model.feature_names}
    return {
        "prediction": prediction,
        "rank": rank,
        "of": of,
        "rank_on_list": listed,
        "label": label,
        "why": why,
        "base": float(parts[1][0]) if parts else None,
        "model_on_scale": float(task_of(spec.task).scale.link(prediction["model_score"])),
        "features_version": version,
        "features": _described(spec, values, added),
    }


def _listed(connection: duckdb.DuckDBPyConnection, lake: Lake, example_id: str, day: DropKey) -> int | None:
    if not lake.has("worklist"):
        return None
    rows = lake.relation(connection, "worklist", (day, day)).project("example_id, rank").fetchall()
    return dict(rows).get(example_id)


def _find(
    connection: duckdb.DuckDBPyConnection, lake: Lake, example_id: str, drop: DropKey | None, use_case: str
) -> tuple[dict[str, Any], DropKey]:
    """Find the newest prediction of an example, or that of a drop; leaves a view `predictions`."""
    if not lake.has("predictions"):
        raise MissingTableError(f"{use_case} has no predictions yet")
    lake.relation(connection, "predictions").create_view("predictions")
    asked = "AND batch_date = $drop" if drop else ""
    given = {"id": example_id, **({"drop": drop} if drop else {})}
    query = f"SELECT * FROM predictions WHERE example_id = $id {asked} ORDER BY batch_date DESC LIMIT 1"
    relation = connection.execute(query, given)
    names = [column[0] for column in relation.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
    if not rows:
        near = [name for (name,) in connection.sql("SELECT example_id FROM predictions").fetchall()]
        when = f" in {drop}" if drop else ""
        hint = did_you_mean(example_id, near) if example_id not in near else "; it was predicted in another drop"
        raise LookupError(f"found no prediction of {example_id!r}{when}; allowed: an example_id of predictions{hint}")
    return rows[0], rows[0]["batch_date"]


def _why(spec: UseCaseSpec, record: list[dict[str, Any]], model_version: str, day: DropKey) -> str:
    served = champion_in(record, day)
    is_so_still = served is not None and served["model_version"] == model_version
    own = [row for row in record if row["verdict"] == PROMOTED and row["model_version"] == model_version]
    entry = served if is_so_still else champion_in(own, day)
    if entry is None:
        return "nothing in the record lets it serve this drop"
    why = f"promoted by {entry['decided_by']}, serves from {spec.calendar.next_drop(entry['serves_after'])} on"
    return why if is_so_still else f"{why}; another serves this drop by now, which was not run again"


def _described(spec: UseCaseSpec, values: dict[str, Any], added: dict[str, float]) -> list[dict[str, Any]]:
    """Give each feature with its value, what it adds and where it comes from; what moves the score most first."""
    known = {each.feature: each for each in catalogue(spec)}
    rows: list[dict[str, Any]] = []
    for name, value in values.items():
        entry = known.get(name)
        rows.append(
            {
                "feature": name,
                "value": value,
                "log_odds": added.get(name),
                "source": entry.source if entry else None,
                "window": entry.over if entry else None,
                "null_means": entry.null_means if entry and value is None else None,
            }
        )
    return sorted(rows, key=lambda row: -abs(row["log_odds"] or 0))


def plain_value(value: object) -> Any:
    """Give a value of a frame as JSON holds it; what is missing or not finite is None."""
    import pandas as pd

    if isinstance(value, list | tuple | dict):
        return value
    if value is None or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)) or pd.isna(value):  # pyright: ignore[reportArgumentType, reportCallIssue, reportGeneralTypeIssues]
        return None
    return value.item() if isinstance(value, np.generic) else value
