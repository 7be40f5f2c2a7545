"""The linear rung: one scikit-learn pipeline that imputes, scales, encodes and weighs, saved in one piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.training.canonical_skops import dump_canonical, load_allowed
from ml_assets.training.feature_matrix import FeatureColumns, learn_columns, numeric_matrix, text_matrix
from ml_assets.training.rung_parameters import PLAIN, FitOptions, rung_parameters

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    from ml_assets.spec.model import Rung

PIPELINE_FILE = "pipeline.skops"
COLUMNS_FILE = "columns.json"
# min_frequency: texts with fewer training rows share one column, with the unknown and the never seen.
DEFAULTS: dict[str, float] = {"C": 1.0, "max_iter": 1000, "min_frequency": 50}

# All that a pipeline of this module is made of. Loading refuses anything else, also what skops itself would trust.
ALLOWED_TYPES = frozenset(
    {
        "builtins.dict",
        "builtins.list",
        "builtins.slice",
        "builtins.str",
        "builtins.tuple",
        "numpy.dtype",
        "numpy.float64",
        "numpy.int64",
        "numpy.ndarray",
        "sklearn.compose._column_transformer.ColumnTransformer",
        "sklearn.impute._base.MissingIndicator",
        "sklearn.impute._base.SimpleImputer",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.MinMaxScaler",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.preprocessing._encoders.OneHotEncoder",
    }
)


@dataclass(frozen=True)
class FittedLogisticRegression:
    """A fitted pipeline and the columns it takes."""

    columns: FeatureColumns
    pipeline: Pipeline

    @property
    def kind(self) -> str:
        """The kind of rung this is."""
        return "logistic_regression"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns needed to predict."""
        return self.columns.names

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Probability of a positive, one a row. Raises ValueError on missing columns.

        The pipeline's own formula, except that each row is added up alone: `predict_proba` multiplies matrices, whose
        last bits depend on how many rows are scored together (a day alone, or inside a range).
        """
        from scipy.special import expit

        frame = _pipeline_frame(features, self.columns)
        if not len(frame):
            return np.empty(0, dtype=np.float64)
        regression = self.pipeline.named_steps["regression"]
        prepared = np.ascontiguousarray(self.pipeline[:-1].transform(frame))
        return expit((prepared * regression.coef_[0]).sum(axis=1) + regression.intercept_[0])

    def to_files(self) -> dict[str, bytes]:
        """The pipeline as a canonical skops archive, and the columns as JSON."""
        return {PIPELINE_FILE: dump_canonical(self.pipeline), COLUMNS_FILE: self.columns.to_json()}

    def contributions(self, features: pd.DataFrame) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
        """By column, weight times what became of its value, in log odds; numeric ones from their training mean."""
        frame = _pipeline_frame(features, self.columns)
        regression = self.pipeline.named_steps["regression"]
        weighed = np.asarray(self.pipeline[:-1].transform(frame)) * regression.coef_[0]
        parts = {name: np.zeros(len(frame)) for name in self.columns.names}
        for place, name in enumerate(_origins(self.pipeline.named_steps["columns"], self.columns)):
            parts[name] = parts[name] + weighed[:, place]
        return parts, np.full(len(frame), float(regression.intercept_[0]))

    def importance(self) -> dict[str, float]:
        """By column, the sum of the absolute weights of what became of it: value, missing flag, one-hot texts.

        Numeric ones are per standard deviation.
        """
        weights = np.abs(self.pipeline.named_steps["regression"].coef_[0])
        origins = _origins(self.pipeline.named_steps["columns"], self.columns)
        totals = dict.fromkeys(self.columns.names, 0.0)
        for name, weight in zip(origins, weights.tolist(), strict=True):
            totals[name] += weight
        return totals


def fit_logistic_regression(
    rung: Rung,
    features: pd.DataFrame,
    labels: NDArray[np.float64],
    *,
    seed: int,
    threads: int,
    options: FitOptions = PLAIN,
) -> FittedLogisticRegression:
    """Fit the pipeline on training rows. The same rows, weights, seed and threads give the same bytes.

    Raises
    ------
    ValueError
        On features that are not numbers or text, or that are all unknown texts.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
    from threadpoolctl import threadpool_limits

    parameters = rung_parameters(rung, DEFAULTS)
    columns = learn_columns(features)
    texts = _encoded_texts(columns)
    if not columns.numeric and not texts:
        raise ValueError("every feature is unknown in every training row")
    # numpy's median of a column at a time: the imputer's own sorts all of them masked, half the time of a fit
    imputer = SimpleImputer(strategy=_median, add_indicator=True, keep_empty_features=True)  # pyright: ignore[reportArgumentType] - inferred from the default
    # a line goes on for ever: beyond what training saw, a value counts as the nearest one that it saw
    bound = MinMaxScaler(clip=True)
    categories = [np.array(columns.categories[name], dtype=object) for name in texts]
    encoder = OneHotEncoder(
        categories=categories,  # pyright: ignore[reportArgumentType] - inferred from the default, "auto"
        handle_unknown="infrequent_if_exist",
        min_frequency=int(parameters["min_frequency"]),
        sparse_output=False,
    )
    parts = [
        (
            "numeric",
            Pipeline([("impute", imputer), ("bound", bound), ("scale", StandardScaler())]),
            list(columns.numeric),
        ),
        ("text", encoder, list(texts)),
    ]
    transformer = ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0.0)
    # rows outnumber columns by far: a few exact steps, where lbfgs takes about ninety and stops short of the optimum
    regression = LogisticRegression(
        C=parameters["C"], max_iter=int(parameters["max_iter"]), random_state=seed, solver="newton-cholesky"
    )
    pipeline = Pipeline([("columns", transformer), ("regression", regression)])
    with threadpool_limits(limits=threads):
        fitted_on = _pipeline_frame(features, columns), labels.astype(np.int64)
        pipeline.fit(*fitted_on, **({} if options.weights is None else {"regression__sample_weight": options.weights}))
    fitted = transformer.named_transformers_["numeric"]["impute"] if columns.numeric else imputer
    for each in (imputer, fitted):  # what it is by now: saved models hold no functions
        each.set_params(strategy="median")
    return FittedLogisticRegression(columns, pipeline)


