"""What matured examples say about the models of an experiment.

A drop counts once all its examples have matured, with the labels that had come by then: what comes later changes no
look that was already taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.experiments.comparison import (
    ComparedExamples,
    ComparisonRule,
    HarmBound,
    example_losses,
    paired_estimate,
)
from ml_assets.pipeline.experiments.record import CHALLENGER, CHAMPION_ARM, RunningExperiment
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_arrow_type
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.anytime import Estimate

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

REFERENCE_DROPS = 28  # before the start at most: how much drops differ


def maturing_drops(spec: UseCaseSpec, first: DropKey, last: DropKey) -> dict[DropKey, DropKey]:
    """Give, by prediction drop, the drop by whose batch all its examples have matured, up to `last`."""
    calendar, found = spec.calendar, dict[DropKey, DropKey]()
    drops = calendar.drops_between(first, last) if first <= last else []
    place = 0
    for drop in drops:
        while place < len(drops) and spec.matured_by(drops[place]) < calendar.batch_at(drop):
            place += 1
        if place == len(drops):
            break
        found[drop] = drops[place]
    return found


def read_matured(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, first: DropKey, last: DropKey
) -> pd.DataFrame:
    """Read matured, labelled examples of view `scored_arms`, with labels of view `labels`.

    Returns
    -------
    frame
        Grain: an example that the experiment took, in order of drop and example. `batch_date`, `matured_in`, `unit`,
        `arm`, `label`; `challenger`, `champion` and `challenger_abstained`, `champion_abstained`: what each model said.
    """
    import pyarrow as pa

    due = maturing_drops(spec, first, last)
    kind = key_arrow_type(spec.calendar.first_drop)
    schema = pa.schema({"batch_date": kind, "matured_in": kind})
    connection.register("_matured", pa.table({"batch_date": list(due), "matured_in": list(due.values())}, schema))
    found = connection.sql(
        """
        WITH known AS (
            SELECT s.batch_date, s.example_id, any_value(m.matured_in) AS matured_in,
                arg_max(l.label, (l.known_at, l.batch_date))::DOUBLE AS label
            FROM scored_arms AS s JOIN _matured AS m USING (batch_date)
            JOIN labels AS l ON l.example_id = s.example_id AND l.batch_date <= m.matured_in
            GROUP BY s.batch_date, s.example_id
        )
        SELECT s.batch_date, k.matured_in, s.example_id, s.unit, s.arm, k.label, s.challenger, s.champion,
            s.challenger_abstained, s.champion_abstained
        FROM scored_arms AS s JOIN known AS k USING (batch_date, example_id)
        WHERE k.label IS NOT NULL ORDER BY s.batch_date, s.example_id
        """
    ).df()
    connection.unregister("_matured")
    return found


def compared_examples(spec: UseCaseSpec, rows: pd.DataFrame) -> ComparedExamples:
    """Give matured examples with the losses of both models."""
    costs = (spec.monitoring.costs.false_alarm, spec.monitoring.costs.missed)
    labels = rows["label"].to_numpy(dtype=np.float64)
    losses = {
        arm: example_losses(
            labels,
            rows[arm].to_numpy(dtype=np.float64),
            rows[f"{arm}_abstained"].to_numpy(dtype=bool),
            costs,
        )
        for arm in (CHALLENGER, CHAMPION_ARM)
    }
    return ComparedExamples(
        np.unique(rows["batch_date"].to_numpy(), return_inverse=True)[1],
        np.unique(rows["unit"].to_numpy(dtype=np.str_), return_inverse=True)[1],
        (rows["arm"] == CHALLENGER).to_numpy(dtype=bool),
        losses[CHALLENGER],
        losses[CHAMPION_ARM],
        rows[CHAMPION_ARM].to_numpy(dtype=np.float64),
    )


def bounds_of(design: Mapping[str, Any]) -> dict[str, HarmBound]:
    """Give the bound of each measure, the log loss first."""
    guarded = {each["measure"]: HarmBound(each["max_worse"]) for each in design["guardrails"]}
    return {"log_loss": HarmBound(design["max_worse"], is_relative=True), **guarded}


def rule_of(experiment: RunningExperiment) -> ComparisonRule:
    """Give by what an experiment is judged, as fixed when it started."""
    design = experiment.design
    return ComparisonRule(
        bounds_of(design),
        is_paired=design["compare"] == "paired",
        by_drop=design["evidence"] == "drop",
        level=design["level"],
        prior=design["prior"],
        reference={name: Estimate(**each) for name, each in design["reference"].items()},
    )


def reference_estimates(
    examples: ComparedExamples, bounds: Mapping[str, HarmBound], groups: NDArray[np.int64]
) -> dict[str, Estimate]:
    """Estimate, by measure, how both models compared before the start; a measure without an estimate is left out."""
    found = {
        name: paired_estimate(examples.challenger[name], examples.champion[name], bound, groups)
        for name, bound in bounds.items()
    }
    return {name: each for name, each in found.items() if each.is_defined and each.standard_error > 0}
