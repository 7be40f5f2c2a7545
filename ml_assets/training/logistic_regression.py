"""Fit linear models with scikit-learn, the logistic regression first, and keep the numbers that they found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.training.candidate_parameters import candidate_parameters
from ml_assets.training.feature_matrix import FeatureColumns, learn_columns, numeric_matrix, text_matrix
from ml_assets.training.linear_model import (
    FittedLogisticRegression,
    LinearModel,
    Model,
    NumericColumn,
    ScaledTerm,
    TextColumn,
    load_linear_model,
)
from ml_assets.training.model_kind import FitRequest, ModelKind

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.base import BaseEstimator
    from sklearn.pipeline import Pipeline

# min_frequency: texts with fewer training rows share one column, with the unknown and the never seen.
DEFAULTS: dict[str, float] = {"C": 1.0, "max_iter": 1000, "min_frequency": 50}


def fit_logistic_regression(request: FitRequest) -> FittedLogisticRegression:
    """Fit on training rows, in one thread. The same rows, weights and seed give the same bytes.

    Raises
    ------
    ValueError
        On features that are not numbers or text, or that are all unknown texts.
    """
    from sklearn.linear_model import LogisticRegression

    parameters = candidate_parameters(request.candidate, DEFAULTS)
    # rows outnumber columns by far: a few exact steps, where lbfgs takes about ninety and stops short of the optimum
    regression = LogisticRegression(
        C=parameters["C"], max_iter=int(parameters["max_iter"]), random_state=request.seed, solver="newton-cholesky"
    )
    labels = request.labels.astype(np.int64)
    return fit_linear(FittedLogisticRegression, request, regression, labels, int(parameters["min_frequency"]))


def fit_linear(
    kind: type[Model], request: FitRequest, regression: BaseEstimator, labels: NDArray[np.generic], min_frequency: int
) -> Model:
    """Fit one of scikit-learn's linear models on the columns as `unfitted_pipeline` gives them; keep its numbers.

    Raises
    ------
    ValueError
        On features that are not numbers or text, or that are all unknown texts.
    """
    from threadpoolctl import threadpool_limits

    features, weights_of_rows = request.features, request.options.weights
    columns = learn_columns(features)
    if not columns.numeric and not _encoded_texts(columns):
        raise ValueError("every feature is unknown in every training row")
    pipeline = unfitted_pipeline(regression, columns, min_frequency)
    weights = {} if weights_of_rows is None else {"regression__sample_weight": weights_of_rows}
    with threadpool_limits(limits=1):
        pipeline.fit(pipeline_frame(features, columns), labels, **weights)
    return numbers_of(kind, pipeline, columns)


def unfitted_pipeline(regression: BaseEstimator, columns: FeatureColumns, min_frequency: int) -> Pipeline:
    """Give the scikit-learn pipeline that imputes, scales and encodes the columns, and weighs what comes of them."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    from ml_assets.training.numeric_bounds import bounding_steps

    texts = _encoded_texts(columns)
    # numpy's median of a column at a time: the imputer's own sorts all of them masked, half the time of a fit
    imputer = SimpleImputer(strategy=_median, add_indicator=True, keep_empty_features=True)  # pyright: ignore[reportArgumentType] - inferred from the default
    scaling = [("impute", imputer), *bounding_steps()]
    categories = [np.array(columns.categories[name], dtype=object) for name in texts]
    encoder = OneHotEncoder(
        categories=categories,  # pyright: ignore[reportArgumentType] - inferred from the default, "auto"
        handle_unknown="infrequent_if_exist",
        min_frequency=min_frequency,
        sparse_output=False,
    )
    parts = [("numeric", Pipeline(scaling), list(columns.numeric)), ("text", encoder, list(texts))]
    transformer = ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0.0)
    return Pipeline([("columns", transformer), ("regression", regression)])


def pipeline_frame(features: pd.DataFrame, columns: FeatureColumns) -> pd.DataFrame:
    """Give the columns as the pipeline takes them: numbers with NaN, texts with None where unknown or never seen."""
    import pandas as pd

    numbers = pd.DataFrame(numeric_matrix(features, columns), columns=list(columns.numeric))
    texts = pd.DataFrame(text_matrix(features, columns), columns=list(columns.text), dtype=object)
    return pd.concat([numbers, texts], axis=1)


def numbers_of(kind: type[Model], pipeline: Pipeline, columns: FeatureColumns) -> Model:
    """Read the fitted numbers out of the pipeline; see `unfitted_pipeline` for the order of its coefficients."""
    fitted, regression = pipeline.named_steps["columns"].named_transformers_, pipeline.named_steps["regression"]
    coefficients: list[float] = np.ravel(regression.coef_).tolist()
    numeric: dict[str, NumericColumn] = {}
    if columns.numeric:
        impute, _, bound, scale = (step for _, step in fitted["numeric"].steps)
        limits = (bound.data_min_.tolist(), bound.data_max_.tolist(), scale.mean_.tolist(), scale.scale_.tolist())
        values = [_term(*each) for each in zip(*limits, coefficients, strict=False)]
        coefficients = coefficients[len(values) :]
        flags = dict(zip(impute.indicator_.features_.tolist(), values[len(columns.numeric) :], strict=True))
        numeric = {
            name: NumericColumn(median, values[place], flags.get(place))
            for place, (name, median) in enumerate(zip(columns.numeric, impute.statistics_.tolist(), strict=True))
        }
    text = {name: TextColumn({}, (), 0.0) for name in columns.text}
    for place, name in enumerate(_encoded_texts(columns)):
        rare = fitted["text"].infrequent_categories_[place]
        rare = () if rare is None else tuple(rare.tolist())
        frequent = [each for each in columns.categories[name] if each not in rare]
        other = coefficients[len(frequent)] if rare else 0.0
        text[name] = TextColumn(dict(zip(frequent, coefficients, strict=False)), rare, other)
        coefficients = coefficients[len(frequent) + bool(rare) :]
    return kind(columns.names, float(np.ravel(regression.intercept_)[0]), numeric, text)


def _term(minimum: float, maximum: float, mean: float, scale: float, coefficient: float) -> ScaledTerm:
    """Give a term; a constant of the training rows adds nothing, whatever it is later."""
    return ScaledTerm(minimum, maximum, mean, scale, 0.0 if minimum == maximum else coefficient)


def _median(known: NDArray[np.float64]) -> float:
    """The median of a column's known values; 0 where there are none, as the imputer's own."""
    return float(np.median(known)) if known.size else 0.0


def _encoded_texts(columns: FeatureColumns) -> tuple[str, ...]:
    """The text columns with something to encode; one that was never known in training carries nothing."""
    return tuple(name for name in columns.text if columns.categories[name])


def load_logistic_regression(files: Mapping[str, bytes]) -> LinearModel:
    """Read back what `to_files` gave, as `load_linear_model` does."""
    return load_linear_model(FittedLogisticRegression, files)


KIND = ModelKind("logistic_regression", DEFAULTS, fit_logistic_regression, load_logistic_regression, cost=2)
