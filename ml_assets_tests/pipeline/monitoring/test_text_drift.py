"""Comments encoded as hashed words: features and models of them, and their drift when the subject changes."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.spec.declaration import load_use_case
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.comment_spam import state as comment_state
from ml_assets_tests.comment_spam.generate import Comment, answered, draw_comments, land_comments
from ml_assets_tests.comment_spam.state import FOLDER, NOW, retrain_steps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("text_drift"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
CHANGE, AS_OF, LAST = date(2023, 3, 20), date(2023, 3, 12), date(2023, 4, 2)
TEXT = "    text:\n      - {name: words, column: text, dimensions: 32}\n\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Declare the use case of comments with hashed words in the place of all features made by hand."""
    made = Path(shutil.copytree(FOLDER, tmp_path_factory.mktemp("declared") / "comment_spam"))
    text = (made / "defs.yaml").read_text()
    first, after = text.index("    expressions:\n"), text.index("  model:\n")
    model = text[after:].replace("group_by: [has_check]", "group_by: [words_000]")
    (made / "defs.yaml").write_text(text[:first] + TEXT + model)
    return made


@pytest.fixture(scope="module")
def state(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> UseCaseState:
    """Run comments of three months, which from a day on speak of another video."""
    paths = StatePaths(tmp_path_factory.mktemp("texts"))
    comments = [
        Comment(each.comment_id, each.author, each.posted_at, each.text.replace("video", "concert") + " tonight stage",
                each.is_spam) if each.posted_at.date() > CHANGE else each
        for each in draw_comments()
    ]  # fmt: skip
    land_comments(paths.landing / "comment_spam", LAST, comments, answered(comments, 2000))
    spec, found = load_use_case(folder), UseCaseState("comment_spam", paths)
    run_batch_steps(spec, found, spec.calendar.drops_between(spec.calendar.start, LAST), BatchContext(NOW))
    return found


def drift_of(state: UseCaseState) -> pd.DataFrame:
    with state.connect() as connection:
        rows = state.lake.relation(connection, "text_drift").df()
    return rows.assign(batch_date=pd.to_datetime(rows["batch_date"]).dt.date).set_index("batch_date").sort_index()


def test_change_of_subject_is_found_in_the_drops_after_it_and_not_before(state: UseCaseState) -> None:
    found = drift_of(state)

    before = found.loc[date(2023, 2, 6) : CHANGE]
    after = found.loc[CHANGE + timedelta(days=5) : CHANGE + timedelta(days=9)]
    assert (before["state"] == "changed").mean() < 0.2
    assert (after["state"] == "changed").all()
    assert after["auc"].min() > before["auc"].max()
    assert after["mean_distance"].min() > 2 * before["mean_distance"].max()
    assert found.loc[: date(2023, 1, 9), "state"].eq("not enough data").all()


def test_models_learn_from_hashed_words_and_the_audit_finds_nothing(
    state: UseCaseState, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comment_state, "FOLDER", folder)

    checks = retrain_steps(state, AS_OF)

    with state.connect() as connection:
        candidates = state.lake.relation(connection, "candidate_model").df().set_index("candidate")
    assert checks["training_set:known_in_time"]
    assert checks["training_set:leakage"]
    assert candidates.loc["logistic_regression", "auc"] > 0.85


def test_command_says_how_far_texts_can_be_told_apart(
    state: UseCaseState, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(state.paths.root))
    monkeypatch.setattr("ml_assets.cli.console.defs_folder", lambda: folder.parent)
    drop = str(CHANGE + timedelta(days=6))

    shown = CliRunner().invoke(app, ["drift", "comment_spam", "--drop", drop], terminal_width=150)
    told = json.loads(CliRunner().invoke(app, ["drift", "comment_spam", "--drop", drop, "--json"]).stdout)

    assert shown.exit_code == 0, shown.output
    assert "texts of words: changed: told from those before with an AUC of" in shown.stdout
    assert told["texts"][0]["state"] == "changed"
