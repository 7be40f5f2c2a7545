"""Labels that answers of people amount to, drop by drop; and the examples on which two people disagree.

An answer counts alone (`single`), as one of two (`pair`), or decides between two (`final`). Of several answers of one
person about one example the newest counts. A null label says that the person cannot tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ml_assets.spec.drop import DropKey
from ml_assets.spec.review import FINAL, PAIR, SINGLE


@dataclass(frozen=True, order=True)
class ReviewAnswer:
    """An answer as it landed; in order of drop and moment.

    Attributes
    ----------
    drop
        The drop that it landed in.
    queued_in
        The drop in which it was asked; None where nobody asked.
    """

    drop: DropKey
    known_at: datetime
    example_id: str
    reviewer: str
    label: int | None
    role: str
    strategy: str
    queued_in: DropKey | None


@dataclass(frozen=True)
class ResolvedLabel:
    """What people say of an example from a drop on.

    Attributes
    ----------
    known_at
        Moment of the answer that completed it.
    given_by
        Who answered, and in which drops it was asked.
    strategy
        What had chosen the example.
    """

    drop: DropKey
    example_id: str
    label: int
    known_at: datetime
    given_by: str
    strategy: str


@dataclass(frozen=True)
class OpenDisagreement:
    """An example on which two people disagree and nobody has decided."""

    example_id: str
    answers: tuple[ReviewAnswer, ...]


def resolve_answers(answers: Iterable[ReviewAnswer]) -> list[ResolvedLabel]:
    """Give each label that answers amount to in the drop in which it came about, in order; what is unchanged is not.

    One answer is a label; two are where they agree; else the one that decides is. A label stays until another comes
    about: a correction that makes two disagree again changes nothing before somebody decides.

    >>> from datetime import UTC, date
    >>> def at(day, who, label, role):
    ...     return ReviewAnswer(date(2024, 1, day), datetime(2024, 1, day, tzinfo=UTC), "x", who, label, role, "random",
    ...                         None)
    >>> found = resolve_answers([at(2, "ana", 1, PAIR), at(2, "ben", 0, PAIR), at(3, "cem", 0, FINAL)])
    >>> [(each.drop.day, each.label, each.given_by) for each in found]
    [(3, 0, 'cem decides between ana, ben')]
    """
    newest: dict[str, dict[str, ReviewAnswer]] = defaultdict(dict)
    before: dict[str, ResolvedLabel] = {}
    found: list[ResolvedLabel] = []
    by_drop: dict[DropKey, list[ReviewAnswer]] = defaultdict(list)
    for answer in sorted(answers, key=lambda each: (each.drop, each.known_at, each.example_id, each.reviewer)):
        by_drop[answer.drop].append(answer)
    for drop, landed in by_drop.items():
        for answer in landed:
            newest[answer.example_id][answer.reviewer] = answer
        for example in sorted({answer.example_id for answer in landed}):
            resolved = _resolve(drop, newest[example])
            last = before.get(example)
            if resolved and (last is None or (last.label, last.given_by) != (resolved.label, resolved.given_by)):
                before[example] = resolved
                found.append(resolved)
    return found


def find_disagreements(answers: Iterable[ReviewAnswer]) -> list[OpenDisagreement]:
    """Give the examples that two people answer differently and nobody has decided on, by name."""
    newest: dict[str, dict[str, ReviewAnswer]] = defaultdict(dict)
    for answer in sorted(answers, key=lambda each: (each.drop, each.known_at)):
        newest[answer.example_id][answer.reviewer] = answer
    found = []
    for example in sorted(newest):
        of_example = newest[example]
        pair = _of_role(of_example, PAIR)
        if len(pair) > 1 and len({each.label for each in pair}) > 1 and not _of_role(of_example, FINAL):
            found.append(OpenDisagreement(example, tuple(pair)))
    return found


def _resolve(drop: DropKey, newest: Mapping[str, ReviewAnswer]) -> ResolvedLabel | None:
    final, pair, single = (_of_role(newest, role) for role in (FINAL, PAIR, SINGLE))
    if final:
        said = f"{_names(final[-1:])} decides between {_names(pair)}" if pair else _names(final[-1:])
        return _label_of(drop, final[-1], said, (*pair, final[-1]))
    if len(pair) > 1 and len({each.label for each in pair}) == 1:
        return _label_of(drop, max(pair, key=lambda each: each.known_at), _names(pair), pair)
    if single and not pair:
        return _label_of(drop, single[-1], _names(single[-1:]), single[-1:])
    return None


def _of_role(newest: Mapping[str, ReviewAnswer], role: str) -> list[ReviewAnswer]:
    """Give the answers of a role in order of moment and person."""
    return sorted(
        (each for each in newest.values() if each.role == role), key=lambda each: (each.known_at, each.reviewer)
    )


def _names(answers: Iterable[ReviewAnswer]) -> str:
    return ", ".join(sorted({each.reviewer for each in answers}))


def _label_of(
    drop: DropKey, answer: ReviewAnswer, given_by: str, asked: Iterable[ReviewAnswer]
) -> ResolvedLabel | None:
    if answer.label is None:
        return None
    queued = sorted({each.queued_in for each in asked if each.queued_in is not None})
    where = f" (asked in {', '.join(map(str, queued))})" if queued else ""
    strategies = [each.strategy for each in asked if each.strategy]
    return ResolvedLabel(
        drop, answer.example_id, answer.label, answer.known_at, given_by + where, strategies[0] if strategies else ""
    )
