"""Tables for notebooks: a frame of what was known as of a drop."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ml_assets.spec.drop import DropKey, key_sql, keys_sql, nearest_key, plain_key, read_key
from ml_assets.spec.use_case import did_you_mean
from ml_assets.stores.engine import open_database
from ml_assets.stores.paths import StatePaths, state_paths
from ml_assets.stores.query import known_tables
from ml_assets.stores.state_version import check_state
from ml_assets.stores.table_files import PARTITION

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from ml_assets.stores.lake import Lake


def read(
    use_case: str,
    table: str,
    *,
    as_of: DropKey | str | None = None,
    as_served: bool = False,
    data: StatePaths | None = None,
) -> pd.DataFrame:
    """Read a table of the lake, up to a drop.

    Parameters
    ----------
    use_case, table
        As in `ml-assets sql`: `flight_delays`, `predictions`.
    as_of
        A drop, such as `"2013-06-16"`: rows of later drops, and verdicts as of later ones, are left out. By default
        everything. Of a table without drops, such as the newest `training_set`, only everything can be read.
    as_served
        Of `features`: the values that were scored, each drop from the version its predictions have on record, whatever
        was computed again since. Drops that nothing was predicted for are left out.
    data
        The state to read; by default that of this machine, as the commands do.

    Returns
    -------
    frame
        The rows in order of drop, with the columns that say where they came from (`_...`) left out.

    Raises
    ------
    LookupError
        If there is no such table; says which there are.
    ValueError
        If `as_of` is no date or no drop that was run, or the table knows no drops; if `as_served` is asked
        of another table.

    Examples
    --------
    >>> read("flight_delays", "predictions", as_of="yesterday")
    Traceback (most recent call last):
    ValueError: as_of: found 'yesterday'; allowed: a drop, such as 2013-06-16
    """
    until = _drop(as_of)
    paths = data or state_paths()
    check_state(paths)
    tables = known_tables(paths)
    name = f"{use_case}.{table}"
    if name not in tables:
        listed = ", ".join(tables) or "none, since no run has written one yet"
        raise LookupError(f"there is no table {name}; allowed: {listed}{did_you_mean(name, list(tables))}")
    with open_database() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        if as_served and table != "features":
            raise ValueError(f"as_served: found for {table}; allowed: features, which predictions are made from")
        lake = tables[name]
        rows = _as_served(connection, lake, until) if as_served else lake.relation(connection, table)
        moment = next((column for column in (PARTITION, "as_of") if column in rows.columns), None)
        if until is not None:
            if moment is None or (moment == "as_of" and table != "champion"):
                raise ValueError(f"{name} knows no drops: it is read as it stands, without as_of")
            _require_within(connection, lake, rows, moment, until)
            rows = rows.filter(f"{moment} <= {key_sql(until)}")
        if moment is not None:
            rows = rows.order(moment)
        kept = ", ".join(f'"{column}"' for column in rows.columns if not column.startswith("_"))
        return rows.project(kept).df()


def _as_served(connection: duckdb.DuckDBPyConnection, lake: Lake, until: DropKey | None) -> duckdb.DuckDBPyRelation:
    """Give the features of each drop up to `until` from the version its predictions were made from.

    Where that is no longer kept, they are the drop's own of today, as a score of that drop today would read them, and a
    warning says so.
    """
    if not lake.has("predictions"):
        return lake.relation(connection, "features").filter("false")
    found = lake.relation(connection, "predictions").project("batch_date, _features_version").distinct().fetchall()
    kept, newest = lake.kept_versions("features"), lake.version("features") or 0
    by_version: dict[int, list[DropKey]] = {}
    for drop, version in found:
        if version is not None and (until is None or drop <= until):  # a later version may have more columns
            by_version.setdefault(version if version in kept else newest, []).append(drop)
    forgotten = sum(version is not None and version not in kept for _, version in found)
    if forgotten:
        warnings.warn(
            f"{lake.folder.name}: {forgotten} drops were scored from versions of features that are no longer kept "
            "(retention.versions); theirs are the features of today",
            stacklevel=4,
        )
    for version, drops in by_version.items():
        listed = keys_sql(drops)
        part = lake.relation(connection, "features", (min(drops), max(drops)), version)
        part.filter(f"batch_date IN ({listed})").create_view(f"_features_{version}")
    parts = [f"SELECT * FROM _features_{version}" for version in sorted(by_version)]
    if not parts:
        return lake.relation(connection, "features").filter("false")
    return connection.sql(" UNION ALL BY NAME ".join(parts))


def _require_within(
    connection: duckdb.DuckDBPyConnection, lake: Lake, rows: duckdb.DuckDBPyRelation, moment: str, until: DropKey
) -> None:
    """Refuse an `as_of` that is no drop that was run, by the ledger where there is one."""
    held, column = (lake.relation(connection, "drops"), PARTITION) if lake.has("drops") else (rows, moment)
    drops = sorted(drop for (drop,) in held.project(column).distinct().fetchall() if drop is not None)
    if drops and until not in drops:
        nearest = nearest_key(drops, until)
        allowed = f"a drop that was run, from {drops[0]} to {drops[-1]}; nearest: {nearest}"
        raise ValueError(f"as_of: found {until}; allowed: {allowed}")


def _drop(as_of: DropKey | str | None) -> DropKey | None:
    if not isinstance(as_of, str):
        return as_of
    try:
        return read_key(plain_key(as_of))
    except ValueError as error:
        raise ValueError(f"as_of: found {as_of!r}; allowed: a drop, such as 2013-06-16") from error
