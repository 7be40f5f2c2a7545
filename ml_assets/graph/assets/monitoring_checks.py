"""Checks of monitoring: each reads the table of its asset, so that it can be executed alone from the UI."""

from datetime import date

import dagster as dg

from ml_assets.graph.assets.layout import asset_key, pool_of
from ml_assets.graph.assets.metadata import check_results
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.use_case import UseCaseSpec

_CHECKS = {
    "feeds": ("feed_health", "No feed alarms in the newest drop."),
    "drift": ("drift_report", "No feature alarms in the newest drop, nor all of them together."),
    "performance": ("performance_report", "The champion keeps the declared share of the gain over the baseline that "
                    "it had at the gate, on the last matured window of the newest drop."),
    "freshness": ("decisions", "In data time: training data are young enough, predictions and reports of the newest "
                  "drop are there."),
    "champion_stands": ("decisions", "Nothing proves that the champion has failed, and no fallback serves instead."),
}  # fmt: skip


def build_monitoring_checks(spec: UseCaseSpec) -> list[dg.AssetChecksDefinition]:
    """Build the checks of monitoring. Each judges the newest drop, whatever ran last."""
    return [_check(spec, name, *about) for name, about in _CHECKS.items()]


def _check(spec: UseCaseSpec, name: str, asset: str, description: str) -> dg.AssetChecksDefinition:
    key = asset_key(spec, "monitoring", asset)

    @dg.asset_check(asset=key, name=name, description=description, pool=pool_of(spec))
    def check(context: dg.AssetCheckExecutionContext, store: StateResource) -> dg.AssetCheckResult:
        from ml_assets.pipeline.monitoring.newest_outcomes import newest_outcome

        outcome, rows = newest_outcome(spec, store.of(spec.name), name)
        judged = rows[0] if name == "performance" and rows else {}
        shown = {column: str(each) if isinstance(each, date) else each for column, each in judged.items()
                 if _is_shown(column, each)}  # fmt: skip
        (result,) = check_results([outcome], key, more=shown)
        return result

    return check


def _is_shown(column: str, value: object) -> bool:
    return value is not None and not column.startswith("_") and isinstance(value, str | int | float | date)
