from __future__ import annotations

from datetime import date

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
