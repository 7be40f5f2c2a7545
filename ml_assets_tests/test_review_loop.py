"""The review loop end to end: a queue, people who answer by keyboard, two disagreements, labels, and a correction."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import uvicorn

from ml_assets.cli.labels.review_server import ReviewServer
from ml_assets.cli.operate.request_guard import GuardRules
from ml_assets.pipeline.audit.training_set_audit import check_known_in_time
from ml_assets.pipeline.labeling.review_landing import AnswerLanding
from ml_assets.pipeline.labeling.review_tasks import ReviewDesk, ReviewTask, ValueOrigin
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.training_set import DrawPlan
from ml_assets_tests.browser import Tab, needs_browser, open_tab
from ml_assets_tests.comment_spam.generate import draw_comments
from ml_assets_tests.comment_spam.state import FOLDER, NOW, land, retrain_steps, rows_of, run_steps_until, spam_spec
from ml_assets_tests.reports.hostile import RUNS_CODE

pytestmark = [
    pytest.mark.slow,
    needs_browser,
    pytest.mark.xdist_group("comment_spam"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
AS_OF, QUEUED = date(2023, 4, 1), date(2023, 4, 4)  # three drops of ten examples each are on the lists by then
DRAWING = ("labels/label_model", "labels/training_labels", "training/training_set")
TRUTH = {each.comment_id: int(each.is_spam) for each in draw_comments()}


def batch(root: Path, first: date, last: date) -> UseCaseState:
    """Land and run drops; answers that lie there land with them."""
    spec, state = spam_spec(), UseCaseState("comment_spam", StatePaths(root))
    land(root, last)
    run_batch_steps(spec, state, spec.calendar.drops_between(first, last), BatchContext(NOW))
    return state


@contextmanager
def desk(root: Path, reviewer: str, profile: Path) -> Iterator[Tab]:
    """Start `ml-assets review` for a person, and open what it printed."""
    environment = {**os.environ, "ML_ASSETS_DATA": str(root / "state"), "ML_ASSETS_PROJECT": str(root)}
    command = [sys.executable, "-c", "from ml_assets.cli.process import main; main()", "review", "comment_spam", "--as",
               reviewer]  # fmt: skip
    log = root / f"{reviewer}.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 60
        while not (address := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        with open_tab(profile) as tab:
            tab.go(address[0])
            tab.wait_for("document.body?.dataset.ready === 'true'")
            yield tab
    finally:
        process.terminate()
        process.wait(20)


def shown(tab: Tab) -> str:
    """Give the example that is asked about."""
    return tab.evaluate("document.getElementById('about').textContent").partition(",")[0]


def count(tab: Tab) -> int:
    return int(re.findall(r": (\d+) of", tab.evaluate("document.getElementById('count').textContent"))[0])


def answer_all(tab: Tab, says: Callable[[str], int], most: int = 1000) -> list[str]:
    """Press a key for each open example, until the list is answered."""
    answered: list[str] = []
    total = int(tab.evaluate("document.getElementById('progress').max"))
    while count(tab) < total and len(answered) < most:
        example, before = shown(tab), count(tab)
        assert "score" not in tab.evaluate("document.querySelector('main').innerText").lower()
        tab.press(str(says(example)))
        tab.wait_for(f"Number(document.getElementById('progress').value) === {before + 1}")
        last = tab.evaluate("document.getElementById('last').innerText")
        assert last.startswith(f"{example}: you said"), last
        assert "score" in last
        answered.append(example)
    return answered


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose use case has a champion, and thirty examples on the lists of people."""
    made = tmp_path_factory.mktemp("review")
    shutil.copytree(FOLDER, made / "defs" / "comment_spam")
    (made / "ml_assets.toml").write_text('use_cases = "defs"\nstate = "state"\n')
    state = run_steps_until(made / "state", AS_OF)
    assert retrain_steps(state, AS_OF)["champion:gate"]
    batch(made / "state", AS_OF + timedelta(days=1), QUEUED)
    return made


