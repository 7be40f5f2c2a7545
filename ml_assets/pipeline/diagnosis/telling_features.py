"""The features by which rows of now are told from those of before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_assets.monitoring.diagnosis import feature_origins
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.model_store import ModelBundle
from ml_assets.training.time_proxy_features import time_proxy_features

if TYPE_CHECKING:
    import pandas as pd

LEAST_IMPORTANCE = 0.002  # of the champion's: what it does not lean on explains no change of its loss


def telling_features(spec: UseCaseSpec, bundle: ModelBundle, before: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """Give the features that the champion leans on, but for two kinds that would tell any two weeks apart.

    Those that act as a date, and those made of earlier outcomes: these follow a change of outcomes, and would call it
    a change of the examples.
    """
    import pandas as pd

    importance = {name: abs(value) for name, value in bundle.model.importance().items()}
    total = sum(importance.values()) or 1.0
    of_outcomes = set(spec.labels.sources) - set(spec.examples.sources)
    origins = feature_origins(spec)
    leaned = [
        name
        for name in bundle.features
        if importance.get(name, 0.0) / total >= LEAST_IMPORTANCE and not of_outcomes & set(origins.get(name, ()))
    ]
    sides = [before.assign(split="train"), now.assign(split="holdout")]
    proxies = {each.name for each in time_proxy_features(pd.concat(sides, ignore_index=True), leaned)}
    return [name for name in leaned if name not in proxies]
