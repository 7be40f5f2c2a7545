"""What answers of people amount to."""

from __future__ import annotations

from datetime import UTC, date, datetime

from ml_assets.labeling.resolution import ReviewAnswer, find_disagreements, resolve_answers
from ml_assets.spec.drop import day_of_key
from ml_assets.spec.review import FINAL, PAIR, SINGLE


def answer(day: int, reviewer: str, label: int | None, role: str = SINGLE, example: str = "x") -> ReviewAnswer:
    at = datetime(2024, 1, day, 3, tzinfo=UTC)
    return ReviewAnswer(date(2024, 1, day), at, example, reviewer, label, role, "random", date(2024, 1, 1))


def labels(*answers: ReviewAnswer) -> list[tuple[int, int, str]]:
    return [(day_of_key(each.drop).day, each.label, each.given_by) for each in resolve_answers(answers)]


def test_one_answer_is_a_label_in_the_drop_it_landed_in() -> None:
    (found,) = resolve_answers([answer(3, "ana", 1)])

    assert (found.drop, found.label, found.strategy) == (date(2024, 1, 3), 1, "random")
    assert found.known_at == datetime(2024, 1, 3, 3, tzinfo=UTC)
    assert found.given_by == "ana (asked in 2024-01-01)"


def test_two_people_make_a_label_once_both_have_answered_alike() -> None:
    assert labels(answer(2, "ana", 1, PAIR)) == []
    assert labels(answer(2, "ana", 1, PAIR), answer(4, "ben", 1, PAIR)) == [(4, 1, "ana, ben (asked in 2024-01-01)")]


def test_two_who_disagree_make_none_until_somebody_decides() -> None:
    split = [answer(2, "ana", 1, PAIR), answer(3, "ben", 0, PAIR)]

    assert labels(*split) == []
    assert [each.example_id for each in find_disagreements(split)] == ["x"]
    decided = [*split, answer(5, "cem", 0, FINAL)]
    assert labels(*decided) == [(5, 0, "cem decides between ana, ben (asked in 2024-01-01)")]
    assert find_disagreements(decided) == []


def test_correction_replaces_the_label_from_its_drop_on_and_not_before() -> None:
    both = [answer(2, "ana", 1), answer(5, "ana", 0)]

    assert [(day, label) for day, label, _ in labels(*both)] == [(2, 1), (5, 0)]
    assert labels(both[0]) == labels(*both)[:1]  # what was known on day 2 does not depend on day 5


def test_same_answer_again_is_no_new_label() -> None:
    assert [day for day, *_ in labels(answer(2, "ana", 1), answer(4, "ana", 1))] == [2]


def test_correction_that_splits_a_pair_keeps_the_label_and_asks_again() -> None:
    answers = [answer(2, "ana", 1, PAIR), answer(2, "ben", 1, PAIR), answer(6, "ben", 0, PAIR)]

    assert [(day, label) for day, label, _ in labels(*answers)] == [(2, 1)]
    assert len(find_disagreements(answers)) == 1


def test_who_cannot_tell_gives_no_label_and_disagrees_with_who_can() -> None:
    assert labels(answer(2, "ana", None)) == []
    pair = [answer(2, "ana", None, PAIR), answer(2, "ben", 1, PAIR)]
    assert labels(*pair) == []
    assert len(find_disagreements(pair)) == 1
    assert find_disagreements([answer(2, "ana", None, PAIR), answer(2, "ben", None, PAIR)]) == []


def test_examples_do_not_mix() -> None:
    found = labels(answer(2, "ana", 1, PAIR, "x"), answer(2, "ben", 1, PAIR, "y"))

    assert found == []
