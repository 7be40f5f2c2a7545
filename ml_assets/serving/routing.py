"""Which model serves which drop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Part = Literal["model", "baseline"]


@dataclass(frozen=True)
class Promotion:
    """A model that was set to serve: trained as of a drop, serving those after another, by the n-th entry recorded.

    `serves_after` is the drop it was trained as of, unless a person put it there later: who approves or rolls back
    changes what serves from then on, and no drop before. `serves` is the part of it that scores: the model, or the
    baseline fitted beside it where the model has failed.
    """

    as_of: DropKey
    sequence: int
    model_version: str
    artifact_sha256: str
    serves_after: DropKey
    serves: Part = "model"


def champion_of(drop: DropKey, promotions: Iterable[Promotion]) -> Promotion | None:
    """Give the champion of `drop`: the newest promotion before it; None before the first.

    Of several that serve after one drop, the last recorded counts.

    Examples
    --------
    >>> march = Promotion(date(2013, 3, 31), 1, "m", "", date(2013, 3, 31))
    >>> champion_of(date(2013, 3, 31), [march]) is None, champion_of(date(2013, 4, 1), [march]) is march
    (True, True)
    >>> back = Promotion(date(2013, 3, 31), 3, "m", "", date(2013, 5, 10))
    >>> april = Promotion(date(2013, 4, 30), 2, "a", "", date(2013, 4, 30))
    >>> [champion_of(date(2013, 5, day), [march, april, back]).model_version for day in (10, 11)]
    ['a', 'm']
    """
    serving = [promotion for promotion in promotions if promotion.serves_after < drop]
    return max(serving, key=lambda promotion: (promotion.serves_after, promotion.sequence), default=None)
