"""What the UI calls "Unsynced": a drop whose inputs hold something else than when it was made, and no other."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml_assets.graph.assets.layout import CONTENT_VERSION

DAYS = dg.DailyPartitionsDefinition("2013-01-01", end_date="2013-01-06")
ALL = [f"2013-01-0{number}" for number in range(1, 6)]
CONTENT: dict[str, str] = {}


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), code_version="1")
def rows(context: dg.AssetExecutionContext) -> None:
    for key in context.partition_keys:
        context.add_asset_metadata({CONTENT_VERSION: CONTENT.get(key, f"rows of {key}")}, partition_key=key)


@dg.asset(deps=[rows], partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), code_version="1")
def report(context: dg.AssetExecutionContext) -> None:
    for key in context.partition_keys:
        context.add_asset_metadata({CONTENT_VERSION: f"report of {key}"}, partition_key=key)


GRAPH = dg.Definitions(assets=[rows, report], jobs=[dg.define_asset_job("both", [rows, report])])


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Give an instance with the storage of the project."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    storage = {"module": "ml_assets.graph.runs.event_log", "class": "BatchedSqliteEventLogStorage"}
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides={"event_log_storage": storage}) as made:
        CONTENT.clear()
        yield made


def run(instance: dg.DagsterInstance, first: str, last: str, only: list[dg.AssetKey] | None = None) -> None:
    tags = {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    GRAPH.resolve_job_def("both").execute_in_process(
        instance=instance, tags=tags, run_config=quiet, asset_selection=only
    )


def statuses(instance: dg.DagsterInstance, graph: dg.Definitions = GRAPH) -> Mapping[str, str]:
    found = CachingStaleStatusResolver(instance, graph.resolve_asset_graph(), LoadingContextForTest(instance))
    return {key: found.get_status(report.key, key).value for key in ALL}


def test_range_run_again_with_the_same_rows_leaves_every_drop_in_sync(instance: dg.DagsterInstance) -> None:
    run(instance, ALL[0], ALL[-1])
    run(instance, ALL[1], ALL[2], [rows.key])

    assert statuses(instance) == dict.fromkeys(ALL, "FRESH")


def test_only_what_was_made_from_the_changed_drop_of_a_range_is_out_of_sync(instance: dg.DagsterInstance) -> None:
    run(instance, ALL[0], ALL[-1])
    CONTENT[ALL[2]] = "corrected"
    run(instance, ALL[0], ALL[-1], [rows.key])
    changed = statuses(instance)
    run(instance, ALL[2], ALL[2], [report.key])

    assert changed == {**dict.fromkeys(ALL, "FRESH"), ALL[2]: "STALE"}
    assert statuses(instance) == dict.fromkeys(ALL, "FRESH")


def test_drops_made_by_another_declaration_are_out_of_sync(instance: dg.DagsterInstance) -> None:
    run(instance, ALL[0], ALL[1])
    declared = dg.Definitions(
        assets=[rows, report.map_asset_specs(lambda spec: spec.replace_attributes(code_version="2"))]
    )

    found = statuses(instance, declared)

    assert found == {**dict.fromkeys(ALL[:2], "STALE"), **dict.fromkeys(ALL[2:], "MISSING")}
