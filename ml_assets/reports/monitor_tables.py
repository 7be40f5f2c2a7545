"""Monitors of a drop as Markdown, and what their thresholds rest on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml_assets.monitoring.diagnosis import spell
from ml_assets.monitoring.drift_report import Row, is_held
from ml_assets.monitoring.feature_drift import FamilyMeasure
from ml_assets.monitoring.placebo_z_score import share_interval
from ml_assets.monitoring.sure_change import CONSTANT_CHANGED
from ml_assets.reports.markdown import markdown_table
from ml_assets.reports.pictures import Picture, PlaceboStrip, placebo_strips_png
from ml_assets.spec.drop import DropKey

_SHOWN = 12


def placebo_table(rows: Sequence[Row], measures: Sequence[FamilyMeasure], newest: DropKey) -> str:
    """Show what the thresholds of features rest on: the placebo windows of each measure beside today's window."""
    if not measures:
        return ""
    mine = [row for row in rows if row["batch_date"] == newest and np.isfinite(row["z"])]
    shown: list[PlaceboStrip] = []
    cells: list[list[str]] = []
    for each in measures:
        of_all = each.measure != "largest z"
        z = [
            row["ratio"] * row["threshold"] if is_held(row) else row["z"]
            for row in mine
            if row["family"] == each.reference
            and (row["column_name"] is None) == of_all
            and row.get("statistic") != CONSTANT_CHANGED
        ]
        today, n, over = max(z, default=np.nan), each.placebos.size, int((each.placebos > each.threshold).sum())
        low, high = share_interval(over, n, 0.9)
        cells.append(
            [each.reference, each.measure, f"{today:.2f}", f"{each.threshold:.2f}",
             f"{n}: {np.median(each.placebos):.2f}, {each.placebos.max():.2f}",
             f"{over} of {n} ({low:.0%} to {high:.0%})"]
        )  # fmt: skip
        shown.append(PlaceboStrip(f"{each.reference}: {each.measure}", each.placebos, today, each.threshold))
    caption = "placebo windows (dots), this window (diamond) and threshold (bar), as share of the threshold"
    heads = ["against", "measure", "today", "threshold", "placebo windows: median, largest", "over it (90 % interval)"]
    return "\n".join([Picture(placebo_strips_png(shown), caption).to_markdown(), "", markdown_table(heads, cells)])


def nearest_table(rows: Sequence[Row], newest: DropKey) -> str:
    """List the monitors of the newest drop that are nearest to alarm."""
    nearest = sorted((row for row in rows if row["batch_date"] == newest), key=lambda row: -row["ratio"])[:_SHOWN]
    cells = [
        [row["monitor"], *(spell(row["statistic"], row[name]) for name in ("value", "usual")), f"{row['z']:.3g}",
         f"{row['threshold']:.3g}", row["state"], row.get("meaning") or row.get("detail")]
        for row in nearest
    ]  # fmt: skip
    return markdown_table(["monitor", "value", "usual", "z", "threshold", "state", "meaning"], cells)
