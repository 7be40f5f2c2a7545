"""Who is asked about which example: by what each person can answer, and two people for a share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_assets.labeling.review_choice import hash_of


@dataclass(frozen=True)
class ReviewDuty:
    """An example on the list of a person; `position` is a place among the examples, `is_pair` that two answer."""

    position: int
    reviewer: str
    is_pair: bool


def assign_reviewers(
    names: Sequence[str], capacities: Mapping[str, int], paired: Sequence[str], share: float, salt: str
) -> list[ReviewDuty]:
    """Give each example to the person with the largest part of the capacity left, and a share of them to a second one.

    Which ones two people answer is drawn by a hash of their names, so that agreement is measured on a random part.
    Examples that nobody has capacity for are left out, from the end.

    Parameters
    ----------
    names
        Of the examples, in the order in which they are seen.
    paired
        Who can be one of two.

    >>> assign_reviewers(["x", "y"], {"ana": 2, "ben": 1}, ["ana", "ben"], 0.0, "")
    [ReviewDuty(position=0, reviewer='ana', is_pair=False), ReviewDuty(position=1, reviewer='ben', is_pair=False)]
    """
    order = sorted(range(len(names)), key=lambda place: hash_of(f"{salt} pair", names[place]))
    doubled = set(order[: round(share * len(names))])
    left, found = dict(capacities), []
    for position in sorted(range(len(names)), key=lambda place: (place not in doubled, place)):
        able = paired if position in doubled else tuple(capacities)
        wanted = 2 if position in doubled else 1
        free = sorted(
            (name for name in able if left[name] > 0), key=lambda each: (-left[each] / capacities[each], each)
        )
        if len(free) < wanted:
            continue
        for name in free[:wanted]:
            left[name] -= 1
            found.append(ReviewDuty(position, name, wanted > 1))
    return sorted(found, key=lambda duty: (duty.position, duty.reviewer))
