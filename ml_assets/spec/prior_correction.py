"""How scores follow a share of positives that has moved since the model was trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import Field

from ml_assets.spec.calendar_rules import step_length, whole_days
from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.duration import Duration, format_duration, length_of
from ml_assets.spec.raw_yaml import mapping_of

LEAST_BEFORE = 7  # drops that a shift is tried from
LEAST_TRIED = 5  # drops that a shift has to have been tried on before it is used


class PriorCorrection(Declared):
    """A shift of all log odds of a drop, learned from the labels that matured lately.

    Attributes
    ----------
    window
        How far back labels are looked at; never into what the model was trained on.
    shrink_days
        As many days without any shift are added to what was seen: a single stormy day moves little.
    """

    window: Duration = timedelta(days=28)
    shrink_days: float = Field(default=24, ge=0)


def short_windows(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find a window in which too few drops mature for a shift ever to be used, in a use case that may not be sound.

    Examples
    --------
    >>> weekly = {"calendar": {"every": "7d"}, "labels": {"matures_after": "7d"}}
    >>> list(short_windows({**weekly, "model": {"prior_correction": {}}}))
    [(('model', 'prior_correction', 'window'), 'found 28d, in which too few drops mature; allowed: 77d or more')]
    """
    model = mapping_of(declared.get("model"))
    if model.get("prior_correction") is None:
        return
    window = length_of(mapping_of(model["prior_correction"]).get("window", "28d"))
    step = step_length(mapping_of(declared.get("calendar")))
    every = step and max(step, timedelta(days=1))
    matures_after = length_of(mapping_of(declared.get("labels")).get("matures_after"))
    if window is None or matures_after is None or not every:
        return
    # the last of the drops it is tried on has as many before it, and labels wait between the two; where they wait for
    # whole drops, one more has matured by the moment of the batch
    waits = -(-matures_after // every) - (matures_after % every == timedelta(0))
    least = whole_days((LEAST_BEFORE + LEAST_TRIED - 1 + waits) * every)
    if window < least:
        said = (
            f"found {format_duration(window)}, in which too few drops mature; allowed: {format_duration(least)} or more"
        )
        yield ("model", "prior_correction", "window"), said
