"""The kinds of model that a declaration may name: those of this package, and those that installed packages add."""

from __future__ import annotations

from ml_assets.spec.extensions import MODEL_KINDS, ExtensionError, extensions, load_extension
from ml_assets.spec.names import not_among

# the kinds of this package, and what `parameters` may set on each; a test compares them with the defaults of the models
KIND_PARAMETERS: dict[str, tuple[str, ...]] = {
    "constant": (),
    "group_history": ("prior_strength",),
    "feature_value": (),
    "logistic_regression": ("C", "max_iter", "min_frequency"),
    "linear_regression": ("alpha", "min_frequency"),
    "poisson_regression": ("alpha", "max_iter", "min_frequency"),
    "xgboost": ("rounds", "eta", "max_depth", "max_leaves", "min_child_weight", "subsample", "colsample_bytree",
                "reg_lambda", "reg_alpha", "gamma", "max_delta_step", "max_cat_to_onehot", "max_cat_threshold"),
    "blend": (),
}  # fmt: skip


_ALL = ("binary", "regression", "count")
# what each kind of this package can predict; a test compares it with the kinds
KIND_TASKS: dict[str, tuple[str, ...]] = {
    "constant": _ALL,
    "group_history": _ALL,
    "feature_value": ("regression", "count"),
    "logistic_regression": ("binary",),
    "linear_regression": ("regression",),
    "poisson_regression": ("count",),
    "xgboost": _ALL,
    "blend": _ALL,
}
BASELINES = ("group_history", "feature_value")  # what stands for what people would do without a model


def tasks_of(kind: str) -> tuple[str, ...]:
    """Name what a kind can predict; nothing where there is no such kind, or it cannot be loaded."""
    if kind in KIND_TASKS:
        return KIND_TASKS[kind]
    return () if kind_fault(kind) else tuple(load_extension(MODEL_KINDS, kind).tasks)


def model_kind_names() -> list[str]:
    """Name the kinds that a candidate may be: those of this package, then those that installed packages add."""
    return [*KIND_PARAMETERS, *extensions(MODEL_KINDS)]


def parameters_of(kind: str) -> tuple[str, ...] | None:
    """Name what `parameters` may set on a kind; None where there is no such kind, or it cannot be loaded."""
    if kind in KIND_PARAMETERS:
        return KIND_PARAMETERS[kind]
    return None if kind_fault(kind) else tuple(load_extension(MODEL_KINDS, kind).parameters)


def kind_fault(kind: str) -> str:
    """Say what is wrong with a kind; empty where it can be used."""
    if kind in KIND_PARAMETERS:
        return ""
    if kind not in model_kind_names():
        return not_among(kind, model_kind_names())
    try:
        load_extension(MODEL_KINDS, kind)
    except ExtensionError as error:
        return str(error)
    return ""


def goes_on(kind: str) -> bool:
    """Say whether a fit of this kind may go on from a fitted model, as `warm_start` declares."""
    is_added = kind not in KIND_PARAMETERS and not kind_fault(kind)
    return kind == "xgboost" or (is_added and load_extension(MODEL_KINDS, kind).goes_on)
