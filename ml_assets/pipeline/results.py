"""What a step gives back: row counts and notes of each drop, and what its checks found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CheckOutcome:
    """What a check found. `is_error` says that a failure stops the run where the check is declared as blocking.

    `measured` holds measurement, threshold and sample size, by name; too little data is in `description`, never a pass
    without a word.
    """

    name: str
    passed: bool
    description: str = ""
    measured: Mapping[str, object] = field(default_factory=dict)
    is_error: bool = False


@dataclass(frozen=True)
class DropResult:
    """What a step did to drops.

    Attributes
    ----------
    rows
        Rows written, by drop.
    notes
        What a person wants to know of a drop, by name.
    columns
        DuckDB types of the written columns, by name, where only the written table knows them.
    checks
        In the order of the declared checks.
    """

    rows: Mapping[DropKey, int]
    notes: Mapping[DropKey, Mapping[str, object]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[CheckOutcome, ...] = ()
