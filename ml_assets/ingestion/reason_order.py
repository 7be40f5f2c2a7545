"""Which of several reason codes of a quarantined row is its cause: the earlier a fault, the more follows from it."""

from __future__ import annotations

# what a person declares (expectations, rules) comes between a missing value and what follows from other rows
_BEFORE = ("file_refused", "drop_refused", "malformed_line", "unreadable:", "implausible_year:", "missing:")
_AFTER = ("known_at_missing", "known_after_batch", "forecast_time_missing", "known_before_issue", "duplicate_key",
          "already_known")  # fmt: skip


def order_of_reason(reason: str) -> str:
    """Give SQL of a number by which `reason`, SQL of a reason code, comes before the codes that follow from it.

    >>> order_of_reason("r")[:49]
    "CASE WHEN starts_with(r, 'file_refused') THEN 0 W"
    """
    cases = [*((code, place) for place, code in enumerate(_BEFORE)),
             *((code, place) for place, code in enumerate(_AFTER, len(_BEFORE) + 1))]  # fmt: skip
    listed = " ".join(f"WHEN starts_with({reason}, '{code}') THEN {place}" for code, place in cases)
    return f"CASE {listed} ELSE {len(_BEFORE)} END"
