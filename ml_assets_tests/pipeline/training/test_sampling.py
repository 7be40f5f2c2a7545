"""Sampled training sets: drawn again from their record, audited, and trained on, on two use cases."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.pipeline.training.training_set import rebuild
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.sampling import Sampling
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.comment_spam.state import run_steps_until, spam_spec
from ml_assets_tests.second_use_case.generate import write_past
from ml_assets_tests.second_use_case.machine import DECLARED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("sampled"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOANS_AS_OF, COMMENTS_AS_OF = date(2022, 10, 30), date(2023, 3, 14)


@pytest.fixture(scope="module")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("loans")
    spec, paths = load_use_case(DECLARED), StatePaths(root / "state")
    history = [f"{source.name}={file}" for source, file in zip(spec.sources, write_past(root), strict=True)]
    run_history(spec, paths, HistoryOptions(history, last=str(LOANS_AS_OF)), NOW)
    drops = spec.calendar.drops_between(spec.calendar.start, LOANS_AS_OF)
    run_batch_steps(spec, UseCaseState(spec.name, paths), drops, BatchContext(NOW))
    return root / "state"


@pytest.fixture(scope="module")
def comments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("comments")
    run_steps_until(root, COMMENTS_AS_OF, 1500)
    return root


def copied(root: Path, tmp_path: Path, spec: UseCaseSpec) -> UseCaseState:
    return UseCaseState(spec.name, StatePaths(Path(shutil.copytree(root, tmp_path / "state"))))


def retrained(spec: UseCaseSpec, state: UseCaseState, as_of: date) -> tuple[pd.DataFrame, dict[str, bool]]:
    """Retrain, and give the training set and which checks passed."""
    checks = run_retraining_steps(spec, state, Retraining(str(as_of)), RetrainingContext(NOW)).checks
    with state.connect() as connection:
        drawn = state.lake.relation(connection, "training_set").df()
    return drawn, {name: each.passed for name, each in checks.items()}


def declared(spec: UseCaseSpec, **sampling: object) -> UseCaseSpec:
    return spec.model_copy(update={"sampling": Sampling.model_validate(sampling)})


def test_rows_drawn_keep_weight_and_reason_and_the_holdout_is_whole(loans: Path, tmp_path: Path) -> None:
    plain = load_use_case(DECLARED)
    state = copied(loans, tmp_path, plain)
    before, _ = retrained(plain, state, LOANS_AS_OF)
    spec = declared(plain, method="stratified", by=["label"], rows=300)

    drawn, checks = retrained(spec, state, LOANS_AS_OF)

    train, holdout = (drawn[drawn["split"] == split] for split in ("train", "holdout"))
    was = before[before["split"] == "train"]
    assert checks["training_set:known_in_time"]
    assert checks["training_set:leakage"]
    assert holdout["example_id"].tolist() == before.loc[before["split"] == "holdout", "example_id"].tolist()
    assert set(holdout["sample_reason"]) == {"holdout"}
    assert len(train) == 300
    for label in (0, 1):
        of_class = train[train["label"] == label]
        assert of_class["sample_weight"].sum() == pytest.approx((was["label"] == label).sum())
    assert (train["label"] == 1).mean() > 2 * (was["label"] == 1).mean()
    assert state.lake.metadata("training_set")["left_out"] == len(was) - 300
    with state.connect() as connection:
        recorded, again = rebuild(connection, state.lake, state.lake.version("training_set") or 0)
    assert recorded == again


def test_customer_is_never_on_both_sides_of_the_split(loans: Path, tmp_path: Path) -> None:
    plain = load_use_case(DECLARED)
    state, spec = copied(loans, tmp_path, plain), declared(plain, groups=["customer_id"])
    before, _ = retrained(plain, state, LOANS_AS_OF)

    drawn, checks = retrained(spec, state, LOANS_AS_OF)

    with state.connect() as connection:
        examples = state.lake.relation(connection, "examples").df().set_index("example_id")["customer_id"]
    sides = {split: set(examples.reindex(rows["example_id"])) for split, rows in drawn.groupby("split")}
    sides_before = {split: set(examples.reindex(rows["example_id"])) for split, rows in before.groupby("split")}
    assert sides_before["train"] & sides_before["holdout"]
    assert not sides["train"] & sides["holdout"]
    assert sides["holdout"] == sides_before["holdout"]
    left_out = before[(before["split"] == "train") & ~before["example_id"].isin(drawn["example_id"])]
    assert set(examples.reindex(left_out["example_id"])) <= sides["holdout"]
    assert (drawn["sample_weight"] == 1).all()
    assert drawn["_group_customer_id"].tolist() == examples.reindex(drawn["example_id"]).astype(str).tolist()
    assert checks["training_set:leakage"]


def test_weights_of_labels_and_of_the_draw_go_into_the_fit_together(comments: Path, tmp_path: Path) -> None:
    plain = spam_spec()
    state = copied(comments, tmp_path, plain)
    scores, drawn = {}, pd.DataFrame()
    for name, spec in {"all": plain, "newer": declared(plain, method="time_weighted", half_life="5d"),
                       "some": declared(plain, method="reservoir", rows=100, groups=["author"])}.items():  # fmt: skip
        drawn, checks = retrained(spec, state, COMMENTS_AS_OF)
        assert checks["training_set:known_in_time"]
        with state.connect() as connection:
            candidates = state.lake.relation(connection, "candidate_model").df().set_index("candidate")
        scores[name] = candidates.loc["logistic_regression", "log_loss"]
    assert {"label_weight", "sample_weight"} <= set(drawn.columns)
    assert (drawn["split"] == "train").sum() == 100
    assert len(set(scores.values())) == 3  # every way of drawing trains another model


def test_importance_that_is_missing_is_refused_by_name(loans: Path, tmp_path: Path) -> None:
    plain = load_use_case(DECLARED)
    state = copied(loans, tmp_path, plain)
    spec = declared(plain, method="importance_weighted", rows=100, importance="bureau_score")

    with pytest.raises(RuntimeError, match="training rows have a bureau_score that is no number of 0 or more"):
        retrained(spec, state, LOANS_AS_OF)

    drawn, _ = retrained(declared(plain, method="importance_weighted", rows=100, importance="amount_inr"), state,
                         LOANS_AS_OF)  # fmt: skip
    assert (drawn["split"] == "train").sum() == 100
    assert drawn.loc[drawn["split"] == "train", "sample_reason"].str.startswith("amount_inr ").all()
