"""Votes and gold labels as they were known as of a drop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.labeling.votes import ABSTAIN, VoteMatrix
from ml_assets.pipeline.labeling.weak_labels import TABLE, labeling_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.kept_files import scan
from ml_assets.stores.lake import Lake, MissingTableError

if TYPE_CHECKING:
    import duckdb

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
    rows: dict[str, NDArray[Any]]
    gold: NDArray[np.int64]


def read_known_votes(
    connection: duckdb.DuckDBPyConnection, lake: Lake, spec: UseCaseSpec, as_of: date, versions: dict[str, int]
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
    for name in INPUTS:
        scan(connection, lake.files(name, versions[name])).create_view(f"_{name}")
    columns = ", ".join(
        f"max(label) FILTER (function = '{each.name}' AND definition = '{each.definition}') AS vote_{place}"
        for place, each in enumerate(labeling.functions)
    )
    batch_at, matured = spec.calendar.batch_at(as_of).isoformat(), spec.matured_by(as_of).isoformat()
    found = connection.sql(
        f"""
        WITH voted AS (
            SELECT batch_date, example_id, max(known_at) AS known_at, {columns} FROM _weak_labels
            WHERE batch_date <= DATE '{as_of}' GROUP BY batch_date, example_id
        ), outcomes AS (
            SELECT example_id, arg_max(label, (known_at, batch_date)) AS gold,
                arg_max(known_at, (known_at, batch_date)) AS gold_known_at
            FROM _labels WHERE known_at <= TIMESTAMPTZ '{batch_at}' AND batch_date <= DATE '{as_of}' GROUP BY example_id
        ), matured AS (
            SELECT batch_date, example_id FROM _examples
            WHERE batch_date <= DATE '{as_of}' AND prediction_at <= TIMESTAMPTZ '{matured}'
        ), gold AS (
            SELECT m.batch_date, example_id, gold, gold_known_at FROM matured AS m JOIN outcomes USING (example_id)
        )
        SELECT v.*, g.gold, g.gold_known_at FROM voted AS v LEFT JOIN gold AS g USING (batch_date, example_id)
        ORDER BY v.batch_date, v.example_id
        """
    ).to_arrow_table()
    names = tuple(each.name for each in labeling.functions)
    table = np.full((found.num_rows, len(names)), ABSTAIN, dtype=np.int16)
    for place in range(len(names)):
        table[:, place] = _positions(found[f"vote_{place}"], labeling.classes)
    rows = {
        name: np.asarray(found[name].to_pylist(), dtype=object)
        for name in ("batch_date", "example_id", "known_at", "gold", "gold_known_at")
    }
    votes = VoteMatrix(table, labeling.classes, names)
    return KnownVotes(votes, rows, _positions(found["gold"], labeling.classes).astype(np.int64))


def _positions(column: Any, classes: tuple[int, ...]) -> NDArray[np.int16]:
    """Give the position of each value among the classes, `ABSTAIN` for null and for what is none of them."""
    values = column.cast("int64").fill_null(np.iinfo(np.int64).min).to_numpy()
    found = np.full(len(values), ABSTAIN, dtype=np.int16)
    for place, each in enumerate(classes):
        found[values == each] = place
    return found
