"""How often the gate promotes a candidate that is no better: 200 times, with equal models on resampled windows.

Run with `python -m ml_assets_tests.benchmarks.gate_repeats --data FOLDER --as-of 2013-03-31`, where FOLDER is a state
with the flagship's features and labels. `--models` are fitted by the flagship's recipe on training days drawn with
replacement. Then, `--repeats` times, two of them are drawn and so are the days of the holdout, with replacement, and
the real gate decides by the flagship's numbers. On each day it is decided by a coin which of the two plays the
champion: so they differ as two models of one recipe do, day by day, and neither is better. `--by-luck` leaves the
coin away: then one of them may be better, for it was luckier in the days it learned from.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from ml_assets.decisions.promotion import Verdict, judge
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.window_measures import measure_window
from ml_assets.stores.kept_files import scan
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.training.candidate import fit_candidates
from ml_assets.training.evaluation import gain_over
from ml_assets.training.training_set import draw_training_set, plan_draw
from ml_assets_tests.rehearsal import DEFS_FOLDER


@dataclass(frozen=True)
class _Equal:
    """Models that are no better than one another: the holdout, their scores of it, and the baseline's."""

    holdout: pd.DataFrame
    scores: list[np.ndarray]
    baseline: np.ndarray


def draw_rows(spec: UseCaseSpec, data: Path, as_of: date) -> pd.DataFrame:
    """Draw the training set of the flagship as of a drop, without writing it."""
    lake = Lake(StatePaths(data).lake / spec.name)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in ("features", "labels"):
            scan(connection, lake.files(table)).create_view(table)
        plan = plan_draw(spec, as_of)
        return draw_training_set(connection, plan).order("batch_date, example_id").df()


def resampled_days(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw whole days with replacement, as many as there are; a day that is drawn twice counts as two."""
    days = rows["batch_date"].unique()
    drawn = rng.choice(days, size=days.size)
    of_day = dict(iter(rows.groupby("batch_date", sort=False)))
    parts = [of_day[day].assign(batch_date=number) for number, day in enumerate(drawn)]
    return pd.concat(parts, ignore_index=True)


def fit_equal(spec: UseCaseSpec, rows: pd.DataFrame, n_models: int, candidate: str, rng: np.random.Generator) -> _Equal:
    """Fit models of one recipe, each on training days drawn with replacement; give their scores of the holdout."""
    train = rows.loc[rows["split"] == "train"]
    holdout = rows.loc[rows["split"] == "holdout"].reset_index(drop=True)
    recipe = spec.model.recipe(spec.labels.matures_after).only(candidate or spec.model.candidates[-1].name)
    no_windows = recipe.folds.model_copy(update={"length": spec.calendar.every * 9999})  # a blend's shares are even
    scores: list[np.ndarray] = []
    baseline = np.empty(0)
    for number in range(n_models):
        drawn = resampled_days(train, rng).assign(split="train")
        own = recipe.model_copy(update={"seed": number, "folds": no_windows})
        candidates = fit_candidates(
            own, pd.concat([drawn, holdout], ignore_index=True), list(spec.features.feature_names())
        )
        scores.append(candidates[-1].holdout_scores)
        baseline = candidates[0].holdout_scores
        sys.stderr.write(f"model {number}: log loss {candidates[-1].measures['log_loss']:.5f}\n")
    return _Equal(holdout.assign(_row=np.arange(len(holdout))), scores, baseline)


def judge_once(spec: UseCaseSpec, equal: _Equal, rng: np.random.Generator, *, by_luck: bool) -> tuple[Verdict, float]:
    """Let the gate decide between two of the models on days drawn with replacement."""
    first, second = rng.choice(len(equal.scores), size=2, replace=False)
    window = resampled_days(equal.holdout, rng)
    taken, days = window["_row"].to_numpy(), window["batch_date"].to_numpy()
    labels = window["label"].to_numpy(dtype=float)
    one, other = equal.scores[first][taken], equal.scores[second][taken]
    coin = rng.random(window["batch_date"].nunique()) < (0.0 if by_luck else 0.5)
    swaps = coin[pd.factorize(days)[0]]
    champion, candidate = np.where(swaps, other, one), np.where(swaps, one, other)
    rule = spec.model.gate
    gain = gain_over(window, champion, candidate, rule, np.random.default_rng(spec.model.seed))
    of = {"champion": champion, "candidate": candidate, "baseline": equal.baseline[taken]}
    measures = {name: measure_window(labels, values, days) for name, values in of.items()}
    verdict = judge(candidate=measures["candidate"], champion=measures["champion"], baseline=measures["baseline"],
                    gain=gain, rule=rule)  # fmt: skip
    return verdict, gain.estimate if gain else float("nan")


def main() -> None:
    """Fit the equal models, judge the repeats, and print what the gate did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--as-of", type=date.fromisoformat, required=True)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--candidate", default="")
    parser.add_argument("--by-luck", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    spec = load_use_case(DEFS_FOLDER / "flight_delays")
    rng = np.random.default_rng(asked.seed)
    equal = fit_equal(spec, draw_rows(spec, asked.data, asked.as_of), asked.models, asked.candidate, rng)
    judged = [judge_once(spec, equal, rng, by_luck=asked.by_luck) for _ in range(asked.repeats)]
    spread = np.quantile([gain for _, gain in judged], [0.05, 0.5, 0.9, 0.95, 0.99])
    broken = Counter(reason.code for verdict, _ in judged for reason in verdict.reasons if not reason.passed)
    promoted = sum(verdict.promoted for verdict, _ in judged)
    sys.stdout.write(f"{asked.as_of}: {promoted} of {asked.repeats} equal candidates promoted\n")
    sys.stdout.write(f"gains: {', '.join(f'{value:+.3%}' for value in spread)} at 5, 50, 90, 95, 99 %\n")
    sys.stdout.write(f"refused by: {dict(broken.most_common())}\n")


if __name__ == "__main__":
    main()
