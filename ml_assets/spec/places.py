"""Where the declaration of each asset stands: the line of its key in defs.yaml, and its file of SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ml_assets.spec.names import KeyPath
from ml_assets.spec.use_case import UseCaseSpec

_KEYS: dict[str, KeyPath] = {
    "raw/drops": ("sources",),
    "features/features": ("features",),
    "features/examples": ("examples",),
    "training/labels": ("labels",),
    "training/training_set": ("model",),
    "models/candidate_model": ("model", "candidates"),
    "models/evaluation_measures": ("model",),
    "models/evaluation_slices": ("model",),
    "models/behaviours": ("model", "behaviours"),
    "models/evaluation": ("model", "gate"),
    "models/champion": ("model", "gate"),
    "models/model_card": ("model",),
    "predictions/predictions": ("model",),
    "predictions/shadow_predictions": ("model",),
    "predictions/worklist": ("worklist",),
    "monitoring/feed_health": ("monitoring",),
    "monitoring/drift_report": ("monitoring",),
    "monitoring/performance_report": ("monitoring",),
    "monitoring/decisions": ("retraining",),
}
_OF_LABELING: dict[str, KeyPath] = {
    "labels/weak_labels": ("labeling", "functions"),
    "labels/label_model": ("labeling",),
    "labels/training_labels": ("labeling",),
}
_OF_SQL = {"features/examples": "examples", "training/labels": "labels"}


@dataclass(frozen=True)
class Place:
    """A line of a file, and what stands there."""

    file: Path
    line: int
    label: str


def asset_places(
    spec: UseCaseSpec, declaration: Path, line_of: Callable[[KeyPath], int], sql_files: dict[str, Path]
) -> dict[str, tuple[Place, ...]]:
    """Give the places of each asset, by `layer/name`: its SQL first, where it has any, then its key.

    `line_of` gives the line of a key, of the nearest one around it where it is not written; `sql_files` the files of
    `examples` and `labels`.
    """
    keys = _KEYS | (_OF_LABELING if spec.labeling else {})
    keys |= {"labels/review_queue": ("review",)} if spec.review else {}
    keys |= {"labels/label_errors": ("review",)} if spec.review and spec.review.looks_for_label_errors else {}
    keys |= {"experiments/assignments": ("experiments",)} if spec.experiments else {}
    for number, source in enumerate(spec.sources):
        keys |= {f"{layer}/{source.name}": ("sources", number) for layer in ("raw", "validated", "quarantine")}
    places: dict[str, tuple[Place, ...]] = {}
    for asset, key in keys.items():
        found = Place(declaration, line_of(key), f"{declaration.name}: {'.'.join(map(str, key))}")
        sql = sql_files.get(_OF_SQL.get(asset, ""))
        places[asset] = (found,) if sql is None else (Place(sql, 1, sql.name), found)
    return places
