"""What is said of the rows that a model was trained on is of those it was given, not of all that were drawn."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from ml_assets.demo.flights import land_flights
from ml_assets.pipeline.evaluation.card_facts import gather_facts
from ml_assets.pipeline.evaluation.comparison import compare
from ml_assets.reports.model_card import build_card
from ml_assets_tests.rehearsal import Rehearsal, day, small_spec

AS_OF = 10


def test_a_short_history_is_what_the_card_counts_and_says(tmp_path: Path) -> None:
    spec = small_spec()
    made = Rehearsal(
        spec.model_copy(update={"model": spec.model.model_copy(update={"history": timedelta(days=2)})}), tmp_path
    )
    land_flights(made.landing, made.spec.calendar, day(1), day(AS_OF))
    made.ingest(1, AS_OF)
    made.retrain(AS_OF, candidate="logistic_regression", gate="disabled")

    found, facts = compare(made.state), gather_facts(made.state)
    after = found.candidate.recipe.history_after
    rows = made.rows("training_set", "SELECT split, prediction_at FROM t")
    kept = [row for row in rows if row["split"] == "train" and row["prediction_at"] > after]

    assert 0 < len(kept) < sum(row["split"] == "train" for row in rows)
    assert found.n_train == facts.splits["train"]["n"] == len(kept)
    assert facts.splits["holdout"]["n"] == sum(row["split"] == "holdout" for row in rows)
    card = build_card(made.spec, facts).to_markdown(pictures=False)
    assert f"It learned from examples after {after:%Y-%m-%d %H:%M} UTC alone" in card
    assert f"| train | {len(kept):,} |" in card
