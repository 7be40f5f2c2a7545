"""Two made-up pasts with a stated truth: energy that meters use (an amount), and calls that branches get (a count).

Both have a level a place, a weekday, a reading that matters, and what was used or called the day before. On day CHANGE
the weight of the reading turns around, so that what was learned before misleads.
"""

from __future__ import annotations

import csv
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
from ml_assets.spec.names import DECIDE
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.decided import decide

FloatArray = NDArray[np.float64]
START, DAYS, CHANGE, PLACES = date(2024, 1, 1), 200, 130, 60
TODAY = date(2025, 12, 1)


@dataclass(frozen=True)
class NumberWorld:
    """A past: its task, the column of its outcome, and how an outcome is drawn from its mean."""

    name: str
    task: str
    outcome: str
    mean: Callable[[FloatArray], FloatArray]
    draw: Callable[[np.random.Generator, FloatArray], FloatArray]


METERS = NumberWorld(
    "meter_energy",
    "regression",
    "energy_kwh",
    lambda eta: 40 + 12 * eta,
    lambda rng, mean: mean + rng.normal(0, 6, mean.size),
)
BRANCHES = NumberWorld(
    "branch_calls",
    "count",
    "calls",
    lambda eta: np.exp(1.1 + 0.45 * eta),
    lambda rng, mean: rng.poisson(mean).astype(float),
)
WORLDS = (METERS, BRANCHES)


@dataclass(frozen=True)
class Past:
    """What was drawn: by day and place, what was read, the true mean, and what came."""

    reading: FloatArray
    pressure: FloatArray
    mean: FloatArray
    outcome: FloatArray


def draw_past(world: NumberWorld, seed: int = 0) -> Past:
    """Draw DAYS times PLACES; the same seed gives the same past."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 1, PLACES)
    reading, pressure = rng.normal(0, 1, (2, DAYS, PLACES))
    weekend = np.array([(START + timedelta(days=day)).isoweekday() > 5 for day in range(DAYS)])
    turned = np.where(np.arange(DAYS) < CHANGE, 1.0, -1.0)
    eta = level + 0.9 * turned[:, None] * reading - 0.6 * weekend[:, None]
    mean = world.mean(eta)
    outcome = world.draw(rng, mean.ravel()).reshape(mean.shape)
    return Past(reading, pressure, mean, outcome)


def write_past(world: NumberWorld, past: Past, folder: Path) -> tuple[Path, Path]:
    """Write what was asked and what came as files."""
    folder.mkdir(parents=True, exist_ok=True)
    asked_file, outcome_file = folder / "requests.csv", folder / "outcomes.csv"
    with asked_file.open("w", newline="") as one, outcome_file.open("w", newline="") as other:
        asked, outcome = csv.writer(one), csv.writer(other)
        asked.writerow(["request_id", "asked_at", "place", "kind", "reading", "pressure"])
        outcome.writerow(["request_id", "place", "closed_at", world.outcome])
        for day in range(DAYS):
            for place in range(PLACES):
                at = datetime(START.year, START.month, START.day) + timedelta(days=day, minutes=20 * place)  # noqa: DTZ001
                name, where = f"R{day:03}{place:03}", f"P{place:02}"
                kind = ("old", "new", "large")[place % 3]
                values = (past.reading[day, place], past.pressure[day, place])
                asked.writerow([name, at, where, kind, *(f"{value:.4f}" for value in values)])
                outcome.writerow([name, where, at + timedelta(hours=30), f"{past.outcome[day, place]:.6g}"])
    return asked_file, outcome_file


def declare(world: NumberWorld, files: tuple[Path, Path], folder: Path, every: str = "1d") -> UseCaseSpec:
    """Declare the use case with `new --task --every`, and decide what only a person can know."""
    name, defs = world.name, folder / "defs"
    defs.mkdir(parents=True, exist_ok=True)
    begin_use_case(
        defs,
        name,
        [str(file) for file in files],
        Decided(every, DECIDE if every == "1h" else "00:00", "UTC", world.task),
        TODAY,
    )
    known_at = {"requests": "asked_at", "outcomes": "closed_at"}
    return decide(defs / name, known_at, world.outcome, "2d")


def land(spec: UseCaseSpec, files: tuple[Path, Path], paths: StatePaths) -> dict[str, Any] | None:
    """Split the files into the drops in which they would have come."""
    past = [f"{name}={file}" for name, file in zip(("requests", "outcomes"), files, strict=True)]
    return run_history(spec, paths, HistoryOptions(past), datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC))
