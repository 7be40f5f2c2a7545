"""Two made-up pasts with a stated truth: energy of wind parks (an amount), and outings that rain calls off (yes or no).

Both depend on the weather at a moment hours after the prediction. It is forecast every twelve hours, and each vintage
is nearer to what comes: its error grows with the lead. So what a model can know is less than what came, by a known
amount.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.cli.declare.new import begin_use_case
from ml_assets.cli.declare.new_facts import Decided
from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.decided import decide

FloatArray = NDArray[np.float64]
START, DAYS, PLACES = date(2024, 1, 1), 120, 30
TODAY = date(2025, 12, 1)
LEADS_H = (60, 48, 36, 24, 12, 0)  # a vintage is issued so long before its moment, which is noon
REVISED = 0.36  # standard deviation of what a vintage mends of the one before; the last says what comes
VIEWS = """      - name: tomorrow
        from: forecasts
        entity: [place]
        latest: [weather]
        ahead: [1d]
        within: 1h
        max_age: 7d
        with_lead: true
      - name: coming
        from: forecasts
        entity: [place]
        ahead: [36h]
        max_age: 7d
        aggregates: {weather_mean: mean(weather), moments: count(*)}
"""


@dataclass(frozen=True)
class ForecastWorld:
    """A past: its task, the column of its outcome, and how an outcome is drawn from the weather and a level."""

    name: str
    task: str
    outcome: str
    draw: Callable[[np.random.Generator, FloatArray], FloatArray]


PARKS = ForecastWorld(
    "wind_energy", "regression", "energy_mwh", lambda rng, eta: 40 + 10 * eta + rng.normal(0, 3, eta.shape)
)
OUTINGS = ForecastWorld(
    "called_off",
    "binary",
    "is_called_off",
    lambda rng, eta: (rng.random(eta.shape) < 1 / (1 + np.exp(-2 * eta))).astype(float),
)
WORLDS = (PARKS, OUTINGS)


@dataclass(frozen=True)
class ForecastPast:
    """What was drawn: by day and place the weather at noon and the outcome; by lead, day and place the forecast."""

    weather: FloatArray
    forecast: FloatArray
    outcome: FloatArray


def draw_past(world: ForecastWorld, *, final_values: bool = False, seed: int = 0) -> ForecastPast:
    """Draw DAYS times PLACES; with `final_values` every vintage says what came, whatever its lead."""
    rng = np.random.default_rng(seed)
    weather = rng.normal(0, 1, (DAYS, PLACES))
    mended = rng.normal(0, REVISED, (len(LEADS_H), DAYS, PLACES))
    mended[-1] = 0
    errors = np.cumsum(mended[::-1], axis=0)[::-1]
    forecast = weather + (0 if final_values else 1) * errors
    level = rng.normal(0, 0.4, PLACES)
    return ForecastPast(weather, forecast, world.draw(rng, level + weather))


def write_past(world: ForecastWorld, past: ForecastPast, folder: Path) -> tuple[Path, Path, Path]:
    """Write what was asked, what came, and what was forecast as files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "requests.csv", folder / "outcomes.csv", folder / "forecasts.csv"
    with files[0].open("w", newline="") as one, files[1].open("w", newline="") as two, files[2].open("w") as three:
        asked, outcome, forecast = csv.writer(one), csv.writer(two), csv.writer(three)
        asked.writerow(["request_id", "asked_at", "place", "size"])
        outcome.writerow(["request_id", "place", "closed_at", world.outcome])
        forecast.writerow(["place", "hour_at", "issued_at", "weather"])
        for day in range(DAYS):
            midnight = datetime(START.year, START.month, START.day) + timedelta(days=day)  # noqa: DTZ001
            noon = midnight + timedelta(hours=36)  # of the day after the request
            for place in range(PLACES):
                at, where, name = midnight + timedelta(minutes=20 * place), f"P{place:02}", f"R{day:03}{place:03}"
                asked.writerow([name, at, where, ("small", "large")[place % 2]])
                outcome.writerow([name, where, noon + timedelta(hours=6), f"{past.outcome[day, place]:.6g}"])
                for place_of, lead in enumerate(LEADS_H):
                    row = [where, noon, noon - timedelta(hours=lead), f"{past.forecast[place_of, day, place]:.5f}"]
                    forecast.writerow(row)
    return files


def declare(world: ForecastWorld, files: tuple[Path, Path, Path], folder: Path) -> UseCaseSpec:
    """Declare the use case with `new --task`, decide what only a person can know, and add the forecast and its view."""
    defs = folder / "defs"
    defs.mkdir(parents=True, exist_ok=True)
    decided = Decided("1d", "12:00", "UTC", world.task)
    begin_use_case(defs, world.name, [str(file) for file in files], decided, TODAY)
    known_at = {"requests": "asked_at", "outcomes": "closed_at", "forecasts": "issued_at"}
    decide(defs / world.name, known_at, world.outcome, "2d")
    return with_forecast(defs / world.name)


def with_forecast(folder: Path) -> UseCaseSpec:
    """Let the view that `new` proposed over the forecast make way for what the world depends on."""
    declared = folder / "defs.yaml"
    text = declared.read_text()
    assert "forecast: {issued_at: issued_at, for: hour_at}" in text
    text, read = re.subn(r"      - name: place_forecasts\n(        .*\n)+", VIEWS, text)
    assert read == 1
    declared.write_text(text)
    return load_use_case(folder)


def land(spec: UseCaseSpec, files: tuple[Path, ...], paths: StatePaths) -> dict[str, Any] | None:
    """Split the files into the drops in which they would have come."""
    past = [f"{name}={file}" for name, file in zip(("requests", "outcomes", "forecasts"), files, strict=True)]
    return run_history(spec, paths, HistoryOptions(past), datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC))
