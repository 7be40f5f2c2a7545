"""Judge the champion of a drop on the newest matured window: against the gate, the baseline and the first champion."""

from __future__ import annotations

import math

import numpy as np

from ml_assets.monitoring.loss_rise import FAILED, NO_RISES, Rises
from ml_assets.monitoring.performance import (
    ROLES,
    Days,
    FloatArray,
    Row,
    ScoredExamples,
    finite_or_none,
    judged_window,
    within,
)
from ml_assets.monitoring.placebo_z_score import false_alarm_rate
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_array, key_moment
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.block_bootstrap import mean_interval, paired_day_block_bootstrap
from ml_assets.stats.measured_intervals import measured_intervals
from ml_assets.stats.tasks import task_of

_ECE_DRAWS = 50
LEVEL = 0.8  # coverage of the interval around the gain


def judge_performance(  # noqa: PLR0913, PLR0917 - what it is judged by, each of another table
    scored: ScoredExamples,
    spec: UseCaseSpec,
    drop: DropKey,
    model_version: str | None,
    gain_at_gate: float,
    rises: Rises = NO_RISES,
    serves: str = "model",
) -> Row:
    """Judge the champion of `drop` against the baseline beside it, on the window that has matured by then.

    Parameters
    ----------
    model_version
        The champion of `drop`; None before the first. Days that another model scored do not count.
    gain_at_gate
        Its relative gain in log loss over the baseline when it was promoted.
    rises
        Whether its log loss has risen above what it was before it served, and above the baseline's.
    serves
        `baseline` where the baseline of a failed champion gives the scores of `drop`, else `model`.

    Returns
    -------
    row
        `state`: `failed` when the whole 80 % interval of the gain lies below `threshold`, the share
        `min_gain_kept` of the gain at the gate, or when the log loss has risen above what it was before it served,
        or above the baseline's, by a cumulative sum over all its drops that may be looked at in each;
        `not enough data` below the gate's `min_days` or `min_examples`; `no champion`; else `ok`.
        `gain`, `gain_lower`, `gain_upper`: share of the
        baseline's log loss that the champion saves, days resampled. `first_gain`, `first_gain_upper`: the same
        over the first champion, never retrained, with the upper bound that chance exceeds within the false-alarm
        budget; null where it is the champion or scored nothing. `n` and `n_days`: labelled
        examples and their days; `label_share`, `mean_score`, `share_gap` (their difference) and
        `ece` of them, null without any. `prior_state`: `shifted` when days as varied as these would
        not give labels so far from the scores at the rate of the false-alarm budget; else `cannot
        tell`. It is named for people: no decision rests on it. `prior_since`: the first drop since which labels have
        left the scores, by a cumulative sum, where that costs something; `prior_share`, `prior_score`: the means of
        both since the sum was last zero. `ece_by_chance`: what scores that are right exceed once in the budget.
        `fallback_auc`, `fallback_auc_lower`: how well the baseline ranks the rows since the change, where it serves.
        `window_from`, `window_until`:
        prediction dates looked at.
    """
    task = task_of(spec.task)
    rise, behind, prior = rises.loss, rises.margin, rises.prior
    start, until = judged_window(spec, drop)
    row: Row = {"batch_date": drop, "model_version": model_version, "window_from": start, "window_until": until}
    if model_version is None:
        return {**row, "state": "no champion", "n": 0, "n_days": 0}
    y, p, others, dates = _window_of(scored, start, until, model_version)
    days = dates.astype("datetime64[D]")  # blocks: where a drop is longer than a day, the drop
    baseline = others["baseline"]
    interval = paired_day_block_bootstrap(
        task.losses(y, baseline), task.losses(y, p), days,
        rng=np.random.default_rng(spec.model.seed), resamples=spec.model.gate.resamples, level=LEVEL,
    )  # fmt: skip
    threshold, gate = spec.retraining.min_gain_kept * gain_at_gate, spec.model.gate
    is_enough = interval.n_days >= gate.min_days and interval.n >= gate.min_examples and math.isfinite(interval.upper)
    measured = {
        "gain": interval.estimate,
        "gain_lower": interval.lower,
        "gain_upper": interval.upper,
        "gain_at_gate": gain_at_gate,
        "threshold": threshold,
        task.mean_label: float(y.mean()) if y.size else math.nan,
        "mean_score": float(p.mean()) if y.size else math.nan,
        "share_gap": float(y.mean() - p.mean()) if y.size else math.nan,
        **({"ece": task.metric("ece").of(y, p)} if task.has_classes else {}),
    }
    judged = "failed" if interval.upper < threshold else "ok"
    state = "failed" if rise.is_over or behind.is_over else judged if is_enough else "not enough data"
    measured |= {
        "loss_now": float(task.losses(y, p).mean()) if y.size else math.nan,
        "loss_at_gate": rise.loss_at_gate,
        "baseline_at_gate": rise.loss_at_gate - behind.loss_at_gate,
        "loss_level": rise.level,
        "loss_limit": rise.limit,
        "behind_level": behind.level,
        "behind_limit": behind.limit,
        "prior_level": prior.level,
        "prior_limit": prior.limit,
        "prior_share": prior.share,
        "prior_score": prior.score,
        **({"ece_by_chance": _ece_by_chance(spec, p)} if task.has_classes else {}),
        **_coverage(spec, scored, start, until, model_version),
        **(_over_first(spec, y, p, others["first_champion"], days) if is_enough else {}),
        **(
            _worth_of_fallback(spec, y, baseline, days, behind.since or rise.since)
            if serves == "baseline" and task.has_classes
            else {}
        ),
    }
    return {
        **row,
        "state": state,
        "loss_since": rise.since if rise.is_over else None,
        "behind_since": behind.since if behind.is_over else None,
        "prior_since": prior.since if prior.is_over else None,
        "prior_state": _prior_state(spec, y, p, days) if is_enough else "not enough data",
        "n": interval.n,
        "n_days": interval.n_days,
        **{name: finite_or_none(value) for name, value in measured.items()},
    }


