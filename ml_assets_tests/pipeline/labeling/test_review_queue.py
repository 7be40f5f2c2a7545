"""The review queue of drops, and the labels that answers amount to, on the generated comments and on late_loans."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.pipeline.labeling import review_queue
from ml_assets.pipeline.labeling.review_landing import AnswerLanding, OtherAnswersError, ReviewEndedError
from ml_assets.pipeline.labeling.review_queue import store_review_queue
from ml_assets.pipeline.labeling.review_tasks import ReviewDesk, ReviewTask
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.drop import DropKey, day_of_key
from ml_assets.spec.review import answers_source
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.comment_spam.state import (
    NOW,
    rows_of,
    spam_spec,
    train_and_run_on,
)
from ml_assets_tests.dates import dates_of
from ml_assets_tests.second_use_case.generate import write_past
from ml_assets_tests.second_use_case.machine import DECLARED

pytestmark = [
    pytest.mark.xdist_group("review"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
AS_OF, LAST, GOLD = date(2023, 3, 18), date(2023, 3, 24), 1500
QUEUED = spam_spec().calendar.drops_between(AS_OF + timedelta(days=1), LAST)
REVIEW = """
  review:
    answers: review_answers
    question: Will this loan be late?
    capacity: 12
    reviewers: {ana: 8, ben: 8}
    decides: dora
    shares: {diversity: 0.25, uncertainty: 0.25, random: 0.5}
    two_reviewers: 0.25
    open_for: 21d
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a model of comments, and run a week after it."""
    root = tmp_path_factory.mktemp("queue")
    train_and_run_on(root, AS_OF, GOLD, LAST, dates_of(QUEUED))
    return root


@pytest.fixture
def state(ran: Path, tmp_path: Path) -> UseCaseState:
    return UseCaseState(spam_spec().name, StatePaths(Path(shutil.copytree(ran, tmp_path / "state"))))


def queue_hash(state: UseCaseState, drops: Sequence[DropKey]) -> str:
    with state.connect() as connection:
        return content_hash(state.lake.relation(connection, "review_queue", (drops[0], drops[-1])))


def test_queue_holds_what_each_strategy_chose_with_its_reason_and_the_chance_of_being_drawn(
    state: UseCaseState,
) -> None:
    queue = rows_of(state, "review_queue")
    queue = queue[queue["batch_date"] > AS_OF]
    examples, labels = rows_of(state, "examples"), rows_of(state, "labels")

    assert queue.groupby("batch_date")["example_id"].nunique().eq(10).all()
    assert set(queue["strategy"]) == {"uncertainty", "disagreement", "diversity", "label_errors", "random"}
    loads = queue.groupby(["batch_date", "reviewer"]).size().groupby("reviewer").max()
    assert all(loads[name] <= most for name, most in {"ana": 8, "ben": 8, "cem": 4}.items())
    assert (queue["reason"].str.len() > 5).all()
    for drop in QUEUED:
        of_drop = queue[queue["batch_date"] == drop]
        pool = of_drop[of_drop["strategy"] != "label_errors"]
        known = set(labels.loc[labels["batch_date"] <= drop, "example_id"])
        assert not set(pool["example_id"]) & known
        n_random = pool.loc[pool["strategy"] == "random", "example_id"].nunique()
        assert pool["propensity"].nunique() == 1
        candidates = round(n_random / pool["propensity"].iloc[0])
        begin = day_of_key(drop) - timedelta(days=3)
        recent = examples[(examples["batch_date"] > begin) & (examples["batch_date"] <= drop)]
        assert n_random <= candidates <= len(recent)
        assert (of_drop.loc[of_drop["strategy"] == "label_errors", "example_id"].isin(known)).all()
    margins = queue[queue["strategy"] == "uncertainty"]
    assert (margins["measure"] - (1 - (2 * margins["score"] - 1).abs())).abs().max() < 1e-12
    for _, of_example in queue.groupby("example_id"):  # it is asked again once its list has closed, and not before
        days = sorted(of_example["batch_date"].unique())
        assert all(later - earlier >= timedelta(days=3) for earlier, later in pairwise(days))


def test_queue_of_a_range_is_that_of_its_drops_one_by_one(state: UseCaseState, monkeypatch: pytest.MonkeyPatch) -> None:
    before = queue_hash(state, QUEUED)

    with state.writing("one by one"):
        for drop in QUEUED:
            store_review_queue(spam_spec(), state, [drop])
    one_by_one = queue_hash(state, QUEUED)
    monkeypatch.setattr(review_queue, "EXAMPLES_AT_ONCE", 70)  # two drops of thirty together
    with state.writing("range in parts"):
        store_review_queue(spam_spec(), state, QUEUED)

    assert one_by_one == before
    assert queue_hash(state, QUEUED) == before


def test_nothing_of_later_drops_changes_a_queue(state: UseCaseState) -> None:
    middle = QUEUED[3]
    before, later = queue_hash(state, QUEUED[:4]), QUEUED[4:]

    with state.writing("poison"):
        for table in ("predictions", "shadow_predictions", "labels", "features", "examples", "review_queue"):
            with state.connect() as connection:
                rows = state.lake.relation(connection, table, (later[0], later[-1])).to_arrow_table()
            state.lake.replace_drops(table, _turned(rows), later)
        store_review_queue(spam_spec(), state, QUEUED[:4])

    assert middle < later[0]
    assert queue_hash(state, QUEUED[:4]) == before


def _turned(rows: pa.Table) -> pa.Table:
    """Give the rows of a drop the names of one another, turned around."""
    place = rows.schema.get_field_index("example_id")
    names = rows["example_id"].take(pa.array(list(range(len(rows)))[::-1]))
    return rows.set_column(place, rows.schema.field(place), names)


def test_list_of_a_person_shows_values_and_the_landed_rows_they_came_from(state: UseCaseState) -> None:
    tasks = ReviewDesk(spam_spec(), state).tasks("ana")

    assert {task.reviewer for task in tasks} == {"ana"}
    assert {task.queued_in for task in tasks} == set(QUEUED[-3:])  # open for three days
    raw = rows_of(state, "raw_comments").set_index("comment_id")
    for task in tasks:
        shown = {name: (value, made) for name, value, made in task.values}
        assert shown["text"] == (raw.loc[task.example_id, "text"], "comments.text")
        (origin,) = task.origins
        assert (origin.source, origin.file) == ("comments", "comments.csv")
        assert origin.line == raw.loc[task.example_id, "_line"]
        assert origin.drop == str(task.example_drop) == str(raw.loc[task.example_id, "batch_date"])


def test_unknown_person_is_refused_by_name(state: UseCaseState) -> None:
    with pytest.raises(LookupError, match="found the reviewer 'anna'; allowed: ana, ben, cem"):
        ReviewDesk(spam_spec(), state).tasks("anna")


def test_answers_wait_in_the_file_of_the_next_drop_until_its_batch(state: UseCaseState) -> None:
    landing, task = AnswerLanding(spam_spec(), state, NOW), ReviewDesk(spam_spec(), state).tasks("ana")[0]
    key, next_drop = (task.example_id, "ana"), LAST + timedelta(days=1)

    assert landing.put([task.answer(1)], NOW + timedelta(seconds=5)) == next_drop
    first = landing.pending(NOW)[key]
    landing.put([task.answer(0)], NOW + timedelta(seconds=5))
    second = landing.pending(NOW)[key]
    was_there = landing.take_back(task.example_id, "ana", NOW), landing.take_back(task.example_id, "ana", NOW)

    assert (first["label"], second["label"]) == ("1", "0")
    assert first["answered_at"] < second["answered_at"]
    received = spam_spec().calendar.drop(next_drop)
    assert received.start < datetime.fromisoformat(second["answered_at"]) < received.end
    assert was_there == (True, False)
    assert landing.pending(NOW) == {}


def test_file_of_somebody_else_is_not_overwritten(state: UseCaseState) -> None:
    file = state.landing / str(LAST + timedelta(days=1)) / "review_answers.csv"
    file.parent.mkdir(parents=True)
    file.write_text("example_id,verdict\nc1,spam\n")
    landing, task = AnswerLanding(spam_spec(), state, NOW), ReviewDesk(spam_spec(), state).tasks("ana")[0]

    with pytest.raises(OtherAnswersError, match="found example_id,verdict; allowed: rows of example_id,reviewer,label"):
        landing.put([task.answer(1)], NOW)

    assert file.read_text() == "example_id,verdict\nc1,spam\n"


def test_wall_clock_lands_answers_in_the_drop_whose_batch_is_to_come(state: UseCaseState) -> None:
    spec = spam_spec().model_copy(update={"clock": "wall"})
    now = datetime(2023, 3, 27, 4, 0, 1, tzinfo=UTC)  # a second after the batch of the 27th, which nobody has run
    landing, task = AnswerLanding(spec, state, now), ReviewDesk(spec, state).tasks("ana")[0]

    assert landing.put([task.answer(1)], now - timedelta(seconds=2)) == date(2023, 3, 27)
    assert landing.put([task.answer(0)], now) == date(2023, 3, 28)
    assert landing.pending(now)[task.example_id, "ana"]["label"] == "0"  # the newest of both files
    with pytest.raises(ReviewEndedError, match="the calendar ends with 2023-05-01"):
        landing.put([task.answer(1)], datetime(2023, 5, 2, tzinfo=UTC))


def loans_with_review(folder: Path) -> UseCaseSpec:
    """Declare a review of loans, with the source of answers that `--declare` prints."""
    copied = Path(shutil.copytree(DECLARED, folder / "late_loans"))
    file = copied / "defs.yaml"
    source = "".join(f"    {line}\n" for line in answers_source().splitlines())
    text = file.read_text().replace("  examples:\n    from:", f"{source}\n  examples:\n    from:", 1)
    file.write_text(text.replace("\n  model:\n", f"{REVIEW}\n  model:\n", 1))
    return load_use_case(copied)


def test_answer_stands_where_the_outcome_says_otherwise_later(tmp_path: Path) -> None:
    spec, paths = loans_with_review(tmp_path), StatePaths(tmp_path / "state")
    history = [
        f"{name}={file}" for name, file in zip(("applications", "repayments"), write_past(tmp_path), strict=True)
    ]
    run_history(spec, paths, HistoryOptions(history, last="2022-05-29"), NOW)
    state, drops = UseCaseState(spec.name, paths), spec.calendar.drops_between(date(2022, 1, 9), date(2022, 5, 29))
    asked, later = drops[3], drops[4:]
    run_batch_steps(spec, state, drops[:4], BatchContext(NOW))
    tasks = [task for task in ReviewDesk(spec, state).tasks() if task.queued_in == asked and task.role == "single"]
    landing = AnswerLanding(spec, state, NOW)
    outcomes = pd.read_csv(tmp_path / "repayments.csv").set_index("Loan ID")["Days Late"] > 7

    landing.put([task.answer(1 - int(outcomes[task.example_id])) for task in tasks], NOW)  # all against what comes
    run_batch_steps(spec, state, later, BatchContext(NOW))

    labels = rows_of(state, "labels")
    of_tasks = labels[labels["example_id"].isin({task.example_id for task in tasks})]
    given, after = of_tasks[of_tasks["batch_date"] == later[0]], of_tasks[of_tasks["batch_date"] > later[0]]
    assert len(given) == len(after) == len(tasks) > 3
    assert set(after["origin"]) == set(given["origin"]) == {"review"}
    assert (after["label"] != after["example_id"].map(outcomes).astype(int)).all()
    assert not after["is_chosen"].any()  # by now there is an outcome too
    assert given.set_index("example_id")["is_chosen"].to_dict() == {
        task.example_id: task.strategy != "random" for task in tasks
    }
    others = labels[~labels["example_id"].isin(of_tasks["example_id"])]
    assert set(others["origin"]) == {"natural"}
    assert (others["label"] == others["example_id"].map(outcomes).astype(int)).all()
    _correct_an_outcome(spec, state, tasks[0], labels)


def _correct_an_outcome(spec: UseCaseSpec, state: UseCaseState, like: ReviewTask, labels: pd.DataFrame) -> None:
    """Answer about a loan whose outcome is known already: the answer replaces it, from its drop on."""
    natural = labels[labels["origin"] == "natural"].iloc[0]
    answer = {**like.answer(1 - int(natural["label"])), "example_id": natural["example_id"]}
    AnswerLanding(spec, state, NOW).put([answer], NOW)
    drop = date(2022, 6, 5)
    for source in ("applications", "repayments"):  # nothing else came that week
        header = (state.landing / "2022-05-29" / f"{source}.csv").read_text().splitlines()[0]
        (state.landing / str(drop) / f"{source}.csv").write_text(header + "\n")

    run_batch_steps(spec, state, [drop], BatchContext(NOW))

    rows = rows_of(state, "labels")
    of_loan = rows[rows["example_id"] == natural["example_id"]].set_index("batch_date")
    assert of_loan.loc[natural["batch_date"], "label"] == natural["label"]  # the past stays
    assert of_loan.loc[drop, "label"] == 1 - natural["label"]
    assert of_loan.loc[drop, "given_by"].startswith(like.reviewer)
    assert not of_loan.loc[drop, "is_chosen"]