def test_review_loop_from_queue_to_corrected_label(root: Path, tmp_path: Path) -> None:
    queue = rows_of(UseCaseState("comment_spam", StatePaths(root / "state")), "review_queue")
    queue = queue[queue["batch_date"] > AS_OF]
    pairs = sorted(queue.loc[queue["role"] == "pair", "example_id"].unique())
    split = pairs[:2]  # ben errs about these
    assert queue["example_id"].nunique() == 30
    assert set(queue["strategy"]) == {"uncertainty", "disagreement", "diversity", "label_errors", "random"}
    assert (queue.loc[queue["strategy"] == "random", "propensity"] > 0).all()
    assert queue.loc[queue["role"] == "pair"].groupby("example_id")["reviewer"].nunique().eq(2).all()

    by_ana, others = everybody_answers(root, tmp_path, split)
    assert {*by_ana, *others} == set(queue["example_id"])

    landed_in = QUEUED + timedelta(days=1)
    state = batch(root / "state", landed_in, landed_in)
    labels = reviewed(state)
    assert set(labels["example_id"]) == set(queue["example_id"]) - set(split)
    assert set(labels["batch_date"]) == {landed_in}
    assert (labels["label"] == labels["example_id"].map(TRUTH)).all()
    assert labels.loc[labels["example_id"].isin(pairs), "given_by"].str.startswith("ana, ben (asked in").all()
    escalated = rows_of(state, "review_queue").query("strategy == 'escalated'")
    assert sorted(escalated["example_id"]) == split
    assert {(each.reviewer, each.role, each.batch_date) for each in escalated.itertuples()} == {
        ("cem", "final", landed_in)
    }

    wrong = next(each for each in reversed(by_ana) if each not in pairs)
    split_is_decided_and_one_corrected(root, tmp_path, split, wrong)

    decided_in = landed_in + timedelta(days=1)
    state = batch(root / "state", decided_in, decided_in)
    newest = reviewed(state).query("batch_date == @decided_in").set_index("example_id")
    assert {example: newest.loc[example, "label"] for example in split} == {each: TRUTH[each] for each in split}
    assert newest.loc[split, "given_by"].str.startswith("cem decides between ana, ben").all()
    assert newest.loc[wrong, "label"] == 1 - TRUTH[wrong]
    trained_in_time(root, decided_in + timedelta(days=2), labels, newest)


def everybody_answers(root: Path, tmp_path: Path, split: list[str]) -> tuple[list[str], list[str]]:
    """Let three people answer their lists by keyboard; give what ana answered, and what the others did."""
    with desk(root, "ana", tmp_path / "ana") as tab:
        first = shown(tab)
        tab.press(str(1 - TRUTH[first]))  # a slip, taken back at once
        tab.wait_for("document.getElementById('last').innerText.includes('you said')")
        tab.press("u")
        tab.wait_for("Number(document.getElementById('progress').value) === 0")
        assert shown(tab) == first
        by_ana = answer_all(tab, TRUTH.__getitem__)
        assert "All of your list is answered" in tab.evaluate("document.body.innerText")
    with desk(root, "ben", tmp_path / "ben") as tab:
        others = answer_all(tab, lambda example: 1 - TRUTH[example] if example in split else TRUTH[example])
    with desk(root, "cem", tmp_path / "cem") as tab:
        others += answer_all(tab, TRUTH.__getitem__)
    assert set(split) <= set(by_ana) & set(others)
    return by_ana, others


def split_is_decided_and_one_corrected(root: Path, tmp_path: Path, split: list[str], wrong: str) -> None:
    """Let cem decide what two disagree about, and ana change an answer that a batch has taken."""
    with desk(root, "cem", tmp_path / "cem2") as tab:
        assert "two people disagree about it" in tab.evaluate("document.getElementById('about').textContent")
        assert sorted(answer_all(tab, TRUTH.__getitem__, most=2)) == split
    with desk(root, "ana", tmp_path / "ana2") as tab:
        while shown(tab) != wrong:
            tab.press("ArrowRight")
        assert "which a batch has taken" in tab.evaluate("document.getElementById('last').innerText")
        tab.press(str(1 - TRUTH[wrong]))
        tab.wait_for(f"document.getElementById('last').innerText === '{wrong}: you said' || "
                     "!document.getElementById('last').innerText.includes('which a batch has taken')")  # fmt: skip


def reviewed(state: UseCaseState) -> pd.DataFrame:
    """Give the labels of people; each was known after it was given, and within its drop."""
    labels, spec = rows_of(state, "labels"), spam_spec()
    found = labels[labels["origin"] == "review"]
    for drop, known_at in zip(found["batch_date"], found["known_at"], strict=True):
        assert known_at in spec.calendar.drop(drop)
    return found


