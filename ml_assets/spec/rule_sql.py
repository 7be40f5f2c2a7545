"""The SQL of a contract's rules: which tables it may read, and that it says true or false."""

from __future__ import annotations

from collections.abc import Sequence

from ml_assets.spec.names import did_you_mean, listed
from ml_assets.spec.sql_binding import Bench, SqlFault
from ml_assets.spec.table_sql import without_type
from ml_assets.spec.user_sql import UserSqlError, check_select, find_unrepeatable

ROWS = "_rows"  # what a rule runs over: the rows of one drop


def rule_query(breaks: str, selected: str = "*") -> str:
    r"""Give the SELECT of the rows that break a rule.

    >>> rule_query("temp_f > 200", "origin")
    'SELECT origin FROM (SELECT *, (temp_f > 200\n) AS _breaks FROM "_rows") WHERE _breaks'
    """
    return f'SELECT {selected} FROM (SELECT *, ({breaks}\n) AS _breaks FROM "{ROWS}") WHERE _breaks'


def rule_faults(bench: Bench, breaks: str, reads: Sequence[str]) -> list[SqlFault]:
    """Find what is wrong with a rule; `bench` has the rows as ROWS, and the sources by name."""
    query = f'SELECT ({breaks}\n) AS value FROM "{ROWS}"'
    allowed = sorted({*reads, ROWS})
    try:
        read = check_select(query)
        check_select(query, {*read, *allowed})  # functions that find tables
    except UserSqlError as error:
        return [SqlFault(error.line, str(error))]
    faults = [SqlFault(error.line, str(error)) for error in find_unrepeatable(query)]
    for table in read:
        if table not in allowed:
            said = f"reads {table}; allowed: {listed(list(reads))}, what the rule names under reads"
            faults.append(SqlFault(1, said + did_you_mean(table, list(reads))))
    if faults:
        return faults
    bound = bench.bind(query, read)
    kind = (bound.columns or {}).get("value")
    if not bound.faults and bound.is_typed and kind and without_type(kind) not in ("BOOLEAN", '"NULL"'):
        return [SqlFault(1, f"gives {kind}; allowed: true or false")]
    return bound.faults
