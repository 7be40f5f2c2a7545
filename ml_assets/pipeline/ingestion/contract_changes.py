"""What a changed contract means for the rows that earlier drops stored, and how their tables follow it.

A column that is new is null in earlier drops. One that is gone stays in them and is null from now on. One of another
type is read again from what is stored, as a landed file would be; where a stored value does not read as the new type,
the change is refused. A column that is renamed is one that is gone and one that is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ml_assets.ingestion.reading import typed_value
from ml_assets.spec.contract import SQL_TYPES, ColumnType, Source
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables.ingestion import source_table
from ml_assets.stores.kept_files import scan
from ml_assets.stores.table_rows import arrow_schema
from ml_assets.stores.use_case_state import UseCaseState

ROW_TABLES = ("raw", "validated", "quarantine")
_SQL_NAMES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}
_NAMES: dict[str, ColumnType] = {
    "VARCHAR": "string", "BIGINT": "integer", "DOUBLE": "float", "BOOLEAN": "boolean", "DATE": "date",
    "TIMESTAMPTZ": "timestamp",
}  # fmt: skip


class ContractChangeError(LookupError):
    """A change of a contract that the rows of earlier drops do not allow."""


@dataclass(frozen=True)
class ContractChange:
    """One column whose declaration is not what earlier drops stored.

    Attributes
    ----------
    before
        The type that is stored; None of a new column.
    now
        The type that is declared; None of a column that is gone.
    drops
        How many drops stored rows under the contract before.
    unread
        Stored values that do not read as the new type.
    example
        One of them, and the first drop that has it.
    """

    source: str
    column: str
    kind: Literal["added", "dropped", "retyped"]
    before: ColumnType | None
    now: ColumnType | None
    drops: int
    unread: int = 0
    example: tuple[str, DropKey] | None = None

    @property
    def is_possible(self) -> bool:
        """Say whether every stored value can follow."""
        return self.unread == 0

    def message(self) -> str:
        """Say what changed and what it means; of a change that is refused also what is allowed and what to do."""
        were, keep, them = ("drop was", "keeps", "it") if self.drops == 1 else ("drops were", "keep", "them")
        if self.kind == "added":
            return f"new since {self.drops} {were} run: null in {them}"
        if self.kind == "dropped":
            return f"no column of the contract any more: the {self.drops} {were.replace(' ', ' that ')} run {keep} it"
        if self.example is None:
            return f"{self.before} before, {self.now} now: stored values ({self.drops} {were} run) are read again"
        value, drop = self.example
        allowed = ", ".join(dict.fromkeys([str(self.before), "string"]))
        return (
            f"found type {self.now!r}, and {self.unread} stored values of type {self.before!r} do not read as that "
            f"(first {value!r} in drop {drop}); allowed: {allowed}, or a column of another name, which "
            "is null in earlier drops"
        )


def find_contract_changes(state: UseCaseState, source: Source) -> list[ContractChange]:
    """Compare the contract of a source with the rows that its earlier drops stored; nothing is written."""
    table = f"validated_{source.name}"
    if not state.lake.has(table):
        return []
    drops = len(state.lake.files(table).drops())
    return list(_changes_of(state, source, "validated", drops)) if drops else []


def follow_contract(state: UseCaseState, source: Source, kinds: Sequence[str] = ROW_TABLES) -> list[ContractChange]:
    """Bring the stored tables of a source to its contract, each in one commit; doing it again changes nothing.

    Raises
    ------
    ContractChangeError
        If stored values do not read as the type that is declared now; then nothing is written.
    """
    lake = state.lake
    found = {kind: list(_changes_of(state, source, kind, 0)) for kind in kinds if lake.has(f"{kind}_{source.name}")}
    for change in (change for changes in found.values() for change in changes if not change.is_possible):
        raise ContractChangeError(
            f"sources.{source.name}.columns.{change.column}.type: {change.message()}. Nothing was run; `ml-assets "
            f"validate {state.use_case}` names the line"
        )
    for kind, changes in found.items():
        if any(change.kind != "dropped" for change in changes):
            _rewrite(state, source, kind, [change.column for change in changes if change.kind == "retyped"])
    return [change for changes in found.values() for change in changes]


def _changes_of(state: UseCaseState, source: Source, kind: str, drops: int) -> Iterator[ContractChange]:
    table = f"{kind}_{source.name}"
    stored = state.lake.column_types(table)
    for name, column in source.columns.items():
        declared = SQL_TYPES[column.type]
        if name not in stored:
            yield ContractChange(source.name, name, "added", None, column.type, drops)
        elif stored[name] != _SQL_NAMES.get(declared, declared):
            before = _NAMES.get(stored[name])
            unread, example = _count_unread(state, source, table, name)
            yield ContractChange(source.name, name, "retyped", before, column.type, drops, unread, example)
    own = {column.name for column in source_table(source, kind).columns}
    for name, sql_type in stored.items():
        if name not in own and not name.startswith("_"):
            yield ContractChange(source.name, name, "dropped", _NAMES.get(sql_type), None, drops)


def _read_again(source: Source, name: str) -> str:
    return typed_value(f'CAST("{name}" AS VARCHAR)', source.columns[name])


def _count_unread(state: UseCaseState, source: Source, table: str, name: str) -> tuple[int, tuple[str, DropKey] | None]:
    with state.connect() as connection:
        scan(connection, state.lake.files(table)).create_view("_stored_rows")
        unread = f'"{name}" IS NOT NULL AND ({_read_again(source, name)}) IS NULL'
        rows = connection.execute(
            f'SELECT count(*), first(CAST("{name}" AS VARCHAR) ORDER BY batch_date), min(batch_date) '
            f"FROM _stored_rows WHERE {unread}"
        ).fetchall()
    count, value, drop = rows[0]
    return count, (value, drop) if count else None


def _rewrite(state: UseCaseState, source: Source, kind: str, retyped: Sequence[str]) -> None:
    """Write a table again with the columns of the contract; columns that are gone are kept."""
    import pyarrow as pa

    table = f"{kind}_{source.name}"
    with state.connect() as connection:
        scan(connection, state.lake.files(table)).create_view("_stored_rows")
        again = ", ".join(f'{_read_again(source, name)} AS "{name}"' for name in retyped)
        replaced = f"* REPLACE ({again})" if again else "*"
        rows = connection.sql(f"SELECT {replaced} FROM _stored_rows").to_arrow_table()
    for field in arrow_schema(source_table(source, kind)):
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    state.lake.rewrite(table, rows)
