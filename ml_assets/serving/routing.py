"""Which model serves which drop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Promotion:
    """A model that was promoted: trained as of a drop, the `sequence`-th verdict recorded."""

    as_of: date
    sequence: int
    model_version: str
    artifact_sha256: str


def champion_of(drop: date, promotions: Iterable[Promotion]) -> Promotion | None:
    """Give the champion of `drop`: the newest promotion as of a drop before it; None before the first.

    Of several promotions as of one drop, the last recorded counts.

    Examples
    --------
    >>> march = Promotion(date(2013, 3, 31), 1, "m", "")
    >>> champion_of(date(2013, 3, 31), [march]) is None, champion_of(date(2013, 4, 1), [march]) is march
    (True, True)
    """
    serving = [promotion for promotion in promotions if promotion.as_of < drop]
    return max(serving, key=lambda promotion: (promotion.as_of, promotion.sequence), default=None)
