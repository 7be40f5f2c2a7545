"""History replayed with its labels hidden, on the tables of a use case."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.pipeline.labeling import active_learning
from ml_assets.pipeline.labeling.active_learning import TooFewHiddenLabelsError, simulate_labels
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.comment_spam.state import FOLDER, run_steps_until, spam_spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("simulated"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> UseCaseState:
    """Run a month of comments, all of them answered."""
    return run_steps_until(tmp_path_factory.mktemp("simulated"), date(2023, 2, 4), 3600)


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(active_learning, "SHARES", (0.1, 0.5))
    monkeypatch.setattr(active_learning, "ROUNDS", 3)


def test_curves_have_the_same_cost_for_all_and_rise_towards_all_labels(state: UseCaseState) -> None:
    curves = simulate_labels(spam_spec(), state, seeds=3)

    assert curves.n_full + curves.n_test > 800
    for name in ("random", "uncertainty", "disagreement", "diversity"):
        few, many = curves.of(name)
        assert (few.labels, many.labels) == (round(0.1 * curves.n_full), round(0.5 * curves.n_full))
        assert 0.8 < few.quality < many.quality + 0.01
        assert abs(many.quality - curves.full) < 0.02
        assert few.low < few.quality < few.high


def test_same_state_gives_the_same_curves(state: UseCaseState) -> None:
    assert simulate_labels(spam_spec(), state, seeds=2) == simulate_labels(spam_spec(), state, seeds=2)


def test_command_prints_the_curve_and_writes_its_page(state: UseCaseState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(state.paths.root))
    monkeypatch.setattr("ml_assets.cli.console.defs_folder", lambda: FOLDER.parent)
    command = ["labels", "comment_spam", "--simulate", "--seeds", "2"]

    shown = CliRunner().invoke(app, command, terminal_width=140)
    told = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)

    assert shown.exit_code == 0, shown.output
    assert "uncertainty: 99 % of the AUC of all labels with" in shown.stdout
    assert len(told["points"]) == 8
    assert told["enough_at"].keys() == {"random", "uncertainty", "disagreement", "diversity"}
    page = Path(told["page"]).read_text()
    assert page.count("<svg") == 1
    assert "each strategy buys the same number of labels" in page


def test_too_few_labels_are_refused_with_how_many_are_needed(tmp_path: Path) -> None:
    run_steps_until(tmp_path, date(2023, 1, 12), 60)
    few = UseCaseState("comment_spam", StatePaths(tmp_path))

    with pytest.raises(TooFewHiddenLabelsError, match=r"labels to buy from, .* 200 and 20 are needed"):
        simulate_labels(spam_spec(), few)
