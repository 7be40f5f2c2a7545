"""A small model beside the full one: chosen on January to March, then measured once on April to December.

Run with `python -m ml_assets_tests.benchmarks.compressed_models --data FOLDER --choose`, where FOLDER is a state with
the flagship's features and labels of January to March: each candidate of `CANDIDATES` is scored on the time folds
inside the training rows as of March 31, as the mean of `--seeds` seeds. What was chosen stands in `CHOSEN`.

Then `--year --data FOLDER` with a state up to the end of December: as of the last day of each month, the newest 14
matured days held out and not refitted on, the next month scored ahead by the full blend, the small one and the
baseline. Differences by paired resampling of days.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd

from ml_assets.spec.model import ModelCandidate, TrainingRecipe
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.block_bootstrap import paired_day_block_bootstrap
from ml_assets.stats.classification import auc, expected_calibration_error, log_loss, pointwise_log_loss
from ml_assets.stores.kept_files import scan
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelBundle, ModelStore
from ml_assets.stores.paths import StatePaths
from ml_assets.training.candidate import MeasuredCandidate, fit_candidates, predict_out_of_fold
from ml_assets.training.time_folds import time_folds
from ml_assets_tests.benchmarks.gate_repeats import draw_rows
from ml_assets_tests.rehearsal import flagship

# (trees, depth, learning rate, share of columns a tree sees); a tree of depth 3 takes 1.3 kB at most, one of depth 4
# 2.4, so that with them a year of rows cannot outgrow 80 kB
CANDIDATES = ((30, 3, 0.15, 0.4), (30, 3, 0.2, 0.4), (40, 3, 0.15, 0.4), (40, 3, 0.2, 0.4), (20, 4, 0.2, 0.4),
              (30, 3, 0.2, 0.2))  # fmt: skip
CHOSEN = (30, 3, 0.2, 0.2)
MEASURES = ("log_loss", "auc", "ece", "top_50")


@dataclass(frozen=True)
class Month:
    """One model on the month after its as_of."""

    as_of: date
    model: str
    measures: dict[str, float]
    model_bytes: int
    artifact_bytes: int
    fit_s: float
    us_per_row: float


def small_recipe(spec: UseCaseSpec, trees: tuple[int, int, float, float]) -> TrainingRecipe:
    """Give the flagship's recipe with fewer and shallower trees."""
    recipe = spec.model.recipe(spec.labels.matures_after).model_copy(update={"threads": 1})
    declared = recipe.candidate("xgboost")
    rounds, depth, eta, columns = trees
    small = {"rounds": rounds, "max_depth": depth, "eta": eta, "colsample_bytree": columns}
    return recipe.with_candidate(declared.model_copy(update={"parameters": {**declared.parameters, **small}}))


def month_rows(spec: UseCaseSpec, data: Path, as_of: date) -> pd.DataFrame:
    """Give the labelled examples of the month after `as_of`, by what became known of them at last."""
    first = as_of + timedelta(days=1)
    until = (first + timedelta(days=31)).replace(day=1)
    lake = Lake(StatePaths(data).lake / spec.name)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in ("features", "labels"):
            scan(connection, lake.files(table)).create_view(table)
        return connection.sql(
            "WITH known AS (SELECT example_id, arg_max(label, known_at) AS label FROM labels GROUP BY example_id) "
            "SELECT f.*, known.label FROM features AS f LEFT JOIN known USING (example_id) "
            f"WHERE f.batch_date >= DATE '{first}' AND f.batch_date < DATE '{until}' ORDER BY f.batch_date, f.example_id"
        ).df()


def measures_of(month: pd.DataFrame, scores: np.ndarray, capacity: int) -> dict[str, float]:
    """Measure on the labelled; the lists of a day are of all examples, judged by those with a label."""
    labels = month["label"].to_numpy(dtype=float)
    known = np.isfinite(labels)
    lists = [np.nanmean(day["label"].to_numpy(dtype=float)[np.argsort(-day["score"].to_numpy())[:capacity]])
             for _, day in month.assign(score=scores).groupby("batch_date") if day["label"].notna().any()]  # fmt: skip
    return {
        "log_loss": log_loss(labels[known], scores[known]),
        "auc": auc(labels[known], scores[known]),
        "ece": expected_calibration_error(labels[known], scores[known]),
        "top_50": float(np.mean(lists)),
    }


def artifact_bytes(
    spec: UseCaseSpec, recipe: TrainingRecipe, as_of: date, candidates: tuple[MeasuredCandidate, MeasuredCandidate]
) -> int:
    """Count every file that the store keeps of a model and the baseline beside it, the manifest too."""
    (candidate, baseline), moment = candidates, as_of.isoformat()
    bundle = ModelBundle(moment, candidate.candidate.name, moment, "", recipe.only(candidate.candidate.name),
                         tuple(spec.features.feature_names()), candidate.model, baseline.model)  # fmt: skip
    with TemporaryDirectory() as folder:
        stored = ModelStore(Path(folder)).save(bundle)
        return sum(path.stat().st_size for path in stored.folder.rglob("*") if path.is_file())


