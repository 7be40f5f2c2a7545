from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.features.distinct_counts import count_distinct


@given(
    codes=st.lists(st.integers(-1, 6), max_size=40), slices=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)))
)
def test_count_is_that_of_a_set(codes: list[int], slices: list[tuple[int, int]]) -> None:
    bounds = [sorted(min(bound, len(codes)) for bound in each) for each in slices]
    starts, ends = (np.array([each[place] for each in bounds], dtype=np.int64) for place in (0, 1))

    found = count_distinct(np.array(codes, dtype=np.int64), starts, ends)

    assert found.tolist() == [len(set(codes[start:end]) - {-1}) for start, end in bounds]
