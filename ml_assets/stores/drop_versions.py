"""What each drop of a table holds, in one short text: equal rows have equal texts, in whatever order they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_assets.spec.drop import DropKey
from ml_assets.stores.table_files import PARTITION

if TYPE_CHECKING:
    import duckdb

    from ml_assets.stores.lake import Lake


def drop_versions(
    connection: duckdb.DuckDBPyConnection, lake: Lake, table: str, drops: Sequence[DropKey]
) -> dict[DropKey, str]:
    """Give the version of each of `drops`: the number of its rows and a hash of them; an empty drop has `0`.

    Columns that start with an underscore (run ids, lake versions, file names) are no part of it: a drop that was run
    again with the same values keeps its version. The hash is DuckDB's, of 64 bits, added up over the rows: it tells
    versions apart and proves nothing; `content_hash` is the one to compare two lakes with.
    """
    versions = dict.fromkeys(drops, "0")
    if not drops or not lake.has(table):
        return versions
    relation = lake.relation(connection, table, (min(drops), max(drops)))
    columns = ", ".join(f'"{name}"' for name in sorted(relation.columns) if not name.startswith("_"))
    found = relation.aggregate(
        f"{PARTITION}, count(*) AS rows, sum(hash(row({columns}))::HUGEINT) % 18446744073709551616 AS total", PARTITION
    )
    wanted = set(drops)
    return versions | {drop: f"{rows}-{int(total):016x}" for drop, rows, total in found.fetchall() if drop in wanted}
