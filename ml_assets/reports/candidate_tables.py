"""A fitted candidate as Markdown and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ml_assets.pipeline.training.candidate import Climbed
from ml_assets.reports.pictures import reliability_png, score_histogram_png
from ml_assets.training.candidate import MeasuredRung
from ml_assets.training.date_like import date_like_features

if TYPE_CHECKING:
    import pandas as pd


def importance_table(importance: Mapping[str, float]) -> str:
    """List the features that a model leans on most."""
    lines = [f"| {name} | {importance[name]:.4g} |" for name in list(importance)[:15]]
    return (
        "\n".join(["| feature | importance |", "|---|---|", *lines]) if lines else "this rung has no features to rank"
    )


def date_like_list(rows: pd.DataFrame, features: Sequence[str]) -> str:
    """List the features that act as a date, and why."""
    found = date_like_features(rows, features)
    return "\n".join(f"- `{each.name}`: {each.reason}" for each in found) or "none"


def holdout_plots(rows: pd.DataFrame, measured: Sequence[MeasuredRung]) -> dict[str, bytes]:
    """Draw calibration and scores of every candidate on the holdout, by file name."""
    labels = rows.loc[rows["split"] == "holdout", "label"].to_numpy(dtype=float)
    scores = {rung.rung.name: rung.holdout_scores for rung in measured}
    return {"calibration.png": reliability_png(labels, scores), "scores.png": score_histogram_png(scores)}


def candidates_table(climbed: Climbed) -> str:
    """List every candidate with its measures, which was taken, and why."""
    lines = [
        "| rung | log loss ahead | AUC | ECE | holdout log loss | AUC | ECE | taken |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rung in climbed.rungs:
        m, a = rung.measures, rung.ahead or {}
        ahead = [f"{a[name]:.4f}" if a else "" for name in ("log_loss", "auc", "ece")]
        holdout = [f"{m[name]:.4f}" for name in ("log_loss", "auc", "ece")]
        taken = "yes" if rung is climbed.chosen else ""
        lines.append(f"| {' | '.join([rung.rung.name, *ahead, *holdout, taken])} |")
    basis = (
        "chosen on windows ahead of the training rows"
        if climbed.chosen.ahead
        else ("chosen on the holdout: the history is too short for windows ahead")
    )
    return "\n".join([*lines, "", basis, *(f"- {reason}" for reason in climbed.choice.reasons)])
