"""Measures of a window by hand, and changed ones."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from ml_assets.stats.binary import BINARY
from ml_assets.stats.window_measures import WindowMeasures

Kind = TypeVar("Kind")


def measures(n: int, n_days: int, **measured: float) -> WindowMeasures:
    """Give what a binary model measures: `log_loss`, `auc`, `ece`."""
    return WindowMeasures(BINARY, n, n_days, measured)


def replace(of: Kind, **changes: Any) -> Kind:
    """As `dataclasses.replace`; of measures, a metric is changed by its name."""
    if isinstance(of, WindowMeasures):
        own = {name: changes.pop(name) for name in ("n", "n_days", "positives") if name in changes}
        return dataclasses.replace(of, measured={**of.measured, **changes}, **own)
    return dataclasses.replace(of, **changes)  # type: ignore[type-var]
