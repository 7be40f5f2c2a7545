"""What is watched, how much noise is allowed, and when a model is trained again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.duration import Duration
from ml_assets.spec.names import Identifier

_CRON_BOUNDS = {"minute": (0, 59), "hour": (0, 23), "day of the month": (1, 31), "month": (1, 12),
                "day of the week": (0, 7)}  # fmt: skip


def check_cron(text: str) -> str:
    """Check that `text` is a cron of five numeric fields, and give it back.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> check_cron("30 5 * * 1-5")
    '30 5 * * 1-5'
    """
    fields = text.split()
    if len(fields) != len(_CRON_BOUNDS):
        raise ValueError(f"found {text!r}; allowed: a cron of five fields, as in 0 5 * * 1")
    for field, (name, (low, high)) in zip(fields, _CRON_BOUNDS.items(), strict=True):
        for part in field.split(","):
            read = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
            numbers = [int(number) for number in (read[1], read[2]) if number] if read else []
            if not read or any(not low <= number <= high for number in numbers) or numbers != sorted(numbers):
                raise ValueError(f"found {field!r} for the {name} in {text!r}; allowed: * or {low} to {high}")
    return text


class Persistence(Declared):
    """An alarm needs `k` of the last `of` drops over the threshold."""

    k: int = Field(default=2, ge=1)
    of: int = Field(default=3, ge=1)

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find more drops asked for than looked at."""
        k, of = (str(declared.get(key, default)) for key, default in (("k", 2), ("of", 3)))
        if k.isdecimal() and of.isdecimal() and int(k) > int(of) >= 1:
            yield ("k",), f"found {k}; allowed: at most of, {of}"


class Costs(Declared):
    """What a wrong decision costs, in any one unit: acting in vain, and not acting where one should have."""

    false_alarm: float = Field(default=1.0, ge=0)
    missed: float = Field(default=1.0, ge=0)


class KnownChange(Declared):
    """A change of the world that people know of: what moves within a window of it is named so."""

    date: date
    what: str = Field(min_length=1)


class MonitoringSpec(Declared):
    """How the use case is watched. Every part has a default; a declaration may leave all of it out.

    `window` is what is compared; `reference_window` is the abrupt reference, the drops just before the window.
    The slow reference is the champion's own training window.
    """

    renamed: ClassVar[Mapping[str, str]] = {"before": "reference_window"}
    window: Duration = timedelta(days=7)
    reference_window: Duration = timedelta(days=56)
    feed_history: Duration = timedelta(days=28)
    relearn_after: Duration = timedelta(days=42)
    false_alarm_every: Duration = timedelta(weeks=26)
    persistence: Persistence = Persistence()
    min_placebos: int = Field(default=10, ge=4, description="drops of history before a feed is judged")
    slices: tuple[Identifier, ...] = Field(default=(), description="features by whose values quality is split")
    min_slice: int = Field(default=200, ge=1, description="labelled examples below which a slice is not judged")
    costs: Costs = Costs()
    known_changes: tuple[KnownChange, ...] = ()
    performance_window: Duration = timedelta(days=14)
    report_rows: int = Field(default=5000, ge=100, description="rows a side of Evidently's page, a seeded sample")
    keep_reports: int = Field(default=20, ge=1)


class RetrainingSpec(Declared):
    """When the system proposes a new model by itself; the gate still decides whether it serves.

    `min_alarmed_importance` is the share of the champion's importance that alarmed features must hold together
    before drift is acted on.
    """

    renamed: ClassVar[Mapping[str, str]] = {"important": "min_alarmed_importance"}
    cooldown: Duration = timedelta(days=28)
    stale_after: Duration = timedelta(days=42)
    min_alarmed_importance: float = Field(default=0.1, ge=0, le=1)
    min_gain_kept: float = Field(
        default=0.25, description="share of the gain over the baseline, as measured at the gate, below which "
        "performance has failed, when the interval of the last matured window lies below it"
    )  # fmt: skip
    first_after: Duration = timedelta(days=60)
    replay_every: Duration = timedelta(days=7)
    cost: float = Field(
        default=0, ge=0, description="what a retraining costs, in the unit of monitoring.costs; `policies` weighs it"
    )
    periodic: Annotated[str, AfterValidator(check_cron)] | None = Field(
        default=None, description="cron of the periodic schedule; it is off by default"
    )
