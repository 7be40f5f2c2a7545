"""What an experiment can find on the flagship, measured on its own days: CUPED, pairing, and what days cost in power.

Runs flight_delays from the first of January to the end of March with its own features, trains two models on January and
February, and compares them on days of March that neither saw: as pairs, as two arms of a tenth, with the day and with the
row as evidence.

    python -m ml_assets_tests.benchmarks.flagship_experiment --folder NEW
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from ml_assets.demo.flights import land_flights
from ml_assets.experiments.assignment import Allocation, assign, hash_units
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.stats.classification import pointwise_log_loss
from ml_assets.stats.clustered import clustered_difference, design_effect, mean_difference, paired_difference
from ml_assets.stats.covariate_adjustment import adjust_by_covariate
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import flagship, give_registry

FIRST, TRAINED, LAST = date(2013, 1, 1), date(2013, 2, 28), date(2013, 3, 31)
CANDIDATES = ("logistic_regression", "xgboost")


def main() -> None:
    """Print the figures of docs/experiments.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    spec = flagship()
    state = UseCaseState(spec.name, StatePaths(parser.parse_args().folder))
    give_registry(state.paths)
    land_flights(state.landing, spec.calendar, FIRST, LAST)
    now = datetime.now(UTC)  # noqa: TID251 - as the graph does
    up_to_features = [*(f"{layer}/{each.name}" for layer in ("raw", "validated") for each in spec.sources), "raw/drops",
                      "training/labels", "features/examples", "features/features"]  # fmt: skip
    drops = spec.calendar.drops_between(FIRST, LAST)
    run_batch_steps(spec, state, drops, BatchContext(now), only=up_to_features)
    versions = []
    for candidate in CANDIDATES:
        asked = Retraining(TRAINED.isoformat(), candidate, "disabled")
        run_retraining_steps(spec, state, asked, RetrainingContext(now))
        with state.connect() as connection:
            found = state.lake.relation(connection, "candidate_model").filter("is_chosen")
            versions.append(found.project("model_version, artifact_sha256").fetchall()[0])
    with state.connect() as connection:
        for table in ("features", "labels"):
            state.lake.relation(connection, table).create_view(table)
        rows = connection.sql(
            f"SELECT f.*, l.label FROM features AS f JOIN (SELECT example_id, arg_max(label, known_at)::DOUBLE AS label "
            f"FROM labels GROUP BY 1) AS l USING (example_id) WHERE f.batch_date > DATE '{TRAINED}' "
            "AND l.label IS NOT NULL ORDER BY f.batch_date, f.example_id"
        ).df()
    scores = [state.models.load(*version).model.predict(rows) for version in versions]
    say_figures(rows["label"].to_numpy(), scores, rows["batch_date"].astype(str).to_numpy(), list(rows["example_id"]))


def say_figures(label: np.ndarray, scores: list[np.ndarray], days: np.ndarray, examples: list[str]) -> None:
    """Print what pairing, CUPED and days do to the standard error of the difference of log losses."""
    say = sys.stdout.write
    zero, one = (pointwise_log_loss(label, each) for each in scores)
    n_days = np.unique(days).size
    say(f"{label.size:,} examples of {n_days} days; log loss {zero.mean():.4f} and {one.mean():.4f}\n")
    champion = scores[0].clip(1e-6, 1 - 1e-6)
    expected = -(champion * np.log(champion) + (1 - champion) * np.log1p(-champion))
    for name, outcome, covariate in (("outcome by score", label, champion), ("log loss by expected", one, expected)):
        say(f"CUPED, {name}: {adjust_by_covariate(outcome, covariate).variance_reduction:.1%} of the variance\n")
    arm = assign(hash_units(examples), Allocation("e", "models", {"new": 0.1, "old": 0.9})).arms == "new"
    served = np.where(arm, one, zero)
    by_day, by_row = clustered_difference(served, arm, days), mean_difference(served[arm], served[~arm])
    adjusted = clustered_difference(adjust_by_covariate(served, expected).values, arm, days)
    say(
        f"two arms of 10 and 90 %: standard error {by_row.standard_error:.4f} by row, {by_day.standard_error:.4f} by day, "
        f"{adjusted.standard_error:.4f} by day with CUPED; design effect {design_effect(served, arm, days):.2f}\n"
    )
    whole = np.array([each[-1] in "02468" for each in days])
    say(f"whole days to arms: design effect {design_effect(np.where(whole, one, zero), whole, days):.0f}\n")
    _, place = np.unique(days, return_inverse=True)
    paired = paired_difference(np.bincount(place, one - zero), np.bincount(place))
    alone = (one - zero).std() / np.sqrt(label.size)
    say(
        f"pairs: standard error {alone:.5f} by row, {paired.standard_error:.5f} by day "
        f"({paired.standard_error / zero.mean():.2%} of the log loss); a day's spread is "
        f"{paired.standard_error * np.sqrt(n_days):.4f}\n"
    )


if __name__ == "__main__":
    main()
