"""A stored model as what scores drops."""

from __future__ import annotations

from ml_assets.serving.routing import Part
from ml_assets.serving.scoring import ScoringModel
from ml_assets.spec.drop import read_key
from ml_assets.stores.model_store import ModelBundle


def scoring_model_of(bundle: ModelBundle, model_version: str, serves: Part = "model") -> ScoringModel:
    """Give a stored model as what scores drops, with its model or its baseline."""
    as_of = read_key(bundle.as_of)
    parts = (bundle.model, bundle.baseline, bundle.envelope, bundle.objectives)
    return ScoringModel(as_of, model_version, *parts, serves=serves, task=bundle.recipe.task)
