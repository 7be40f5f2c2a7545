"""Candidates that must not serve, each refused for its own reason, and one that must: through the gate's real evidence.

The world is made up, so that the truth is known: forty days of flights whose lateness hangs on hour, carrier and wind,
and on the day. Models are fitted by real candidates; champion and candidates are compared as the graph does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ml_assets.decisions.promotion import Verdict, judge
from ml_assets.pipeline.champion.record import CandidateRow
from ml_assets.pipeline.evaluation.comparison import Comparison
from ml_assets.pipeline.evaluation.slices import declared_slices
from ml_assets.pipeline.evaluation.verdict import evidence_of
from ml_assets.serving.routing import Promotion
from ml_assets.spec.gate import Guardrail
from ml_assets.spec.model import ModelCandidate, TrainingRecipe, WarmStart
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.classification import log_loss
from ml_assets.stats.logit import logit, sigmoid
from ml_assets.stats.window_measures import measure_window
from ml_assets.stores.model_store import ModelBundle
from ml_assets.training.candidate import Start, fit_candidates
from ml_assets.training.estimators import fit_candidate
from ml_assets.training.evaluation import gain_over
from ml_assets.training.model_kind import FittedModel
from ml_assets_tests.rehearsal import flagship

FloatArray = NDArray[np.float64]
START = datetime(2013, 8, 1, 8, tzinfo=UTC)
N_DAYS, A_DAY, WINDOW_FROM = 40, 600, 26
FEATURES = ["carrier", "departure_hour", "wind_mph"]
HISTORY = ModelCandidate(name="history", kind="group_history", group_by=("carrier",))
LIST = Guardrail(measure="precision_at_capacity", max_worse=0.05)
TREES = ModelCandidate(name="trees", kind="xgboost", parameters={"rounds": 40, "max_depth": 3, "min_child_weight": 50})


def spec() -> UseCaseSpec:
    """The flagship's gate, with a slice that is there and a floor that two weeks of this world can meet."""
    found = flagship()
    monitoring = found.monitoring.model_copy(update={"slices": ("carrier",)})
    gate = found.model.gate.model_copy(update={"max_auc": 0.9, "guardrails": (LIST,)})
    return found.model_copy(update={"monitoring": monitoring, "model": found.model.model_copy(update={"gate": gate})})


def world(level: float = -1.3, seed: int = 0, late_level: float | None = None) -> pd.DataFrame:
    """Flights of forty days; from the window on, `late_level` is the log odds of lateness instead of `level`."""
    rng = np.random.default_rng(seed)
    n = N_DAYS * A_DAY
    day = np.repeat(np.arange(N_DAYS), A_DAY)
    frame = pd.DataFrame(
        {
            "carrier": rng.choice(["AA", "B6", "UA"], n, p=[0.4, 0.35, 0.25]),
            "departure_hour": rng.integers(5, 23, n).astype(float),
            "wind_mph": rng.gamma(2, 5, n),
            "batch_date": [(START + timedelta(days=int(each))).date() for each in day],
            "prediction_at": [START + timedelta(days=int(each)) for each in day],
            "split": np.where(day >= WINDOW_FROM, "holdout", "train"),
        }
    )
    levels = np.where(day >= WINDOW_FROM, level if late_level is None else late_level, level)
    odds = levels + (frame["departure_hour"] - 14) / 6 + (frame["carrier"] == "B6") * 0.9 + frame["wind_mph"] / 40
    odds = odds + rng.normal(0, 0.3, N_DAYS)[day]
    return frame.assign(label=(rng.random(n) < sigmoid(odds)).astype(float), odds=odds)


@dataclass(frozen=True)
class Fixed:
    """A model whose scores are given."""

    scores: FloatArray

    def predict(self, features: pd.DataFrame) -> FloatArray:
        return self.scores[: len(features)]


@dataclass(frozen=True)
class Court:
    """A world, its champion, and the gate."""

    rows: pd.DataFrame
    champion: FloatArray
    baseline: FloatArray
    champion_until: datetime

    @property
    def window(self) -> pd.DataFrame:
        return self.rows.loc[self.rows["split"] == "holdout"]

    def judge(self, scores: FloatArray, *, until: datetime | None = None, leaks: tuple[str, ...] = (),
              behaviours: list[dict[str, Any]] | None = None, precision: float | None = None) -> Verdict:  # fmt: skip
        """Compare as the graph does: measures, gain, slices, evidence, verdict."""
        use_case = spec()
        rule = use_case.model.gate
        found = Comparison(
            row=CandidateRow(date(2013, 9, 10), "trees", "candidate", "", 0, "", ""),
            incumbent=Promotion(date(2013, 8, 20), 1, "champion", "", date(2013, 8, 20)),
            candidate=self._bundle(until or START + timedelta(days=WINDOW_FROM - 1)),
            champion=self._bundle(self.champion_until),
            window=self.window,
            scores={"candidate": scores, "baseline": self.baseline, "champion": self.champion},
            train_share=float(self.rows.loc[self.rows["split"] == "train", "label"].mean()),
            champion_until=self.champion_until,
        )
        gain = gain_over(found.window, self.champion, scores, rule, np.random.default_rng(0))
        measures = {name: measure_window(found.labels, each, found.days) for name, each in found.scores.items()}
        evidence = evidence_of(found, list(declared_slices(use_case, found)), behaviours or [], leaks)
        listed = {LIST.measure: (0.5 if precision is None else precision, 0.5)}
        evidence = replace(evidence, measures=listed)
        return judge(
            candidate=measures["candidate"],
            champion=measures["champion"],
            baseline=measures["baseline"],
            gain=gain,
            rule=rule,
            evidence=evidence,
        )

    def _bundle(self, until: datetime) -> ModelBundle:
        model = cast("FittedModel", Fixed(np.empty(0)))
        recipe = TrainingRecipe(matures_after=timedelta(days=2), candidates=(HISTORY,))
        return ModelBundle("", "", until.isoformat(), "", recipe, tuple(FEATURES), model, model)


