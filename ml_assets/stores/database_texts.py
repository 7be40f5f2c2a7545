"""Values of a database as texts that a contract reads as the same values, and moments as a database stores them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ml_assets.spec.contract import Column
from ml_assets.stores.databases import DatabaseError

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}


def as_text(value: Any) -> str | None:
    """Write a value as text, without losing a digit.

    Raises
    ------
    DatabaseError
        Of bytes, which no type of a column holds.

    Examples
    --------
    >>> moment = datetime(2024, 1, 2, 3, 4, tzinfo=UTC)
    >>> [as_text(value) for value in (1, 0.1, Decimal("1.50"), True, moment, None, {"a": 1})]
    ['1', '0.1', '1.50', 'true', '2024-01-02 03:04:00+00:00', None, '{"a": 1}']
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat(sep=" ")
    if isinstance(value, bytes | memoryview):
        raise DatabaseError(
            "found a column of bytes; allowed: columns of texts, numbers and moments. Leave it out by a query"
        )
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else repr(value) if isinstance(value, float) else str(value)


def read_moment(value: Any, column: Column) -> datetime | None:
    """Read a watermark of time as a moment in UTC, as the contract of its column reads it; None where it is none."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=ZoneInfo(column.zone)).astimezone(UTC)
    if column.epoch is not None:
        return datetime.fromtimestamp(float(value) / _PER_SECOND[column.epoch], UTC)
    try:
        return read_moment(datetime.fromisoformat(str(value).strip()), column)
    except ValueError:
        return None


def as_stored(high: datetime | int, sample: Any, column: Column) -> Any:
    """Give a bound as the database stores its watermarks, told from one of them.

    Raises
    ------
    DatabaseError
        If it stores moments as texts that do not sort as time does.

    Examples
    --------
    >>> from ml_assets.spec.contract import Column
    >>> moment, column = datetime(2024, 1, 2, 3, tzinfo=UTC), Column(type="timestamp", zone="Europe/Berlin")
    >>> as_stored(moment, "2023-12-31 10:00:00", column), as_stored(moment, datetime(2023, 12, 31), column)
    ('2024-01-02 04:00:00', datetime.datetime(2024, 1, 2, 4, 0))
    """
    if isinstance(high, int) or sample is None:
        return high
    if isinstance(sample, datetime):
        return high if sample.tzinfo else high.astimezone(ZoneInfo(column.zone)).replace(tzinfo=None)
    if column.epoch is not None:
        per = _PER_SECOND[column.epoch]
        return int(high.timestamp() * per)
    text = str(sample)
    if len(text) < 10 or text[4:5] != "-" or (len(text) > 19 and "." not in text and not text.endswith("Z")):
        raise DatabaseError(f"found the watermark {text!r}; allowed: moments, or texts as 2024-01-31 09:30:00")
    local = high if text.endswith("Z") else high.astimezone(ZoneInfo(column.zone))
    stored = local.strftime(f"%Y-%m-%d{text[10:11] or ' '}%H:%M:%S" + (".%f" if "." in text else ""))
    return f"{stored}Z" if text.endswith("Z") else stored
