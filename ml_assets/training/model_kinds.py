"""The kinds of model by name: those that come with this package, and those that others add."""

from __future__ import annotations

from ml_assets.spec.extensions import MODEL_KINDS, extensions, load_value
from ml_assets.spec.names import did_you_mean
from ml_assets.training import (
    boosted_trees,
    constant,
    feature_value,
    group_history,
    linear_regression,
    logistic_regression,
)
from ml_assets.training.model_kind import ModelKind

BUILT_IN = {
    kind.name: kind
    for kind in (
        constant.KIND, group_history.KIND, feature_value.KIND, logistic_regression.KIND, linear_regression.LINEAR,
        linear_regression.POISSON, boosted_trees.KIND,
    )
}  # fmt: skip


def model_kind(name: str) -> ModelKind:
    """Find a kind of model.

    Raises
    ------
    ValueError
        On an unknown name; ExtensionError, a subclass, on one that cannot be loaded or is no ModelKind.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    known = [*BUILT_IN, *extensions(MODEL_KINDS)]
    if name not in known:
        raise ValueError(f"there is no kind of model {name!r}; known are {', '.join(known)}{did_you_mean(name, known)}")
    return load_value(MODEL_KINDS, name, ModelKind)
