"""What a rollback would change: both models on the newest drops."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ml_assets.pipeline.champion.decisions import newest_drop
from ml_assets.pipeline.scoring.prior_correction import PriorCorrector
from ml_assets.pipeline.scoring.scoring_model import scoring_model_of
from ml_assets.serving.scoring import score_drop
from ml_assets.serving.worklist import priority_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import pandas as pd

_DROPS = 14  # compared on as many of the newest drops


@dataclass(frozen=True)
class RollbackPreview:
    """Both models on the newest drops. Grain of `rows`: an example, with `label` where it is known by now."""

    rows: pd.DataFrame
    newest: date


def preview_rollback(
    spec: UseCaseSpec, state: UseCaseState, entry: dict[str, Any], current: dict[str, Any]
) -> RollbackPreview | None:
    """Score the newest drops with both models, as either would serve them."""
    import pandas as pd

    store, lake = state.models, state.lake
    models = {
        name: store.load(row["model_version"], row["artifact_sha256"])
        for name, row in (("now", current), ("then", entry))
    }
    scored: list[pd.DataFrame] = []
    with state.connect() as connection:
        newest = newest_drop(connection, lake)
        if newest is None:
            return None
        version = lake.version("features")
        lake.relation(connection, "features").create_view(f"features_{version}")
        lake.relation(connection, "labels").create_view("labels")
        corrector = PriorCorrector(connection, spec)
        for drop in spec.calendar.drops_between(newest - (_DROPS - 1) * spec.calendar.every, newest):
            rows = connection.execute(f"SELECT * FROM features_{version} WHERE batch_date = ?", [drop]).df()
            if rows.empty or any(not _can_score(bundle, rows, drop) for bundle in models.values()):
                continue
            frame = rows[["batch_date", "example_id"]].sort_values("example_id", kind="stable").reset_index(drop=True)
            for name, bundle in models.items():
                model_version = (current if name == "now" else entry)["model_version"]
                shift = corrector.shift_of(drop, model_version, bundle, version or 0).shift
                said = score_drop(rows, drop, scoring_model_of(bundle, model_version), shift)
                frame[name] = said["score"]
                frame[f"{name}_priority"] = priority_of(spec.worklist, {str(key): said[key] for key in said})
            scored.append(frame)
        newest_label = "arg_max(label, (known_at, batch_date)) AS label"
        labels = connection.sql(f"SELECT example_id, {newest_label} FROM labels GROUP BY example_id").df()
    if not scored:
        return None
    return RollbackPreview(pd.concat(scored, ignore_index=True).merge(labels, on="example_id", how="left"), newest)


def _can_score(bundle: ModelBundle, rows: pd.DataFrame, drop: date) -> bool:
    return date.fromisoformat(bundle.as_of) < drop and set(bundle.features) <= set(rows.columns)
