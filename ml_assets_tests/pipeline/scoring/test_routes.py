"""Routes of predicted examples: decided by the machine, escalated or abstained, on evidence known by each drop."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.pipeline.scoring.worklist import store_worklist
from ml_assets.spec.drop import DropKey
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.comment_spam.generate import draw_comments
from ml_assets_tests.comment_spam.state import (
    FOLDER,
    rows_of,
    spam_spec,
    train_and_run_on,
)
from ml_assets_tests.dates import dates_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("routes"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
AS_OF, LAST, GOLD = date(2023, 3, 10), date(2023, 4, 5), 3600
DROPS = spam_spec().calendar.drops_between(AS_OF + timedelta(days=1), LAST)
TABLES = ("worklist", "worklist_routes", "risk_coverage")
ESCALATE = 5


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on comments of two months, all answered, and run almost four weeks more."""
    root = tmp_path_factory.mktemp("routes")
    train_and_run_on(root, AS_OF, GOLD, LAST, dates_of(DROPS))
    return root


@pytest.fixture
def state(ran: Path, tmp_path: Path) -> UseCaseState:
    return UseCaseState(spam_spec().name, StatePaths(Path(shutil.copytree(ran, tmp_path / "state"))))


def hashes(state: UseCaseState, first: DropKey, last: DropKey) -> list[str]:
    with state.connect() as connection:
        return [content_hash(state.lake.relation(connection, name, (first, last))) for name in TABLES]


def test_every_prediction_has_a_route_and_what_the_machine_decides_is_wrong_as_seldom_as_declared(
    state: UseCaseState,
) -> None:
    routes, predictions = rows_of(state, "worklist_routes"), rows_of(state, "predictions")
    truth = {each.comment_id: int(each.is_spam) for each in draw_comments()}

    assert set(routes["example_id"]) == set(predictions["example_id"])
    decided = routes[routes["route"] == "decided"]
    is_wrong = decided["decision"] != decided["example_id"].map(truth)
    everything = (routes["score"] >= 0.5).astype(int) != routes["example_id"].map(truth)
    assert len(decided) > 0.5 * len(routes)
    assert is_wrong.mean() <= 0.1 < everything.mean()
    assert (decided["confidence"] >= decided["threshold"]).all()
    assert routes.loc[routes["route"] != "decided", "decision"].isna().all()
    for _, of_drop in routes.groupby("batch_date"):
        others = of_drop[of_drop["route"] != "decided"].sort_values("rank")
        assert (others["route"].head(ESCALATE) == "escalated").all()
        assert (others["route"].iloc[ESCALATE:] == "abstained").all()


def test_before_enough_has_matured_the_machine_decides_nothing(state: UseCaseState) -> None:
    first = rows_of(state, "worklist_routes").query("batch_date == @DROPS[0]")

    assert not (first["route"] == "decided").any()
    assert first["threshold"].isna().all()
    assert first["reason"].str.contains("not enough data: 0 matured examples, 22 without an error").all()


def test_worklist_and_its_delivered_file_say_the_route(state: UseCaseState) -> None:
    listed, routes = rows_of(state, "worklist"), rows_of(state, "worklist_routes")

    both = listed.merge(routes, on=["batch_date", "example_id"], suffixes=("", "_of_route"))
    assert len(both) == len(listed)
    assert (both["route"] == both["route_of_route"]).all()
    assert (both["rank"] == both["rank_of_route"]).all()
    delivered = pd.read_csv(state.paths.delivered / "comment_spam" / "worklist" / f"{LAST}.csv")
    assert delivered["route"].tolist() == listed.loc[listed["batch_date"] == LAST].sort_values("rank")["route"].tolist()


def test_routes_of_a_range_are_those_of_its_drops_one_by_one(state: UseCaseState) -> None:
    before = hashes(state, DROPS[0], LAST)

    with state.writing("one by one"):
        for drop in DROPS:
            store_worklist(spam_spec(), state, [drop])

    assert hashes(state, DROPS[0], LAST) == before


def test_outcomes_that_landed_later_change_no_route(state: UseCaseState) -> None:
    middle = DROPS[12]
    before = hashes(state, DROPS[0], middle)
    later = [drop for drop in DROPS if drop > middle]

    with state.writing("poison"):
        with state.connect() as connection:
            rows = state.lake.relation(connection, "labels", (later[0], LAST)).to_arrow_table()
        turned = pc.subtract(1, rows["label"]).cast(pa.int32())  # pyright: ignore[reportAttributeAccessIssue]
        state.lake.replace_drops(
            "labels", rows.set_column(rows.schema.get_field_index("label"), "label", turned), later
        )
        store_worklist(spam_spec(), state, DROPS[:13])
    assert hashes(state, DROPS[0], middle) == before

    with state.writing("after"):
        stored = store_worklist(spam_spec(), state, [LAST])
    assert not stored.checks[-1].passed  # from now on the machine is found to be wrong
    assert "decides nothing" in stored.checks[-1].description


def test_command_shows_the_curve_and_refuses_a_drop_without_routes(
    state: UseCaseState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(state.paths.root))
    monkeypatch.setattr("ml_assets.cli.console.defs_folder", lambda: FOLDER.parent)

    shown = CliRunner().invoke(app, ["routes", "comment_spam"], terminal_width=120)
    refused = CliRunner().invoke(app, ["routes", "comment_spam", "--drop", "2023-04-20"])

    assert shown.exit_code == 0, shown.output
    assert "decided by the machine" in shown.stdout
    assert "chosen" in shown.stdout
    assert state.paths.routes_page("comment_spam").read_text().count("<svg") == 1
    assert "allowed: a drop that was run, from 2023-01-02 to 2023-04-05" in refused.stderr
