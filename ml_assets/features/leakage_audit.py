"""Whether what is stored could have been known: stored cells against those recomputed without the future."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]
TOLERANCE = 1e-9
MISSING = "not there"


@dataclass(frozen=True)
class Leak:
    """A stored cell that is not what was known at the example's `prediction_at`.

    Attributes
    ----------
    table
        The first table, from raw data to training set, in which it differs.
    stored, known
        The value that is stored, and the one recomputed from what was known.
    """

    table: str
    column: str
    example_id: str
    batch_date: DropKey
    prediction_at: datetime
    stored: Any
    known: Any


def is_same(stored: Any, known: Any) -> bool:
    """Say whether two values are the same: floats within 1e-9 of their size.

    Examples
    --------
    >>> is_same(0.1 + 0.2, 0.3), is_same(None, 0.0), is_same(float("nan"), float("nan"))
    (True, False, True)
    """
    if stored is None or known is None:
        return stored is known
    if isinstance(stored, bool) or isinstance(known, bool):
        return bool(stored) == bool(known)
    if isinstance(stored, int | float) and isinstance(known, int | float):
        if math.isnan(stored) or math.isnan(known):
            return math.isnan(stored) and math.isnan(known)
        return math.isclose(stored, known, rel_tol=TOLERANCE, abs_tol=1e-12)
    return stored == known


def compare_example(
    stored: Mapping[str, Row], known: Mapping[str, Row | None], columns: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str, Any, Any]]:
    """Find cells of one example that could not be known, each in the first table that has it wrong.

    Parameters
    ----------
    stored
        Its rows in `examples`, `features` and, if it is there, `training_set`.
    known
        `examples` and `features` recomputed from what was known; and `features_of_stored`, its features over the
        stored row of `examples`: where these are the stored ones, the future came in with the example. None where the
        example itself was not known.
    columns
        What is compared, by table.
    """
    if "examples" not in stored:
        yield "examples", "example_id", MISSING, stored["features"]["example_id"]
        return
    example, features = known["examples"], known["features"]
    if example is None or features is None:
        yield "examples", "example_id", stored["examples"]["example_id"], MISSING
        return
    for column in columns["examples"]:
        if not is_same(stored["examples"].get(column), example.get(column)):
            yield "examples", column, stored["examples"].get(column), example.get(column)
    of_stored = known["features_of_stored"] or features
    wrong = set()
    for column in columns["features"]:
        value = stored["features"].get(column)
        if not is_same(value, features.get(column)):
            wrong.add(column)
            came_with_example = is_same(value, of_stored.get(column))
            yield "examples" if came_with_example else "features", column, value, features.get(column)
    if "training_set" in stored:
        for column in columns["features"]:
            value = stored["training_set"].get(column)
            if column not in wrong and not is_same(value, stored["features"].get(column)):
                yield "training_set", column, value, features.get(column)
