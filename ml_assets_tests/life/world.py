"""The world outside: parcels that are ordered and arrive, and the files that say so, drop by drop.

Rows depend on the seed and the drop alone, so two lives of one seed meet the same world. Nothing here reads or calls
the package but its calendar.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from ml_assets.spec.calendar import Calendar
from ml_assets_tests.life.use_case import CARRIERS, DEPOTS, HEADERS_OF_OUTCOMES, Edition, Setting

_BEFORE_BATCH = timedelta(hours=1)  # what a batch brings was written down until an hour before it
_ORDERS_A_DAY, _ORDERS_A_WEEK = 24, 70


@dataclass(frozen=True)
class Order:
    """A parcel, from its order to its outcome. Moments are UTC."""

    order_id: str
    ordered_at: datetime
    depot: str
    carrier: str
    weight_kg: float
    checked_at: datetime
    hours_late: float


@dataclass(frozen=True)
class World:
    """All that happens, by seed."""

    setting: Setting
    seed: int

    @property
    def calendar(self) -> Calendar:
        """Give the calendar of the batches."""
        return Calendar.model_validate(
            {"start": self.setting.start, "every": f"{self.setting.every.days}d", "at": self.setting.at,
             "timezone": self.setting.zone}
        )  # fmt: skip

    def orders_of(self, drop: date) -> list[Order]:
        """Draw the parcels that are ordered between the last batch and this one, less an hour."""
        if drop < self.setting.start:
            return []
        rng = np.random.default_rng([self.seed, drop.toordinal()])
        calendar = self.calendar
        first, last = (moment - _BEFORE_BATCH for moment in (calendar.drop(drop).start, calendar.drop(drop).end))
        age = (drop - self.setting.start).days
        mean = _ORDERS_A_DAY if self.setting.is_daily else _ORDERS_A_WEEK
        n = int(rng.integers(mean - 5, mean + 6))
        seconds = np.sort(rng.choice(int((last - first).total_seconds() // 60) - 1, size=n, replace=False)) + 1
        orders: list[Order] = []
        for number, minute in enumerate(seconds):
            depot, carrier = DEPOTS[int(rng.integers(len(DEPOTS)))], CARRIERS[int(rng.integers(len(CARRIERS)))]
            weight = float(np.round(rng.gamma(2.0, 4.0) + 0.1, 1))
            ordered = self._written(first + timedelta(minutes=int(minute)))
            checked = self._written(ordered + self._delivery_time(float(rng.random())))
            odds = self._log_odds(depot, carrier, min(weight, 60.0), age)
            is_late = rng.random() < 1 / (1 + np.exp(-odds))
            hours = float(np.round(rng.uniform(0.5, 30) if is_late else -rng.uniform(0, 10), 1))
            orders.append(
                Order(f"P{drop:%y%m%d}{number:03}", ordered, depot, carrier, min(weight, 60.0), checked, hours)
            )
        return orders

    def outcomes_of(self, drop: date) -> list[Order]:
        """Give the parcels that are checked between the last batch and this one, less an hour."""
        first, last = (
            moment - _BEFORE_BATCH for moment in (self.calendar.drop(drop).start, self.calendar.drop(drop).end)
        )
        back = 3 if self.setting.is_daily else 2
        ordered = [self.orders_of(drop - self.setting.every * steps) for steps in range(back, -1, -1)]
        return [order for orders in ordered for order in orders if first < order.checked_at <= last]

    def _delivery_time(self, share: float) -> timedelta:
        days = 0.6 + 0.8 * share if self.setting.is_daily else 1.0 + 5.0 * share
        return timedelta(minutes=int(days * 24 * 60))

    def _log_odds(self, depot: str, carrier: str, weight: float, age: int) -> float:
        """Say how likely a parcel is late: depots change slowly, and the truck for good after 300 days."""
        season = 1.2 * np.sin(2 * np.pi * (age / 200 + DEPOTS.index(depot) / len(DEPOTS)))
        truck = 1.5 if carrier == "truck" and age >= 300 else 0.0
        return float(-2.4 + season + 0.25 * weight + truck - (2.0 if carrier == "bike" else 0.0))

    def _written(self, moment: datetime) -> datetime:
        """Give a moment that a local time without an offset names: of an hour that comes twice, the first."""
        local = moment.astimezone(ZoneInfo(self.setting.zone)).replace(fold=0)
        return local.astimezone(UTC).replace(second=0)


def local_text(moment: datetime, zone: str) -> str:
    """Write a moment as an export of local times does."""
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


def orders_text(orders: Sequence[Order], zone: str, edition: Edition) -> str:
    """Write a file of orders under the headers of an edition."""
    rows = [
        [order.order_id, local_text(order.ordered_at, zone), order.depot, order.carrier, order.weight_kg,
         f"c{len(order.depot)}", *(["high" if order.weight_kg > 12 else "low"] if edition.has_priority else [])]
        for order in orders
    ]  # fmt: skip
    return csv_text(edition.headers_of_orders, rows)


def outcomes_text(orders: Sequence[Order], zone: str) -> str:
    """Write a file of outcomes."""
    rows = [[order.order_id, order.depot, local_text(order.checked_at, zone), order.hours_late] for order in orders]
    return csv_text(HEADERS_OF_OUTCOMES, rows)


def csv_text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def heavier(orders: Sequence[Order], rng: np.random.Generator, share: float) -> list[Order]:
    """Correct the weight and the delay of a share of the parcels, as a revised file does."""
    return [
        replace(order, weight_kg=round(order.weight_kg + 1.5, 1), hours_late=round(order.hours_late + 0.3, 1))
        if rng.random() < share
        else order
        for order in orders
    ]


def spoilt(order: Order, place: int) -> Order:
    """Spoil some parcels of a file: a depot nobody knows, a weight that cannot be."""
    if place % 7 == 3:
        return replace(order, depot="atlantis")
    return replace(order, weight_kg=-order.weight_kg) if place % 7 == 5 else order


def land(path: Path, content: bytes, moment: datetime) -> None:
    """Put a file into the landing folder whole, stamped with the moment of the life."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.upload")
    aside.write_bytes(content)
    os.utime(aside, (moment.timestamp(), moment.timestamp()))
    aside.replace(path)
