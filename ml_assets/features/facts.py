"""The facts that views are made of: read once a scope, as arrays, with what each is about in codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml_assets.features.plan import Scope
from ml_assets.spec.aggregates import AGGREGATES
from ml_assets.spec.user_sql import check_expression

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Micros = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int64]
NEVER = np.iinfo(np.int64).max
_BATCH = 500_000


@dataclass(frozen=True)
class Measure:
    """One measured expression, a value a version of a fact.

    `numbers` has NaN where it is null or not finite; it is None for text and times. `codes` are equal for equal values,
    -1 for null: text and times have them, and what is counted by its different values, since whole numbers beyond 2**53
    are not told apart as floats.
    """

    numbers: npt.NDArray[np.float64] | None
    codes: Codes | None = None

    def has_value(self) -> npt.NDArray[np.bool_]:
        """Say which versions have a value."""
        if self.numbers is not None:
            return ~np.isnan(self.numbers)
        return self.codes >= 0 if self.codes is not None else np.zeros(0, dtype=bool)

    def take(self, rows: Codes) -> Measure:
        """Give some of the values."""
        return Measure(
            None if self.numbers is None else self.numbers[rows], None if self.codes is None else self.codes[rows]
        )

    def as_codes(self) -> Codes:
        """Give a code for each value, -1 where there is none."""
        if self.codes is not None:
            return self.codes if self.numbers is None else np.where(np.isnan(self.numbers), -1, self.codes)
        numbers = np.zeros(0) if self.numbers is None else self.numbers
        codes = np.full(numbers.size, -1, dtype=np.int64)
        known = ~np.isnan(numbers)
        codes[known] = np.unique(numbers[known], return_inverse=True)[1]
        return codes


@dataclass(frozen=True)
class Facts:
    """Versions of facts, ordered by `known_at`, then by the source's key. Times in µs since 1970, UTC.

    A correction is a second version of the same key: it is in force from its own `known_at`, it is counted at the
    first `known_at` of its key, and the version before it is `superseded_at` then.

    Attributes
    ----------
    happened_at
        The earlier of `event_at` and `known_at`.
    entities
        By column, the code of its value; -1 for null.
    conditions
        By text, which versions it is true of.
    measures
        By text.
    columns
        What the newest fact gives, as stored.
    valid_at, series
        Of a forecast alone: the moment a vintage is for, and the place of its series in order of its key.
    """

    known_at: Micros
    counted_at: Micros
    superseded_at: Micros
    happened_at: Micros
    entities: Mapping[str, Codes]
    conditions: Mapping[str, npt.NDArray[np.bool_]]
    measures: Mapping[str, Measure]
    columns: pa.Table
    valid_at: Micros = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    series: Codes = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class Probes:
    """Where values are asked for: a moment an example, and by entity column the code of its value, -1 for none.

    `moments` are those that forecasts are asked for, by the column of the examples; NEVER for null.
    """

    prediction_at: Micros
    entities: Mapping[str, Codes]
    moments: Mapping[str, Micros] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadedScope:
    """All that is needed to compute a scope."""

    facts: Facts
    probes: Probes


def load_scope(
    connection: duckdb.DuckDBPyConnection, scope: Scope, since: datetime | None, until: datetime
) -> LoadedScope:
    """Read what `scope` needs for the rows of table `_asked`, from view `validated_<source>`.

    A version is counted at `_first_known_at` where the source has that column and it is not null: then an earlier
    version of the same key was known before, and need not be among those that are read.

    Parameters
    ----------
    since, until
        Versions with `known_at` in (since, until] are read; no `since` is from the beginning.

    Raises
    ------
    UserSqlError
        If an expression looks beyond its row: a window function would see later rows.
    """
    times = (scope.vintages.valid_at,) if scope.vintages else ()
    for expression in (*scope.derive.values(), *scope.conditions(), *scope.measures(), *times):
        check_expression(expression)
    rows = read_versions(connection, scope, since, until)
    derived = "".join(f', ({expression}) AS "{name}"' for name, expression in scope.derive.items())
    connection.execute(f"CREATE OR REPLACE TEMP VIEW _facts AS SELECT *{derived} FROM ({rows})")
    kinds = _shared_types(connection, scope.entity_columns())
    entities = {f"_entity_{n}": f'CAST("{name}" AS {kind})' for n, (name, kind) in enumerate(kinds.items())}
    table = _encoded(connection.sql(_select_facts(connection, scope, entities)), entities)
    moments = {
        f"_moment_{n}": f'coalesce(epoch_us(CAST("{name}" AS TIMESTAMPTZ)), {NEVER})'
        for n, name in enumerate(scope.moments())
    }
    wanted = {"_at": "epoch_us(prediction_at)", **moments, **entities}
    asked = _encoded(connection.sql(_select(wanted, "_asked")), entities)
    facts_of, asked_of = (
        zip(*(_coded(table[name], asked[name]) for name in entities), strict=True) if kinds else ((), ())
    )
    facts = Facts(
        known_at=_whole(table["_known_us"]),
        counted_at=_whole(table["_counted_us"]),
        superseded_at=_whole(table["_superseded_us"]),
        happened_at=_whole(table["_happened_us"]),
        entities=dict(zip(kinds, facts_of, strict=True)),
        conditions={text: _flags(table[f"_condition_{n}"]) for n, text in enumerate(scope.conditions())},
        measures={
            text: _measure(table[f"_measure_{n}"], table[f"_value_{n}"] if text in scope.distinct_measures() else None)
            for n, text in enumerate(scope.measures())
        },
        columns=table.select([f"_taken_{n}" for n in range(len(scope.taken_columns()))]).rename_columns(
            list(scope.taken_columns())
        ),
        **({"valid_at": _whole(table["_valid_us"]), "series": _whole(table["_series"])} if scope.vintages else {}),
    )
    asked_for = {name: _whole(asked[f"_moment_{n}"]) for n, name in enumerate(scope.moments())}
    probes = Probes(_whole(asked["_at"]), dict(zip(kinds, asked_of, strict=True)), asked_for)
    return LoadedScope(_in_order_of_knowledge(facts), probes)


def read_versions(connection: duckdb.DuckDBPyConnection, scope: Scope, since: datetime | None, until: datetime) -> str:
    """Give the SELECT of the versions of a source known in (since, until], with `_counted_at` and `_superseded_at`.

    Without corrections, rows that share the key, that needs no window and no copy.
    """
    view, keys = f"validated_{scope.source}", ", ".join(f'"{name}"' for name in scope.key)
    within = f"known_at > TIMESTAMPTZ '{since.isoformat()}'" if since else "true"
    read = f"SELECT * FROM \"{view}\" WHERE known_at <= TIMESTAMPTZ '{until.isoformat()}'"
    is_marked = "_first_known_at" in connection.view(view).columns
    if is_marked:  # else a first version is told by having read it, however long ago it was
        read += f" AND {within}"
    found = "count(_first_known_at)" if is_marked else f"count(*) - count(DISTINCT ({keys}))"
    if not connection.sql(f"SELECT {found} FROM ({read})").fetchall()[0][0]:
        return f"SELECT *, known_at AS _counted_at, NULL::TIMESTAMPTZ AS _superseded_at FROM ({read}) WHERE {within}"
    first, is_late = (
        ("coalesce(_first_known_at, known_at)", "count(_first_known_at) > 0") if is_marked else ("known_at", "false")
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _versions AS {read}")
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _corrected AS SELECT {keys} FROM _versions GROUP BY {keys} "
        f"HAVING count(*) > 1 OR {is_late}"
    )
    return (
        "SELECT * FROM (SELECT *, known_at AS _counted_at, NULL::TIMESTAMPTZ AS _superseded_at FROM _versions "
        f"ANTI JOIN _corrected USING ({keys}) UNION ALL SELECT *, min({first}) OVER (PARTITION BY {keys}) "
        f"AS _counted_at, lead(known_at) OVER (PARTITION BY {keys} ORDER BY known_at, batch_date) AS _superseded_at "
        f"FROM _versions SEMI JOIN _corrected USING ({keys})) WHERE {within}"
    )


def _select(columns: Mapping[str, str], table: str) -> str:
    return f"SELECT {', '.join(f'{text} AS {name}' for name, text in columns.items())} FROM {table}"


def _select_facts(connection: duckdb.DuckDBPyConnection, scope: Scope, entities: Mapping[str, str]) -> str:
    columns = {
        "_known_us": "epoch_us(known_at)",
        "_counted_us": "epoch_us(_counted_at)",
        "_superseded_us": f"coalesce(epoch_us(_superseded_at), {NEVER})",
        "_happened_us": "epoch_us(least(coalesce(event_at, known_at), known_at))",
        **entities,
        **{f"_condition_{n}": f"coalesce(({text}), false)" for n, text in enumerate(scope.conditions())},
        **{f"_measure_{n}": text for n, text in enumerate(_measured(connection, scope.measures()))},
        **{f"_value_{n}": f"({t})" for n, t in enumerate(scope.measures()) if t in scope.distinct_measures()},
        **{f"_taken_{n}": f'"{name}"' for n, name in enumerate(scope.taken_columns())},
        **_vintage_columns(scope),
    }
    is_ordered = bool(scope.latest or scope.forecasts) or any(
        each.function == "last" or each.function not in AGGREGATES for each in scope.reductions()
    )
    order = "".join(f', "{name}"' for name in scope.key) if is_ordered else None
    return _select(columns, "_facts") + (f" ORDER BY known_at{order}" if order is not None else "")


def _vintage_columns(scope: Scope) -> dict[str, str]:
    """Give SQL of the moment a vintage is for, and of the place of its series in order."""
    if scope.vintages is None:
        return {}
    series = ", ".join(f'"{name}"' for name in scope.vintages.series)
    place = f"dense_rank() OVER (ORDER BY {series})" if series else "CAST(0 AS BIGINT)"
    return {"_valid_us": f"epoch_us(CAST(({scope.vintages.valid_at}) AS TIMESTAMPTZ))", "_series": place}


def _measured(connection: duckdb.DuckDBPyConnection, measures: Sequence[str]) -> list[str]:
    """Give each measure as a float, but for text and times."""
    if not measures:
        return []
    found = connection.sql(f"SELECT {', '.join(f'({text})' for text in measures)} FROM _facts LIMIT 0").types
    kept = [str(kind).startswith(("VARCHAR", "DATE", "TIME", "UUID", "ENUM")) for kind in found]
    return [
        f"({text})" if is_kept else f"CAST(({text}) AS DOUBLE)" for text, is_kept in zip(measures, kept, strict=True)
    ]


def _shared_types(connection: duckdb.DuckDBPyConnection, entities: Sequence[str]) -> dict[str, str]:
    """Give the type in which each entity column of facts and examples is compared."""
    if not entities:
        return {}
    names = ", ".join(f'"{name}"' for name in entities)
    both = connection.sql(f"SELECT {names} FROM _facts UNION ALL SELECT {names} FROM _asked LIMIT 0")
    return {name: str(kind) for name, kind in zip(entities, both.types, strict=True)}


def _encoded(rows: duckdb.DuckDBPyRelation, names: Iterable[str]) -> pa.Table:
    """Read rows with columns `names` as codes into a dictionary, a batch at a time: texts are never all in memory."""
    import pyarrow as pa

    batches = []
    for batch in rows.to_arrow_reader(_BATCH):
        columns = [
            column.dictionary_encode() if name in names else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        batches.append(pa.table(columns, names=batch.schema.names))
    if not batches:
        empty = rows.limit(0).to_arrow_table()
        for name in names:
            place = empty.column_names.index(name)
            empty = empty.set_column(place, name, empty[name].combine_chunks().dictionary_encode())
        batches.append(empty)
    return pa.concat_tables(batches).unify_dictionaries()


def _coded(facts: pa.ChunkedArray, asked: pa.ChunkedArray) -> tuple[Codes, Codes]:
    """Give codes that are equal where the values are; -1 for null, and for what is asked and no fact is about."""
    import pyarrow.compute as pc

    codes, values = _indices(facts)
    places, wanted = _indices(asked)
    if wanted is None or values is None:
        return codes, np.full(places.size, -1, dtype=np.int64)
    found = pc.call_function("index_in", [wanted], pc.SetLookupOptions(values))
    known = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, np.where(places >= 0, np.append(known, -1)[places], -1)


def _indices(column: pa.ChunkedArray) -> tuple[Codes, pa.Array | None]:
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    if not chunks:
        return np.zeros(0, dtype=np.int64), None
    codes = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in chunks]
    return np.concatenate(codes).astype(np.int64), chunks[0].dictionary


def _whole(column: pa.ChunkedArray) -> Micros:
    return column.to_numpy().astype(np.int64, copy=False)


def _flags(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return column.to_numpy().astype(bool, copy=False)


def _measure(column: pa.ChunkedArray, values: pa.ChunkedArray | None) -> Measure:
    """Read a measured column, as a float where it is one; `values` are the same as they were written."""
    import pyarrow as pa

    codes = None
    if values is not None or not pa.types.is_float64(column.type):
        encoded = (column if values is None else values).combine_chunks().dictionary_encode()
        codes = _indices(pa.chunked_array([encoded]))[0]
    if not pa.types.is_float64(column.type):
        return Measure(None, codes)
    numbers = column.to_numpy()  # null is NaN here
    return Measure(np.where(np.isfinite(numbers), numbers, np.nan) + 0.0, codes)


def _in_order_of_knowledge(facts: Facts) -> Facts:
    if np.all(facts.known_at[1:] >= facts.known_at[:-1]):
        return facts
    order = np.argsort(facts.known_at, kind="stable")
    sizes = facts.valid_at.size, facts.series.size
    return replace(
        facts,
        known_at=facts.known_at[order],
        counted_at=facts.counted_at[order],
        superseded_at=facts.superseded_at[order],
        happened_at=facts.happened_at[order],
        entities={name: codes[order] for name, codes in facts.entities.items()},
        conditions={text: flags[order] for text, flags in facts.conditions.items()},
        measures={text: measure.take(order) for text, measure in facts.measures.items()},
        columns=facts.columns.take(order),
        valid_at=facts.valid_at[order] if all(sizes) else facts.valid_at,
        series=facts.series[order] if all(sizes) else facts.series,
    )
