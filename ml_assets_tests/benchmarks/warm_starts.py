"""Trees that go on from the champion's beside trees trained anew: what is gained, what is forgotten, what the gate says.

Run with `python -m ml_assets_tests.benchmarks.warm_starts --data FOLDER`, where FOLDER is a state with the flagship's
features and labels of 2013. The flagship's trees are trained as of March 31. As of the last day of each month after,
the newest 14 matured days held out, they are (a) trained anew on all rows, (b) continued on the rows since the last
training alone (replay_share 0), (c) continued on those and a fifth of the older ones. Each chain goes on from its own
last model, whatever the gate says, so that forgetting is seen; the gate judges each against the one before it, by the
flagship's numbers, on the held-out days, with slices and without behaviours. Log loss is told of the next month, and
of an old window, January 15 to February 14, that every model has been trained on.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from ml_assets.decisions.promotion import judge
from ml_assets.pipeline.champion.record import CandidateRow
from ml_assets.pipeline.evaluation.comparison import Comparison
from ml_assets.pipeline.evaluation.slices import declared_slices
from ml_assets.pipeline.evaluation.verdict import evidence_of
from ml_assets.serving.routing import Promotion
from ml_assets.spec.model import ModelCandidate, TrainingRecipe, WarmStart
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.classification import auc, log_loss
from ml_assets.stats.window_measures import measure_window
from ml_assets.stores.model_store import ModelBundle
from ml_assets.training.candidate import Start, fit_bare
from ml_assets.training.evaluation import gain_over, newest_unseen
from ml_assets.training.model_kind import FittedModel
from ml_assets.training.training_set import plan_draw
from ml_assets_tests.benchmarks.compressed_models import month_rows
from ml_assets_tests.benchmarks.gate_repeats import draw_rows
from ml_assets_tests.rehearsal import flagship

OLD = (date(2013, 1, 15), date(2013, 2, 14))


@dataclass(frozen=True)
class Chain:
    """One way of training, and the model it has come to."""

    candidate: ModelCandidate
    model: FittedModel
    trained_until: datetime


@dataclass(frozen=True)
class Step:
    """The next model of a chain: log loss on the month ahead and on the old window, seconds, and the gate's word."""

    chain: Chain
    ahead: float
    auc: float
    back: float
    spent: float
    verdict: str


def modes(declared: ModelCandidate, rounds: int) -> dict[str, ModelCandidate]:
    """Give the candidate trained anew, continued naively, and continued with a fifth of what was known."""
    shares = {"naive": 0.0, "replay 0.2": 0.2}
    warm = {name: declared.model_copy(update={"warm_start": WarmStart(rounds=rounds, replay_share=share)})
            for name, share in shares.items()}  # fmt: skip
    return {"anew": declared, **warm}


def verdict_of(spec: UseCaseSpec, chain: Chain, model: FittedModel, until: datetime, rows: pd.DataFrame) -> str:
    """Let the gate judge the model of `until` against the chain's last one; give the verdict and what it broke."""
    window = newest_unseen(rows, until)
    train = rows.loc[rows["split"] == "train"]
    names = list(spec.features.feature_names())
    recipe = spec.model.recipe(spec.labels.matures_after)
    baseline = fit_bare(recipe, recipe.baseline, train, names)
    scores = {"candidate": model.predict(window), "baseline": baseline.predict(window),
              "champion": chain.model.predict(window)}  # fmt: skip
    as_of = until.date()

    def bundle(fitted: FittedModel, moment: datetime) -> ModelBundle:
        return ModelBundle(
            str(as_of), chain.candidate.name, moment.isoformat(), "", recipe, tuple(names), fitted, baseline
        )

    found = Comparison(
        CandidateRow(as_of, chain.candidate.name, "candidate", "", 0, "", ""), Promotion(as_of, 1, "champion", "", as_of),
        bundle(model, until), bundle(chain.model, chain.trained_until), window, scores, float(train["label"].mean()),
        champion_until=chain.trained_until,
    )  # fmt: skip
    gain = gain_over(window, scores["champion"], scores["candidate"], spec.model.gate, np.random.default_rng(0))
    measures = {name: measure_window(found.labels, each, found.days) for name, each in scores.items()}
    evidence = evidence_of(found, list(declared_slices(spec, found)), [], ())
    verdict = judge(candidate=measures["candidate"], champion=measures["champion"], baseline=measures["baseline"],
                    gain=gain, rule=spec.model.gate, evidence=evidence)  # fmt: skip
    broken = ", ".join(dict.fromkeys(reason.code for reason in verdict.reasons if not reason.passed))
    return f"{verdict.outcome}{f' ({broken})' if broken else ''}"


