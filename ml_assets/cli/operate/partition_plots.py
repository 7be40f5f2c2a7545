"""Has the plots of an asset's page show the drops that were run.

Dagster 1.13 draws the newest partitions by the wall clock. Of a calendar that has ended, or that is run over the past,
none of these was ever materialized, and the plots are empty. Here they are the newest up to the last one that was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster import AssetKey, DagsterInstance, PartitionsDefinition
    from dagster_graphql.schema.partition_keys import GraphenePartitionKeyConnection


def plot_what_was_run() -> None:
    """Replace the webserver's list of newest partitions, which plots alone ask for. Call it before the app is made."""
    from dagster_graphql.schema.asset_graph import GrapheneAssetNode

    listed = GrapheneAssetNode.resolve_partitionKeyConnection

    def resolve(
        self: Any, graphene_info: Any, limit: int, ascending: bool, cursor: str | None = None
    ) -> GraphenePartitionKeyConnection | None:
        if not ascending and cursor is None and self._remote_node.is_partitioned:
            cursor = _newest_run(graphene_info.context.instance, self.assetKey, self._get_partitions_def())
        return listed(self, graphene_info, limit, ascending, cursor)

    GrapheneAssetNode.resolve_partitionKeyConnection = resolve


def _newest_run(instance: DagsterInstance, asset: AssetKey, definition: PartitionsDefinition[str]) -> str | None:
    """Give the cursor behind the newest materialized partition; None without one, or where partitions are no dates."""
    from dagster import TimeWindowPartitionsDefinition
    from dagster._core.definitions.partitions.utils.time_window import TimeWindowCursor

    if not isinstance(definition, TimeWindowPartitionsDefinition):
        return None
    newest = max(instance.get_materialized_partitions(asset), default=None)
    if newest is None:
        return None
    window = definition.time_window_for_partition_key(newest)
    return TimeWindowCursor(
        start_timestamp=int(definition.start_timestamp), end_timestamp=int(window.end.timestamp()),
        offset_partition_count=definition.end_offset,
    ).to_string()  # fmt: skip
