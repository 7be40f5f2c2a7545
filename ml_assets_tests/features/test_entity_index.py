from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.features.entity_index import EntityIndex, ExampleProbes, join_codes, order_by_code


def test_entity_without_a_fact_stays_unknown_however_many_entities_there_are() -> None:
    # ten years times 58,561 entities passes 2**63: packed into one number, code 58,560 looked like code 0
    ten_years = 315_000_000_000_000
    entity = (2**64 + ten_years // 2) // (ten_years + 2)
    index = EntityIndex.of(np.zeros(2, dtype=np.int64), np.array([0, ten_years]))

    found = index.count_until(np.array([0, entity, entity]), np.array([ten_years, -1, ten_years]))

    assert found.tolist() == [2, 2, 2]  # nothing of it: as many as before it


@given(codes=st.lists(st.integers(0, 2**40), max_size=60))
def test_order_of_many_codes_keeps_equal_ones_as_they_were(codes: list[int]) -> None:
    order = order_by_code(np.array(codes, dtype=np.int64), 2**40 + 1)

    assert order.tolist() == sorted(range(len(codes)), key=lambda place: codes[place])


def test_codes_of_columns_join_to_one_and_what_no_fact_is_about_has_none() -> None:
    facts = {"route": np.array([0, 1, 1, -1]), "number": np.array([70_000, 0, 70_000, 5])}
    asked = {"route": np.array([1, 0, -1]), "number": np.array([70_000, 0, 70_000])}

    joined, wanted, count = join_codes(facts, asked, ["route", "number"], (4, 3))

    assert joined.tolist() == [1, 0, 2, -1] or len({*joined.tolist()}) == 4
    assert joined[3] == -1
    assert wanted.tolist() == [joined[2], -1, -1]
    assert count == 3


def test_pairs_asked_for_twice_are_asked_once() -> None:
    asked = ExampleProbes.of(np.array([2, -1, 2, 2]), np.array([9, 9, 9, 5]), 3)

    assert list(zip(asked.entity.tolist(), asked.moments.tolist(), strict=True)) == [(-1, 9), (2, 5), (2, 9)]
    assert asked.places.tolist() == [2, 0, 2, 1]
