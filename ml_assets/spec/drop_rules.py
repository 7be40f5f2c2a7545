"""Rules of a contract about a whole drop: is it as large, as new and as mixed as the drops before it say it should be.

None of them looks at a single row: a drop keeps a rule or breaks it, beside what earlier drops hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from ml_assets.spec.calendar_rules import step_length, whole_days
from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.duration import Duration, format_duration, length_of
from ml_assets.spec.names import Identifier, not_among
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts

Severity = Literal["error", "warning"]

WEEK = timedelta(days=7)
DROP_RULES = ("volume", "freshness", "distribution")
_WITHOUT_DISTRIBUTION = {"date": "a date", "timestamp": "a moment"}
RECEIVED = "received"


class DropRule(Declared):
    """What rules about a whole drop have in common.

    `error` refuses a drop that breaks the rule; `warning` notes it and lets the drop pass. A drop that cannot be judged
    yet passes, and is noted as not judged.
    """

    severity: Severity = "error"
    reason: Identifier

    @property
    def lookback(self) -> timedelta:
        """Give how long before a drop this rule looks."""
        return timedelta(0)


class VolumeRule(DropRule):
    """The rows of a drop, beside the median of the drops at the same place in the week, in the weeks before.

    Broken by more rows or fewer than `within` allows, as a share of the median, and by a drop without rows.
    Judged once a majority of the weeks hold rows.
    """

    within: float = Field(gt=0)
    of_weeks: int = Field(default=4, ge=1, le=52)

    @property
    def enough(self) -> int:
        """Give the number of weeks that must hold rows: one odd week alone never decides."""
        return self.of_weeks // 2 + 1

    @property
    def lookback(self) -> timedelta:
        """Give how long before a drop this rule looks."""
        return self.of_weeks * WEEK


class FreshnessRule(DropRule):
    """How long before the batch the newest row happened: its `event_at`, or else the claim of `known_at`."""

    at_most: Duration


class DistributionRule(DropRule):
    """How far a column lies from what the drops of the time before held, as a population stability index.

    Judged once a majority of the drops of the reference hold a value, and both sides have `min_rows` rows: the index of
    few rows is mostly noise, about (bins - 1) / rows with nothing changed.
    """

    NUMERIC_BINS: ClassVar[int] = 10
    TEXT_BINS: ClassVar[int] = 30

    column: str
    reference: Duration = timedelta(days=28)
    max_psi: float = Field(gt=0)
    min_rows: int = Field(default=100, ge=1)

    @property
    def lookback(self) -> timedelta:
        """Give how long before a drop this rule looks."""
        return self.reference


def drop_rule_faults(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find what the rules of a source about its drops cannot be judged by; the source may not be sound.

    Examples
    --------
    >>> columns = {"carrier": {"type": "string"}, "left_at": {"type": "timestamp"}}
    >>> rules = [{"column": "carier"}, {"column": "left_at"}]
    >>> for fault in drop_rule_faults({"columns": columns, "distribution": rules}):
    ...     fault
    (('distribution', 0, 'column'), "found 'carier'; allowed: carrier; nearest: carrier")
    (('distribution', 1, 'column'), "found 'left_at', a moment: later drops hold later ones; allowed: carrier")
    """
    is_once = declared.get("arrives") == "once"
    for part in ("volume", "distribution"):
        if is_once and declared.get(part):
            said = f"found {part} of a source that arrives once: it has no drops to compare"
            yield (part,), f"{said}; allowed: arrives: every_drop, or sometimes"
    if (
        declared.get("freshness")
        and declared.get("event_at") is None
        and declared.get("known_at", RECEIVED) == RECEIVED
    ):
        said = "found a source without event_at, whose rows are as new as their batch by definition"
        yield ("freshness",), f"{said}; allowed: freshness beside an event_at, or a known_at that claims a moment"
    types = {name: mapping_of(column).get("type") for name, column in mapping_of(declared.get("columns")).items()}
    allowed = [name for name, kind in types.items() if str(kind) not in _WITHOUT_DISTRIBUTION]
    for place, each in enumerate(list_of(declared.get("distribution"))):
        name = mapping_of(each).get("column")
        if not isinstance(name, str) or not types:
            continue
        path = ("distribution", place, "column")
        kind = _WITHOUT_DISTRIBUTION.get(str(types.get(name)))
        if name not in types:
            yield path, not_among(name, allowed)
        elif kind:
            yield path, f"found {name!r}, {kind}: later drops hold later ones; allowed: {', '.join(allowed) or 'none'}"


def short_references(declared: Mapping[str, Any]) -> Iterator[Fault]:
    """Find references that are shorter than the calendar's step, in a use case that may not be sound.

    Examples
    --------
    >>> source = {"name": "loans", "distribution": [{"column": "branch", "reference": "3d"}]}
    >>> list(short_references({"calendar": {"every": "7d"}, "sources": [source]}))
    [(('sources', 0, 'distribution', 0, 'reference'), 'found 3d, in which no earlier drop lies; allowed: 7d or more')]
    """
    every = step_length(mapping_of(declared.get("calendar")))
    for place, _, source in named_parts(declared.get("sources")):
        for position, each in enumerate(list_of(source.get("distribution"))):
            reference = length_of(mapping_of(each).get("reference"))
            if every is not None and reference is not None and reference < every:
                path = ("sources", place, "distribution", position, "reference")
                said = f"found {format_duration(reference)}, in which no earlier drop lies"
                yield path, f"{said}; allowed: {format_duration(whole_days(every))} or more"
