"""Which bars of a declaration no data can ever meet, by the sizes declared beside them.

A bar is a least number (days of a verdict) or an age (when a model is stale). What it is held against is a size: how
many drops the holdout or the window of performance holds. How many rows come is not declared, so `min_examples` is not
here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from ml_assets.spec.cadence import DAY
from ml_assets.spec.calendar_rules import calendar_is_sound, step_length, units_in, whole_days
from ml_assets.spec.declared import Fault
from ml_assets.spec.duration import format_duration, length_of
from ml_assets.spec.raw_yaml import mapping_of


def unreachable_bars(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find bars that can never be met, in a use case that may not be sound.

    Examples
    --------
    >>> weekly = {"calendar": {"every": "7d"}, "monitoring": {"performance_window": "56d"}}
    >>> [(path, said)] = unreachable_bars({**weekly, "model": {"holdout": "28d", "gate": {"min_days": 5}}})
    >>> path, said
    (('model', 'gate', 'min_days'),
     'found 5, and a holdout of 28d holds 4 drops; allowed: 4 or less, or a holdout of 35d')
    """
    calendar = mapping_of(declared.get("calendar"))
    every = step_length(calendar)
    model = mapping_of(declared.get("model"))
    holdout = length_of(model.get("holdout"))
    if every is not None and holdout is not None and calendar_is_sound(calendar):
        yield from _days(declared, max(every, DAY), holdout)
    if holdout is not None:
        is_refitted = model.get("refit", True) is not False
        yield from _ages(mapping_of(declared.get("retraining")), timedelta(0) if is_refitted else holdout)


def _days(declared: Mapping[str, Any], every: timedelta, holdout: timedelta) -> Iterator[Fault]:
    """Hold `min_days` against the holdout, for the gate, and against what performance is judged on."""
    monitoring = mapping_of(declared.get("monitoring"))
    window = length_of(monitoring.get("performance_window", "14d"))
    least = mapping_of(mapping_of(declared.get("model")).get("gate")).get("min_days")
    if not isinstance(least, int) or isinstance(least, bool) or least < 2:
        return
    needed = format_duration(whole_days(least * every))
    calendar = mapping_of(declared.get("calendar"))
    held = units_in(holdout, calendar)
    if least > held:
        said = f"found {least}, and a holdout of {format_duration(holdout)} holds {_drops(held)}"
        yield ("model", "gate", "min_days"), f"{said}; allowed: {_at_most(held)}a holdout of {needed}"
    judged = units_in(window, calendar) if window is not None else least
    if least > judged and window is not None:
        if "performance_window" in monitoring:
            said = f"found {format_duration(window)}, which holds {_drops(judged)}, and min_days of the gate is {least}"
            yield ("monitoring", "performance_window"), f"{said}; allowed: {needed} or more"
        else:
            said = f"found {least}, and the default monitoring.performance_window of 14d holds {_drops(judged)}"
            yield ("model", "gate", "min_days"), f"{said}; allowed: {_at_most(judged)}a performance_window of {needed}"


def _drops(count: int) -> str:
    return f"{count} drop{'s' if count > 1 else ''}"


def _at_most(count: int) -> str:
    """Say what is allowed; a gate needs two days at least."""
    return f"{count} or less, or " if count >= 2 else ""


def _ages(retraining: Mapping[str, Any], born: timedelta) -> Iterator[Fault]:
    """Hold `stale_after` against the age a model has when it begins to serve, and the time until another may come."""
    stale_after = length_of(retraining.get("stale_after", "42d"))
    cooldown = length_of(retraining.get("cooldown", "28d"))
    if stale_after is None or cooldown is None or stale_after >= born + cooldown:
        return
    said = f"found {format_duration(stale_after)}, by which every model is stale again when the cooldown ends"
    of = f"the cooldown of {format_duration(cooldown)}"
    if born:
        of = f"{of} and the holdout of {format_duration(born)}, which is not refitted"
    path = ("retraining", "stale_after" if "stale_after" in retraining else "cooldown")
    if not retraining:
        path = ("model", "holdout")
    yield path, f"{said}; allowed: a stale_after of {format_duration(born + cooldown)} or more, {of}"
