"""Linear models of numbers: a ridge regression of amounts, and a Poisson regression of counts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ml_assets.training.candidate_parameters import candidate_parameters
from ml_assets.training.linear_model import (
    FittedLinearRegression,
    FittedPoissonRegression,
    LinearModel,
    load_linear_model,
)
from ml_assets.training.logistic_regression import fit_linear
from ml_assets.training.model_kind import FitRequest, ModelKind

# alpha: strength of the penalty on squared coefficients. min_frequency: as in a logistic regression.
DEFAULTS: dict[str, float] = {"alpha": 1.0, "min_frequency": 50}
POISSON_DEFAULTS: dict[str, float] = {"alpha": 1e-4, "max_iter": 300, "min_frequency": 50}


def fit_linear_regression(request: FitRequest) -> FittedLinearRegression:
    """Fit a ridge regression (Hoerl and Kennard, 1970), in one thread; the same rows give the same bytes.

    Raises ValueError on features that are not numbers or text, or that are all unknown texts.
    """
    from sklearn.linear_model import Ridge

    parameters = candidate_parameters(request.candidate, DEFAULTS)
    regression = Ridge(alpha=parameters["alpha"], solver="cholesky")
    return fit_linear(FittedLinearRegression, request, regression, request.labels, int(parameters["min_frequency"]))


def fit_poisson_regression(request: FitRequest) -> FittedPoissonRegression:
    """Fit a Poisson regression with a logarithmic link, in one thread; the same rows give the same bytes.

    Raises ValueError on features that are not numbers or text, or that are all unknown texts.
    """
    from sklearn.linear_model import PoissonRegressor

    parameters = candidate_parameters(request.candidate, POISSON_DEFAULTS)
    regression = PoissonRegressor(
        alpha=parameters["alpha"], max_iter=int(parameters["max_iter"]), solver="newton-cholesky"
    )
    labels = np.asarray(request.labels, dtype=np.float64)
    return fit_linear(FittedPoissonRegression, request, regression, labels, int(parameters["min_frequency"]))


def load_linear_regression(files: Mapping[str, bytes]) -> LinearModel:
    """Read back what `to_files` gave, as `load_linear_model` does."""
    return load_linear_model(FittedLinearRegression, files)


def load_poisson_regression(files: Mapping[str, bytes]) -> LinearModel:
    """Read back what `to_files` gave, as `load_linear_model` does."""
    return load_linear_model(FittedPoissonRegression, files)


LINEAR = ModelKind(
    "linear_regression", DEFAULTS, fit_linear_regression, load_linear_regression, cost=2, tasks=("regression",)
)
POISSON = ModelKind(
    "poisson_regression", POISSON_DEFAULTS, fit_poisson_regression, load_poisson_regression, cost=2, tasks=("count",)
)
