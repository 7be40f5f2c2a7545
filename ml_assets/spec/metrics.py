"""The metrics that installed packages add, by the names that `model.metrics` uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ml_assets.spec.declared import Fault
from ml_assets.spec.extensions import METRICS, ExtensionError, extensions, load_extension
from ml_assets.spec.names import not_among
from ml_assets.spec.raw_yaml import names_in
from ml_assets.spec.tasks import TASK_METRICS, measures_of


def metric_faults(model: Mapping[str, Any]) -> Iterator[Fault]:
    """Find metrics of `model.metrics` that no package adds, that cannot be loaded, or whose name is taken."""
    named: list[str] = []
    measured = {name for task in TASK_METRICS for name in measures_of(task)}
    for place, name in names_in(model.get("metrics")):
        if name in measured:
            yield ("metrics", place), f"found {name!r}, which is always measured; allowed: a metric that a package adds"
        elif name in named:
            yield ("metrics", place), f"found {name!r} again; allowed: once"
        elif name not in extensions(METRICS):
            yield ("metrics", place), not_among(name, list(extensions(METRICS)))
        else:
            try:
                load_extension(METRICS, name)
            except ExtensionError as error:
                yield ("metrics", place), str(error)
        named.append(name)
