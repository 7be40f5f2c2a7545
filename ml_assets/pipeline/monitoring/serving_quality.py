"""How good what serves is now: its newest verdict, and the fallback where one serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ml_assets.pipeline.champion.record import FALLBACK, champion_in
from ml_assets.spec.drop import LATEST, DropKey
from ml_assets.spec.tables.monitoring import PERFORMANCE_VERDICTS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.rows import read_rows

Row = dict[str, Any]


def verdict_of_drop(lake: Lake, drop: DropKey) -> Row | None:
    """Give the performance verdict of a drop with every declared column; None where it has none.

    A column that an older version did not write is null.
    """
    rows = read_rows(lake, PERFORMANCE_VERDICTS.name, None, (drop, drop))
    return {column.name: rows[0].get(column.name) for column in PERFORMANCE_VERDICTS.columns} if rows else None


def newest_verdict_by(lake: Lake, drop: DropKey | None = None) -> Row | None:
    """Give the newest performance verdict of the drops up to `drop`, by default of all; None before the first."""
    table = PERFORMANCE_VERDICTS.name
    judged = lake.files(table).drops() if lake.has(table) else set[DropKey]()
    newest = max((day for day in judged if drop is None or day <= drop), default=None)
    return verdict_of_drop(lake, newest) if newest else None


def serving_fallback(spec: UseCaseSpec, record: Sequence[Mapping[str, Any]], drop: DropKey | None = None) -> Row | None:
    """Give what serves the drop after `drop`, by default the next one, where that is the fallback; else None.

    Returns
    -------
    dict
        `since` (the first drop it serves), `serves` (model or baseline), `model_version` (whose), `why`.
    """
    next_one = LATEST if drop is None else spec.calendar.next_drop(drop)
    entry = champion_in(record, next_one)
    if entry is None or entry["decided_by"] != FALLBACK:
        return None
    since = spec.calendar.next_drop(entry["serves_after"])
    return {"since": since, "serves": entry["serves"], "model_version": entry["model_version"], "why": entry["note"]}
