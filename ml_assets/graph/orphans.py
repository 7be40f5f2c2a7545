"""What a retraining that died left half done: named, marked, and in nobody's way."""

from dagster_duckdb import DuckDBResource

from ml_assets.graph.resources import UseCaseState
from ml_assets.spec.use_case import UseCaseSpec


def settle(spec: UseCaseSpec, state: UseCaseState, duckdb: DuckDBResource) -> list[str]:
    """Mark candidates that never got their verdict recorded; give a line about each.

    They do not serve: only the record of the champion decides that. A retraining as of the same drop makes the same
    model again, byte for byte, and completes it.
    """
    recorded: set[str] = set()
    if state.lake.has("champion"):
        with duckdb.get_connection() as connection:
            column = state.lake.relation(connection, "champion").project("model_version")
            recorded = {row[0] for row in column.distinct().fetchall()}
    left = [*state.registry.settle(), *state.models.settle(recorded)]
    told = [version for version in dict.fromkeys(left) if version not in recorded]
    return [f"{spec.name}: {version} was left without a recorded verdict; it is marked abandoned" for version in told]
