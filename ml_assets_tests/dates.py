"""Keys of drops that are dates, as dates: most tests use calendars of days and reckon with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ml_assets.spec.drop import DropKey, day_of_key


def dates_of(keys: Iterable[DropKey]) -> list[date]:
    """Give the day of each key."""
    return [day_of_key(key) for key in keys]
