"""Lengths of time as declarations write them: `90min`, `6h`, `7d`, `2w`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_DURATION = re.compile(r"^\s*(\d+)\s*(s|m|min|h|d|w)\s*$")
_UNIT_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 36_525 * _UNIT_SECONDS["d"]  # a hundred years: beyond, there are no dates to reckon with


def parse_duration(value: Any) -> timedelta:
    """Read `90min`, `6h`, `7d` or `2w` as a length of time.

    Raises
    ------
    ValueError
        If the text is not a positive whole number followed by s, min, h, d or w.

    Examples
    --------
    >>> parse_duration("6h")
    datetime.timedelta(seconds=21600)
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(str(value))
    if match is None or int(match[1]) == 0:
        raise ValueError(f"found {value!r}; allowed: a positive whole number and a unit of s, min, h, d, w, as in 7d")
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]]
    if seconds > _LONGEST:
        raise ValueError(f"found {value!r}; allowed: at most {_LONGEST // _UNIT_SECONDS['d']}d")
    return timedelta(seconds=seconds)


def format_duration(length: timedelta) -> str:
    """Write a length of time in its largest whole unit, as declarations do.

    Examples
    --------
    >>> format_duration(timedelta(days=7))
    '7d'
    """
    seconds = int(length.total_seconds())
    for unit in ("d", "h", "min"):
        if seconds % _UNIT_SECONDS[unit] == 0:
            return f"{seconds // _UNIT_SECONDS[unit]}{unit}"
    return f"{seconds}s"


def length_of(value: object) -> timedelta | None:
    """Read a duration of a declaration that may not be sound; None where it is none."""
    try:
        return parse_duration(value)
    except ValueError:
        return None


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
