"""How far back the features of a drop read its sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ml_assets.spec.drop import DropKey
from ml_assets.spec.features import FeatureView
from ml_assets.spec.use_case import UseCaseSpec


def view_lookback(views: Sequence[FeatureView], source: str) -> timedelta | None:
    """Give the longest lookback into `source`; None is without bound."""
    lookbacks = [view.lookback for view in views if view.source == source]
    known = [lookback for lookback in lookbacks if lookback is not None]
    return max(known) if len(known) == len(lookbacks) else None


def first_needed(spec: UseCaseSpec, source: str, first: DropKey) -> DropKey:
    """Give the first drop whose facts can matter to features of drop `first`: a drop costs what its windows cost."""
    lookback = view_lookback(spec.features.views, source)
    if lookback is None:
        return spec.calendar.first_drop
    return max(spec.calendar.drop_receiving(spec.calendar.drop(first).start - lookback), spec.calendar.first_drop)
