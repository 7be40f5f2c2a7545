"""Rows of a training set as arrays, to look at its columns one by one: all that is held out, and what is trained on.

Of a large set both are samples, drawn by a hash of the example, so that looking costs what the sample does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from ml_assets.spec.drop import DAY_OF_KEY

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MOST_TRAINED = 20_000
MOST_HELD = 20_000
Whole = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN",
            "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")  # fmt: skip
_MOMENTS = ("DATE", "TIMESTAMP")


@dataclass(frozen=True)
class Words:
    """A column of text: for each row the place of its word in `names`, -1 for null."""

    places: Whole
    names: tuple[str, ...]


Values = Floats | Words


@dataclass(frozen=True)
class DrawnRows:
    """Rows of a training set, by column; one array element a row.

    Attributes
    ----------
    is_train
        Whether it is trained on; else it is held out.
    drops
        The drop it belongs to, as a number; equal for rows of one drop.
    columns
        Numbers with NaN for null, times as hours since `prediction_at`, or words.
    trained
        How many rows are trained on in all; of those here may be a sample.
    held
        The `_number` of each row held out, in the table `_held`, in the order of the rows here.
    """

    is_train: npt.NDArray[np.bool_]
    labels: Floats
    drops: Whole
    columns: Mapping[str, Values]
    trained: int
    held: Whole


def is_number(kind: str) -> bool:
    """Say whether a type of DuckDB is of numbers, or of true and false."""
    return not kind.endswith("]") and kind.partition("(")[0] in _NUMBERS


def as_looked_at(name: str, kind: str) -> str:
    """Give the SQL by which a column is read: a number, hours since `prediction_at`, or text.

    A time as it is would be a value of its own in every row.

    Examples
    --------
    >>> as_looked_at("seats", "BIGINT"), as_looked_at("codes", "INTEGER[]")
    ('CAST("seats" AS DOUBLE)', 'CAST("codes" AS VARCHAR)')
    """
    if is_number(kind):
        return f'CAST("{name}" AS DOUBLE)'
    if kind.startswith(_MOMENTS) and not kind.endswith("]"):
        moment = f'CAST("{name}" AS TIMESTAMPTZ)'
        return f"CASE WHEN isfinite({moment}) THEN date_diff('microsecond', prediction_at, {moment}) / 3.6e9 END"
    return f'CAST("{name}" AS VARCHAR)'


def read_drawn(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> DrawnRows:
    """Read `columns` of the view `_drawn`; lay the rows held out down in the table `_held`, numbered.

    `_drawn` has `example_id`, `batch_date`, `prediction_at`, `label` and `split` (train or holdout) beside them.
    """
    counts = dict(connection.sql("SELECT split, count(*) FROM _drawn GROUP BY split").fetchall())
    one_of = {"train": -(-counts.get("train", 0) // MOST_TRAINED), "holdout": -(-counts.get("holdout", 0) // MOST_HELD)}
    kinds = dict(zip(connection.view("_drawn").columns, map(str, connection.view("_drawn").types), strict=True))
    read = "".join(f', {as_looked_at(name, kinds[name])} AS "c{place}"' for place, name in enumerate(columns))
    chosen = " OR ".join(
        f"(split = '{split}' AND hash(example_id) % {max(every, 1)} = 0)" for split, every in one_of.items()
    )
    table = connection.sql(
        "SELECT row_number() OVER (ORDER BY batch_date, example_id) AS _number, example_id, batch_date, split = "
        f"'train' AS is_train, label, date_diff('day', DATE '1970-01-01', {DAY_OF_KEY}) AS day{read} FROM _drawn "
        f"WHERE {chosen} ORDER BY _number"
    ).to_arrow_table()
    is_train = table["is_train"].to_numpy()
    connection.register("_read", table.select(["_number", "example_id", "batch_date", "is_train", "label"]))
    connection.execute("CREATE OR REPLACE TEMP TABLE _held AS SELECT * FROM _read WHERE NOT is_train")
    connection.unregister("_read")
    return DrawnRows(
        is_train=is_train,
        labels=table["label"].to_numpy().astype(np.float64),
        drops=table["day"].to_numpy().astype(np.int64),
        columns={name: _values(table[f"c{place}"]) for place, name in enumerate(columns)},
        trained=counts.get("train", 0),
        held=table["_number"].to_numpy()[~is_train].astype(np.int64),
    )


def _values(column: pa.ChunkedArray) -> Values:
    import pyarrow as pa

    if pa.types.is_floating(column.type):
        return column.to_numpy().astype(np.float64)
    encoded = cast("pa.DictionaryArray", column.cast(pa.string()).combine_chunks().dictionary_encode())
    places = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Words(places.astype(np.int64), tuple(encoded.dictionary.to_pylist()))
