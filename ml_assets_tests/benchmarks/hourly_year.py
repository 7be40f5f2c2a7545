"""A year of hours: an hourly use case that ships, retrained monthly, and how each month after it turned out.

    python -m ml_assets_tests.benchmarks.hourly_year flight_delays_live FOLDER [--last 2013-12-31] [--monitors]
    python -m ml_assets_tests.benchmarks.hourly_year airport_delay FOLDER

Lands 2013 hour by hour, takes each month as one range, and from March on trains as of its last drop: so every hour of
April to December is scored by a model of the month before, with the gate on as declared. The tables are those of
docs/examples.md. Without `--monitors` the reports are left out, which no score depends on. What was run is not run
again: after an interruption the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from ml_assets.demo.flights import land_flights
from ml_assets.pipeline.runs.batch import BatchContext, batch_steps, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.classification import auc, expected_calibration_error, log_loss
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import DEFS_FOLDER, give_registry

FIRST_TRAINED = 3
NOW = datetime(2014, 2, 1, tzinfo=UTC)
LAST_VALUE, LAST_WEEK = "last_delay_mean_min_3h", "last_week_departure_delay_mean_min"


def tell(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def months_of(spec: UseCaseSpec, last: date) -> list[list[DropKey]]:
    """List the drops of each month of 2013 up to `last`, by the clock of New York."""
    found: list[list[DropKey]] = []
    for month in range(1, last.month + 1):
        day, drops = date(2013, month, 1), list[DropKey]()
        while day.month == month and day.year == last.year and day <= last:
            drops += spec.calendar.drops_of_day(day)
            day += timedelta(days=1)
        found.append(drops)
    return found


def run_month(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey], *, monitors: bool) -> float:
    """Land and run a month as one range; give its seconds without landing."""
    folder = state.paths.landing / spec.name
    if not (folder / str(drops[-1])).is_dir():
        land_flights(folder, spec.calendar, drops[0], drops[-1], use_case=spec.name)
    context = BatchContext(NOW)
    only = [name for name in batch_steps(spec, state, drops, context) if monitors or "monitoring/" not in name]
    if not monitors:
        only.remove("predictions/shadow_predictions")
    begun = time.perf_counter()
    run_batch_steps(spec, state, drops, context, only=only)
    return time.perf_counter() - begun


def retrain(spec: UseCaseSpec, state: UseCaseState, as_of: DropKey) -> str:
    """Train as of a drop; give the verdict with its reason and the seconds it took."""
    begun = time.perf_counter()
    run_retraining_steps(spec, state, Retraining(str(as_of)), RetrainingContext(NOW))
    verdict = max(read_rows(state.lake, "champion", None), key=lambda row: row["sequence"])
    broken = [each["message"] for each in verdict["reasons"] if not each["passed"]]
    said = f"{verdict['candidate']} {verdict['verdict']}, gain {verdict['gain']}"
    return f"{said} in {time.perf_counter() - begun:.0f} s; {'; '.join(broken)}"


def is_done(state: UseCaseState, table: str, column: str, drop: DropKey) -> bool:
    """Say whether a table has something of a drop."""
    return state.lake.has(table) and any(str(row[column]) == str(drop) for row in read_rows(state.lake, table, None))


def run_year(spec: UseCaseSpec, state: UseCaseState, last: date, *, monitors: bool) -> None:
    """Run the months that were not run, and train after each."""
    for number, drops in enumerate(months_of(spec, last), start=1):
        if not is_done(state, "drops", "batch_date", drops[-1]):
            seconds = run_month(spec, state, drops, monitors=monitors)
            tell(f"{drops[-1]}: {len(drops)} drops in {seconds:.0f} s")
        if number >= FIRST_TRAINED and not is_done(state, "champion", "as_of", drops[-1]):
            tell(f"{drops[-1]}: {retrain(spec, state, drops[-1])}")


def scored(spec: UseCaseSpec, state: UseCaseState) -> pd.DataFrame:
    """Give what was scored by a model and has a label: one row an example, with the month of its prediction."""
    features = f", f.{LAST_VALUE}, f.{LAST_WEEK}" if spec.task == "regression" else ""
    join = "JOIN f USING (example_id)" if features else ""
    bounds = ", p.lower, p.upper" if features else ""
    with state.connect() as connection:
        for name, table in (("p", "predictions"), ("l", "labels"), ("f", "features")):
            state.lake.relation(connection, table).create_view(name)
        return connection.sql(
            f"SELECT example_id, date_trunc('month', timezone('America/New_York', p.prediction_at)) AS month, p.score, "
            f"p.baseline_score, l.label{bounds}{features} FROM p JOIN l USING (example_id) {join} "
            "WHERE p.model_version IS NOT NULL ORDER BY example_id"
        ).df()


def binary_row(rows: pd.DataFrame) -> dict[str, float]:
    """Measure a month of a binary task."""
    label, score = rows["label"].to_numpy(dtype=float), rows["score"].to_numpy(dtype=float)
    ece = expected_calibration_error(label, score)
    baseline = rows["baseline_score"].to_numpy(dtype=float)
    return {"n": len(rows), "share": label.mean(), "auc": auc(label, score), "log_loss": log_loss(label, score), "ece":
            ece, "baseline_auc": auc(label, baseline), "baseline_log_loss": log_loss(label, baseline)}  # fmt: skip


def amount_row(rows: pd.DataFrame) -> dict[str, float]:
    """Measure a month of a regression: errors beside both naive ones, and intervals beside those of constant width.

    A constant width is the narrowest that would have held as many outcomes of the month, chosen afterwards.
    """
    label = rows["label"].to_numpy(dtype=float)
    errors = {name: np.abs(label - rows[name].to_numpy(dtype=float)) for name in ("score", LAST_VALUE, LAST_WEEK)}
    is_in = ((rows["lower"] <= rows["label"]) & (rows["label"] <= rows["upper"])).to_numpy()
    constant = 2 * float(np.quantile(errors["score"], is_in.mean()))
    return {"n": len(rows), "mean": label.mean(), **{f"mae_{name}": np.nanmean(each) for name, each in errors.items()},
            "coverage": is_in.mean(), "width": (rows["upper"] - rows["lower"]).mean(), "constant": constant}  # fmt: skip


def main() -> None:
    """Run the year and print its months."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("use_case", choices=["flight_delays_live", "airport_delay"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--last", type=date.fromisoformat, default=date(2013, 12, 31))
    parser.add_argument("--monitors", action="store_true")
    asked = parser.parse_args()
    spec = load_use_case(DEFS_FOLDER / asked.use_case)
    paths = StatePaths(asked.folder)
    if not paths.mlflow.is_dir():
        give_registry(paths)
    state = UseCaseState(spec.name, paths)
    run_year(spec, state, asked.last, monitors=asked.monitors)
    rows = scored(spec, state)
    measure = binary_row if spec.task == "binary" else amount_row
    table = pd.DataFrame({f"{month:%B}": measure(each) for month, each in rows.groupby("month")}).T
    tell(pd.concat([table, table.mean().rename("mean").to_frame().T]).round(4).to_string())


if __name__ == "__main__":
    main()
