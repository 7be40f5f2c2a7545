"""What the functions say of examples of a drop, by the newest label model as of an earlier drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.labeling.confusion_model import weighted_shares
from ml_assets.labeling.label_choice import GOLD_ALONE
from ml_assets.labeling.label_models import VOTE
from ml_assets.labeling.parameters import model_of_rows
from ml_assets.labeling.votes import FloatArray, VoteMatrix, gather_votes
from ml_assets.pipeline.labeling.weak_labels import TABLE, VOTES_VIEW, labeling_of, view_votes
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_of_cell
from ml_assets.spec.tables.labeling import LABEL_MODEL_PARAMETERS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


class VotersAsOf:
    """Probabilities of class 1 by functions, with the label model that was known before a drop."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState) -> None:
        self._connection, self._labeling, self._lake = connection, labeling_of(spec), state.lake
        self._models: dict[int, tuple[str, list[dict[str, Any]]]] = {}
        self._has_votes = self._lake.has(TABLE)
        if self._has_votes:
            view_votes(connection, self._lake)

    def probabilities(self, drop: DropKey, rows: pd.DataFrame) -> FloatArray:
        """Give one number for each of `rows`, which have `batch_date` and `example_id`.

        NaN where no function votes, and before the first label model.
        """
        found = np.full(len(rows), np.nan)
        version = version_as_of(self._lake, LABEL_MODEL_PARAMETERS.name, drop)
        if version is None or not self._has_votes or rows.empty or 1 not in self._labeling.classes:
            return found
        if version not in self._models:
            chosen = self._lake.metadata(LABEL_MODEL_PARAMETERS.name, version)["chosen"]
            table = self._lake.relation(self._connection, LABEL_MODEL_PARAMETERS.name, None, version).to_arrow_table()
            declared = {None, *(each.name for each in self._labeling.functions)}
            self._models[version] = (chosen, [row for row in table.to_pylist() if row["function"] in declared])
        chosen, parameters = self._models[version]
        votes = self._read(rows)
        if chosen in (VOTE, GOLD_ALONE) or not parameters:
            of_model = weighted_shares(votes)
        else:
            of_model = model_of_rows(parameters, votes).probabilities(votes)
        return np.where((votes.votes >= 0).any(axis=1), of_model[:, self._labeling.classes.index(1)], np.nan)

    def _read(self, rows: pd.DataFrame) -> VoteMatrix:
        functions, classes = self._labeling.functions, self._labeling.classes
        self._connection.register("_asked", rows[["batch_date", "example_id"]].assign(place=range(len(rows))))
        first, last = rows["batch_date"].min(), rows["batch_date"].max()
        cast = self._connection.execute(
            f"SELECT a.place, w.function, w.definition, w.label FROM {VOTES_VIEW} AS w JOIN _asked AS a "
            "ON a.example_id = w.example_id AND a.batch_date = w.batch_date "
            "WHERE w.label IS NOT NULL AND w.batch_date BETWEEN ? AND ?",
            [key_of_cell(first), key_of_cell(last)],
        ).fetchall()
        place_of = {(each.name, each.definition): place for place, each in enumerate(functions)}
        known = [(row, place_of[name, definition], classes.index(label)) for row, name, definition, label in cast
                 if (name, definition) in place_of and label in classes]  # fmt: skip
        examples, voters, labels = (np.array([each[k] for each in known], dtype=np.int64) for k in range(3))
        table = gather_votes(examples, voters, labels, (len(rows), len(functions)))
        return VoteMatrix(table, classes, tuple(each.name for each in functions))


def version_as_of(lake: Lake, table: str, drop: DropKey) -> int | None:
    """Give the newest version of a table of a retraining whose `as_of` lies before a drop; None where there is none."""
    if not lake.has(table):
        return None
    kept = lake.kept_versions(table)
    known = [
        (entry["as_of"], entry["version"])
        for entry in lake.history(table)
        if entry.get("as_of") and entry["as_of"] < str(drop) and entry["version"] in kept
    ]
    return max(known)[1] if known else None