def trained_in_time(root: Path, last: date, first: pd.DataFrame, corrected: pd.DataFrame) -> None:
    """Draw training sets before and after a correction: each has what was known by then, with who said so."""
    state = batch(root / "state", last - timedelta(days=1), last)
    landed_in, decided_in = first["batch_date"].iloc[0], corrected["batch_date"].iloc[0]
    drawn: dict[date, Any] = {}
    for as_of in (landed_in, decided_in, last):
        checks = retrain_steps(state, as_of, DRAWING)
        assert checks["training_set:known_in_time"]
        assert checks["training_set:leakage"]
        drawn[as_of] = rows_of(state, "training_set").set_index("example_id")
    matured = first[first["example_id"].isin(drawn[last].index)]
    assert len(matured) > 5  # the others are held out, where only what chance drew may count
    assert (drawn[last].loc[matured["example_id"], "label_given_by"].notna()).all()
    by_strategy = first.loc[first["is_chosen"], "example_id"]
    held_out = drawn[last].query("split == 'holdout'")
    assert not set(by_strategy) & set(held_out.index)
    asked = rows_of(state, "review_queue").drop_duplicates("example_id").set_index("example_id")["strategy"]
    natural = set(rows_of(state, "validated_answers")["comment_id"])
    given = [each for each in held_out.index[held_out["label_given_by"].notna()] if each not in natural]
    assert given
    assert set(asked.reindex(given)) == {"random"}
    for example in corrected.index.intersection(drawn[last].index).intersection(drawn[landed_in].index):
        assert drawn[last].loc[example, "label"] == corrected.loc[example, "label"]
        assert drawn[landed_in].loc[example, "label"] == first.set_index("example_id").loc[example, "label"]
    planted_answer_is_found(state, drawn[landed_in].reset_index(), landed_in)


def planted_answer_is_found(state: UseCaseState, drawn: pd.DataFrame, as_of: date) -> None:
    """A label that nobody had given by then is a leak."""
    import pyarrow as pa

    retrain_steps(state, as_of, DRAWING)
    plan = DrawPlan.from_json(state.lake.metadata("training_set")["plan"])
    labels = rows_of(state, "labels")
    later = labels[(labels["batch_date"] > as_of) & (labels["origin"] == "review")]
    example = later["example_id"].iloc[0]
    planted = drawn.iloc[[0]].assign(example_id=example, label=later["label"].iloc[0], label_origin="gold")
    with state.writing("plant"):
        rows = pa.Table.from_pandas(pd.concat([drawn, planted]), preserve_index=False)
        version = state.lake.replace("training_set", rows)

    found = check_known_in_time(state, plan, version)

    assert not found.passed
    assert found.measured["label not known by as_of"] == 1


def test_no_value_of_an_example_runs_in_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days, values = (date(2024, 1, 2), date(2024, 1, 3)), [(f"<b>{k}", each, each) for k, each in enumerate(RUNS_CODE)]
    origin = [ValueOrigin(RUNS_CODE[0], RUNS_CODE[1], RUNS_CODE[2], 1)]
    task = ReviewTask(RUNS_CODE[1], *days, "ana", "single", RUNS_CODE[2], RUNS_CODE[3], 0.1, 0.5, values, origin, (1,))
    monkeypatch.setattr(ReviewDesk, "tasks", lambda *_: [task])
    monkeypatch.setattr(AnswerLanding, "pending", lambda *_: {})
    monkeypatch.setattr(AnswerLanding, "drop_at", lambda *_: days[1])
    landing = AnswerLanding(spam_spec(), UseCaseState("comment_spam", StatePaths(tmp_path)), NOW)
    app = ReviewServer(landing, "ana", lambda: NOW).app(GuardRules("0123456789abcdefgh", 80))

    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
        thread.start()
        with open_tab(tmp_path / "profile") as tab:
            tab.go(f"http://127.0.0.1:{bound.getsockname()[1]}/?token=0123456789abcdefgh")
            tab.wait_for("document.body?.dataset.ready === 'true'")
            time.sleep(1)
            shown = tab.evaluate("document.body.innerText")
            has_run = tab.evaluate("document.documentElement.dataset.ran !== undefined")
        server.should_exit = True
        thread.join(10)

    assert not has_run
    assert all(value.replace("\u2028", "") in shown.replace("\u2028", "").replace("\n", "") for value in RUNS_CODE)
