"""Which examples people look at, who they are, and where their answers land, as declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.duration import Duration
from ml_assets.spec.names import Identifier, did_you_mean, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts

UNCERTAINTY, DISAGREEMENT, DIVERSITY = "uncertainty", "disagreement", "diversity"
ABSTAINED, LABEL_ERRORS, RANDOM, ESCALATED = "abstained", "label_errors", "random", "escalated"
STRATEGIES = (UNCERTAINTY, DISAGREEMENT, DIVERSITY, ABSTAINED, LABEL_ERRORS, RANDOM)
SINGLE, PAIR, FINAL = "single", "pair", "final"  # what an answer is: alone, one of two, or the one that decides
ANSWER_TYPES: Mapping[str, str] = {
    "example_id": "string", "reviewer": "string", "label": "integer", "role": "string", "strategy": "string",
    "propensity": "float", "queued_in": "date", "answered_at": "timestamp",
}  # fmt: skip
ANSWER_KEY = ("example_id", "reviewer")
ANSWER_COLUMNS = tuple(ANSWER_TYPES)
_DUTY_WORDS = {SINGLE: "alone", PAIR: "one of two", FINAL: "decides between two"}


class ReviewSpec(Declared):
    """The queue of examples for people, and what they are asked.

    Attributes
    ----------
    answers
        The source that answers land in, with the columns of `ANSWER_TYPES`.
    question, classes
        What people are asked, and the name of each answer by its class.
    capacity
        Examples that are newly asked about in a drop.
    reviewers
        How many examples each person answers a drop.
    shares
        Of the capacity, what each strategy chooses; together 1. What a strategy leaves is drawn by chance.
    two_reviewers
        Share of the examples that two people answer, who do not see each other's answers.
    decides
        Who decides where two disagree; by default somebody who was not asked.
    examples_of
        How old an example may be; by default those of the drop alone.
    open_for
        How long an example stays on the list of a person, and is not asked about again.
    columns
        Columns of the examples that the page shows; by default all.
    show_score
        Whether the page shows the score before an answer, which anchors people, or only after it.
    """

    answers: Identifier
    question: str = "Is it positive?"
    classes: dict[int, str] = Field(default_factory=lambda: {0: "no", 1: "yes"}, min_length=2)
    capacity: int = Field(ge=1)
    reviewers: dict[Identifier, int] = Field(min_length=1)
    shares: dict[str, float] = Field(default_factory=lambda: {"uncertainty": 0.8, "random": 0.2})
    two_reviewers: float = Field(default=0.0, ge=0, le=1)
    decides: Identifier | None = None
    examples_of: Duration | None = None
    open_for: Duration = timedelta(days=14)
    columns: tuple[Identifier, ...] = ()
    show_score: Literal["after_answer", "before_answer"] = "after_answer"

    @property
    def looks_for_label_errors(self) -> bool:
        """Whether labels that are likely wrong are looked for at each retraining, for people to see."""
        return self.shares.get(LABEL_ERRORS, 0.0) > 0

    @property
    def paired(self) -> tuple[str, ...]:
        """Name who can be one of two: everybody but the one who decides."""
        return tuple(name for name in self.reviewers if name != self.decides)

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find shares that do not add up, and more answers than the reviewers give."""
        yield from _wrong_shares(mapping_of(declared.get("shares")))
        reviewers = {name: n for name, n in mapping_of(declared.get("reviewers")).items() if _is_whole(n)}
        for name, n in reviewers.items():
            if n < 1:
                yield ("reviewers", name), f"found {n}; allowed: 1 or more answers a drop"
        capacity, twice = declared.get("capacity"), declared.get("two_reviewers", 0.0)
        if not isinstance(twice, int | float) or isinstance(twice, bool) or not reviewers:
            return
        decides = declared.get("decides")
        paired = [name for name in reviewers if name != decides]
        least = 2 if decides else 3
        if twice > 0 and len(paired) < least:
            said = f"found {twice} with {len(paired)} reviewers who do not decide; allowed: with {least} or more"
            hint = "" if decides else ", of whom one decides where two disagree, or with `decides`"
            yield ("two_reviewers",), said + hint
        total = sum(reviewers.values())
        asked = int(capacity) + round(twice * int(capacity)) if _is_whole(capacity) and capacity else 0
        if asked > total:
            said = f"found {capacity}, which asks for {asked} answers a drop; allowed: at most {total} answers"
            yield ("capacity",), f"{said}, the sum of `reviewers`"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong_shares(shares: Mapping[str, Any]) -> Iterator[Fault]:
    known = {
        name: each for name, each in shares.items() if isinstance(each, int | float) and not isinstance(each, bool)
    }
    for name, each in known.items():
        if not 0 <= each <= 1:
            yield ("shares", name), f"found {each}; allowed: a share from 0 to 1"
        if name not in STRATEGIES:
            yield ("shares", name), not_among(name, list(STRATEGIES))
    if known and abs(sum(known.values()) - 1) > 1e-6:
        yield ("shares",), f"found shares that add up to {sum(known.values()):g}; allowed: that add up to 1"
    if known and not known.get(RANDOM, 0.0) > 0:
        said = "found no random share; allowed: more than 0, or nothing measured on the answers is unbiased"
        yield ("shares",), said


