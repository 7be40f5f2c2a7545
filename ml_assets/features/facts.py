"""The facts a view is made of, loaded once for a range of drops, in the one order sums are taken in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml_assets.spec.features import FeatureView
from ml_assets.spec.user_sql import check_expression

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Micros = npt.NDArray[np.int64]
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Facts:
    """Versions of facts, ordered by `known_at`, then by the source's key. Times in µs since 1970, UTC.

    A correction is a second version of the same key: it is in force from its own `known_at`, it is
    counted at the first `known_at` of its key, and the version before it is `superseded_at` then.

    Attributes
    ----------
    entity
        Code of the entity, ascending with its values; -1 where one of them is null.
    happened_at
        The earlier of `event_at` and `known_at`.
    values
        Shape (n, number of aggregates); null and non-finite are NaN. count(*) has a column of ones.
    position
        Where the version stands in the loaded facts, also after some were taken from them.
    """

    position: Micros
    entity: Micros
    known_at: Micros
    counted_at: Micros
    superseded_at: Micros
    happened_at: Micros
    values: npt.NDArray[np.float64]

    def known_between(self, after: int, until: int) -> Facts:
        """Give the versions with `known_at` in (after, until], as they stood at `until`."""
        first, last = np.searchsorted(self.known_at, [after, until], side="right")
        known = self.take(slice(int(first), int(last)))
        return replace(known, superseded_at=np.where(known.superseded_at > until, NEVER, known.superseded_at))

    def take(self, rows: slice | npt.NDArray[np.bool_] | Micros) -> Facts:
        """Give some of the versions."""
        return Facts(
            self.position[rows],
            self.entity[rows],
            self.known_at[rows],
            self.counted_at[rows],
            self.superseded_at[rows],
            self.happened_at[rows],
            self.values[rows],
        )


@dataclass(frozen=True)
class Probes:
    """Where a view is asked for: an entity's code and a moment for each example, in their order."""

    entity: Micros
    prediction_at: Micros


@dataclass(frozen=True)
class LoadedView:
    """All that is needed to compute a view: its facts, the columns of `latest` beside them, the probes."""

    facts: Facts
    columns: pa.Table
    probes: Probes


def prepare_versions(connection: duckdb.DuckDBPyConnection, source: str, key: Sequence[str]) -> None:
    """Say when each version of a source's facts counts and until when, once for all views on it.

    Makes `_versions_<source>` of view `validated_<source>`: its rows with `counted_at` and `superseded_at`. Without
    corrections, rows that share the `key`, that needs no window and no copy.
    """
    rows, keys = f'"validated_{source}"', ", ".join(f'"{name}"' for name in key)
    has_corrections = connection.execute(f"SELECT count(*) > count(DISTINCT ({keys})) FROM {rows}").fetchall()[0][0]
    said = f"SELECT *, known_at AS counted_at, NULL::TIMESTAMPTZ AS superseded_at FROM {rows}"
    if has_corrections:
        connection.execute(
            f'CREATE OR REPLACE TEMP TABLE "_corrected_{source}" AS SELECT *, min(known_at) OVER (PARTITION BY {keys}) '
            f"AS counted_at, lead(known_at) OVER (PARTITION BY {keys} ORDER BY known_at, batch_date) AS superseded_at "
            f"FROM {rows}"
        )
        said = f'SELECT * FROM "_corrected_{source}"'
    connection.execute(f'CREATE OR REPLACE TEMP VIEW "_versions_{source}" AS {said}')


