"""How the scores of drops are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_assets.reports.pictures import Picture, score_histogram_png
from ml_assets.spec.drop import DropKey

if TYPE_CHECKING:
    import pyarrow as pa


def score_picture(rows: pa.Table, drops: Sequence[DropKey]) -> Picture | None:
    """Draw the scores of predictions and of the baseline; None where there are none."""
    if rows.num_rows == 0:
        return None
    columns = {name: rows[name].to_numpy() for name in ("score", "baseline_score")}
    return Picture(score_histogram_png(columns), f"{drops[0]} to {drops[-1]}")
