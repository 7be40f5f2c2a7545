"""Votes and gold labels as they were known as of a drop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.labeling.votes import ABSTAIN, VoteMatrix, gather_votes
from ml_assets.pipeline.labeling.weak_labels import TABLE, labeling_of, view_votes
from ml_assets.spec.drop import DropKey, key_sql
from ml_assets.spec.labeling import LabelingSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.kept_files import scan
from ml_assets.stores.lake import Lake, MissingTableError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

INPUTS = (TABLE, "examples", "labels")


@dataclass(frozen=True, eq=False)
class KnownVotes:
    """Examples with votes, in order of drop and id, as known as of a drop.

    Attributes
    ----------
    rows
        Grain: an example. `batch_date`, `example_id`, `known_at` of its votes, `gold` (null: not known, or not matured)
        and `gold_known_at`.
    gold
        Position of the gold label among the classes; negative where it is not known.
    """

    votes: VoteMatrix
    rows: pa.Table
    gold: NDArray[np.int64]


def read_known_votes(
    connection: duckdb.DuckDBPyConnection, lake: Lake, spec: UseCaseSpec, as_of: DropKey, versions: dict[str, int]
) -> KnownVotes:
    """Read the votes of functions as declared now on examples of drops up to `as_of`, with matured gold labels.

    Votes by another definition are left out, as if the function had abstained. A gold label counts when it was known
    and had landed by `as_of`, and its example had matured.

    Parameters
    ----------
    versions
        Lake version of each of `INPUTS`.

    Raises
    ------
    MissingTableError
        Where no drop has votes yet.
    """
    labeling = labeling_of(spec)
    if TABLE not in versions:
        raise MissingTableError(f"{spec.name} has no weak labels yet; run `ml-assets labels {spec.name} --backfill`")
    view_votes(connection, lake, versions[TABLE])
    for name in INPUTS[1:]:
        scan(connection, lake.files(name, versions[name])).create_view(f"_{name}")
    batch_at, matured = spec.calendar.batch_at(as_of).isoformat(), spec.matured_by(as_of).isoformat()
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE _known AS
        WITH voted AS (
            SELECT batch_date, max(known_at) AS known_at FROM _weak_labels WHERE batch_date <= {key_sql(as_of)}
            GROUP BY batch_date
        ), outcomes AS (
            SELECT example_id, arg_max(label, (known_at, batch_date)) AS gold,
                arg_max(known_at, (known_at, batch_date)) AS gold_known_at
            FROM _labels WHERE known_at <= TIMESTAMPTZ '{batch_at}' AND batch_date <= {key_sql(as_of)}
            GROUP BY example_id
        )
        SELECT row_number() OVER (ORDER BY e.batch_date, e.example_id) - 1 AS place, e.batch_date, e.example_id,
            voted.known_at, CASE WHEN e.prediction_at <= TIMESTAMPTZ '{matured}' THEN o.gold END AS gold,
            CASE WHEN e.prediction_at <= TIMESTAMPTZ '{matured}' THEN o.gold_known_at END AS gold_known_at
        FROM _examples AS e JOIN voted USING (batch_date) LEFT JOIN outcomes AS o USING (example_id)
        """
    )
    rows = connection.sql("SELECT * EXCLUDE (place) FROM _known ORDER BY place").to_arrow_table()
    votes = VoteMatrix(_read_votes(connection, labeling, as_of, rows.num_rows), labeling.classes,
                       tuple(each.name for each in labeling.functions))  # fmt: skip
    return KnownVotes(votes, rows, _positions(rows["gold"], labeling.classes).astype(np.int64))


def _read_votes(
    connection: duckdb.DuckDBPyConnection, labeling: LabelingSpec, as_of: DropKey, n_examples: int
) -> NDArray[np.int16]:
    """Read the votes by declared definitions as a matrix; abstentions are not read at all."""
    connection.execute("CREATE OR REPLACE TEMP TABLE _declared (function VARCHAR, definition VARCHAR, voter BIGINT)")
    connection.executemany(
        "INSERT INTO _declared VALUES (?, ?, ?)",
        [[each.name, each.definition, place] for place, each in enumerate(labeling.functions)],
    )
    cast = connection.sql(
        "SELECT k.place, d.voter, w.label FROM _weak_labels AS w JOIN _declared AS d USING (function, definition) "
        "JOIN _known AS k USING (batch_date, example_id) "
        f"WHERE w.label IS NOT NULL AND w.batch_date <= {key_sql(as_of)}"
    ).to_arrow_table()
    labels = _positions(cast["label"], labeling.classes).astype(np.int64)
    places, voters = cast["place"].to_numpy(), cast["voter"].to_numpy()
    return gather_votes(places, voters, labels, (n_examples, len(labeling.functions)))


def _positions(column: Any, classes: tuple[int, ...]) -> NDArray[np.int16]:
    """Give the position of each value among the classes, `ABSTAIN` for null and for what is none of them."""
    values = column.cast("int64").fill_null(np.iinfo(np.int64).min).to_numpy()
    found = np.full(len(values), ABSTAIN, dtype=np.int16)
    for place, each in enumerate(classes):
        found[values == each] = place
    return found