def broken(verdict: Verdict) -> set[str]:
    return {reason.code for reason in verdict.reasons if not reason.passed}


def fit(
    rows: pd.DataFrame, candidate: ModelCandidate = TREES, labels: FloatArray | None = None, seed: int = 0
) -> FittedModel:
    given = rows["label"].to_numpy() if labels is None else labels
    return fit_candidate(candidate, rows[FEATURES], given, seed=seed)


@pytest.fixture(scope="module")
def court() -> Court:
    """The champion is trees that learned from the first week; the window is the last two."""
    rows = world()
    train, window = rows.loc[rows["split"] == "train"], rows.loc[rows["split"] == "holdout"]
    first_week = train.loc[train["prediction_at"] < START + timedelta(days=7)]
    champion = fit(first_week, replace_rounds(4)).predict(window[FEATURES])
    return Court(rows, champion, fit(train, HISTORY).predict(window[FEATURES]), START + timedelta(days=6))


def replace_rounds(rounds: int) -> ModelCandidate:
    return TREES.model_copy(update={"parameters": {**TREES.parameters, "rounds": rounds, "eta": 0.2}})


@pytest.fixture(scope="module")
def good(court: Court) -> FloatArray:
    train = court.rows.loc[court.rows["split"] == "train"]
    return fit(train).predict(court.window[FEATURES])


def test_a_truly_better_candidate_is_promoted(court: Court, good: FloatArray) -> None:
    verdict = court.judge(good)

    assert verdict.outcome == "promoted"
    assert broken(verdict) == set()
    assert log_loss(court.window["label"], good) < log_loss(court.window["label"], court.champion)


def test_scores_that_are_not_numbers_are_refused_before_anything_is_measured(good: FloatArray, court: Court) -> None:
    with pytest.raises(ValueError, match="scores must be finite"):
        court.judge(np.where(np.arange(good.size) == 7, np.nan, good))


def test_constant_output_is_refused(court: Court) -> None:
    share = float(court.rows.loc[court.rows["split"] == "train", "label"].mean())

    found = broken(court.judge(np.full(len(court.window), share)))

    assert {"scores_constant", "auc_too_low", "worse_than_baseline"} <= found


def test_trained_on_shuffled_labels_is_refused(court: Court) -> None:
    train = court.rows.loc[court.rows["split"] == "train"]
    labels = train["label"].to_numpy(dtype=np.float64).copy()
    np.random.default_rng(1).shuffle(labels)

    found = broken(court.judge(fit(train, labels=labels).predict(court.window[FEATURES])))

    assert {"auc_too_low", "worse_than_baseline", "auc_dropped"} <= found


def test_a_leak_is_refused_by_what_the_audit_found_and_by_an_auc_that_cannot_be(court: Court, good: FloatArray) -> None:
    labels = court.window["label"].to_numpy()
    leaking = sigmoid(logit(good) + 5 * (labels - 0.25))

    assert broken(court.judge(good, leaks=("target air_time: 0.99 over 0.8",))) == {"leak_found"}
    assert "auc_too_good" in broken(court.judge(leaking))


def test_worse_on_one_large_slice_is_refused_though_better_on_the_whole(court: Court, good: FloatArray) -> None:
    is_united = (court.window["carrier"] == "UA").to_numpy()
    worse = np.where(is_united, sigmoid(logit(court.champion) - 0.8), good)

    verdict = court.judge(worse)

    assert "slice_worse" in broken(verdict)
    assert not {"gain_too_small", "may_be_worse", "worse_than_baseline"} & broken(verdict)
    assert "carrier UA" in next(reason.message for reason in verdict.reasons if reason.code == "slice_worse")
    assert log_loss(court.window["label"], worse) < log_loss(court.window["label"], court.champion)


def test_miscalibrated_is_refused_however_well_it_ranks(court: Court, good: FloatArray) -> None:
    found = broken(court.judge(sigmoid(logit(good) + 1.2)))

    assert "ece_too_high" in found
    assert not {"auc_too_low", "auc_dropped"} & found


