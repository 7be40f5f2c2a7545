"""Labels of functions on a use case of another kind: weekly loans in India, with a label for almost every one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.labeling import LabelingSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.second_use_case.generate import write_past

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("labeled_loans"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATE_LOANS = Path(__file__).parents[2] / "second_use_case" / "late_loans"
AS_OF, LAST = date(2022, 8, 28), date(2022, 9, 25)
TABLES = ("label_model", "labeling_functions", "training_labels", "training_set")
FUNCTIONS = [
    {"name": "asks_much", "sql": "CASE WHEN amount_inr > 6 * monthly_income_inr THEN 1 END"},
    {"name": "is_thin", "sql": "CASE WHEN bureau_score < 600 THEN 1 END"},
    {"name": "is_sound", "sql": "CASE WHEN bureau_score > 700 THEN 0 END"},
    {"name": "asks_little", "sql": "amount_inr > 2 * monthly_income_inr"},  # true and false are classes too
]


def labeled_loans() -> UseCaseSpec:
    spec = load_use_case(LATE_LOANS)
    return spec.model_copy(update={"labeling": LabelingSpec.model_validate({"functions": FUNCTIONS, "train": True})})


def run_until(root: Path, last: date) -> UseCaseState:
    spec, paths = labeled_loans(), StatePaths(root)
    root.mkdir()
    files = write_past(root)
    history = [f"{source.name}={file}" for source, file in zip(spec.sources, files, strict=True)]
    run_history(spec, paths, HistoryOptions(history, last=str(last)), NOW)
    state = UseCaseState(spec.name, paths)
    run_batch_steps(spec, state, spec.calendar.drops_between(spec.calendar.start, last), BatchContext(NOW))
    return state


def test_labels_as_of_a_drop_are_the_same_whether_or_not_later_drops_were_run(tmp_path: Path) -> None:
    found = []
    for last in (AS_OF, LAST):
        state = run_until(tmp_path / str(last), last)
        only = ("labels/label_model", "labels/training_labels", "training/training_set")
        checks = run_retraining_steps(
            labeled_loans(), state, Retraining(str(AS_OF)), RetrainingContext(NOW), only=only
        ).checks
        with state.connect() as connection:
            found.append({name: content_hash(state.lake.relation(connection, name)) for name in TABLES})
            votes = state.lake.relation(connection, "weak_labels").df()
            drawn = state.lake.relation(connection, "training_set").df()
        assert checks["training_set:known_in_time"].passed, checks["training_set:known_in_time"].description
        assert checks["label_model:votes_as_declared"].passed

    assert found[0] == found[1]
    assert votes.loc[votes["function"] == "asks_little", "label"].notna().all()
    assert set(drawn["label_origin"]) <= {"gold", "weak"}
    assert (drawn.loc[drawn["split"] == "holdout", "label_origin"] == "gold").all()
