"""Going back to a model that served before: what would flip, and then the decision."""

from __future__ import annotations

import numpy as np
import typer

from ml_assets.cli.console import console, fail, next_steps, say
from ml_assets.cli.tables import print_table
from ml_assets.pipeline.champion.decisions import PersonDecision, find_promoted, require_first_drop, roll_back
from ml_assets.pipeline.champion.rollback_preview import RollbackPreview, preview_rollback
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.decision_costs import cost_curve, lists_of_days
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.evaluation import implied_threshold


def run_rollback(spec: UseCaseSpec, state: UseCaseState, to: str, asked: PersonDecision, *, is_sure: bool) -> None:
    """Show what flips, ask, and let the earlier model serve."""
    entry, current = find_promoted(spec, state, to)
    require_first_drop(spec, state, entry, asked)
    console.print(f"from {current['model_version']}\nto   {entry['model_version']}", highlight=False)
    found = preview_rollback(spec, state, entry, current)
    if found is None:
        console.print("nothing to compare on: no drop has features both can score")
    else:
        _show(spec, found)
    if not is_sure and not typer.confirm("roll back?"):
        raise fail("nothing was changed")
    decision = roll_back(spec, state, entry, asked)
    first = spec.calendar.next_drop(decision.serves_after)
    console.print(f"{entry['model_version']} serves from {first} on, decided by {asked.by}", highlight=False)
    next_steps(
        {
            f"ml-assets champion {spec.name}": "what serves, and every decision",
            f"ml-assets rollback {spec.name} --to {current['model_version']}": "back again",
        }
    )


def _show(spec: UseCaseSpec, found: RollbackPreview) -> None:
    threshold, capacity = implied_threshold(spec.monitoring.costs), spec.worklist.capacity
    rows = found.rows
    last = rows.loc[rows["batch_date"] == rows["batch_date"].max()]
    lists = {name: set(last.nlargest(capacity, f"{name}_priority")["example_id"]) for name in ("now", "then")}
    flips = int(((last["now"] >= threshold) != (last["then"] >= threshold)).sum())
    say(
        f"in the newest drop compared, {len(lists['now'] - lists['then'])} of the {len(lists['now'])} on the list "
        f"would be others; {flips} of {len(last)} examples fall on the other side of the threshold {threshold:.2f}"
    )
    known = rows.loc[rows["label"].notna()]
    if known.empty:
        console.print(
            f"no example of the drops compared has matured by {found.newest} with a label: what it costs cannot be said"
        )
        return
    costs, table = spec.monitoring.costs, []
    days = known["batch_date"].astype(str).str[:10].to_numpy()
    for name, title in (("now", "serving now"), ("then", "rolled back to")):
        labels, scores = known["label"].to_numpy(dtype=np.float64), known[name].to_numpy(dtype=np.float64)
        curve = cost_curve(labels, scores, false_alarm=costs.false_alarm, missed=costs.missed)
        priority = known[f"{name}_priority"].to_numpy(dtype=np.float64)
        precision, _ = lists_of_days(labels, priority, days, capacity)
        table.append([title, curve.implied_cost, curve.implied_cost * len(known), precision])
    heads = ["model", "mean cost an example", f"cost of {len(known):,} examples", f"precision of the first {capacity}"]
    print_table(f"{known['batch_date'].nunique()} drops with matured examples", heads, table)
