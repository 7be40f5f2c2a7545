"""The decision that automation follows."""

from __future__ import annotations

from typing import Any

from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.unchanged import keep_unchanged, table_marks


def newest_decision(spec: UseCaseSpec, paths: StatePaths) -> dict[str, Any] | None:
    """Give the newest row of `decisions`, and whether a verdict as of its drop was given since (`is_judged`)."""
    folder = paths.lake / spec.name
    mark = table_marks(folder, ("decisions", "champion"))
    return keep_unchanged(("newest decision", folder), mark, lambda: _read(Lake(folder)))


def _read(lake: Lake) -> dict[str, Any] | None:
    days = [row["batch_date"] for row in read_rows(lake, "decisions", ["batch_date"])]
    if not days:
        return None
    newest = max(days)
    row = read_rows(lake, "decisions", None, (newest, newest))[0]
    judged = {verdict["as_of"] for verdict in read_rows(lake, "champion", ["as_of"])}
    return {**row, "is_judged": newest in judged}
