"""The clock of a simulated life: set by the driver, read by Dagster, by the graph and by the stamps of log records."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from unittest import mock


@dataclass
class LifeClock:
    """A moment that moves only when it is told to."""

    moment: datetime

    def go_to(self, moment: datetime) -> None:
        """Move on to a moment; a moment that has passed changes nothing."""
        self.moment = max(self.moment, moment.astimezone(UTC))

    def now(self) -> datetime:
        """Give the moment."""
        return self.moment

    def timestamp(self) -> float:
        """Give the moment in seconds since 1970."""
        return self.moment.timestamp()

    def advance(self, length: timedelta) -> None:
        """Move on by a length of time."""
        self.moment += length


@contextmanager
def clock_injected(clock: LifeClock) -> Iterator[None]:
    """Let Dagster, and so `ml_assets.graph.clock`, and log records take their time from `clock`."""
    made = logging.getLogRecordFactory()

    def stamped(*args: object, **named: object) -> logging.LogRecord:
        record = made(*args, **named)
        record.created = clock.moment.timestamp()  # Dagster's events carry it
        return record

    with (
        mock.patch("dagster._time._mockable_get_current_datetime", clock.now),
        mock.patch("dagster._time._mockable_get_current_timestamp", clock.timestamp),
    ):
        logging.setLogRecordFactory(stamped)
        try:
            yield
        finally:
            logging.setLogRecordFactory(made)
