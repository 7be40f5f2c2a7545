"""The SELECT of examples or labels: which tables it reads, and whether it gives the columns that are needed."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from ml_assets.spec.names import did_you_mean, listed
from ml_assets.spec.sql_binding import Bench, Columns, SqlFault
from ml_assets.spec.user_sql import UserSqlError, check_select, find_unrepeatable, line_of_word

BATCH = "batch"
_REQUIRED = {"examples": ("example_id",), "labels": ("example_id", "label", "known_at")}
_RESERVED = ("batch_date",)
_NO_MOMENT = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "BOOLEAN", "INTERVAL", "TIME")
_NO_LABEL = ("TIMESTAMP", "DATE", "TIME", "INTERVAL")


def bind_table(
    bench: Bench, part: str, text: str, may_read: Sequence[str], sources: Sequence[str]
) -> tuple[Columns | None, list[SqlFault]]:
    """Check the SELECT of `part`.

    Returns
    -------
    columns
        Those it gives; None where that cannot be known before it is mended.
    faults
        All that is wrong with it.
    """
    try:
        read = check_select(text)
    except UserSqlError as error:
        return None, [SqlFault(error.line, str(error))]
    faults: list[SqlFault] = []
    allowed = sorted({*(may_read or sources), BATCH})
    try:
        check_select(text, {*read, *allowed})  # what is left to find are functions that find tables
    except UserSqlError as error:
        faults.append(SqlFault(error.line, str(error)))
    faults += [SqlFault(error.line, str(error)) for error in find_unrepeatable(text)]
    there = [*sources, BATCH]
    meant = {near for name in may_read for near in get_close_matches(name, there, n=1)}  # `from` may misspell it
    for table in read:
        if table not in {*allowed, *meant}:
            said = f"reads {table}; allowed: {listed(allowed)}{did_you_mean(table, allowed)}"
            faults.append(SqlFault(line_of_word(table.rpartition(".")[2], text), said))
    misspelt = {table: meant for table in read if table not in there for meant in get_close_matches(table, there, n=1)}
    if any(table not in there and table not in misspelt for table in read) or any(
        "()" in each.message for each in faults
    ):
        return None, faults  # nobody knows what columns that table would have
    bound = bench.bind(text, read, misspelt)
    faults += bound.faults
    if bound.columns is None:
        return None, faults
    faults += _wrong_columns(part, bound.columns, bound.is_typed)
    return {name: kind if bound.is_typed else None for name, kind in bound.columns.items()}, faults


def without_type(kind: str) -> str:
    """Give the kind of a type without its numbers and zone.

    Examples
    --------
    >>> without_type("DECIMAL(18,3)"), without_type("TIMESTAMP WITH TIME ZONE"), without_type("VARCHAR[]")
    ('DECIMAL', 'TIMESTAMP', 'VARCHAR[]')
    """
    return kind if kind.endswith("]") else kind.partition("(")[0].partition(" ")[0].removesuffix("_NS")


def _wrong_columns(part: str, columns: dict[str, str], is_typed: bool) -> list[SqlFault]:
    found = [
        SqlFault(
            1, f"gives no column {name!r}; allowed: with {', '.join(_REQUIRED[part])}{did_you_mean(name, columns)}"
        )
        for name in _REQUIRED[part]
        if name not in columns
    ]
    found += [
        SqlFault(1, f"gives a column {name!r}; allowed: other names, the drop has this one")
        for name in _RESERVED
        if name in columns
    ]
    moment = "known_at" if part == "labels" else "prediction_at"
    for name, refused, wanted in ((moment, _NO_MOMENT, "a moment"), ("label", _NO_LABEL, "0 or 1")):
        kind = columns.get(name) if name == moment or part == "labels" else None
        if is_typed and kind is not None and without_type(kind) in refused:
            found.append(SqlFault(1, f"gives {name!r} of type {kind}; allowed: {wanted}"))
    return found
