"""A fitted candidate as Markdown and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ml_assets.pipeline.training.candidate import Climbed
from ml_assets.reports.markdown import markdown_code, markdown_table, markdown_text
from ml_assets.reports.pictures import reliability_png, score_histogram_png
from ml_assets.stats.tasks import task_of
from ml_assets.training.candidate import MeasuredRung
from ml_assets.training.time_proxy_features import time_proxy_features

if TYPE_CHECKING:
    import pandas as pd


def importance_table(importance: Mapping[str, float]) -> str:
    """List the features that a model leans on most."""
    rows = [[name, f"{importance[name]:.4g}"] for name in list(importance)[:15]]
    return markdown_table(["feature", "importance"], rows) if rows else "this rung has no features to rank"


def date_like_list(rows: pd.DataFrame, features: Sequence[str]) -> str:
    """List the features that act as a date, and why."""
    found = time_proxy_features(rows, features)
    return "\n".join(f"- {markdown_code(each.name)}: {markdown_text(each.reason)}" for each in found) or "none"


def holdout_plots(rows: pd.DataFrame, measured: Sequence[MeasuredRung]) -> dict[str, bytes]:
    """Draw calibration and scores of every candidate on the holdout, by file name."""
    labels = rows.loc[rows["split"] == "holdout", "label"].to_numpy(dtype=float)
    scores = {rung.rung.name: rung.holdout_scores for rung in measured}
    return {"calibration.png": reliability_png(labels, scores), "scores.png": score_histogram_png(scores)}


def candidates_table(climbed: Climbed) -> str:
    """List every candidate with its measures, which was taken, and why."""
    task = task_of(climbed.recipe.task)
    rows: list[list[str]] = []
    for rung in climbed.rungs:
        ahead = [f"{rung.ahead[name]:.4f}" if rung.ahead else "" for name in task.by_name()]
        holdout = [f"{rung.measures[name]:.4f}" for name in task.by_name()]
        rows.append([rung.rung.name, *ahead, *holdout, "yes" if rung is climbed.chosen else ""])
    shown = [str(each) for each in task.by_name().values()]
    heads = ["rung", f"{shown[0]} ahead", *shown[1:], f"holdout {shown[0]}", *shown[1:], "taken"]
    basis = (
        "chosen on windows ahead of the training rows"
        if climbed.chosen.ahead
        else "chosen on the holdout: the history is too short for windows ahead"
    )
    reasons = [f"- {markdown_text(reason)}" for reason in climbed.choice.reasons]
    return "\n".join([markdown_table(heads, rows), "", basis, *reasons])
