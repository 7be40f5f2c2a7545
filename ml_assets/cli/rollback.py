"""Going back to a model that served before: what would flip, and then the decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from ml_assets.cli.terminal import console, fail, next_steps, table_of
from ml_assets.graph.model_decisions import Asked, find_promoted, newest_drop, open_lake, roll_back
from ml_assets.graph.prior_correction import PriorCorrector
from ml_assets.graph.serving_assets import server_of
from ml_assets.serving.scoring import score_drop
from ml_assets.serving.worklist import priority_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.decision_costs import cost_curve, lists_of_days
from ml_assets.stores.model_store import ModelBundle, ModelStore
from ml_assets.stores.paths import StatePaths
from ml_assets.training.evaluation import implied_threshold

if TYPE_CHECKING:
    import pandas as pd

_DROPS = 14  # compared on as many of the newest drops


@dataclass(frozen=True)
class Preview:
    """Both models on the newest drops. Grain of `rows`: an example, with `label` where it is known by now."""

    rows: pd.DataFrame
    newest: date


def run_rollback(spec: UseCaseSpec, paths: StatePaths, to: str, asked: Asked, *, is_sure: bool) -> None:
    """Show what flips, ask, and let the earlier model serve."""
    entry, current = find_promoted(spec, paths, to)
    console.print(f"from {current['model_version']}\nto   {entry['model_version']}", highlight=False)
    found = preview(spec, paths, entry, current)
    if found is None:
        console.print("nothing to compare on: no drop has features both can score")
    else:
        _show(spec, found)
    if not is_sure and not typer.confirm("roll back?"):
        raise fail("nothing was changed")
    decision = roll_back(spec, paths, entry, asked)
    first = spec.calendar.next_drop(decision.serves_after)
    console.print(f"{entry['model_version']} serves from {first} on, decided by {asked.by}", highlight=False)
    next_steps(
        {
            f"ml-assets champion {spec.name}": "what serves, and every decision",
            f"ml-assets rollback {spec.name} --to {current['model_version']}": "back again",
        }
    )


def preview(spec: UseCaseSpec, paths: StatePaths, entry: dict[str, Any], current: dict[str, Any]) -> Preview | None:
    """Score the newest drops with both models, as either would serve them."""
    import pandas as pd

    store = ModelStore(paths.models / spec.name)
    models = {
        name: store.load(row["model_version"], row["artifact_sha256"])
        for name, row in (("now", current), ("then", entry))
    }
    scored: list[pd.DataFrame] = []
    with open_lake(spec, paths) as (connection, lake):
        newest = newest_drop(connection, lake)
        if newest is None:
            return None
        version = lake.version("features")
        lake.relation(connection, "features").create_view(f"features_{version}")
        lake.relation(connection, "labels").create_view("labels")
        corrector = PriorCorrector(connection, spec)
        for drop in spec.calendar.drops_between(newest - (_DROPS - 1) * spec.calendar.every, newest):
            rows = connection.execute(f"SELECT * FROM features_{version} WHERE batch_date = ?", [drop]).df()
            if rows.empty or any(not _can_score(bundle, rows, drop) for bundle in models.values()):
                continue
            frame = rows[["batch_date", "example_id"]].sort_values("example_id", kind="stable").reset_index(drop=True)
            for name, bundle in models.items():
                model_version = (current if name == "now" else entry)["model_version"]
                shift = corrector.shift_of(drop, model_version, bundle, version or 0).shift
                said = score_drop(rows, drop, server_of(bundle, model_version), shift)
                frame[name] = said["score"]
                frame[f"{name}_priority"] = priority_of(spec.worklist, {str(key): said[key] for key in said})
            scored.append(frame)
        newest_label = "arg_max(label, (known_at, batch_date)) AS label"
        labels = connection.sql(f"SELECT example_id, {newest_label} FROM labels GROUP BY example_id").df()
    if not scored:
        return None
    return Preview(pd.concat(scored, ignore_index=True).merge(labels, on="example_id", how="left"), newest)


def _can_score(bundle: ModelBundle, rows: pd.DataFrame, drop: date) -> bool:
    return date.fromisoformat(bundle.as_of) < drop and set(bundle.features) <= set(rows.columns)


def _show(spec: UseCaseSpec, found: Preview) -> None:
    threshold, capacity = implied_threshold(spec.monitoring.costs), spec.worklist.capacity
    rows = found.rows
    last = rows.loc[rows["batch_date"] == rows["batch_date"].max()]
    lists = {name: set(last.nlargest(capacity, f"{name}_priority")["example_id"]) for name in ("now", "then")}
    flips = int(((last["now"] >= threshold) != (last["then"] >= threshold)).sum())
    console.print(
        f"in the newest drop compared, {len(lists['now'] - lists['then'])} of the {len(lists['now'])} on the list "
        f"would be others; {flips} of {len(last)} examples fall on the other side of the threshold {threshold:.2f}"
    )
    known = rows.loc[rows["label"].notna()]
    if known.empty:
        console.print("no label of these drops is known yet: what it costs cannot be said")
        return
    costs, table = spec.monitoring.costs, []
    days = known["batch_date"].astype(str).to_numpy()
    for name, title in (("now", "serving now"), ("then", "rolled back to")):
        labels, scores = known["label"].to_numpy(dtype=np.float64), known[name].to_numpy(dtype=np.float64)
        curve = cost_curve(labels, scores, false_alarm=costs.false_alarm, missed=costs.missed)
        priority = known[f"{name}_priority"].to_numpy(dtype=np.float64)
        precision, _ = lists_of_days(labels, priority, days, capacity)
        table.append([title, curve.implied_cost, curve.implied_cost * len(known), precision])
    heads = ["model", "mean cost an example", f"cost of {len(known):,} examples", f"precision of the first {capacity}"]
    console.print(table_of(f"{known['batch_date'].nunique()} drops with labels", heads, table))
