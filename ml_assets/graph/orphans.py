"""What a retraining that died left half done: named, marked, and in nobody's way."""

from dagster_duckdb import DuckDBResource

from ml_assets.graph.verdicts import read_record
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState


def settle(spec: UseCaseSpec, state: UseCaseState, duckdb: DuckDBResource) -> list[str]:
    """Mark candidates that never got their verdict recorded; give a line about each.

    They do not serve: only the record of the champion decides that. A retraining as of the same drop makes the same
    model again, byte for byte, and completes it.
    """
    with duckdb.get_connection() as connection:
        record = read_record(connection, state.lake)
    recorded: dict[str, str] = {row["model_version"]: row["verdict"] for row in record}
    left = [*state.registry.settle(recorded), *state.models.settle(recorded)]
    told = [version for version in dict.fromkeys(left) if version not in recorded]
    return [f"{spec.name}: {version} was left without a recorded verdict; it is marked abandoned" for version in told]
