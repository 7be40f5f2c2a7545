"""The review queue of drops: which examples which person is asked about, and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml_assets.labeling.resolution import ReviewAnswer, find_disagreements
from ml_assets.labeling.review_choice import ChosenExample, choose_for_review, share_out
from ml_assets.labeling.review_duties import assign_reviewers
from ml_assets.pipeline.features.closed_drops import require_features
from ml_assets.pipeline.labeling.review_answers import read_answers, review_of
from ml_assets.pipeline.labeling.review_candidates import CandidateReader, ReviewCandidates
from ml_assets.pipeline.labeling.review_votes import version_as_of
from ml_assets.pipeline.results import DropResult
from ml_assets.spec.calendar import cut_drops
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_of_cell
from ml_assets.spec.review import (
    ABSTAINED,
    DISAGREEMENT,
    DIVERSITY,
    ESCALATED,
    FINAL,
    LABEL_ERRORS,
    PAIR,
    RANDOM,
    SINGLE,
    UNCERTAINTY,
)
from ml_assets.spec.tables import of_use_case
from ml_assets.spec.tables.review import LABEL_ERRORS as LABEL_ERRORS_TABLE
from ml_assets.spec.tables.review import REVIEW_QUEUE
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.rows import read_rows
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb

TABLE = REVIEW_QUEUE.name
EXAMPLES_AT_ONCE = 200_000  # their features are in memory together
QueueRow = dict[str, Any]
# suspects come first: they can be few, and what chance or a margin chooses there is plenty of
_ORDER = (LABEL_ERRORS, ABSTAINED, DISAGREEMENT, UNCERTAINTY, DIVERSITY)


def store_review_queue(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> DropResult:
    """Choose whom to ask about what in each of `drops`, and store it. Grain: example x person.

    Only what was known by a drop decides its queue: predictions of the drop, labels and answers that had landed, label
    models and label errors as of earlier drops, and what earlier queues asked.
    """
    require_features(state, drops)
    review = review_of(spec)
    calendar = spec.calendar
    earlier = (calendar.earlier(drops[0], review.open_for), calendar.previous_drop(drops[0]))
    rows = read_rows(state.lake, TABLE, None, earlier)
    answers = read_answers(spec, state, drops[-1])
    notes: dict[DropKey, Mapping[str, object]] = {}
    with state.connect() as connection:
        counted = state.lake.relation(connection, "examples", (drops[0], drops[-1]))
        examples = dict(counted.aggregate("batch_date, count(*)", "batch_date").fetchall())
    for part in cut_drops(drops, examples, EXAMPLES_AT_ONCE):
        with state.connect() as connection:
            maker = _QueueMaker(connection, spec, state, CandidateReader(connection, spec, state, part))
            for drop in part:
                known = [each for each in answers if each.drop <= drop]
                open_rows = [row for row in rows if row["batch_date"] > calendar.earlier(drop, review.open_for)]
                of_drop = maker.make(drop, known, open_rows)
                rows += _numbered(of_drop)
                notes[drop] = _note(of_drop)
    new = [row for row in rows if row["batch_date"] >= drops[0]]
    state.lake.replace_drops(TABLE, arrow_rows(of_use_case(REVIEW_QUEUE, spec), new), drops)
    return DropResult(Counter(row["batch_date"] for row in new), notes)


class _QueueMaker:
    """Makes the queue of a drop from what was known by then."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState, reader: CandidateReader
    ) -> None:
        self._connection, self._spec, self._state, self._reader = connection, spec, state, reader
        self._review = review_of(spec)

    def make(self, drop: DropKey, answers: Sequence[ReviewAnswer], open_rows: Sequence[QueueRow]) -> list[QueueRow]:
        """Give the rows of a drop: what two people disagree on first, then newly chosen examples.

        Parameters
        ----------
        answers
            Those that had landed by the drop.
        open_rows
            Rows of earlier queues that are still on the lists of people.
        """
        escalated = self._escalate(drop, answers, open_rows)
        return escalated + self._ask(drop, answers, open_rows, escalated)

    def _escalate(
        self, drop: DropKey, answers: Sequence[ReviewAnswer], open_rows: Sequence[QueueRow]
    ) -> list[QueueRow]:
        """Ask somebody to decide about each example that two people answer differently, unless somebody was asked."""
        waiting = {row["example_id"] for row in open_rows if row["role"] == FINAL}
        example_drops = {row["example_id"]: row["example_drop"] for row in open_rows}
        loads: Counter[str] = Counter()
        rows: list[QueueRow] = []
        for found in find_disagreements(answers):
            people = {each.reviewer for each in found.answers}
            others = sorted((loads[name], name) for name in self._review.reviewers if name not in people)
            if found.example_id in waiting or not (self._review.decides or others):
                continue
            person = self._review.decides or others[0][1]
            loads[person] += 1
            queued = next((each.queued_in for each in found.answers if each.queued_in), drop)
            rows.append(
                {
                    "batch_date": drop, "example_id": found.example_id, "reviewer": person, "strategy": ESCALATED,
                    "example_drop": example_drops.get(found.example_id, queued), "role": FINAL, "propensity": 0.0,
                    "reason": "two people disagree", "measure": None, "score": None,
                }
            )  # fmt: skip
        return rows

    def _ask(
        self,
        drop: DropKey,
        answers: Sequence[ReviewAnswer],
        open_rows: Sequence[QueueRow],
        escalated: Sequence[QueueRow],
    ) -> list[QueueRow]:
        """Choose among the candidates of a drop, and assign people."""
        review = self._review
        loads = Counter(row["reviewer"] for row in escalated)
        capacities = {name: n - loads[name] for name, n in review.reviewers.items() if n > loads[name]}
        taken = list(dict.fromkeys(row["example_id"] for row in (*open_rows, *escalated)))
        answered = {each.example_id for each in answers}
        candidates = self._reader.read(drop, taken, answered)
        counts = share_out(review.capacity, review.shares)
        suspects = self._suspects(drop, {*taken, *answered}, counts.pop(LABEL_ERRORS, 0))
        counts = {name: counts[name] for name in (*_ORDER, RANDOM) if name in counts}
        counts[RANDOM] += review.capacity - len(suspects) - sum(counts.values())  # what suspects leave goes to chance
        salt = f"{self._spec.name} {self._spec.model.seed} {drop}"
        choice = choose_for_review(candidates.names, candidates.measures, counts, salt, candidates.far)
        chosen = suspects + [_row(candidates, each, choice.propensity) for each in choice.chosen]
        paired = [name for name in review.paired if name in capacities]
        share = review.two_reviewers if len(paired) > 1 else 0.0
        duties = assign_reviewers([row["example_id"] for row in chosen], capacities, paired, share, salt)
        of_drop = [
            {**chosen[each.position], "reviewer": each.reviewer, "role": PAIR if each.is_pair else SINGLE}
            for each in duties
        ]
        return [{**row, "batch_date": drop} for row in of_drop]

    def _suspects(self, drop: DropKey, left_out: set[str], count: int) -> list[QueueRow]:
        """Give the labels that are most likely wrong, as of the newest retraining before a drop."""
        lake = self._state.lake
        version = version_as_of(lake, LABEL_ERRORS_TABLE.name, drop) if count else None
        if version is None:
            return []
        relation = lake.relation(self._connection, LABEL_ERRORS_TABLE.name, None, version)
        listed = [row for row in relation.order("place").to_arrow_table().to_pylist()
                  if row["example_id"] not in left_out]  # fmt: skip
        return [
            {
                "example_id": row["example_id"], "example_drop": row["batch_date"], "strategy": LABEL_ERRORS,
                "reason": f"labeled {row['label']}; {row['reason']}", "measure": 1 - row["probability"],
                "propensity": 0.0, "score": None,
            }
            for row in listed[:count]
        ]  # fmt: skip