def labelled(month: pd.DataFrame) -> pd.DataFrame:
    """Keep the examples that have a label."""
    return month.loc[np.isfinite(month["label"].to_numpy(dtype=float))]


@dataclass(frozen=True)
class Ground:
    """What is known as of a drop, and the labelled examples of the month after it."""

    as_of: date
    rows: pd.DataFrame
    month: pd.DataFrame
    until: datetime

    @property
    def train(self) -> pd.DataFrame:
        """The rows to train on."""
        return self.rows.loc[self.rows["split"] == "train"]

    @property
    def old(self) -> pd.DataFrame:
        """The rows that every model has been trained on."""
        days = pd.to_datetime(self.rows["batch_date"]).dt.date
        return self.rows.loc[(days >= OLD[0]) & (days <= OLD[1])]


def ground_of(spec: UseCaseSpec, data: Path, as_of: date) -> Ground:
    """Read what is known as of a drop, and the month after it."""
    until = datetime.fromisoformat(plan_draw(spec, as_of).holdout_after).astimezone(UTC)
    return Ground(as_of, draw_rows(spec, data, as_of), labelled(month_rows(spec, data, as_of)), until)


def step(
    spec: UseCaseSpec, recipe: TrainingRecipe, ground: Ground, candidate: ModelCandidate, before: Chain | None
) -> Step:
    """Train a chain's next model, let the gate judge it, and measure the month after and the old window."""
    names = list(spec.features.feature_names())
    start = Start(before.model, before.trained_until, "before") if before is not None else None
    began = time.perf_counter()
    model = fit_bare(recipe, candidate, ground.train, names, start)
    spent = time.perf_counter() - began
    said = verdict_of(spec, before, model, ground.until, ground.rows) if before is not None else "the first"
    scores = model.predict(ground.month)
    labels, old_labels = (each["label"].to_numpy(dtype=float) for each in (ground.month, ground.old))
    return Step(
        Chain(candidate, model, ground.until), log_loss(labels, scores), auc(labels, scores),
        log_loss(old_labels, model.predict(ground.old)), spent, said,
    )  # fmt: skip


def main() -> None:
    """Train the three chains over the year, and print a row a month and mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--until", type=date.fromisoformat, default=date(2013, 12, 31))
    parser.add_argument("--rounds", type=int, default=60)
    asked = parser.parse_args()
    spec = flagship()
    recipe = spec.model.recipe(spec.labels.matures_after).model_copy(update={"threads": 1})
    chains: dict[str, list[Step]] = {}
    for month_number in range(4, asked.until.month + 1):
        ground = ground_of(spec, asked.data, date(2013, month_number, 1) - timedelta(days=1))
        labels = ground.month["label"].to_numpy(dtype=float)
        constant = log_loss(labels, np.full(labels.size, float(ground.train["label"].mean())))
        sys.stdout.write(f"{ground.as_of}: constant {constant:.4f} on the next month\n")
        for name, candidate in modes(recipe.candidate("xgboost"), asked.rounds).items():
            earlier = chains.setdefault(name, [])
            made = step(spec, recipe, ground, candidate, earlier[-1].chain if earlier else None)
            earlier.append(made)
            size = sum(len(content) for content in made.chain.model.to_files().values())
            sys.stdout.write(f"| {ground.as_of} | {name} | {made.ahead:.4f} | {made.auc:.4f} | {made.back:.4f} | "
                             f"{made.spent:.1f} | {size:,} | {made.verdict} |\n")  # fmt: skip
            sys.stdout.flush()
    for name, found in chains.items():
        ahead, back, spent = np.array([(each.ahead, each.back, each.spent) for each in found]).mean(axis=0)
        sys.stdout.write(f"mean {name}: next month {ahead:.4f}, old window {back:.4f}, {spent:.1f} s a fit\n")


if __name__ == "__main__":
    main()
