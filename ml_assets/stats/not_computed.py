"""Measures that fail: what was not computed is named, and everything else stands.

A step collects with `collecting`; inside of it `measured` gives a replacement for what raises, and notes the measure
and its error. Outside of it, as in a test or a notebook, the error is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class NotComputed:
    """A measure that raised, and the text of its error."""

    measure: str
    error: str


_collected: ContextVar[list[NotComputed] | None] = ContextVar("not_computed", default=None)


@contextmanager
def collecting() -> Generator[list[NotComputed]]:
    """Collect which measures fail; each is named once."""
    found: list[NotComputed] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def measured(name: str, work: Callable[[], T], otherwise: U) -> T | U:
    """Compute a measure; where it raises while failures are collected, note it and give `otherwise`.

    Examples
    --------
    >>> with collecting() as failed:
    ...     measured("gain", lambda: 1 / 0, None), measured("n", lambda: 3, 0)
    (None, 3)
    >>> failed
    [NotComputed(measure='gain', error='ZeroDivisionError: division by zero')]
    """
    found = _collected.get()
    try:
        return work()
    except Exception as error:
        if found is None:
            raise
        if name not in {each.measure for each in found}:
            message = " ".join(str(error).split())
            found.append(NotComputed(name, f"{type(error).__name__}: {message}"[:500]))
        return otherwise
