"""How assets are named, grouped and partitioned: <use case>/<layer>/<name>, one table each."""

from datetime import date, timedelta
from typing import TypedDict

import dagster as dg

from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec

SINGLE_RUN = dg.BackfillPolicy.single_run()
WRITE_TAG = "ml_assets/write"
TRIGGER_TAG = "ml_assets/trigger"  # what asked for a retraining; without it, a person
CONTENT_VERSION = "content version"  # metadata of a partition, and its data version
REPLAY_TAG = "ml_assets/replay"
_ALL_HISTORY = timedelta(days=30 * 365)  # of weekly drops Dagster walks each one back: 100,000 took it 15 s a batch
BACKFILL_TAG = "ml_assets/backfill"  # on a run that is to compute again what drops hold of other definitions


def asset_key(spec: UseCaseSpec, layer: str, name: str) -> dg.AssetKey:
    """Give the key of an asset; `quarantine/<source>` has its own prefix inside the validated layer."""
    return dg.AssetKey([spec.name, layer, name])


def partitions_of(spec: UseCaseSpec) -> dg.TimeWindowPartitionsDefinition:
    """Give one partition a drop, named by its date.

    Days are those of the calendar's time zone. With the wall clock the partition of today exists today, since its batch
    runs today; Dagster's own windows, named by their start, would only have it tomorrow.
    """
    calendar = spec.calendar
    end = None if calendar.end is None else (calendar.end + calendar.every).isoformat()  # its window must end by then
    start, offset = calendar.start.isoformat(), 1 if spec.clock == "wall" else 0
    if calendar.every == timedelta(days=1):
        return dg.DailyPartitionsDefinition(start, end_date=end, end_offset=offset, timezone=calendar.timezone)
    weekday = calendar.start.isoweekday() % 7
    return dg.TimeWindowPartitionsDefinition(
        cron_schedule=f"0 0 * * {weekday}", start=start, end=end, fmt="%Y-%m-%d",
        end_offset=offset, timezone=calendar.timezone,
    )  # fmt: skip


def history_mapping(days_back: timedelta | None, every: timedelta) -> dg.TimeWindowPartitionMapping:
    """Map a drop to the drops before it that it reads; None is all of them."""
    offset = -(_ALL_HISTORY if days_back is None else days_back) // every - 1
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


def partition_keys(context: dg.AssetExecutionContext) -> list[DropKey]:
    """List the drops of this run, in order."""
    return [date.fromisoformat(key) for key in context.partition_keys]
