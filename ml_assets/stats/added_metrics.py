"""Metrics that packages add, loaded.

[project.entry-points."ml_assets.metrics"]
f1_at_half = "our_package.f1:METRIC"
"""

from __future__ import annotations

from ml_assets.spec.extensions import METRICS, load_value
from ml_assets.stats.metric import Metric


def added_metric(name: str) -> Metric:
    """Load a metric that a package adds.

    Raises ExtensionError where it cannot be loaded, or is no Metric of that name.
    """
    return load_value(METRICS, name, Metric)
