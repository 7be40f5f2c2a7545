"""What a warm start has forgotten of the rows that its champion was trained on is measured, and can refuse it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ml_assets.demo.flights import land_flights
from ml_assets.pipeline.evaluation.comparison import compare
from ml_assets.spec.model import WarmStart
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.classification import log_loss
from ml_assets_tests.rehearsal import Rehearsal, day, small_spec

FIRST, SECOND = 8, 10
OLD = "log_loss_on_old_rows"
FORGETFUL = WarmStart(rounds=10, replay_share=0.0)  # nothing of what the champion knew is shown again


def declared(warm_start: WarmStart | None) -> UseCaseSpec:
    spec = small_spec()
    candidates = tuple(
        candidate.model_copy(update={"warm_start": warm_start}) if candidate.kind == "xgboost" else candidate
        for candidate in spec.model.candidates
    )
    return spec.model_copy(update={"model": spec.model.model_copy(update={"candidates": candidates, "refit": False})})


def test_loss_on_what_the_champion_was_trained_on_is_measured_of_warm_starts_alone(tmp_path: Path) -> None:
    made = Rehearsal(declared(FORGETFUL), tmp_path)
    land_flights(made.landing, made.spec.calendar, day(1), day(SECOND))
    made.ingest(1, SECOND)
    made.retrain(FIRST, candidate="xgboost", gate="disabled")
    made.retrain(SECOND, candidate="xgboost")

    measured = {row["role"]: row for row in made.rows("evaluation_measures") if row["measure"] == OLD}
    found = compare(made.state)
    training = made.rows("training_set", "SELECT * FROM t WHERE split = 'train' ORDER BY prediction_at, example_id")
    old = [row for row in training if row["prediction_at"] <= found.champion_until]

    assert sorted(measured) == ["candidate", "champion"]
    assert {row["n"] for row in measured.values()} == {len(old)}
    assert found.champion is not None
    rows = pd.DataFrame(old)
    for role, model in (("candidate", found.candidate.judged_model), ("champion", found.champion.model)):
        labels = rows["label"].to_numpy(dtype=np.float64)
        assert measured[role]["estimate"] == log_loss(labels, model.predict(rows)), role

    anew = declared(None)
    made.retrain(SECOND, candidate="xgboost", spec=anew)
    assert not [row for row in made.rows("evaluation_measures") if row["measure"] == OLD]
