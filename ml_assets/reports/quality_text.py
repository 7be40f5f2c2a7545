"""Quality in sentences: a champion against its gate, the baseline and the first champion; weeks that were worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ml_assets.decisions.first_champion import WORSE_FROM, excess_over_first, is_surely_worse
from ml_assets.decisions.harder_rows import find_shared_rise
from ml_assets.reports.plain_text import counted
from ml_assets.stats.quality_words import labels_and_scores, shift_in_words
from ml_assets.stats.task import Task

Row = Mapping[str, Any]

ALTERNATIVE_NAMES = {"first_champion": "the first champion", "baseline": "the baseline"}
_SHOWN = 3  # weeks that are named


def gate_sentence(task: Task, verdict: Row) -> str:
    """Say the loss of the last matured window, beside what it was before the model served.

    >>> from ml_assets.stats.binary import BINARY
    >>> verdict = {"model_version": "m5", "state": "failed", "loss_now": 0.46, "loss_at_gate": 0.4, "n": 1200,
    ...            "window_from": "2024-07-01", "window_until": "2024-07-14", "loss_since": "2024-06-28"}
    >>> gate_sentence(BINARY, verdict)
    'log loss 0.4600 from 2024-07-01 to 2024-07-14 (1,200 rows), 0.4000 at the gate: 15.0% higher, risen since
    2024-06-28'
    """
    if verdict["state"] == "no champion":
        return "not measured: no champion serves yet"
    if verdict["loss_now"] is None:
        model = verdict["model_version"]
        return f"not measured: there is no outcome of what {model} predicted; none is due, or none came"
    window = f"from {verdict['window_from']} to {verdict['window_until']} ({counted(verdict['n'], 'row')})"
    said = f"{task.loss_metric} {verdict['loss_now']:.4f} {window}"
    before = verdict["loss_at_gate"]
    if before is None:
        return f"{said}; what it was at the gate is not known"
    said += f", {before:.4f} at the gate: {_apart(verdict['loss_now'] / before - 1)}"
    if not verdict["loss_since"]:
        return said
    shared = find_shared_rise(verdict)
    of_both = "" if shared is None else f"; the baseline's by as much, {shared.baseline_before:.4f} before"
    return f"{said}, risen since {verdict['loss_since']}{of_both}"


def baseline_sentence(task: Task, verdict: Row) -> str:
    """Say the gain over the baseline with its interval, and what of it must be kept.

    >>> from ml_assets.stats.binary import BINARY
    >>> verdict = {"gain": -0.021, "gain_lower": -0.04, "gain_upper": 0.001, "threshold": 0.05, "behind_since": None}
    >>> baseline_sentence(BINARY, verdict)
    'log loss 2.1% higher than the baseline (80 % interval: 0.1% lower to 4.0% higher); at least 5.0% lower is wanted'
    """
    gain, lower, upper = (verdict[name] for name in ("gain", "gain_lower", "gain_upper"))
    if gain is None:
        return "not enough data to compare with the baseline"
    said = f"{task.loss_metric} {_apart(-gain)} than the baseline"
    if lower is not None and upper is not None:
        said += f" (80 % interval: {_apart(-upper)} to {_apart(-lower)})"
    if verdict["threshold"] is not None:
        said += f"; at least {verdict['threshold']:.1%} lower is wanted"
    return f"{said}; worse since {verdict['behind_since']}" if verdict["behind_since"] else said


def first_sentence(task: Task, verdict: Row) -> str:
    """Say the gain over the first champion, which is never retrained, and whether it is surely worse.

    >>> from ml_assets.stats.binary import BINARY
    >>> first_sentence(BINARY, {"state": "ok", "first_gain": 0.1, "first_gain_upper": 0.15})
    'log loss 10.0% lower than the first champion, never retrained, would have'
    """
    excess, upper = excess_over_first(verdict), verdict["first_gain_upper"]
    if excess is None:
        is_thin = verdict["state"] == "no champion" or verdict["gain"] is None
        return "not enough data to compare with the first champion" if is_thin else "it is the first champion itself"
    said = f"{task.loss_metric} {_apart(excess)} than the first champion, never retrained, would have"
    if is_surely_worse(verdict):
        return f"{said}: surely worse"
    if excess <= 0:
        return said
    is_small = upper is not None and upper < 0
    return f"{said}; {f'told from {WORSE_FROM:.1%} on' if is_small else 'chance could explain that'}"


def sums_sentences(task: Task, verdict: Row) -> list[str]:
    """Say how far the sums that watch for a rise have come, and whether labels have left the scores.

    >>> from ml_assets.stats.binary import BINARY
    >>> verdict = {"loss_level": 7.25, "loss_limit": 5.0, "behind_level": None, "behind_limit": None,
    ...            "label_share": 0.3, "mean_score": 0.25, "prior_state": "shifted", "prior_since": "2024-06-28",
    ...            "prior_share": 0.31, "prior_score": 0.2512}
    >>> for said in sums_sentences(BINARY, verdict):
    ...     print(said)
    evidence, summed since it serves, that it does worse than before it served: 7.25, alarm above 5.00
    evidence, summed since it serves, that it does worse than the baseline: not known
    31.0% positives where scores average 25.1%: the prior has shifted, since 2024-06-28
    """
    said: list[str] = []
    for name, than in (("loss", "before it served"), ("behind", "the baseline")):
        level, limit = verdict[f"{name}_level"], verdict[f"{name}_limit"]
        measured = "not known" if level is None or limit is None else f"{level:.2f}, alarm above {limit:.2f}"
        said.append(f"evidence, summed since it serves, that it does worse than {than}: {measured}")
    if verdict[task.mean_label] is not None and verdict["mean_score"] is not None:
        told = {"shifted": "apart in this window; told once that has lasted",
                "cannot tell": "no more apart than such days are"}  # fmt: skip
        prior = told.get(verdict["prior_state"] or "", "not enough data")
        if verdict["prior_since"] is not None:  # what the incident goes by
            prior = f"{shift_in_words(task)}, since {verdict['prior_since']}"
        measured = (verdict[task.mean_label], verdict["mean_score"])
        if verdict["prior_since"] is not None and verdict.get("prior_share") is not None:
            measured = (verdict["prior_share"], verdict["prior_score"])
        said.append(f"{labels_and_scores(task, *measured)}: {prior}")
    return said


def fallback_sentence(fallback: Row) -> str:
    """Say what serves in the place of a failed champion, since when and why.

    >>> fallback_sentence({"since": "2024-07-20", "serves": "baseline", "model_version": "m5", "why": "m5 has failed"})
    'since drop 2024-07-20 the baseline of m5 serves: m5 has failed'
    """
    what = f"the baseline of {fallback['model_version']}" if fallback["serves"] == "baseline" else (
        f"the earlier champion {fallback['model_version']}")  # fmt: skip
    return f"since drop {fallback['since']} {what} serves: {fallback['why']}"


def worse_sentence(task: Task, worse: Sequence[Row], n_weeks: int) -> str:
    """Say in which weeks serving was more than 1 % worse than the alternatives, or that it was in none.

    >>> from ml_assets.stats.binary import BINARY
    >>> worse = [{"week": day, "than": "baseline", "excess": 0.031} for day in ("2024-07-01", "2024-07-08")]
    >>> worse_sentence(BINARY, worse, 20)
    'Serving was more than 1 % worse than the baseline in 2 of 20 weeks (by log loss; week of 2024-07-01: 3.1%,
    2024-07-08: 3.1%), and than the first champion in none.'
    >>> worse_sentence(BINARY, [], 20)
    'In none of 20 weeks was serving more than 1 % worse, by log loss, than the baseline or the first champion.'
    """
    if not n_weeks:
        return "No week of prediction has matured yet."
    if not worse:
        return (
            f"In none of {counted(n_weeks, 'week')} was serving more than 1 % worse, by {task.loss_metric}, than the "
            "baseline or the first champion."
        )
    parts: list[str] = []
    none: list[str] = []
    for than in ("baseline", "first_champion"):
        rows = [row for row in worse if row["than"] == than]
        if not rows:
            none.append(f"than {ALTERNATIVE_NAMES[than]} in none")
            continue
        named = ", ".join(f"{row['week']}: {row['excess']:.1%}" for row in rows[:_SHOWN])
        more = f", and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        before = f"by {task.loss_metric}; week of " if not parts else "week of "
        parts.append(
            f"than {ALTERNATIVE_NAMES[than]} in {len(rows)} of {counted(n_weeks, 'week')} ({before}{named}{more})"
        )
    return f"Serving was more than 1 % worse {', and '.join([*parts, *none])}."


def _apart(share: float) -> str:
    """Say how far above or below something lies, as a share of it."""
    return f"{abs(share):.1%} {'higher' if share > 0 else 'lower'}"
