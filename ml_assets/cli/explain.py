"""How a score came about, what a model is, and why a retraining ended as it did."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.markup import escape

from ml_assets.cli.terminal import console, fail, next_steps, print_json
from ml_assets.graph.model_decisions import open_lake, record_of
from ml_assets.graph.verdicts import GATE, PROMOTED, champion_in, read_record
from ml_assets.serving.worklist import priority_sql
from ml_assets.spec.catalogue import catalogue
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.logit import logit
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelStore
from ml_assets.stores.paths import StatePaths
from ml_assets.training.contributions import contributions

if TYPE_CHECKING:
    import duckdb

_SHOWN = 15


def run_explain_prediction(
    spec: UseCaseSpec, paths: StatePaths, example_id: str, drop: date | None, *, as_json: bool
) -> None:
    """Print a score, what each feature added to it, where its values came from, and why its model served."""
    found = explain_prediction(spec, paths, example_id, drop)
    if as_json:
        print_json(found)
        return
    said = found["prediction"]
    console.print(f"[bold]{escape(example_id)}[/] in drop {said['batch_date']}", highlight=False)
    console.print(
        f"  score {said['score']:.4f}; the model's own {said['model_score']:.4f}, prior shift "
        f"{said['prior_shift']:+.3f} log odds; heuristic {said['baseline_score']:.4f}; "
        f"{_rank_in_words(found)}"
    )
    if said["abstained"]:
        console.print(f"  the model abstained: {said['abstained']} lies too far from its training rows")
    if found["label"] is not None:
        console.print(f"  outcome known by now: {found['label']}")
    console.print(f"  model {said['model_version']}: {found['why']}", markup=False, highlight=False)
    base = f"from a base of {found['base']:+.3f} log odds" if found["base"] is not None else "it has no such parts"
    console.print(f"what moved the model most, of {len(found['features'])} features, {base}:", highlight=False)
    for row in found["features"][:_SHOWN]:
        adds = f"{row['log_odds']:+.3f}" if row["log_odds"] is not None else ""
        value = "null" if row["value"] is None else row["value"]
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        null = f"; null: {row['null_means']}" if row["null_means"] else ""
        over = f", {row['window']}" if row["window"] else ""
        line = f"  {adds:>7}  {row['feature']} = {shown}  ({row['source']}{over}{null})"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if found["features"]:
        one = found["features"][0]["feature"]
        next_steps({f"ml-assets features {spec.name} {one}": "all of one feature, to raw"})


def _rank_in_words(found: dict[str, Any]) -> str:
    """Say the place on the list as it was drawn, or the one by the ranking that is declared now."""
    if found["rank_on_list"] is not None:
        return f"rank {found['rank_on_list']} on the list of {found['of']} that day"
    return f"not on the list of that day; rank {found['rank']} of {found['of']} as declared now"


def _listed(connection: duckdb.DuckDBPyConnection, lake: Lake, example_id: str, day: date) -> int | None:
    if not lake.has("worklist"):
        return None
    rows = lake.relation(connection, "worklist", (day, day)).project("example_id, rank").fetchall()
    return dict(rows).get(example_id)


def explain_prediction(spec: UseCaseSpec, paths: StatePaths, example_id: str, drop: date | None) -> dict[str, Any]:
    """Gather all that is known of a prediction, as plain values."""
    with open_lake(spec, paths) as (connection, lake):
        prediction, day = _find(connection, lake, example_id, drop, spec.name)
        version = int(prediction.pop("_features_version"))
        lake.relation(connection, "labels").create_view("labels")
        rank, of = connection.execute(
            "SELECT rank, count FROM (SELECT example_id, row_number() OVER (ORDER BY "
            f"{priority_sql(spec.worklist, 'predictions', prediction)} DESC, example_id) AS rank, count(*) OVER () AS "
            "count FROM predictions WHERE batch_date = $day) WHERE example_id = $id",
            {"id": prediction["example_id"], "day": day},
        ).fetchall()[0]
        listed = _listed(connection, lake, prediction["example_id"], day)
        label = connection.execute(
            "SELECT arg_max(label, (known_at, batch_date)) FROM labels WHERE example_id = ?", [example_id]
        ).fetchall()[0][0]
        lake.relation(connection, "features", (day, day), version).create_view("features")
        features = connection.execute("SELECT * FROM features WHERE example_id = ?", [example_id]).df()
        record = read_record(connection, lake)
    entry = next(row for row in record if row["model_version"] == prediction["model_version"])
    bundle = ModelStore(paths.models / spec.name).load(entry["model_version"], entry["artifact_sha256"])
    parts = contributions(bundle.model, features)
    added = {name: float(part[0]) for name, part in parts[0].items()} if parts else {}
    values = {name: _plain(features.iloc[0][name]) for name in bundle.model.feature_names}
    return {
        "prediction": prediction,
        "rank": rank,
        "of": of,
        "rank_on_list": listed,
        "label": label,
        "why": _why(spec, record, prediction["model_version"], day),
        "base": float(parts[1][0]) if parts else None,
        "model_log_odds": float(logit(prediction["model_score"])),
        "features_version": version,
        "features": _described(spec, values, added),
    }


def _find(
    connection: duckdb.DuckDBPyConnection, lake: Lake, example_id: str, drop: date | None, use_case: str
) -> tuple[dict[str, Any], date]:
    """Find the newest prediction of an example, or that of a drop; leaves a view `predictions`."""
    if not lake.has("predictions"):
        raise fail(f"{use_case} has no predictions yet")
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
        raise fail(f"found no prediction of {example_id!r}{when}; allowed: an example_id of predictions{hint}")
    return rows[0], rows[0]["batch_date"]


def _why(spec: UseCaseSpec, record: list[dict[str, Any]], model_version: str, day: date) -> str:
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


def run_explain_model(spec: UseCaseSpec, paths: StatePaths, model_version: str) -> None:
    """Print the model card."""
    from rich.markdown import Markdown

    path = paths.model_cards(spec.name) / f"{model_version}.md"
    if not path.exists():
        names = sorted(each.stem for each in paths.model_cards(spec.name).glob("*.md"))
        hint = did_you_mean(model_version, names)
        raise fail(f"found {model_version!r}; allowed: a model with a card: {', '.join(names) or 'none'}{hint}")
    text = path.read_text()
    console.print(Markdown("\n".join(line for line in text.splitlines() if "data:image" not in line)))
    for row in record_of(spec, paths):  # the card is of its retraining, and people decide later
        if row["model_version"] == model_version and row["decided_by"] != GATE:
            said = f"since then {row['verdict']} by {row['decided_by']}, serving drops after {row['serves_after']}"
            console.print(said + (f": {row['note']}" if row["note"] else ""), highlight=False, soft_wrap=True)
    next_steps({str(path.with_suffix(".html")): "the same as a page, with pictures"})


def run_explain_retrain(spec: UseCaseSpec, paths: StatePaths, as_of: date, *, as_json: bool) -> None:
    """Print every verdict and decision as of a drop, with its reasons."""
    rows = [row for row in record_of(spec, paths) if row["as_of"] == as_of]
    if not rows:
        raise fail(f"no verdict was given as of {as_of}")
    if as_json:
        print_json([{name: _plain(value) for name, value in row.items()} for row in rows])
        return
    for row in rows:
        console.print(f"[bold]{row['verdict']}[/] {row['model_version']} by {row['decided_by']}", highlight=False)
        console.print(f"  against {row['champion_before'] or 'no champion'}; window {row['window_from']} to "
                      f"{row['window_until']}, {row['n']} examples", highlight=False)  # fmt: skip
        for reason in row["reasons"]:
            colour = "red" if reason.startswith("broken") else "dim"
            console.print(f"  {reason}", style=colour, markup=False, highlight=False, soft_wrap=True)


def _plain(value: object) -> Any:
    import pandas as pd

    if isinstance(value, list | tuple | dict):
        return value
    if value is None or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)) or pd.isna(value):  # pyright: ignore[reportArgumentType, reportCallIssue, reportGeneralTypeIssues]
        return None
    return value.item() if isinstance(value, np.generic) else value
