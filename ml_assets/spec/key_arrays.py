"""Keys of drops as arrays of moments, to search, compare and group rows by.

Dates become days, texts become minutes: both are `datetime64`, so that arrays and single keys compare. The day of a
row, which is the block of a bootstrap, is `days_of`; where a drop is longer than a day, it is the drop.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ml_assets.spec.drop import GRID_FORMAT, WALL_FORMAT, DropKey, number_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    KeyArray = npt.NDArray[np.datetime64]


def key_array(keys: Any) -> KeyArray:
    """Give keys, as a list or as a column of a table, as moments, in their order.

    >>> from datetime import date
    >>> key_array(["2013-07-01T0800Z", "2013-07-01T0900Z"]).astype(str).tolist()
    ['2013-07-01T08:00', '2013-07-01T09:00']
    >>> key_array([date(2013, 7, 1)]).astype(str).tolist()
    ['2013-07-01']
    """
    import numpy as np

    found = np.asarray(keys)
    if found.dtype.kind == "M" or not found.size or any(isinstance(key, date) for key in found.ravel()[:1]):
        return found.astype("datetime64[D]")
    names, place = np.unique(found.astype(str), return_inverse=True)
    moments = [number_of(str(name)) if name != "None" else "NaT" for name in names]
    return np.array(moments, dtype="datetime64[m]")[place.reshape(found.shape)]


def key_at(moment: np.datetime64, like: DropKey) -> DropKey:
    """Give the key of such a moment, of the kind that `like` has.

    >>> from datetime import date
    >>> key_at(key_moment("2013-07-01T0800Z"), "2013-07-01T0000Z"), key_at(key_moment(date(2013, 7, 1)), date.min)
    ('2013-07-01T0800Z', datetime.date(2013, 7, 1))
    """
    if isinstance(like, date):
        return moment.astype("datetime64[D]").item()
    return moment.astype("datetime64[m]").item().strftime(GRID_FORMAT if str(like).endswith("Z") else WALL_FORMAT)


def key_arrow_type(key: DropKey) -> Any:
    """Give the Arrow type of the columns that hold such keys."""
    import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]

    return pa.date32() if isinstance(key, date) else pa.string()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def key_moment(key: DropKey) -> np.datetime64:
    """Give one key as it stands in such an array."""
    return key_array([key])[0]


def plain_keys(column: pd.Series) -> pd.Series:
    """Give a column of keys, as DuckDB makes it a frame's, as the keys themselves."""
    return column.dt.date if column.dtype.kind == "M" else column


def key_of_cell(cell: Any) -> DropKey:
    """Give a cell of such a column as the key itself."""
    return cell.date() if isinstance(cell, datetime) else cell


def days_of(keys: Any) -> list[str]:
    """Give the day of each key as text: of a column of a table, in its order.

    >>> days_of(["2013-07-01T0800Z", "2013-07-01T0900Z"])
    ['2013-07-01', '2013-07-01']
    """
    return [str(key)[:10] for key in keys]


def keys_in(keys: Any, some: Collection[DropKey]) -> npt.NDArray[np.bool_]:
    """Say of each key whether it is one of some."""
    import numpy as np

    array = key_array(keys)
    return np.isin(array, key_array(list(some)).astype(array.dtype)) if some else np.zeros(array.shape, dtype=bool)
