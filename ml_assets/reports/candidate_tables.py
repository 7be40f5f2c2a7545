"""A fitted candidate as Markdown and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ml_assets.pipeline.training.candidate import FittedCandidates
from ml_assets.reports.markdown import markdown_code, markdown_table, markdown_text
from ml_assets.reports.pictures import means_png, reliability_png, score_histogram_png
from ml_assets.stats.tasks import task_of
from ml_assets.training.candidate import MeasuredCandidate
from ml_assets.training.time_proxy_features import time_proxy_features

if TYPE_CHECKING:
    import pandas as pd


def importance_table(importance: Mapping[str, float]) -> str:
    """List the features that a model leans on most."""
    rows = [[name, f"{importance[name]:.4g}"] for name in list(importance)[:15]]
    return markdown_table(["feature", "importance"], rows) if rows else "this candidate has no features to rank"


def date_like_list(rows: pd.DataFrame, features: Sequence[str]) -> str:
    """List the features that act as a date, and why."""
    found = time_proxy_features(rows, features)
    return "\n".join(f"- {markdown_code(each.name)}: {markdown_text(each.reason)}" for each in found) or "none"


def holdout_plots(task_name: str, rows: pd.DataFrame, measured: Sequence[MeasuredCandidate]) -> dict[str, bytes]:
    """Draw calibration and scores of every candidate on the holdout, by file name."""
    labels = rows.loc[rows["split"] == "holdout", "label"].to_numpy(dtype=float)
    scores = {candidate.candidate.name: candidate.holdout_scores for candidate in measured}
    task = task_of(task_name)
    calibration = reliability_png(labels, scores) if task.has_classes else means_png(labels, scores)
    return {"calibration.png": calibration, "scores.png": score_histogram_png(scores, are_shares=task.has_classes)}


def candidates_table(fitted_candidates: FittedCandidates) -> str:
    """List every candidate with its measures, which was taken, and why."""
    task = task_of(fitted_candidates.recipe.task)
    rows: list[list[str]] = []
    for candidate in fitted_candidates.candidates:
        ahead = [f"{candidate.ahead[name]:.4f}" if candidate.ahead else "" for name in task.by_name()]
        holdout = [f"{candidate.measures[name]:.4f}" for name in task.by_name()]
        rows.append(
            [candidate.candidate.name, *ahead, *holdout, "yes" if candidate is fitted_candidates.chosen else ""]
        )
    shown = [str(each) for each in task.by_name().values()]
    heads = ["candidate", f"{shown[0]} ahead", *shown[1:], f"holdout {shown[0]}", *shown[1:], "taken"]
    basis = (
        "chosen on windows ahead of the training rows"
        if fitted_candidates.chosen.ahead
        else "chosen on the holdout: the history is too short for windows ahead"
    )
    reasons = [f"- {markdown_text(reason)}" for reason in fitted_candidates.choice.reasons]
    return "\n".join([markdown_table(heads, rows), "", basis, *reasons])
