"""The decision that automation follows."""

from __future__ import annotations

from typing import Any

from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows


def newest_decision(spec: UseCaseSpec, paths: StatePaths) -> dict[str, Any] | None:
    """Give the newest row of `decisions`, and whether a verdict as of its drop was given since (`is_judged`)."""
    lake = Lake(paths.lake / spec.name)
    days = [row["batch_date"] for row in read_rows(lake, "decisions", ["batch_date"])]
    if not days:
        return None
    newest = max(days)
    row = read_rows(lake, "decisions", None, (newest, newest))[0]
    judged = {verdict["as_of"] for verdict in read_rows(lake, "champion", ["as_of"])}
    return {**row, "is_judged": newest in judged}