def choose(spec: UseCaseSpec, data: Path, seeds: int) -> None:
    """Score the candidates on the folds of January to March, beside the full blend."""
    rows = draw_rows(spec, data, date(2013, 3, 31))
    train, names = rows.loc[rows["split"] == "train"], list(spec.features.feature_names())
    full = spec.model.recipe(spec.labels.matures_after).model_copy(update={"threads": 1})
    tried = {"full": full} | {str(each): small_recipe(spec, each) for each in CANDIDATES}
    folds = time_folds(train, full.folds, full.matures_after)
    for name, recipe in tried.items():
        found = []
        for seed in range(full.seed, full.seed + seeds):
            own = recipe.model_copy(update={"seed": seed})
            seen = predict_out_of_fold(own, "blend", train, folds, [names] * len(folds))
            found.append((log_loss(seen.labels, seen.scores), auc(seen.labels, seen.scores)))
        losses, aucs = np.array(found).T
        sys.stdout.write(
            f"{name}: log loss {losses.mean():.5f} (seeds {losses.min():.5f} to {losses.max():.5f}), "
            f"AUC {aucs.mean():.4f} ({aucs.min():.4f} to {aucs.max():.4f})\n"
        )
        sys.stdout.flush()


def both(spec: UseCaseSpec) -> TrainingRecipe:
    """Give a recipe whose candidates ends with the full blend and the small one, which share the line."""
    recipe = spec.model.recipe(spec.labels.matures_after).only("blend").model_copy(update={"threads": 1})
    trees = small_recipe(spec, CHOSEN).candidate("xgboost").model_copy(update={"name": "small_trees"})
    small = ModelCandidate(name="small", kind="blend", members=("logistic_regression", "small_trees"))
    return recipe.model_copy(update={"candidates": (*recipe.candidates, trees, small)})


def year(spec: UseCaseSpec, data: Path, until: date) -> tuple[list[Month], pd.DataFrame]:
    """Retrain both each month and score the next one ahead; give measures, and the losses row by row."""
    recipe, names = both(spec), list(spec.features.feature_names())
    months: list[Month] = []
    rows_of_year: list[pd.DataFrame] = []
    for month_number in range(4, until.month + 1):
        as_of = date(2013, month_number, 1) - timedelta(days=1)
        month = month_rows(spec, data, as_of)
        known = np.isfinite(month["label"].to_numpy(dtype=float))
        kept = {"batch_date": month["batch_date"][known], "label": month["label"][known]}
        started, spent = time.perf_counter(), dict[str, float]()

        def tell(candidate: MeasuredCandidate, started: float = started, spent: dict[str, float] = spent) -> None:
            spent[candidate.candidate.name] = time.perf_counter() - started - sum(spent.values())

        candidates = {
            candidate.candidate.name: candidate
            for candidate in fit_candidates(recipe, draw_rows(spec, data, as_of), names, on_candidate=tell)
        }
        for name, candidate in (("full", "blend"), ("small", "small"), ("baseline", "group_history")):
            model, before = candidates[candidate].model, time.perf_counter()
            scores = model.predict(month)
            us_per_row = (time.perf_counter() - before) / len(month) * 1e6
            size = sum(len(content) for content in model.to_files().values())
            whole = artifact_bytes(spec, recipe, as_of, (candidates[candidate], candidates["group_history"]))
            fit_s = sum(spent[each] for each in candidates[candidate].candidate.members)
            measures = measures_of(month, scores, spec.worklist.capacity)
            months.append(Month(as_of, name, measures, size, whole, fit_s, us_per_row))
            kept[name] = scores[known]
            sys.stderr.write(f"{as_of} {name}: {measures} {size:,} bytes\n")
        rows_of_year.append(pd.DataFrame(kept))
    return months, pd.concat(rows_of_year, ignore_index=True)


def tell_year(months: Sequence[Month], rows: pd.DataFrame) -> None:
    """Print a row a month and model, the means, and the difference with its interval."""
    for each in months:
        numbers = " | ".join(f"{each.measures[name]:.4f}" for name in MEASURES)
        sys.stdout.write(f"| {each.as_of} | {each.model} | {numbers} | {each.model_bytes:,} | {each.artifact_bytes:,} | "
                         f"{each.fit_s:.1f} | {each.us_per_row:.1f} |\n")  # fmt: skip
    for name in ("full", "small", "baseline"):
        own = [each for each in months if each.model == name]
        means = {key: round(float(np.mean([each.measures[key] for each in own])), 5) for key in MEASURES}
        sys.stdout.write(f"mean {name}: {json.dumps(means)}, most bytes {max(each.model_bytes for each in own):,}\n")
    labels = rows["label"].to_numpy(dtype=float)
    gain = paired_day_block_bootstrap(
        pointwise_log_loss(labels, rows["full"]), pointwise_log_loss(labels, rows["small"]),
        rows["batch_date"].astype(str).to_numpy(), rng=np.random.default_rng(0), resamples=1000, level=0.9)  # fmt: skip
    sys.stdout.write(f"log loss that the small one saves: {gain}\n")


def main() -> None:
    """Choose, or measure the year."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--year", action="store_true")
    parser.add_argument("--until", type=date.fromisoformat, default=date(2013, 12, 31))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    spec = flagship()
    if asked.choose:
        choose(spec, asked.data, asked.seeds)
    if asked.year:
        tell_year(*year(spec, asked.data, asked.until))


if __name__ == "__main__":
    main()
