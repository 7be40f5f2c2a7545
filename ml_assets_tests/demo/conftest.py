from __future__ import annotations

from datetime import date, time

import pandas as pd
import pytest

from ml_assets.demo.flight_tables import read_timed_flights
from ml_assets.spec.calendar import Calendar


@pytest.fixture(scope="session")
def timed() -> pd.DataFrame:
    """Give every flight of the package with its moments; read once, never changed."""
    return read_timed_flights()


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    """Give the flagship's calendar."""
    return Calendar(start=date(2013, 1, 1), end=date(2014, 1, 3), at=time(4), timezone="America/New_York")