def review_faults(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find a review whose answers land nowhere, or that asks for what the use case does not compute."""
    review = mapping_of(declared.get("review"))
    if not review:
        return
    sources = {name: source for _, name, source in named_parts(declared.get("sources"))}
    answers = review.get("answers")
    if isinstance(answers, str):
        if answers not in sources:
            said = not_among(answers, list(sources)) if sources else f"found {answers!r}; allowed: a source"
            yield ("review", "answers"), f"{said}. `ml-assets review UC --declare` prints one"
        else:
            yield from _wrong_answers(answers, sources[answers])
    shares = mapping_of(review.get("shares"))
    if shares.get("abstained") and not mapping_of(declared.get("model")).get("abstain"):
        said = "found a share of examples that the model abstains on, and no model.abstain; allowed: with model.abstain"
        yield ("review", "shares", "abstained"), said


def _wrong_answers(name: str, source: Mapping[str, Any]) -> Iterator[Fault]:
    columns = mapping_of(source.get("columns"))
    for column, kind in ANSWER_TYPES.items():
        found = mapping_of(columns.get(column)).get("type")
        if column not in columns:
            near = did_you_mean(column, list(columns))
            said = f"found {name} without the column {column}; allowed: with {column} of type {kind}{near}"
            yield ("review", "answers"), said
        elif found != kind:
            yield ("review", "answers"), f"found {name}.{column} of type {found}; allowed: {kind}"
    key = list_of(source.get("key"))
    if key and sorted(map(str, key)) != sorted(ANSWER_KEY):
        allowed = ", ".join(ANSWER_KEY)
        yield ("review", "answers"), f"found {name} with the key {', '.join(map(str, key))}; allowed: {allowed}"


def answers_source(name: str = "review_answers") -> str:
    """Write the declaration of a source that answers land in, to be put below `sources`."""
    columns = "\n".join(
        f"    {column}: {{type: {kind}{', required: true, zone: UTC' if kind == 'timestamp' else ''}}}"
        for column, kind in ANSWER_TYPES.items()
    )
    return f"""- name: {name}
  description: What people answered about examples of the review queue.
  arrives: sometimes
  when_missing: go_on
  key: [{", ".join(ANSWER_KEY)}]
  event_at: answered_at
  known_at: answered_at
  columns:
{columns}
  expectations:
    - {{expect: expect_column_values_to_be_in_set, arguments: {{column: label, value_set: [0, 1]}}, reason: no_class}}
    - expect: expect_column_values_to_be_in_set
      arguments: {{column: role, value_set: [{SINGLE}, {PAIR}, {FINAL}]}}
      reason: no_role
"""


def role_in_words(role: str) -> str:
    """Say what an answer counts as.

    >>> role_in_words("pair")
    'one of two'
    """
    return _DUTY_WORDS.get(role, role)
