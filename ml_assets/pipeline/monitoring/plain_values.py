"""Rows of tables as JSON holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any


def plain(value: Any) -> Any:
    """Give a value as JSON holds it: dates as text, null for what is not finite.

    >>> plain({"day": date(2013, 1, 1), "auc": math.nan, "n": (1, 2)})
    {'day': '2013-01-01', 'auc': None, 'n': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
