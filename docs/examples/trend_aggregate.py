"""An aggregate in one file: the trend of the values of a window, per day."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.aggregates import AddedAggregate


def trend_per_day(values: NDArray[np.float64], ages_h: NDArray[np.float64]) -> float:
    """Slope of the least-squares line through the values; NaN, which is null, where all became known at one moment."""
    days = -ages_h / 24
    spread = days - days.mean()
    if not spread.any():
        return float("nan")
    return float((spread * (values - values.mean())).sum() / (spread * spread).sum())


AGGREGATE = AddedAggregate("trend_per_day", trend_per_day, version="1")