def _coverage(
    spec: UseCaseSpec, scored: ScoredExamples, start: DropKey, until: DropKey, model_version: str
) -> dict[str, float]:
    """Give how often outcomes of the window lay within their bounds, and between what that lies; {} without bounds."""
    if scored.bounds is None:
        return {}
    dates = scored.prediction_dates
    served = [day for (day, role), version in scored.model_versions.items()
              if role == "champion" and version == model_version]  # fmt: skip
    is_in = np.isin(dates, key_array(served)) & (dates >= key_moment(start)) & (dates <= key_moment(until))
    inside = within(scored.labels, *scored.bounds)
    is_in &= ~np.isnan(inside)
    if not is_in.any():
        return {}
    rng, resamples = np.random.default_rng(spec.model.seed), spec.model.gate.resamples
    days = dates[is_in].astype("datetime64[D]")
    lower, upper = mean_interval(inside[is_in], days, rng, resamples, 1 - _rate(spec))
    return {"coverage": float(inside[is_in].mean()), "coverage_lower": lower, "coverage_upper": upper}


def _over_first(spec: UseCaseSpec, y: FloatArray, p: FloatArray, first: FloatArray, days: Days) -> dict[str, float]:
    """Give the gain over the first champion where it scored too, and is another model."""
    task = task_of(spec.task)
    both = ~np.isnan(first)
    if not both.any() or np.array_equal(p[both], first[both]):
        return {}
    gain = paired_day_block_bootstrap(
        task.losses(y[both], first[both]), task.losses(y[both], p[both]), days[both],
        rng=np.random.default_rng(spec.model.seed), resamples=spec.model.gate.resamples, level=1 - _rate(spec),
    )  # fmt: skip
    return {"first_gain": gain.estimate, "first_gain_upper": gain.upper}


def _worth_of_fallback(
    spec: UseCaseSpec, y: FloatArray, baseline: FloatArray, days: Days, since: DropKey | None
) -> dict[str, float]:
    """Say how well the baseline ranks the rows since the champion did worse: before that it may have been better."""
    late = days >= key_moment(since).astype("datetime64[D]") if since is not None else np.ones(days.size, dtype=bool)
    found = measured_intervals(
        y[late], baseline[late], days[late],
        rng=np.random.default_rng(spec.model.seed), resamples=spec.model.gate.resamples, level=LEVEL,
    )["auc"]  # fmt: skip
    return {"fallback_auc": found.estimate, "fallback_auc_lower": found.lower}


def _prior_state(spec: UseCaseSpec, y: FloatArray, p: FloatArray, days: Days) -> str:
    if not task_of(spec.task).has_classes:
        rng, resamples = np.random.default_rng(spec.model.seed), spec.model.gate.resamples
        lower, upper = mean_interval(y - p, days, rng, resamples, 1 - _rate(spec))
        return "shifted" if lower > 0 or upper < 0 else "cannot tell"
    short = paired_day_block_bootstrap(
        p,
        y,
        days,
        rng=np.random.default_rng(spec.model.seed),
        resamples=spec.model.gate.resamples,
        level=1 - _rate(spec),
    )
    return "shifted" if short.lower > 0 or short.upper < 0 else "cannot tell"


def _ece_by_chance(spec: UseCaseSpec, p: FloatArray) -> float:
    """Give the calibration error that scores which are right exceed once in the budget of false alarms.

    Labels are drawn from the scores (Bröcker and Smith, 2007, Weather and Forecasting 22: consistency resampling).
    """
    if not p.size:
        return math.nan
    rng = np.random.default_rng(spec.model.seed)
    ece = task_of(spec.task).metric("ece")
    drawn = [ece.of((rng.random(p.size) < p).astype(np.float64), p) for _ in range(_ECE_DRAWS)]
    return float(np.quantile(drawn, 1 - max(_rate(spec), 1 / _ECE_DRAWS)))


def _rate(spec: UseCaseSpec) -> float:
    monitoring = spec.monitoring
    return false_alarm_rate(monitoring.false_alarm_every, monitoring.performance_window, 1)


def _window_of(
    scored: ScoredExamples, start: DropKey, until: DropKey, model_version: str
) -> tuple[FloatArray, FloatArray, dict[str, FloatArray], Days]:
    """Give label, score, scores of the other roles and day of the labelled examples that `model_version` scored."""
    dates = scored.prediction_dates
    first = np.searchsorted(dates, key_moment(start), side="left")
    rows = slice(first, np.searchsorted(dates, key_moment(until), side="right"))
    served = [day for (day, role), version in scored.model_versions.items()
              if role == "champion" and version == model_version]  # fmt: skip
    y, p, failed = scored.labels[rows], scored.scores["champion"][rows], scored.scores[FAILED][rows]
    p = np.where(np.isnan(failed), p, failed)  # where its baseline served, the model itself is judged
    counts = ~np.isnan(y) & ~np.isnan(p) & np.isin(dates[rows], key_array(served))
    others = {role: scored.scores[role][rows][counts] for role in ROLES if role != "champion"}
    return y[counts], p[counts], others, dates[rows][counts]
