"""Drift of texts: the encodings of each window of drops beside those of the drops before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.monitoring.text_drift import MOST, compare_encodings
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables import of_use_case
from ml_assets.spec.tables.text_drift import TEXT_DRIFT
from ml_assets.spec.text_features import TextFeature
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray


def store_text_drift(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> list[dict[str, Any]]:
    """Compare the texts of the window of each drop with those before it, and store what was found; give the rows.

    Windows are those of `monitoring`. Of more than 1,000 examples of a side, as many are drawn by a hash of names.
    """
    if not spec.features.text:
        return []
    monitoring = spec.monitoring
    rows: list[dict[str, Any]] = []
    calendar, length = spec.calendar, monitoring.window + monitoring.reference_window
    first = max(calendar.first_drop, calendar.earlier(drops[0], length))
    with state.connect() as connection:
        state.lake.relation(connection, "features", (first, drops[-1])).create_view("_stored")
        names = [name for encoder in spec.features.text for name in encoder.feature_names()]
        held = set(connection.view("_stored").columns)
        listed = ", ".join(f'"{name}"' for name in names if name in held)
        connection.execute(
            "CREATE TEMP TABLE _encoded AS SELECT batch_date, example_id, md5_number_lower(example_id) AS _key"
            f"{', ' + listed if listed else ''} FROM _stored"
        )
        for drop in drops:
            begun = calendar.earlier(drop, monitoring.window)
            for encoder in spec.features.text:
                if not held.issuperset(encoder.feature_names()):
                    continue  # features of before the encoder was declared
                before = _read(connection, encoder, calendar.earlier(begun, monitoring.reference_window), begun)
                found = compare_encodings(before, _read(connection, encoder, begun, drop))
                rows.append({"batch_date": drop, "encoder": encoder.name, **vars(found)})
    state.lake.replace_drops(TEXT_DRIFT.name, arrow_rows(of_use_case(TEXT_DRIFT, spec), rows), drops)
    return rows


def _read(
    connection: duckdb.DuckDBPyConnection, encoder: TextFeature, after: DropKey, last: DropKey
) -> NDArray[np.float64]:
    """Read encodings of the drops in (after, last], in order of time; those of null texts are left out."""
    listed = ", ".join(f'"{name}"' for name in encoder.feature_names())
    found = connection.execute(
        f"SELECT {listed} FROM (SELECT * FROM _encoded WHERE batch_date > ? AND batch_date <= ? AND "
        f'"{encoder.feature_names()[0]}" IS NOT NULL ORDER BY _key, example_id LIMIT {MOST}) '
        "ORDER BY batch_date, example_id",
        [after, last],
    ).fetchnumpy()
    return np.stack([np.asarray(column, dtype=np.float64) for column in found.values()], axis=1)
