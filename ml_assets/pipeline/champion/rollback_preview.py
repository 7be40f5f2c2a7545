"""What a rollback would change: both models on the newest drops, and what either costs on matured examples."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ml_assets.pipeline.champion.decisions import newest_drop
from ml_assets.pipeline.scoring.prior_correction import PriorCorrector
from ml_assets.pipeline.scoring.scoring_model import scoring_model_of
from ml_assets.serving.scoring import score_drop
from ml_assets.serving.worklist import priority_of
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import pandas as pd

_DROPS = 14  # compared on as many of the newest drops


@dataclass(frozen=True)
class RollbackPreview:
    """Both models on the newest drops, and on the newest that have matured.

    Grain of `rows`: an example. `label` is null where the example has not matured as of `newest`: labels that come
    early are more often of one kind, and would make one model look cheaper than it is.
    """

    rows: pd.DataFrame
    newest: DropKey


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
        for drop in compared_drops(spec, newest):
            rows = connection.execute(f"SELECT * FROM features_{version} WHERE batch_date = ?", [drop]).df()
            if rows.empty or any(not _can_score(bundle, rows, drop) for bundle in models.values()):
                continue
            frame = (
                rows[["batch_date", "example_id", "prediction_at"]]
                .sort_values("example_id", kind="stable")
                .reset_index(drop=True)
            )
            for name, bundle in models.items():
                model_version = (current if name == "now" else entry)["model_version"]
                serves = current["serves"] if name == "now" else "model"
                shift = corrector.shift_of(drop, model_version, bundle, version or 0).shift
                said = score_drop(rows, drop, scoring_model_of(bundle, model_version, serves), shift)
                frame[name] = said["score"]
                frame[f"{name}_priority"] = priority_of(spec.worklist, {str(key): said[key] for key in said})
            scored.append(frame)
        newest_label = "arg_max(label, (known_at, batch_date)) AS label"
        labels = connection.sql(f"SELECT example_id, {newest_label} FROM labels GROUP BY example_id").df()
    if not scored:
        return None
    rows = pd.concat(scored, ignore_index=True).merge(labels, on="example_id", how="left")
    return RollbackPreview(keep_matured_labels(rows, spec.matured_by(newest)), newest)


def keep_matured_labels(rows: pd.DataFrame, matured_until: datetime) -> pd.DataFrame:
    """Give the rows with the labels of examples predicted up to `matured_until`; the others have none."""
    return rows.assign(label=rows["label"].where(rows["prediction_at"] <= matured_until))


def compared_drops(spec: UseCaseSpec, newest: DropKey) -> list[DropKey]:
    """Give the newest drops, which show what flips, and the newest that have matured, which show what it costs."""
    earlier = spec.calendar.drops_between(spec.calendar.first_drop, newest)
    matured = [each for each in earlier if spec.calendar.batch_at(each) <= spec.matured_by(newest)]
    return sorted({*earlier[-_DROPS:], *matured[-_DROPS:]})


def _can_score(bundle: ModelBundle, rows: pd.DataFrame, drop: DropKey) -> bool:
    return read_key(bundle.as_of) < drop and set(bundle.features) <= set(rows.columns)
