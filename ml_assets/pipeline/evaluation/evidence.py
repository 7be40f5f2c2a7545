"""Tables of evidence: of which candidate, beside which champion, they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.pipeline.evaluation.comparison import Comparison
from ml_assets.stores.lake import Lake
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import pyarrow as pa


class StaleEvidenceError(RuntimeError):
    """Evidence about other models than those to be judged."""


MEASURES, SLICES, BEHAVIOURS = "evaluation_measures", "evaluation_slices", "behaviours"
Row = dict[str, Any]


def write_evidence(
    state: UseCaseState, table: str, rows: Sequence[Row], types: dict[str, str], found: Comparison
) -> None:
    """Write a table of evidence, and of which two models it is: the gate looks at no other."""
    state.lake.replace(table, _table(rows, types), _pair(found))


def _pair(found: Comparison) -> dict[str, str]:
    champion = "" if found.incumbent is None else found.incumbent.model_version
    return {"model_version": found.row.model_version, "champion": champion}


def require_evidence_of(lake: Lake, table: str, found: Comparison) -> None:
    """Raise StaleEvidenceError where a table of evidence is of another candidate, or beside another champion."""
    held, asked = lake.metadata(table), _pair(found)
    if any(held.get(name) != value for name, value in asked.items()):
        said = [f"{each.get('model_version') or 'no candidate'} beside {each.get('champion') or 'no champion'}"
                for each in (held, asked)]  # fmt: skip
        raise StaleEvidenceError(
            f"{table} is of {said[0]}, and asked is {said[1]}; materialize {table} first, as the retraining job does"
        )


def _table(rows: Sequence[Row], types: dict[str, str]) -> pa.Table:
    import pyarrow as pa

    kinds = {"date": pa.date32(), "text": pa.string(), "number": pa.float64(), "whole": pa.int64()}
    schema = pa.schema({name: kinds[kind] for name, kind in types.items()})
    plain = [{name: _plain(row.get(name)) for name in types} for row in rows]
    return pa.Table.from_pylist(plain, schema)


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not np.isfinite(value) else value
