"""Row counts and notes of each drop, as metadata of its own partition."""

from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg


def describe_drops(
    context: dg.AssetExecutionContext,
    drops: Sequence[date],
    rows: Mapping[date, int],
    notes: Mapping[date, Mapping[str, object]] | None = None,
    asset_key: dg.AssetKey | None = None,
    on_last: Mapping[str, object] | None = None,
) -> None:
    """Attach to each partition its row count and notes, and to the last one what is about the whole range.

    A result's own metadata would stamp the same values, and pictures, on every drop of a range.
    """
    for drop in drops:
        noted = {**(notes or {}).get(drop, {}), **((on_last or {}) if drop == drops[-1] else {})}
        context.add_asset_metadata(
            {"dagster/partition_row_count": rows.get(drop, 0), **noted},
            asset_key=asset_key,
            partition_key=drop.isoformat(),
        )
