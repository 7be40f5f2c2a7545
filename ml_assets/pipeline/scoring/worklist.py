"""The worklist of drops: the examples to act on, as many as the capacity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ml_assets.pipeline.features.closed_drops import require_features
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.pipeline.scoring.deliveries import deliver_drop
from ml_assets.pipeline.scoring.routes import store_routes, with_routes
from ml_assets.serving.worklist import draw_worklist, unpredicted_weights
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import show_tables
from ml_assets.stores.use_case_state import UseCaseState


def store_worklist(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> DropResult:
    """Draw the worklist of `drops` from their predictions, store it and deliver it. Grain: a place on a list.

    A drop whose model does not predict what `rank_by` weighs is ranked by score; a note and the check
    `ranked_as_declared` say so.
    """
    require_features(state, drops)
    bounds = (drops[0], drops[-1])
    with state.connect() as connection:
        tables = {name: state.lake.files(name, drops=bounds) for name in ("predictions", "examples")}
        show_tables(connection, tables)
        rows = draw_worklist(connection, spec.worklist).to_arrow_table()
        missing = unpredicted_weights(connection, spec.worklist)
    routed = store_routes(spec, state, spec.worklist.routes, drops) if spec.worklist.routes else None
    if routed is not None:
        rows = with_routes(rows, routed)
    state.lake.replace_drops("worklist", rows, drops)
    notes: dict[DropKey, dict[str, object]] = {
        drop: {
            **deliver_drop(spec, state, "worklist", drop, rows),
            **_ranked_by_score(missing.get(drop)),
            **(routed.notes[drop] if routed else {}),
        }
        for drop in drops
    }
    columns = {field.name: str(field.type) for field in rows.schema}
    checks = (rank_outcome(missing), *([routed.check] if routed else []))
    return DropResult(Counter(rows["batch_date"].to_pylist()), notes, columns, checks)


def _ranked_by_score(missing: Sequence[str] | None) -> dict[str, object]:
    return {"ranked by": f"score: the model does not predict {', '.join(missing)}"} if missing else {}


def rank_outcome(missing: Mapping[DropKey, Sequence[str]]) -> CheckOutcome:
    """Warn of drops that were ranked by score, because their model does not predict what `rank_by` weighs."""
    names = sorted({name for each in missing.values() for name in each})
    said = ""
    if missing:
        said = f"{len(missing)} drops from {min(missing)} to {max(missing)} are ranked by score: the model that serves "
        said += f"them does not predict {', '.join(names)}; a retraining makes one that does"
    return CheckOutcome("ranked_as_declared", not missing, said, {"drops ranked by score": len(missing)})
