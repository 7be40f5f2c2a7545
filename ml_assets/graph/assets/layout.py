"""How assets are named, grouped and partitioned: <use case>/<layer>/<name>, one table each."""

from datetime import timedelta
from typing import TypedDict

import dagster as dg

from ml_assets.spec.calendar import Calendar
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.use_case import UseCaseSpec

SINGLE_RUN = dg.BackfillPolicy.single_run()
WRITE_TAG = "ml_assets/write"
TRIGGER_TAG = "ml_assets/trigger"  # what asked for a retraining; without it, a person
CONTENT_VERSION = "content version"  # metadata of a partition, and its data version
REPLAY_TAG = "ml_assets/replay"
_ALL_HISTORY = timedelta(days=30 * 365)  # of weekly drops Dagster walks each one back: 100,000 took it 15 s
BACKFILL_TAG = "ml_assets/backfill"  # on a run that is to compute again what drops hold of other definitions


def asset_key(spec: UseCaseSpec, layer: str, name: str) -> dg.AssetKey:
    """Give the key of an asset; `quarantine/<source>` has its own prefix inside the validated layer."""
    return dg.AssetKey([spec.name, layer, name])


def partitions_of(spec: UseCaseSpec) -> dg.TimeWindowPartitionsDefinition:
    """Give one partition a drop, named by its key.

    With the wall clock today's exists today; Dagster's windows, named by their start, would have it tomorrow.
    """
    calendar = spec.calendar
    start, last, offset = str(calendar.first_drop), calendar.last_drop, 1 if spec.clock == "wall" else 0
    end = None if last is None else str(calendar.next_drop(last))  # its window must end by then
    if calendar.is_whole_days and calendar.every == timedelta(days=1):
        return dg.DailyPartitionsDefinition(start, end_date=end, end_offset=offset, timezone=calendar.timezone)
    return dg.TimeWindowPartitionsDefinition(
        cron_schedule=calendar.partition_cron, start=start, end=end, fmt=calendar.key_format,
        end_offset=offset, timezone=calendar.cron_zone,
    )  # fmt: skip


def history_mapping(back: timedelta | None, calendar: Calendar) -> dg.TimeWindowPartitionMapping:
    """Map a drop to the drops before it that it reads; None is all of them."""
    offset = -min(20_000, calendar.drops_waited(_ALL_HISTORY if back is None else back)) - 1  # two years of hours
    return dg.TimeWindowPartitionMapping(start_offset=offset, end_offset=0, allow_nonexistent_upstream_partitions=True)


class Described(TypedDict):
    """What every asset of a layer has in common."""

    group_name: str
    owners: list[str]
    kinds: set[str]
    tags: dict[str, str]


def described(spec: UseCaseSpec, layer: str, *kinds: str) -> Described:
    """Give what every asset of a layer has in common."""
    return {
        "group_name": f"{spec.name}_{layer}",
        "owners": list(spec.owners),
        "kinds": set(kinds),
        "tags": {"use_case": spec.name},
    }


def pool_of(spec: UseCaseSpec) -> str:
    """Name the pool that each run of a use case takes, whoever launched it: one run of it goes on at a time."""
    return f"{spec.name}_write"


class ByDrop(TypedDict):
    """What every asset with a partition a drop has in common."""

    partitions_def: dg.TimeWindowPartitionsDefinition
    backfill_policy: dg.BackfillPolicy
    pool: str


def by_drop(spec: UseCaseSpec) -> ByDrop:
    """Give partitions, one run a range, and the pool of a use case."""
    return {"partitions_def": partitions_of(spec), "backfill_policy": SINGLE_RUN, "pool": pool_of(spec)}


def partition_keys(context: dg.AssetExecutionContext, spec: UseCaseSpec) -> list[DropKey]:
    """List the drops of this run, in order; Dagster has a partition where clocks leave a time out, and no drop is."""
    calendar, keys = spec.calendar, map(read_key, context.partition_keys)
    return [key for key in keys if calendar.has_dates or calendar.is_drop(key)]
