"""Results of steps as Dagster metadata: row counts and notes of each drop, checks, Markdown."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from ml_assets.graph.assets.layout import CONTENT_VERSION
from ml_assets.reports.markdown import Formatted
from ml_assets.spec.drop import read_key
from ml_assets.spec.tables import main_table
from ml_assets.stores.drop_versions import drop_versions
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    from ml_assets.pipeline.results import CheckOutcome, DropResult
    from ml_assets.reports.pictures import Picture


def describe_drops(
    context: dg.AssetExecutionContext,
    state: UseCaseState,
    result: "DropResult",
    asset_key: dg.AssetKey | None = None,
    on_last: Mapping[str, Any] | None = None,
) -> None:
    """Attach to each partition its row count, version and notes, and to the last one what is about the whole range.

    A result's own metadata would stamp the same values, and pictures, on every drop of a range. The version of a drop
    becomes its data version where events are stored (`graph/runs/event_log.py`).
    """
    key, drops = asset_key or context.asset_key, [read_key(each) for each in context.partition_keys]
    with state.connect() as connection:
        versions = drop_versions(connection, state.lake, main_table(*key.path[1:]), drops)
    # that of the newest event: a later output of this step looks for it, and warns of any other
    context.set_data_version(key, dg.DataVersion(versions[drops[-1]]))
    for drop in drops:
        noted = {**result.notes.get(drop, {}), **((on_last or {}) if drop == drops[-1] else {})}
        counted = {"dagster/partition_row_count": result.rows.get(drop, 0), CONTENT_VERSION: versions[drop]}
        context.add_asset_metadata({**counted, **noted}, asset_key=asset_key, partition_key=str(drop))


def check_results(
    outcomes: "Iterable[CheckOutcome]",
    asset_key: dg.AssetKey | None = None,
    more: Mapping[str, Any] | None = None,
) -> list[dg.AssetCheckResult]:
    """Give outcomes as results of the checks of an asset; `more` is metadata of all of them.

    The sentence of a failed one goes to the log as well: the run page names the check and not what it found.
    """
    outcomes = list(outcomes)
    for each in (each for each in outcomes if not each.passed):
        say = dg.get_dagster_logger().error if each.is_error else dg.get_dagster_logger().warning
        say(f"check {each.name} failed: {each.description}")
    return [
        dg.AssetCheckResult(
            asset_key=asset_key,
            check_name=each.name,
            passed=each.passed,
            severity=dg.AssetCheckSeverity.ERROR if each.is_error else dg.AssetCheckSeverity.WARN,
            description=each.description or None,
            metadata=cast("dict[str, Any]", {**each.measured, **(more or {})}),
        )
        for each in outcomes
    ]


def markdown(text: str) -> dg.MarkdownMetadataValue:
    """Give Markdown as metadata that the UI lays out."""
    return dg.MetadataValue.md(text)


def laid_out(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Give facts as metadata; what is Markdown among them the UI lays out."""
    return {name: markdown(each) if isinstance(each, Formatted) else each for name, each in facts.items()}


def pictures(*shown: "Picture | None", **named: "Picture | None") -> dict[str, dg.MarkdownMetadataValue]:
    """Give pictures as metadata, by their captions or by the names given; what is None is left out."""
    by_name = {each.caption: each for each in shown if each is not None} | named
    return {name: markdown(each.to_markdown()) for name, each in by_name.items() if each is not None}
