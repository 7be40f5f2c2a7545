"""The asset of the champion: the record of every verdict, and of what serves which drops."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.graph.layout import Results, asset_key, described
from ml_assets.graph.resources import StateResource
from ml_assets.graph.verdicts import PROMOTED, append_verdict, champion_in, read_record, read_verdict
from ml_assets.spec.use_case import UseCaseSpec

_SHOWN = 20


def build_champion_asset(spec: UseCaseSpec) -> dg.AssetsDefinition:
    """Build champion."""
    key = asset_key(spec, "models", "champion")

    @dg.asset(
        key=key,
        deps=[asset_key(spec, "models", "evaluation")],
        description="What serves which drops: every verdict ever given with its reasons, and every decision of a "
        "person. The champion of a drop is the newest promotion before it.",
        check_specs=[dg.AssetCheckSpec("gate", asset=key, description="The candidate passed the gate.")],
        **described(spec, "models", "delta", "mlflow"),
    )
    def champion(context: dg.AssetExecutionContext, store: StateResource, duckdb: DuckDBResource) -> Results:
        state = store.of(spec.name)
        lake = state.lake
        with duckdb.get_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            verdict = read_verdict(connection, lake)
            provenance = {"_recorded_at": datetime.now(UTC), "_run_id": context.run.run_id}
            is_new = append_verdict(connection, lake, verdict, provenance)
            record = read_record(connection, lake)
        # a person may have decided since the gate first said so, and a retraining of the past does not serve the newest
        stands = next(row for row in reversed(record) if row["model_version"] == verdict["model_version"])
        state.registry.tell_outcome(verdict["_registry_version"], stands["verdict"])
        serving = champion_in(record, date.max)
        if serving is not None:
            state.registry.name_champion(serving["_registry_version"])
        first_served = spec.calendar.next_drop(verdict["as_of"])
        broken = [reason for reason in verdict["reasons"] if reason.startswith("broken ")]
        yield dg.MaterializeResult(
            metadata={
                "verdict": verdict["verdict"],
                "model version": verdict["model_version"],
                "gate": verdict["gate"],
                "serves from": str(first_served) if verdict["verdict"] == PROMOTED else _why_not(spec, verdict),
                "recorded": "as a new verdict" if is_new else "before: the same verdict stands",
                "record": dg.MetadataValue.md(_newest_first(record, None if serving is None else serving["sequence"])),
                "dagster/row_count": len(record),
            }
        )
        yield dg.AssetCheckResult(
            check_name="gate",
            passed=not broken,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(broken) or "every rule of the gate was kept",
            metadata={"verdict": verdict["verdict"], "gate": verdict["gate"]},
        )

    return champion


def _newest_first(record: Sequence[Mapping[str, Any]], serving: int | None) -> str:
    """List the newest entries of the record, and what serves the newest drops."""
    return "\n".join(
        f"- {row['sequence']}: **{row['verdict']}** {row['model_version']}, drops after {row['serves_after']}, by "
        f"{row['decided_by']}{': ' + row['note'] if row['note'] else ''}{' <- serves' * (row['sequence'] == serving)}"
        for row in reversed(record[-_SHOWN:])
    )


def _why_not(spec: UseCaseSpec, verdict: Mapping[str, Any]) -> str:
    if verdict["verdict"] == "awaiting_approval":
        return f"not before a person runs: ml-assets approve {spec.name} {verdict['model_version']}"
    return "not at all"
