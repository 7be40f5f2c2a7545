"""The slow, obvious judge of features of a forecast: every vintage is asked, one example at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from ml_assets_tests.features.oracle import Row, always, is_same_entity, versions_in_force


def newest_vintages(
    rows: Sequence[Row],
    key: Sequence[str],
    series: Sequence[str],
    known_by: datetime,
) -> list[Row]:
    """Give of each series and moment the vintage issued last, among those known by a moment; in order of both."""
    newest: dict[tuple[Any, ...], Row] = {}
    for row in versions_in_force(rows, key, known_by):
        name = (row["hour"], *(row[column] for column in series))
        if name not in newest or row["issued_at"] > newest[name]["issued_at"]:
            newest[name] = row
    return [newest[name] for name in sorted(newest)]


def vintages_between(
    newest: Sequence[Row],
    example: Row,
    entity: Sequence[str],
    bounds: tuple[datetime, datetime],
    max_age: timedelta | None,
    where: Callable[[Row], bool] = always,
) -> list[Row]:
    """List the vintages of an example's entity for moments in (first, last] that are young enough."""
    first, last = bounds
    return [
        row
        for row in newest
        if is_same_entity(row, example, entity)
        and first < row["hour"] <= last
        and where(row)
        and (max_age is None or row["issued_at"] > example["prediction_at"] - max_age)
    ]


def values_of(found: Sequence[Row]) -> list[tuple[datetime, float]]:
    """Give the values that are numbers, each with the moment it is for."""
    return [(row["hour"], row["mw"]) for row in found if row["mw"] is not None and math.isfinite(row["mw"])]
