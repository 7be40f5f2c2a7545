"""Files of two use cases: the hours of real flights, and contracts that are looked at every month."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from ml_assets.demo.flights import read_feeds

_PLANS = ("basic", "plus", "family", "team")
_CONTRACTS, _YEARS = 4000, 3


def write_flights(folder: Path, first: str, last: str) -> tuple[Path, Path]:
    """Write departures.csv, published two hours ahead, and arrivals.csv of the flights scheduled from `first` on."""
    feeds = {name: read_feeds()[name].rows for name in ("schedule", "flight_outcomes")}
    chosen = {}
    for name, rows in feeds.items():
        moments = pd.to_datetime(rows["scheduled_departure_at"], utc=True)
        chosen[name] = rows[
            ((moments >= pd.Timestamp(first, tz="UTC")) & (moments < pd.Timestamp(last, tz="UTC"))).to_numpy()
        ].copy()
    departures = chosen["schedule"]
    moments = pd.to_datetime(departures["scheduled_departure_at"], utc=True)
    departures.insert(1, "published_at", (moments - pd.Timedelta(hours=2)).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    files = folder / "departures.csv", folder / "arrivals.csv"
    departures.to_csv(files[0], index=False)
    columns = ["flight_id", "carrier", "origin", "dest", "arrival_delay_min", "status", "reported_at"]
    chosen["flight_outcomes"][columns].to_csv(files[1], index=False)
    return files


def write_contracts(folder: Path) -> tuple[Path, Path]:
    """Write contracts.csv and ends.csv: contracts that are left the sooner, the cheaper and the less used they are."""
    rng = np.random.default_rng(7)
    day = np.sort(rng.uniform(0.3, 365 * _YEARS, size=_CONTRACTS))
    plan, usage = rng.integers(0, 4, size=_CONTRACTS), rng.gamma(2, 10, size=_CONTRACTS)
    risk = -1.0 + 0.8 * (plan == 0) - 0.6 * (plan == 3) - 0.06 * (usage - 20)
    has_left = rng.random(_CONTRACTS) < 1 / (1 + np.exp(-risk))
    start = datetime(2021, 1, 1)  # noqa: DTZ001 - an export of local times
    files = folder / "contracts.csv", folder / "ends.csv"
    with files[0].open("w", newline="") as contracts, files[1].open("w", newline="") as ends:
        first, second = csv.writer(contracts), csv.writer(ends)
        first.writerow(["contract", "reviewed_at", "plan", "usage_h"])
        second.writerow(["contract", "plan", "checked_at", "has_left"])
        for row in range(_CONTRACTS):
            at = start + timedelta(minutes=int(day[row] * 1440))
            first.writerow([f"C{row}", at, _PLANS[plan[row]], round(usage[row], 1)])
            second.writerow([f"C{row}", _PLANS[plan[row]], at + timedelta(days=31), int(has_left[row])])
    return files
