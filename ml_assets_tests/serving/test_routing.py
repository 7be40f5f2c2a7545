from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.serving.routing import Promotion, champion_of

MARCH, APRIL, MAY = date(2013, 3, 31), date(2013, 4, 30), date(2013, 5, 31)


def promotion(as_of: date, sequence: int) -> Promotion:
    return Promotion(as_of, sequence, f"{as_of}-{sequence}", "", as_of)


def test_model_serves_from_the_drop_after_the_one_it_was_trained_as_of() -> None:
    march = promotion(MARCH, 1)

    assert champion_of(MARCH, [march]) is None
    assert champion_of(date(2013, 4, 1), [march]) is march


def test_newest_as_of_serves_whatever_order_verdicts_were_given_in() -> None:
    april, march = promotion(APRIL, 1), promotion(MARCH, 2)  # March was backfilled after April

    assert champion_of(date(2013, 5, 1), [april, march]) is april
    assert champion_of(APRIL, [april, march]) is march


def test_last_of_several_promotions_as_of_one_drop_serves() -> None:
    first, second = promotion(MARCH, 1), promotion(MARCH, 10)

    assert champion_of(APRIL, [second, first]) is second


days = st.dates(date(2013, 1, 1), date(2013, 2, 28))


@given(drop=days, as_ofs=st.lists(days, max_size=8), later=st.lists(days, max_size=4))
def test_promotions_as_of_a_drop_or_later_never_change_its_champion(
    drop: date, as_ofs: list[date], later: list[date]
) -> None:
    known = [promotion(as_of, number) for number, as_of in enumerate(as_ofs)]
    future = [promotion(max(as_of, drop), 100 + number) for number, as_of in enumerate(later)]

    champion = champion_of(drop, known)

    assert champion_of(drop, [*future, *reversed(known)]) == champion
    assert champion is None or champion.as_of < drop


entries = st.lists(st.tuples(days, st.integers(0, 5), st.sampled_from("abc")), max_size=8)


def recorded(entered: list[tuple[date, int, str]]) -> list[Promotion]:
    """Promotions in the order recorded: trained as of a drop, serving after that one or a later one (a rollback)."""
    return [
        Promotion(as_of, number, model, "", as_of + timedelta(days=later))
        for number, (as_of, later, model) in enumerate(entered, 1)
    ]


@given(entered=entries, drop=days, seed=st.integers(0, 5))
def test_champion_is_the_last_recorded_of_those_that_serve_after_the_newest_drop_before(
    entered: list[tuple[date, int, str]], drop: date, seed: int
) -> None:
    record = recorded(entered)
    shuffled = [record[place] for place in np.random.default_rng(seed).permutation(len(record))]

    champion = champion_of(drop, shuffled)

    # by hand, drop by drop: each entry takes the drops after its own, until a newer one; a later entry wins a tie
    serving: Promotion | None = None
    for entry in sorted(record, key=lambda each: (each.serves_after, each.sequence)):
        serving = entry if entry.serves_after < drop else serving
    assert champion == serving


@given(entered=entries, drop=days)
def test_what_is_recorded_later_never_changes_what_was_known_before_and_only_drops_after_its_own(
    entered: list[tuple[date, int, str]], drop: date
) -> None:
    record = recorded(entered)

    for known in range(len(record)):
        then, now = champion_of(drop, record[:known]), champion_of(drop, record[: known + 1])
        added = record[known]
        assert now in (then, added)
        if added.serves_after >= drop:
            assert now == then


@given(entered=entries, drop=days)
def test_rollback_and_back_from_one_drop_on_serves_what_served(
    entered: list[tuple[date, int, str]], drop: date
) -> None:
    record = recorded(entered)
    champion = champion_of(drop, record)
    if champion is None:
        return
    after = drop - timedelta(days=1)
    n = len(record)
    away = Promotion(champion.as_of, n + 1, "other", "", after)
    back = Promotion(champion.as_of, n + 2, champion.model_version, "", after)

    served = [champion_of(drop, [*record, *more]) for more in ([away], [away, back])]

    assert [each and each.model_version for each in served] == ["other", champion.model_version]
    assert champion_of(after, [*record, away, back]) == champion_of(after, record)
