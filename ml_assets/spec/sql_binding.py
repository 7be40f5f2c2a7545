"""Whether SQL fits the tables it reads: DuckDB binds it on empty tables of the declared columns, and runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ml_assets.spec.names import did_you_mean, not_among
from ml_assets.spec.user_sql import said_by_duckdb, scratch_cursor

if TYPE_CHECKING:
    import duckdb

Columns = dict[str, str | None]
_NO_COLUMN = re.compile(r'Referenced column "(.+?)" not found in FROM clause|does not have a column named "(.+?)"')
_NO_FUNCTION = re.compile(r"Function with name (\w+) does not exist")
_HOLIDAY_FUNCTIONS = ("is_holiday", "days_to_holiday", "days_since_holiday")
_MOST_FAULTS = 20


@dataclass(frozen=True)
class SqlFault:
    """What is wrong in a text of SQL, in which of its lines."""

    line: int
    message: str


@dataclass
class Bound:
    """What binding gave: columns and types of the result, or None when it does not bind, and all faults found.

    `is_typed` says whether types can be relied on: not with columns that were only assumed.
    """

    columns: dict[str, str] | None = None
    faults: list[SqlFault] = field(default_factory=list[SqlFault])
    is_typed: bool = True


class Bench:
    """Empty tables by name, to bind SQL on; a column of unknown type is there, and its types are not judged."""

    def __init__(self) -> None:
        self._connection = scratch_cursor()
        self._tables: dict[str, Columns] = {}
        self._has_holidays = False

    def __enter__(self) -> Self:
        """Open the bench."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it with its tables."""
        self._connection.close()

    def lay(self, table: str, columns: Mapping[str, str | None]) -> None:
        """Make an empty table; of columns that differ only in their case, DuckDB sees the first."""
        first: Columns = {}
        for name, kind in columns.items():
            if name and name.lower() not in {each.lower() for each in first}:
                first[name] = kind
        self._tables[table] = first
        said = ", ".join(f'"{_plain(name)}" {kind or "VARCHAR"}' for name, kind in first.items())
        self._connection.execute(f'CREATE OR REPLACE TEMP TABLE "{_plain(table)}" ({said or "_none INTEGER"})')

    def know_holidays(self) -> None:
        """Let SQL ask for holidays, as row expressions can where a country is declared."""
        self._has_holidays = True
        for name in _HOLIDAY_FUNCTIONS:
            kind = "BOOLEAN" if name == "is_holiday" else "BIGINT"
            self._connection.execute(
                f"CREATE OR REPLACE TEMP MACRO {name}(day) AS CAST(CAST(day AS DATE) = day AS {kind})"
            )

    def bind(self, query: str, tables: Iterable[str], named: Mapping[str, str] | None = None) -> Bound:
        """Bind one SELECT that reads `tables`; a column that is missing is noted, assumed, and looked past.

        `named` are names in the SQL that stand for a table: misspelt ones, each noted by the caller.
        """
        read = [table for table in tables if table in self._tables]
        for alias, table in (named or {}).items():
            self.lay(alias, self._tables[table])
            read.append(alias)
        untyped = [table for table in read if None in self._tables[table].values()]
        if untyped:
            strict = self._bind_typed(query, untyped)
            if strict is not None:
                self._drop(named or ())
                return strict
        bound = Bound(is_typed=not untyped)
        assumed: list[tuple[str, str]] = []
        try:
            self._bind_past_missing(query, read, bound, assumed)
        finally:
            for table, column in assumed:
                self._connection.execute(f'ALTER TABLE "{_plain(table)}" DROP COLUMN "{_plain(column)}"')
            self._drop(named or ())
        return bound

    def _bind_typed(self, query: str, untyped: Iterable[str]) -> Bound | None:
        """Bind without the columns of unknown type; None where the query reads one, or one that is missing."""
        whole = {table: self._tables[table] for table in untyped}
        for table, columns in whole.items():
            self.lay(table, {name: kind for name, kind in columns.items() if kind is not None})
        bound = Bound()
        error = self._describe(query, bound)
        for table, columns in whole.items():
            self.lay(table, columns)
        if error is None:
            return bound
        if _NO_COLUMN.search(str(error)):
            return None
        said, line = said_by_duckdb(error)
        return Bound(None, [SqlFault(line, self._spelled(said))])

    def _drop(self, tables: Iterable[str]) -> None:
        for table in tables:
            self._connection.execute(f'DROP TABLE "{_plain(table)}"')

    def _bind_past_missing(self, query: str, read: list[str], bound: Bound, assumed: list[tuple[str, str]]) -> None:
        error = self._describe(query, bound)
        while error is not None and len(bound.faults) < _MOST_FAULTS:
            said, line = said_by_duckdb(error)
            missing = _NO_COLUMN.search(str(error))
            if missing is None:
                if bound.is_typed or not re.search("No function matches|Could not choose|Cannot (?:mix|compare)", said):
                    bound.faults.append(SqlFault(line, self._spelled(said)))
                return
            name = missing[1] or missing[2]
            known = list(dict.fromkeys(column for table in read for column in self._tables[table]))
            bound.faults.append(SqlFault(line, f"reads column {not_among(name, known).removeprefix('found ')}"))
            bound.is_typed = False
            error = self._assume(name, query, read, bound, assumed, str(error))

    def _assume(
        self, name: str, query: str, read: list[str], bound: Bound, assumed: list[tuple[str, str]], before: str
    ) -> duckdb.Error | None:
        """Add a column to the table whose lack of it was the fault; give the next error, if another comes."""
        import duckdb

        for table in read:
            try:
                self._connection.execute(f'ALTER TABLE "{_plain(table)}" ADD COLUMN "{_plain(name)}" VARCHAR')
            except duckdb.Error:
                continue
            error = self._describe(query, bound)
            if error is None or str(error) != before:
                assumed.append((table, name))
                return error
            self._connection.execute(f'ALTER TABLE "{_plain(table)}" DROP COLUMN "{_plain(name)}"')
        return None

    def _describe(self, query: str, bound: Bound) -> duckdb.Error | None:
        import duckdb

        try:
            rows = self._connection.execute(f"DESCRIBE {query.strip().rstrip(';')}").fetchall()
        except duckdb.Error as error:
            return error
        bound.columns = {row[0]: row[1] for row in rows}
        return None

    def _spelled(self, said: str) -> str:
        function = _NO_FUNCTION.search(said)
        if function is None:
            return f"does not fit its columns: {said}; allowed: what DuckDB can bind"
        name = function[1]
        if name in _HOLIDAY_FUNCTIONS and not self._has_holidays:
            return f"calls {name!r}; allowed: where features.holidays names a country"
        return f"calls {name!r}; allowed: a function of DuckDB{did_you_mean(name, self._functions())}"

    def _functions(self) -> list[str]:
        rows = self._connection.execute("SELECT DISTINCT function_name FROM duckdb_functions()").fetchall()
        return [row[0] for row in rows if row[0].isidentifier()]


def _plain(name: str) -> str:
    return name.replace('"', '""')
