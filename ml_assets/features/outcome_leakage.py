"""What an audit of columns finds; columns that say the outcome by being absent, or only once it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MAX_ABSENCE = 0.3  # Cramér's V of being null and the outcome
MIN_ROWS = 30
_OUTCOMES = ("positive", "negative", "never labelled")


@dataclass(frozen=True)
class LeakageSign:
    """What one column, or one group of rows, gives away.

    `kind` is target (it alone predicts the label), absence (being null goes with an outcome), afterwards (it is
    filled in only for what is over), or what the split shares: twins (rows of the holdout that training holds too),
    near-duplicates, entities. `value` above `limit` is an alarm; no `limit` is a report.
    """

    kind: str
    column: str
    value: float
    limit: float | None
    n: int
    says: str

    @property
    def is_alarm(self) -> bool:
        """Say whether it is above its limit."""
        return self.limit is not None and self.value > self.limit


def find_telling_absence(
    nulls: Mapping[str, Sequence[int]], rows: Sequence[int], limit: float = MAX_ABSENCE
) -> list[LeakageSign]:
    """Measure how far being null goes with the outcome: Cramér's V over positive, negative and never labelled.

    Parameters
    ----------
    nulls
        By column, in how many matured examples of each outcome (positive, negative, never labelled) it is null.
    rows
        How many matured examples of each outcome there are.
    """
    found = []
    for column, counts in nulls.items():
        is_null = np.asarray(counts, dtype=np.float64)
        table = np.array([is_null, np.asarray(rows, dtype=np.float64) - is_null])
        if table.sum(axis=1).min() < MIN_ROWS:
            continue
        table = table[:, table.sum(axis=0) > 0]
        expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
        value = float(np.sqrt(((table - expected) ** 2 / expected).sum() / table.sum()))
        shares = [f"{count / is_null.sum():.0%} {name}" for count, name in zip(is_null, _OUTCOMES, strict=True)]
        says = f"where it is null: {', '.join(shares)}"
        found.append(LeakageSign("absence", column, value, limit, int(is_null.sum()), says))
    return found


def find_filled_afterwards(
    filled: Mapping[str, tuple[float, float]], rows: tuple[int, int], limit: float = 0.5
) -> list[LeakageSign]:
    """Find columns that are there for what has matured, and hardly for what is still open.

    Parameters
    ----------
    filled
        By column, the share of matured and of open examples that have a value.
    rows
        How many of both there are.
    """
    if min(rows) < MIN_ROWS:
        return []
    return [
        LeakageSign("afterwards", column, matured - still_open, limit, rows[1],
                f"{matured:.0%} of matured examples have it, {still_open:.0%} of open ones")
        for column, (matured, still_open) in filled.items()
    ]  # fmt: skip
