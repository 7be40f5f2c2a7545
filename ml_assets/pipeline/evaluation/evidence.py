"""Tables of evidence: of which candidate, beside which champion, they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ml_assets.pipeline.evaluation.comparison import Comparison
from ml_assets.spec.tables import with_keys
from ml_assets.spec.tables.models import BEHAVIOURS as BEHAVIOUR_TRIALS
from ml_assets.spec.tables.models import EVALUATION_MEASURES, EVALUATION_SLICES
from ml_assets.spec.tables.table import Table
from ml_assets.stores.lake import Lake
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    pass


class StaleEvidenceError(RuntimeError):
    """Evidence about other models than those to be judged."""


MEASURES, SLICES, BEHAVIOURS = (each.name for each in (EVALUATION_MEASURES, EVALUATION_SLICES, BEHAVIOUR_TRIALS))
Row = dict[str, Any]


def write_evidence(state: UseCaseState, table: Table, rows: Sequence[Row], found: Comparison) -> None:
    """Write a table of evidence, and of which two models it is: the gate looks at no other."""
    table_of_now = with_keys(table, found.row.as_of)
    state.lake.replace(table.name, arrow_rows(table_of_now, rows, found.task.name), _pair(found))


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
