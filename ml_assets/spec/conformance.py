"""What the checks have in common that a package runs on what it adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ConformanceError(AssertionError):
    """What a package adds does something else than the graph relies on."""


def require(holds: bool, message: str) -> None:
    """Raise ConformanceError with the message where `holds` is false."""
    if not holds:
        raise ConformanceError(message)


def require_a_number(found: object, name: str) -> None:
    """Ask that `found` is one number; NaN and infinity are."""
    import numpy as np

    require(isinstance(found, int | float | np.integer | np.floating), f"{name}: {found!r}; allowed: one number")


def require_unchanged(of: Callable[..., object], arrays: tuple[NDArray[np.float64], ...], name: str) -> None:
    """Ask that `of` leaves the arrays as they are that it is given."""
    import numpy as np

    before = [array.copy() for array in arrays]
    of(*arrays)
    is_same = all(np.array_equal(array, was) for array, was in zip(arrays, before, strict=True))
    require(is_same, f"{name}: it changed the arrays that it was given")
