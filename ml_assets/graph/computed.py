"""Which drops are closed: their features stand, and what they received is what was recorded."""

from datetime import date

from dagster_duckdb import DuckDBResource

from ml_assets.stores.lake import Lake
from ml_assets.stores.sandbox import shut_in

COMPUTED = "computed_drops"


def computed_drops(lake: Lake, duckdb: DuckDBResource) -> set[date]:
    """Give the drops whose features stand, also where a drop had no example."""
    if not lake.has(COMPUTED):
        return set()
    with duckdb.get_connection() as connection:
        shut_in(connection, {COMPUTED: lake.files(COMPUTED)})
        return {row[0] for row in connection.sql(f"SELECT batch_date FROM {COMPUTED}").fetchall()}