def _median(known: NDArray[np.float64]) -> float:
    """The median of a column's known values; 0 where there are none, as the imputer's own."""
    return float(np.median(known)) if known.size else 0.0


def load_logistic_regression(files: Mapping[str, bytes]) -> FittedLogisticRegression:
    """Read back what `to_files` gave. Raises ValueError when the archive holds a type that is not allowed."""
    pipeline = load_allowed(files[PIPELINE_FILE], ALLOWED_TYPES)
    return FittedLogisticRegression(FeatureColumns.from_json(files[COLUMNS_FILE]), pipeline)


def _encoded_texts(columns: FeatureColumns) -> tuple[str, ...]:
    """The text columns with something to encode; one that was never known in training carries nothing."""
    return tuple(name for name in columns.text if columns.categories[name])


def _pipeline_frame(features: pd.DataFrame, columns: FeatureColumns) -> pd.DataFrame:
    import pandas as pd

    numbers = pd.DataFrame(numeric_matrix(features, columns), columns=list(columns.numeric))
    texts = pd.DataFrame(text_matrix(features, columns), columns=list(columns.text), dtype=object)
    return pd.concat([numbers, texts], axis=1)


def _origins(transformer: ColumnTransformer, columns: FeatureColumns) -> list[str]:
    """The input column of each column that the transformer gives."""
    origins: list[str] = []
    if columns.numeric:
        imputer = transformer.named_transformers_["numeric"]["impute"]
        origins += columns.numeric
        origins += [columns.numeric[position] for position in imputer.indicator_.features_]
    texts = _encoded_texts(columns)
    if texts:
        encoder = transformer.named_transformers_["text"]
        for name, known, rare in zip(texts, encoder.categories_, encoder.infrequent_categories_, strict=True):
            n_rare = 0 if rare is None else len(rare)
            origins += [name] * (len(known) - n_rare + (n_rare > 0))
    return origins
