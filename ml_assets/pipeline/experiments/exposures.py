"""Predictions as they are acted on: each example with the score of its arm, its propensity and the policy's version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_assets.pipeline.experiments.record import CHALLENGER, CHAMPION_ARM, policy_hash
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables.experiments import ARM_PREDICTIONS, ASSIGNMENTS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.kept_files import scan
from ml_assets.stores.lake import Lake

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

EXPOSURE = ("arm", "scored_by", "propensity", "policy_version")


def expose(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    lake: Lake,
    champions: pa.Table,
    drops: tuple[DropKey, DropKey],
) -> pa.Table:
    """Give predictions with the arm of each example: in the challenger's, its score takes the place of the champion's.

    What else a row says stays the champion's: its own score, its version, its amounts. Without an experiment all are
    the champion's, with certainty.

    Parameters
    ----------
    champions
        Predictions of drops by the champion of each; columns that are found here are empty.
    """
    import pyarrow as pa

    versions = champions["model_version"].to_pylist()
    by_champion = {version: policy_hash([version]) for version in set(versions)}
    plain = {
        "arm": [CHAMPION_ARM] * len(versions),
        "scored_by": versions,
        "propensity": [1.0] * len(versions),
        "policy_version": [by_champion[version] for version in versions],
    }
    for name, values in plain.items():
        place = champions.schema.get_field_index(name)
        of_column = champions.schema.field(name)
        champions = champions.set_column(place, of_column, pa.array(values, of_column.type))
    if not spec.experiments or not champions.num_rows or not lake.has(ASSIGNMENTS.name):
        return champions
    schema = champions.schema
    connection.register("_champions", champions)
    scan(connection, lake.files(ASSIGNMENTS.name, drops=drops)).create_view("_assigned")
    scan(connection, lake.files(ARM_PREDICTIONS.name, drops=drops)).create_view("_arms")
    replaced = {
        "score": "if(e.is_challenger, e.score, c.score)",
        "served_by": f"if(e.is_challenger, '{CHALLENGER}', c.served_by)",
        "arm": "coalesce(e.arm, c.arm)",
        "scored_by": "if(e.is_challenger, e.model_version, c.scored_by)",
        "propensity": "coalesce(e.propensity, c.propensity)",
        "policy_version": "coalesce(e.policy_version, c.policy_version)",
    }
    columns = ", ".join(f'{replaced.get(name, f"c.{chr(34)}{name}{chr(34)}")} AS "{name}"' for name in schema.names)
    found = connection.sql(
        f"""
        WITH exposed AS (
            SELECT a.batch_date, a.example_id, a.arm, a.propensity, a.policy_version, s.score, s.model_version,
                a.arm = '{CHALLENGER}' AS is_challenger
            FROM _assigned AS a JOIN _arms AS s USING (batch_date, experiment, example_id, arm)
        )
        SELECT {columns} FROM _champions AS c LEFT JOIN exposed AS e USING (batch_date, example_id)
        ORDER BY c.batch_date, c.example_id
        """
    ).to_arrow_table()
    connection.unregister("_champions")
    return found.cast(schema)