def test_naive_warm_start_into_a_calm_september_is_refused_as_worse_than_a_constant() -> None:
    """Trees that go on from a summer with the newest stormy days alone, and then it is calm."""
    rows = world(level=-0.6, seed=3, late_level=-2.2)
    train, window = rows.loc[rows["split"] == "train"].copy(), rows.loc[rows["split"] == "holdout"]
    is_last = train["prediction_at"] >= START + timedelta(days=WINDOW_FROM - 3)
    stormy = np.random.default_rng(0).random(int(is_last.sum())) < 0.7
    train.loc[is_last, "label"] = np.maximum(train.loc[is_last, "label"], stormy.astype(float))
    summer = fit(train.loc[~is_last])
    warm = ModelCandidate(name="trees", kind="xgboost", parameters={**TREES.parameters, "eta": 0.3},
                warm_start=WarmStart(rounds=60, replay_share=0.0))  # fmt: skip
    recipe = TrainingRecipe(matures_after=timedelta(days=2), candidates=(HISTORY, warm))
    start = Start(summer, START + timedelta(days=WINDOW_FROM - 4), "champion")
    candidate = fit_candidates(recipe, pd.concat([train, window]), FEATURES, start=start)[-1]
    court = Court(rows.assign(label=pd.concat([train, window])["label"]), summer.predict(window[FEATURES]),
                  fit(train, HISTORY).predict(window[FEATURES]), start.trained_until)  # fmt: skip

    verdict = court.judge(candidate.holdout_scores)

    assert {"worse_than_constant", "worse_than_baseline", "gain_too_small", "may_be_worse"} <= broken(verdict)


def test_older_than_the_champion_is_refused(court: Court, good: FloatArray) -> None:
    verdict = court.judge(good, until=court.champion_until - timedelta(days=1))

    assert broken(verdict) == {"older_than_champion"}


def test_a_declared_behaviour_that_is_not_kept_refuses_and_a_warning_does_not(court: Court, good: FloatArray) -> None:
    row = {"name": "more_lateness", "kind": "direction", "severity": "error", "state": "broken", "measured": 0.4,
           "threshold": 0.95}  # fmt: skip

    assert broken(court.judge(good, behaviours=[row])) == {"behaviour_broken"}
    assert broken(court.judge(good, behaviours=[{**row, "severity": "warning"}])) == set()
    untried = {**row, "state": "not enough data"}
    assert broken(court.judge(good, behaviours=[untried])) == {"behaviour_broken"}  # what was not tried is not kept
    assert broken(court.judge(good, behaviours=[{**untried, "severity": "warning"}])) == set()


def test_groups_that_differ_by_more_than_is_allowed_refuse(court: Court, good: FloatArray) -> None:
    row = {"name": "carrier_true_positive_rate", "kind": "groups", "severity": "error", "state": "broken",
           "measured": 0.3, "threshold": 0.1}  # fmt: skip

    assert broken(court.judge(good, behaviours=[row])) == {"groups_differ"}


def test_a_guardrail_refuses_whatever_the_log_loss_gains(court: Court, good: FloatArray) -> None:
    assert broken(court.judge(good, precision=0.44)) == {"guardrail_broken"}
    assert broken(court.judge(good, precision=float("nan"))) == {"guardrail_broken"}
    assert broken(court.judge(good, precision=0.46)) == set()


@pytest.mark.parametrize("times", [pytest.param(40, id="a few"), pytest.param(200, id="all", marks=pytest.mark.slow)])
def test_equal_candidates_are_promoted_at_most_once_in_twenty(court: Court, times: int) -> None:
    """Many times: two models of one recipe on days drawn again, and a coin a day which of them is champion."""
    rng = np.random.default_rng(5)
    train, window = court.rows.loc[court.rows["split"] == "train"], court.window.reset_index(drop=True)
    scores = []
    for seed in range(6):
        days = rng.choice(train["batch_date"].unique(), size=20)
        scores.append(fit(pd.concat([train.loc[train["batch_date"] == day] for day in days]), seed=seed))
    given = [model.predict(window[FEATURES]) for model in scores]
    day = pd.factorize(window["batch_date"])[0]
    promoted = 0
    for _ in range(times):
        one, other = (given[k] for k in rng.choice(6, size=2, replace=False))
        drawn = rng.integers(0, 14, 14)
        taken = np.concatenate([np.flatnonzero(day == each) for each in drawn])
        number = np.repeat(np.arange(14), [int((day == each).sum()) for each in drawn])
        coin = (rng.random(14) < 0.5)[number]
        rows = window.iloc[taken].assign(batch_date=[date(2013, 9, 1) + timedelta(days=int(k)) for k in number])
        again = replace(court, rows=pd.concat([train, rows]), champion=np.where(coin, other[taken], one[taken]),
                        baseline=court.baseline[taken])  # fmt: skip
        candidate = np.where(coin, one[taken], other[taken])
        promoted += again.judge(candidate, until=court.champion_until).promoted
    assert promoted <= times // 20
