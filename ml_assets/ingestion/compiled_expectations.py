"""The common expectations, compiled to SQL: by Great Expectations' names and arguments, without loading it.

What is compiled finds the same failing rows, the same failing drops and the same observed values as Great
Expectations; tests compare the two on drawn tables. An expectation or an argument for which that is not known is left
to Great Expectations.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml_assets.ingestion.compiled_arguments import NotCompiledError, is_plain_number
from ml_assets.ingestion.compiled_drops import DROP_CHECKS, DropCheck
from ml_assets.ingestion.compiled_rows import ROW_CHECKS, RowCheck
from ml_assets.spec.drop import DropKey

if TYPE_CHECKING:
    import duckdb

    from ml_assets.spec.contract import Expectation

_WITH_MOSTLY = {*ROW_CHECKS, "expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"}


def compile_expectation(expectation: Expectation, columns: Mapping[str, str]) -> RowCheck | DropCheck | None:
    """Compile an expectation on columns of declared types; None where it is left to Great Expectations.

    Examples
    --------
    >>> from ml_assets.spec.contract import Expectation
    >>> null = {"expect": "expect_column_values_to_not_be_null", "arguments": {"column": "seats"}, "reason": "no_seats"}
    >>> compile_expectation(Expectation.model_validate(null), {"seats": "integer"})
    RowCheck(fails='"seats" IS NULL', stops=None)
    """
    check = ROW_CHECKS.get(expectation.expect) or DROP_CHECKS.get(expectation.expect)
    arguments = dict(expectation.arguments)
    if check is None or not _is_plain(expectation.expect, arguments):
        return None
    try:
        bound = inspect.signature(check).bind(columns, **arguments)
    except TypeError:  # an argument that it does not take, or none where it wants one
        return None
    try:
        return check(*bound.args, **bound.kwargs)
    except NotCompiledError:
        return None


def _is_plain(name: str, arguments: dict[str, Any]) -> bool:
    """Take out the arguments that change nothing; say whether they are what Great Expectations takes."""
    remarks = [arguments.pop(remark, "") for remark in ("description", "notes")]
    if not all(isinstance(remark, str) for remark in remarks):
        return False
    if "mostly" not in arguments or name not in _WITH_MOSTLY:
        return True
    mostly = arguments.pop("mostly")  # which rows fail does not depend on it
    return is_plain_number(mostly) and (0 <= mostly <= 1 if name in ROW_CHECKS else mostly == 1)


def find_failing_rows(
    connection: duckdb.DuckDBPyConnection, checks: Mapping[int, RowCheck]
) -> tuple[dict[int, dict[DropKey, int]], set[int]]:
    """Make table `_failing` (`_position`, `batch_date`, `place` of the check) in one scan of the rows of `_judged`.

    Returns
    -------
    tuple of dict and set
        By the place of a check, how many rows of which drop fail it, drops ascending; and the places of those that say
        nothing of any row, because Great Expectations would have stopped.
    """
    flags = {place: check.fails for place, check in checks.items()}
    flags |= {-1 - place: check.stops for place, check in checks.items() if check.stops}
    names = {place: f"is_{place}".replace("-", "stopped_") for place in flags}
    listed = ", ".join(f"CASE WHEN {name} THEN {place} END" for place, name in names.items())
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE _failing AS SELECT _position, batch_date, "
        f"unnest(list_filter([{listed}], lambda place: place IS NOT NULL)) AS place "
        "FROM (SELECT _position, batch_date, "
        + ", ".join(f"{sql} AS {names[place]}" for place, sql in flags.items())
        + f" FROM _judged WHERE _text IS NULL) WHERE {' OR '.join(names.values())}"
    )
    counted = "SELECT place, batch_date, count(*) FROM _failing GROUP BY ALL ORDER BY place, batch_date"
    counts: dict[int, dict[DropKey, int]] = {}
    for place, drop, rows in connection.execute(counted).fetchall():
        counts.setdefault(place, {})[drop] = rows
    stopped = {-1 - place for place in counts if place < 0}
    return {place: by_drop for place, by_drop in counts.items() if place >= 0}, stopped


def measure_drops(
    connection: duckdb.DuckDBPyConnection, measures: Sequence[str], drops: Sequence[DropKey]
) -> dict[DropKey, tuple[Any, ...]]:
    """Give what `measures`, SQL of aggregates, are in the own rows of each drop: one scan for all drops."""
    listed = ", ".join(measures)
    own = "FROM _judged WHERE _text IS NULL AND NOT _is_late"
    rows = connection.execute(f"SELECT batch_date, {listed} {own} GROUP BY batch_date").fetchall()
    found = {drop: tuple(values) for drop, *values in rows}
    if any(drop not in found for drop in drops):
        (empty,) = connection.execute(f"SELECT {listed} {own} AND false").fetchall()
        found |= {drop: empty for drop in drops if drop not in found}
    return found
