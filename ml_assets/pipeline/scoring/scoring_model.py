"""A stored model as what scores drops."""

from __future__ import annotations

from datetime import date

from ml_assets.serving.scoring import ScoringModel
from ml_assets.stores.model_store import ModelBundle


def scoring_model_of(bundle: ModelBundle, model_version: str) -> ScoringModel:
    """Give a stored model as what scores drops."""
    as_of = date.fromisoformat(bundle.as_of)
    return ScoringModel(as_of, model_version, bundle.model, bundle.baseline, bundle.envelope, bundle.objectives)
