"""Plots of an asset show the drops that were run, also where the calendar ended years ago."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import PartitionLoadingContext
from dagster._core.definitions.temporal_context import TemporalContext
from dagster_graphql.schema.asset_graph import GrapheneAssetNode

from ml_assets.cli.operate.partition_plots import plot_what_was_run

ASSET = dg.AssetKey(["loans", "predictions"])
DAYS = dg.DailyPartitionsDefinition("2013-01-01", end_date="2014-01-01", timezone="America/New_York", end_offset=1)


def listed(run: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List what is plotted of an asset of which the drops `run` were materialized, two days each."""
    monkeypatch.setattr(GrapheneAssetNode, "resolve_partitionKeyConnection", _of_dagster)
    plot_what_was_run()
    with dg.DagsterInstance.ephemeral() as instance:
        for drop in run:
            instance.report_runless_asset_event(dg.AssetMaterialization(ASSET, partition=drop))
        node = SimpleNamespace(
            assetKey=ASSET, _remote_node=SimpleNamespace(is_partitioned=True), _get_partitions_def=lambda: DAYS
        )
        info = SimpleNamespace(context=SimpleNamespace(instance=instance))
        resolve: Any = GrapheneAssetNode.resolve_partitionKeyConnection
        return list(resolve(node, info, 3, False).results)


def _of_dagster(
    self: SimpleNamespace,
    graphene_info: object,  # noqa: ARG001 - as Dagster calls it
    limit: int,
    ascending: bool,
    cursor: str | None,
) -> object:
    moment = TemporalContext(effective_dt=datetime(2026, 11, 30, tzinfo=UTC), last_event_id=0)
    context = PartitionLoadingContext(temporal_context=moment, dynamic_partitions_store=None)
    return self._get_partitions_def().get_paginated_partition_keys(context, limit, ascending, cursor)


def test_the_newest_drops_that_were_run_are_plotted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(["2013-02-17", "2013-02-20", "2013-02-18"], monkeypatch) == ["2013-02-20", "2013-02-19", "2013-02-18"]


def test_the_last_drop_of_the_calendar_can_be_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(["2013-12-31"], monkeypatch) == ["2013-12-31", "2013-12-30", "2013-12-29"]


def test_where_none_was_run_dagster_lists_what_it_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed([], monkeypatch)[0] > "2026-11-01"
