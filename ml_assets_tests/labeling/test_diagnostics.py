"""Diagnostics of voters against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.labeling.diagnostics import diagnose_voters
from ml_assets.stats.proportions import wilson_interval
from ml_assets_tests.labeling.worlds import draw_world


def test_shares_are_those_counted_example_by_example() -> None:
    world = draw_world(4, n=120)
    gold = np.where(np.arange(120) % 3 == 0, world.gold, -1)

    found = diagnose_voters(world.votes, gold, 0.95)

    rows = world.votes.votes.tolist()
    for place, each in enumerate(found):
        others = [[v for p, v in enumerate(row) if p != place and v >= 0] for row in rows]
        spoke = [row[place] >= 0 for row in rows]
        hits = [row[place] == g for row, g in zip(rows, gold, strict=True) if row[place] >= 0 and g >= 0]
        assert each.coverage == pytest.approx(sum(spoke) / 120)
        assert each.overlap == pytest.approx(sum(s and bool(o) for s, o in zip(spoke, others, strict=True)) / 120)
        clash = [row[place] >= 0 and any(v != row[place] for v in o) for row, o in zip(rows, others, strict=True)]
        assert each.conflict == pytest.approx(sum(clash) / 120)
        assert each.n_gold == len(hits)
        assert each.accuracy == (pytest.approx(np.mean(hits)) if hits else None)
        assert (each.low, each.high) == wilson_interval(sum(hits), len(hits), 0.95)


def test_voter_without_gold_has_no_accuracy() -> None:
    world = draw_world(4, n=50)

    found = diagnose_voters(world.votes, np.full(50, -1))

    assert [each.accuracy for each in found] == [None] * len(found)
    assert (found[0].low, found[0].high) == (0.0, 1.0)
