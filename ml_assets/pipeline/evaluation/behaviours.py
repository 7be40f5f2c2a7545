"""Evidence: declared behaviours of the candidate, tried on rows it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_assets.features.row_expressions import prepare_holidays
from ml_assets.pipeline.evaluation.comparison import Comparison
from ml_assets.pipeline.evaluation.evidence import Row, write_evidence
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.spec.behaviours import Behaviour
from ml_assets.spec.drop import DropKey, years_around
from ml_assets.spec.tables.models import BEHAVIOURS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.applicability_domain import Envelope
from ml_assets.training.behaviour_trials import TrialOfBehaviour, try_behaviours
from ml_assets.training.group_gaps import group_gaps
from ml_assets.training.model_kind import FittedModel

if TYPE_CHECKING:
    import pandas as pd


def broken_by(
    spec: UseCaseSpec, state: UseCaseState, model: FittedModel, features: pd.DataFrame, as_of: DropKey
) -> str:
    """Name the declared behaviours of severity `error` that a model does not keep on rows of `features`.

    What the gate would refuse is so known before the choice. It is tried on what the gate tries it on, the holdout, of
    which nothing but the features is looked at: a choice that no outcome had a part in biases none of its measures.
    `out_of_range` is left out: what a model abstains from hangs on its training rows alone.
    """
    errors = [each for each in spec.model.behaviours if each.severity == "error" and each.kind != "out_of_range"]
    if not errors:
        return ""
    tried = _try_on(spec, state, errors, (model, None), features, as_of)
    return "; ".join(f"{each.name} ({each.message})" for each in tried if each.state == "broken")


def store_behaviours(spec: UseCaseSpec, state: UseCaseState, found: Comparison) -> list[Row]:
    """Try the declared behaviours and measure gaps between groups, and store the rows. Grain: a behaviour or group."""
    rows = behaviour_rows(spec, state, found)
    write_evidence(state, BEHAVIOURS, rows, found)
    return rows


def behaviour_rows(spec: UseCaseSpec, state: UseCaseState, found: Comparison) -> list[Row]:
    """Give a row a declared behaviour that is tried, and a group whose gap is measured."""
    model = (found.candidate.model, found.candidate.envelope)
    tried = _try_on(spec, state, spec.model.behaviours, model, found.features, found.row.as_of)
    rows: list[Row] = [{"as_of": found.row.as_of, **vars(each)} for each in tried]
    return rows + [
        {"as_of": found.row.as_of, **row} for row in group_gaps(spec, found.window, found.scores["candidate"])
    ]


def behaviour_outcome(rows: Sequence[Row]) -> CheckOutcome:
    """Fail where a behaviour is not kept, or could not be tried."""
    broken = [row for row in rows if row["state"] != "kept"]
    said = "; ".join(f"{row['name']}: {row['message']}" for row in broken)
    said = said or (f"all {len(rows)} are kept" if rows else "none is declared")
    return CheckOutcome("behaviour", not broken, said, {"declared": len(rows), "not kept": len(broken)})


def _try_on(
    spec: UseCaseSpec,
    state: UseCaseState,
    behaviours: Sequence[Behaviour],
    model: tuple[FittedModel, Envelope | None],
    rows: pd.DataFrame,
    as_of: DropKey,
) -> list[TrialOfBehaviour]:
    """Try behaviours on rows of features, in a connection that sees nothing else."""
    with state.connect_apart() as connection:
        restrict_to_tables(connection, {})
        if spec.features.holidays:
            prepare_holidays(connection, spec.features.holidays, years_around(as_of, as_of))
        return try_behaviours(behaviours, *model, rows, connection, spec.model.seed)