def load_facts(
    connection: duckdb.DuckDBPyConnection,
    view: FeatureView,
    key: Sequence[str],
    since: datetime | None,
    until: datetime,
) -> LoadedView:
    """Load what `view` needs for the rows of table `_examples`, from what `prepare_versions` made of its source.

    Parameters
    ----------
    key
        The key of the source: rows that share it are versions of one fact.
    since, until
        Versions with `known_at` in (since, until] are loaded; None is from the beginning.

    Raises
    ------
    UserSqlError
        If an expression of the view looks beyond its row: a window function would see later rows.
    """
    for expression in (*view.derive.values(), *([view.where] if view.where else []), *_measured(view)):
        check_expression(expression)
    derived = "".join(f', ({expression}) AS "{name}"' for name, expression in view.derive.items())
    entity = ", ".join(f'"{name}"' for name in view.entity) or "1"
    wanted = [f'CAST(({a.expression}) AS DOUBLE) AS "_value_{n}"' if not a.counts_rows else f'1.0 AS "_value_{n}"'
              for n, a in enumerate(view.parsed_aggregates())]  # fmt: skip
    wanted += [f'"{name}"' for name in view.latest]
    keys = ", ".join(f'"{name}"' for name in key)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _facts AS SELECT {_names(view)} known_at, event_at, counted_at, superseded_at, "
        f"{', '.join(wanted)} FROM (SELECT *{derived} FROM _versions_{view.source} WHERE known_at <= ?"
        f"{' AND known_at > ?' if since else ''}) {f'WHERE ({view.where})' if view.where else ''} "
        f"ORDER BY known_at, {keys}",
        [until, since] if since else [until],
    )
    has_entity = " AND ".join(f'"{name}" IS NOT NULL' for name in view.entity) or "true"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _entities AS SELECT *, row_number() OVER (ORDER BY {entity}) - 1 AS _code FROM ("
        f"SELECT {entity} FROM _facts WHERE {has_entity} UNION SELECT {entity} FROM _examples WHERE {has_entity})"
    )
    latest = ", ".join(f'"{name}"' for name in view.latest) or "NULL AS _none"
    return LoadedView(
        facts=_facts_of(connection, view),
        columns=connection.sql(f"SELECT {latest} FROM _facts ORDER BY rowid").to_arrow_table(),
        probes=Probes(*_coded(connection, "_examples", "prediction_at", view)),
    )


def _measured(view: FeatureView) -> list[str]:
    return [aggregate.expression for aggregate in view.parsed_aggregates() if not aggregate.counts_rows]


def _names(view: FeatureView) -> str:
    return "".join(f'"{name}", ' for name in view.entity)


def _coded(connection: duckdb.DuckDBPyConnection, table: str, moment: str, view: FeatureView) -> tuple[Micros, Micros]:
    match = " AND ".join(f'e."{name}" = t."{name}"' for name in view.entity) or "true"
    found = connection.sql(
        f"SELECT coalesce(e._code, -1) AS code, epoch_us(t.{moment}) AS at FROM (SELECT *, rowid AS _row FROM {table}) "
        f"AS t LEFT JOIN _entities AS e ON {match} ORDER BY t._row"
    ).fetchnumpy()
    return np.asarray(found["code"], dtype=np.int64), np.asarray(found["at"], dtype=np.int64)


def _facts_of(connection: duckdb.DuckDBPyConnection, view: FeatureView) -> Facts:
    entity, known_at = _coded(connection, "_facts", "known_at", view)
    times = connection.sql(
        f"SELECT epoch_us(counted_at) AS counted_at, coalesce(epoch_us(superseded_at), {NEVER}) AS superseded_at, "
        "epoch_us(least(coalesce(event_at, known_at), known_at)) AS happened_at FROM _facts ORDER BY rowid"
    ).fetchnumpy()
    values = np.empty((entity.size, len(view.aggregates)))
    if view.aggregates:
        numbers = connection.sql("SELECT COLUMNS('^_value_') FROM _facts ORDER BY rowid").fetchnumpy()
        for position in range(values.shape[1]):
            column = np.ma.filled(np.ma.asarray(numbers[f"_value_{position}"], dtype=np.float64), np.nan)
            values[:, position] = np.where(np.isfinite(column), column, np.nan)
    return Facts(
        position=np.arange(entity.size),
        entity=entity,
        known_at=known_at,
        counted_at=np.asarray(times["counted_at"], dtype=np.int64),
        superseded_at=np.asarray(times["superseded_at"], dtype=np.int64),
        happened_at=np.asarray(times["happened_at"], dtype=np.int64),
        values=values,
    )
