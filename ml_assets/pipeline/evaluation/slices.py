"""Evidence: the window of a comparison by its parts, declared and found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ml_assets.pipeline.evaluation.comparison import Comparison
from ml_assets.pipeline.evaluation.evidence import Row, write_evidence
from ml_assets.pipeline.evaluation.measures import LEVEL, RESAMPLES
from ml_assets.spec.gate import GateRule
from ml_assets.spec.tables.models import EVALUATION_SLICES
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.block_bootstrap import mean_interval, paired_day_block_bootstrap
from ml_assets.stats.slices import parts_of, weak_slices
from ml_assets.stores.use_case_state import UseCaseState


def store_slices(spec: UseCaseSpec, state: UseCaseState, found: Comparison) -> list[Row]:
    """Measure the declared slices, look for weak ones, and store the rows. Grain: a slice."""
    rows = [*declared_slices(spec, found), *discovered_slices(spec, found)]
    write_evidence(state, EVALUATION_SLICES, rows, found)
    return rows


def declared_slices(spec: UseCaseSpec, found: Comparison) -> Iterator[Row]:
    """Give a row a part of each declared slice; `gain` is over the champion, or over the baseline before the first."""
    losses = {role: found.task.losses(found.labels, scores) for role, scores in found.scores.items()}
    against = losses.get("champion", losses["baseline"])
    days, rule = np.asarray(found.days), spec.model.gate
    for column in spec.monitoring.slices:
        if column not in found.window:
            continue
        for value, mask in parts_of(found.window[column].tolist()):
            if not mask.any():
                continue
            gain = _gain(rule, spec.model.seed, against[mask], losses["candidate"][mask], days[mask])
            loss = mean_interval(
                losses["candidate"][mask], days[mask], np.random.default_rng(spec.model.seed), RESAMPLES, LEVEL
            )
            yield {
                **_slice_row(found, "declared", column, value, losses["candidate"], mask),
                "loss_lower": loss[0],
                "loss_upper": loss[1],
                "against": "champion" if "champion" in losses else "baseline",
                "gain": gain.estimate,
                "gain_lower": gain.lower,
                "gain_upper": gain.upper,
            }


def discovered_slices(spec: UseCaseSpec, found: Comparison) -> Iterator[Row]:
    """Give a row a part of any feature in which the candidate is surely wrong, worst first."""
    if not found.labels.size:
        return
    loss = found.task.loss_metric.name
    losses = found.task.losses(found.labels, found.scores["candidate"])
    expected = found.task.expected_losses(found.scores["candidate"], losses)
    columns = {name: found.window[name].tolist() for name in found.candidate.features}
    for each in weak_slices(columns, losses, expected, found.days, least=spec.model.gate.min_slice):
        yield {
            "as_of": found.row.as_of,
            "kind": "discovered",
            "column": each.column,
            "value": each.value,
            "n": each.n,
            "n_days": each.n_days,
            loss: each.loss,
            f"rest_{loss}": each.rest_loss,
            "surprise": each.surprise,
            "p_value": each.p_value,
        }


def _gain(rule: GateRule, seed: int, against: Any, candidate: Any, days: Any):  # noqa: ANN202 - an Interval
    rng = np.random.default_rng(seed)
    return paired_day_block_bootstrap(
        against, candidate, days, rng=rng, resamples=rule.resamples, level=rule.interval_level
    )


def _slice_row(found: Comparison, kind: str, column: str, value: str, losses: Any, mask: Any) -> Row:
    loss = found.task.loss_metric.name
    return {
        "as_of": found.row.as_of,
        "kind": kind,
        "column": column,
        "value": value,
        "n": int(mask.sum()),
        "n_days": len({day for day, inside in zip(found.days, mask, strict=True) if inside}),
        found.task.mean_label: float(found.labels[mask].mean()),
        "mean_score": float(found.scores["candidate"][mask].mean()),
        loss: float(losses[mask].mean()),
        f"rest_{loss}": float(losses[~mask].mean()) if (~mask).any() else None,
    }
