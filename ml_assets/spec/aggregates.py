"""The aggregates that a windowed view may use: those of this package, and those that installed packages add.

A package adds one as a value, under an entry point that bears its name:

    [project.entry-points."ml_assets.aggregates"]
    trend_per_day = "our_package.trend:AGGREGATE"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_assets.spec.extensions import AGGREGATES as GROUP
from ml_assets.spec.extensions import extensions, load_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AGGREGATES = ("count", "sum", "mean", "share", "min", "max", "std", "last", "distinct", "hours_since_last")


@dataclass(frozen=True)
class AddedAggregate:
    """An aggregate of the numbers in a window, added by a package.

    Attributes
    ----------
    name
        The word for it in a declaration, as in `trend_per_day(amount)`.
    of
        Takes the values of one window, in the order in which their facts became known, and the hours from that moment
        to `prediction_at`, one a value; both are float64, neither is empty, and every value is finite. Gives one
        number; what is not finite is null. Equal arguments must give equal results.
    version
        Part of what a feature means: another one makes it another feature, which is computed again.
    unit
        Of the result; None is the unit of what is aggregated.
    """

    name: str
    of: Callable[[NDArray[np.float64], NDArray[np.float64]], float]
    version: str = "1"
    unit: str | None = None


def aggregate_names() -> list[str]:
    """Name the aggregates that a view may use: those of this package, then those that installed packages add."""
    return [*AGGREGATES, *(name for name in extensions(GROUP) if name not in AGGREGATES)]


def added_aggregate(name: str) -> AddedAggregate:
    """Load an aggregate that a package adds.

    Raises ExtensionError where it cannot be loaded, or is no AddedAggregate of that name.
    """
    return load_value(GROUP, name, AddedAggregate)