def _row(candidates: ReviewCandidates, chosen: ChosenExample, propensity: float) -> QueueRow:
    row, strategy, measure = candidates.rows.iloc[chosen.position], chosen.strategy, chosen.measure
    score = float(row["score"]) if row["score"] is not None and math.isfinite(row["score"]) else None
    reason = {
        UNCERTAINTY: f"scored {score:.3f}" if score is not None else "",
        DISAGREEMENT: f"models and functions say {row['low']:.3f} to {row['high']:.3f}",
        DIVERSITY: f"{measure:.2f} standard deviations from the nearest example that was asked about",
        ABSTAINED: f"the model abstains: {row['abstained']} is outside of what it learned from",
        RANDOM: f"drawn by chance, with a probability of {propensity:.3f}",
    }[strategy]
    return {
        "example_id": row["example_id"], "example_drop": key_of_cell(row["batch_date"]), "strategy": strategy,
        "reason": reason, "measure": measure, "propensity": propensity, "score": score,
    }  # fmt: skip


def _numbered(rows: Sequence[QueueRow]) -> list[QueueRow]:
    places: Counter[str] = Counter()
    for row in rows:
        places[row["reviewer"]] += 1
        row["place"] = places[row["reviewer"]]
    return list(rows)


def _note(rows: Sequence[QueueRow]) -> dict[str, object]:
    examples = {(row["example_id"], row["strategy"]) for row in rows}
    counts = Counter(strategy for _, strategy in sorted(examples))
    return {"examples": len(examples), **{f"by {name}": n for name, n in sorted(counts.items())}}
