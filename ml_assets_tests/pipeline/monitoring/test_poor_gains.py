from __future__ import annotations

from datetime import date
from typing import Any

from ml_assets.pipeline.monitoring.known_state import poor_gains


def attempts(*found: tuple[str, float | None]) -> list[dict[str, Any]]:
    return [
        {"as_of": date(2024, 1, day), "verdict": verdict, "gain": gain} for day, (verdict, gain) in enumerate(found, 1)
    ]


def test_a_promotion_that_gained_little_does_not_end_the_streak() -> None:
    found = attempts(("promoted", None), ("refused", 0.001), ("promoted", 0.001), ("refused", -0.01))

    assert poor_gains(found, 0.002) == (0.001, 0.001, -0.01)


def test_a_promotion_that_paid_ends_it() -> None:
    assert poor_gains(attempts(("refused", 0.0), ("promoted", 0.05)), 0.002) == ()
    assert poor_gains(attempts(("refused", 0.0), ("promoted", 0.05), ("refused", 0.001)), 0.002) == (0.001,)


def test_of_a_drop_that_was_judged_twice_the_newest_verdict_counts() -> None:
    again = attempts(("promoted", None), ("refused", 0.0))

    assert poor_gains([*again, {**again[1], "verdict": "promoted", "gain": 0.05}], 0.002) == ()
