"""The verdict on an experiment in each of its drops, by what had matured by then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ml_assets.decisions.experiment_verdict import (
    ExperimentAction,
    ExperimentProgress,
    ExperimentVerdict,
    MeasuredHarm,
    judge_experiment,
)
from ml_assets.experiments.comparison import MeasureComparison, compare_arms
from ml_assets.experiments.sample_ratio import check_sample_ratio
from ml_assets.pipeline.experiments.evidence import compared_examples, rule_of
from ml_assets.pipeline.experiments.record import CHALLENGER, CHAMPION_ARM, RunningExperiment
from ml_assets.spec.drop import DropKey
from ml_assets.spec.duration import parse_duration
from ml_assets.spec.key_arrays import plain_keys
from ml_assets.spec.use_case import UseCaseSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DropVerdict:
    """What was found in a drop, with the rows of `experiment_reports`; `is_new` where it was not reported before."""

    drop: DropKey
    action: ExperimentAction
    reason: str
    rows: list[dict[str, Any]]
    is_new: bool


def judge_drops(
    spec: UseCaseSpec,
    experiment: RunningExperiment,
    drops: Sequence[DropKey],
    matured: pd.DataFrame,
    units: pd.DataFrame,
) -> Iterator[DropVerdict]:
    """Judge an experiment in each of `drops`, in order, and stop after an abort.

    Parameters
    ----------
    matured
        As `evidence.read_matured` gives it, of all drops of the experiment.
    units
        Grain: an example of a drop of the experiment. `batch_date`, `unit`, `arm`.
    """
    counts = _units_by_drop(units)
    matured_in, predicted_in = plain_keys(matured["matured_in"]), matured["batch_date"]
    examples, rule = compared_examples(spec, matured), rule_of(experiment)
    length = parse_duration(experiment.design["length"])
    for drop in drops:
        seen = (matured_in <= drop).to_numpy(dtype=bool)
        compared = compare_arms(examples.where(seen), rule) if seen.any() else []
        progress = ExperimentProgress(
            n_drops=int(predicted_in[seen].nunique()),
            min_drops=experiment.design["min_drops"],
            is_over=spec.calendar.span(experiment.after, drop) >= length,
            was_extended=experiment.extended,
            mismatch=_mismatch(experiment, counts, drop),
        )
        harms = [
            MeasuredHarm(each.measure, each.worse_by.estimate, each.worse_by.lower, each.worse_by.upper, each.p_value)
            for each in compared
        ]
        verdict = judge_experiment(harms, progress, experiment.design["level"])
        is_new = not (verdict.action == "passed" and experiment.passed)
        yield DropVerdict(drop, verdict.action, verdict.reason, _rows(experiment, drop, compared, verdict), is_new)
        if verdict.action == "abort":
            return
        experiment = replace(
            experiment,
            extended=experiment.extended or verdict.action == "extend",
            passed=experiment.passed or verdict.action == "passed",
        )


def _units_by_drop(units: pd.DataFrame) -> pd.DataFrame:
    """Count, by drop and arm, the units that are seen for the first time."""
    first = units.sort_values("batch_date", kind="stable").drop_duplicates("unit")
    counts = first.groupby(["batch_date", "arm"]).size().unstack(fill_value=0)
    return counts.cumsum()


def _mismatch(experiment: RunningExperiment, counts: pd.DataFrame, drop: DropKey) -> str:
    known = counts.loc[[day <= drop for day in plain_keys(counts.index.to_series())]]
    if known.empty:
        return ""
    seen = {str(arm): int(n) for arm, n in known.iloc[-1].items()}
    allocation = experiment.allocation
    ratio = check_sample_ratio(seen, allocation.arms)
    if not ratio.is_mismatch:
        return ""
    shown = ", ".join(f"{n} of {ratio.expected[arm]:.0f} in {arm}" for arm, n in ratio.counts.items())
    return f"units are not shared out as declared: {shown} (p = {ratio.p_value:.2g})"


def _rows(
    experiment: RunningExperiment, drop: DropKey, compared: Sequence[MeasureComparison], verdict: ExperimentVerdict
) -> list[dict[str, Any]]:
    shared = {"batch_date": drop, "experiment": experiment.name, "verdict": verdict.action, "reason": verdict.reason}
    if not compared:
        return [{**shared, "measure": "log_loss", "n": 0, "n_units": 0}]
    return [
        {
            **shared,
            "measure": each.measure,
            CHALLENGER: each.challenger,
            CHAMPION_ARM: each.champion,
            "worse_by": each.worse_by.estimate,
            "lower": each.worse_by.lower,
            "upper": each.worse_by.upper,
            "p_value": each.p_value,
            "n": each.n,
            "n_units": each.n_units,
            "design_effect": each.design_effect,
        }
        for each in compared
    ]
