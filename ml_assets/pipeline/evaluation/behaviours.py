"""Evidence: declared behaviours of the candidate, tried on rows it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

from ml_assets.features.row_expressions import prepare_holidays
from ml_assets.pipeline.evaluation.comparison import Comparison
from ml_assets.pipeline.evaluation.evidence import Row, write_evidence
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.spec.tables.models import BEHAVIOURS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.behaviour_trials import try_behaviours
from ml_assets.training.group_gaps import group_gaps


def store_behaviours(spec: UseCaseSpec, state: UseCaseState, found: Comparison) -> list[Row]:
    """Try the declared behaviours and measure gaps between groups, and store the rows. Grain: a behaviour or group."""
    with state.connect_apart() as connection:
        restrict_to_tables(connection, {})
        if spec.features.holidays:
            year = found.row.as_of.year
            prepare_holidays(connection, spec.features.holidays, range(year - 1, year + 2))
        tried = try_behaviours(
            spec.model.behaviours, found.candidate.model, found.candidate.envelope, found.features, connection,
            spec.model.seed,
        )  # fmt: skip
    rows: list[Row] = [{"as_of": found.row.as_of, **vars(each)} for each in tried]
    rows += [{"as_of": found.row.as_of, **row} for row in group_gaps(spec, found.window, found.scores["candidate"])]
    write_evidence(state, BEHAVIOURS, rows, found)
    return rows


def behaviour_outcome(rows: Sequence[Row]) -> CheckOutcome:
    """Fail where a behaviour is not kept, or could not be tried."""
    broken = [row for row in rows if row["state"] != "kept"]
    said = "; ".join(f"{row['name']}: {row['message']}" for row in broken)
    said = said or (f"all {len(rows)} are kept" if rows else "none is declared")
    return CheckOutcome("behaviour", not broken, said, {"declared": len(rows), "not kept": len(broken)})
