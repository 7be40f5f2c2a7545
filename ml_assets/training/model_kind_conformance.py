"""What every kind of model must keep, as checks that a package which adds one can run.

    from ml_assets.training.model_kind_conformance import CHECKS

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_kind_conforms(check):
        check(KIND)

Each check fits the kind on made-up rows of this module with its default parameters, or with those of the candidate
that it is given, once for each task that it predicts, and raises ConformanceError with what it found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml_assets.spec.conformance import ConformanceError, require
from ml_assets.spec.model import ModelCandidate
from ml_assets.stats.tasks import task_of
from ml_assets.training.candidate_parameters import FitOptions, candidate_parameters
from ml_assets.training.model_kind import FitRequest, FittedModel, FloatArray, ModelKind

if TYPE_CHECKING:
    import pandas as pd


def made_up_rows(n: int = 600, task: str = "binary") -> tuple[pd.DataFrame, FloatArray]:
    """Make flights in which the carrier and the hour matter, with every kind of unknown: features and labels."""
    import pandas as pd

    rng = np.random.default_rng(0)
    carriers = np.array(["AA", "B6", "UA", "OO", None], dtype=object)
    frame = pd.DataFrame(
        {
            "carrier": rng.choice(carriers, n, p=[0.3, 0.3, 0.2, 0.01, 0.19]),
            "hour": rng.integers(5, 23, n),
            "wind_speed_mph": rng.gamma(2, 5, n),
            "is_holiday": rng.random(n) < 0.1,
            "gate": pd.Series([None] * n, dtype=object),
        }
    )
    odds = (frame["hour"] - 14) / 5 + (frame["carrier"] == "B6") * 0.8 - 1
    if task == "binary":
        labels = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.float64).to_numpy()
    elif task == "count":
        labels = rng.poisson(np.exp(odds.to_numpy() / 2)).astype(np.float64)
    else:
        labels = 10 * odds.to_numpy() + rng.normal(0, 3, n)
    frame.loc[:30, "wind_speed_mph"] = np.nan
    frame.loc[31, "wind_speed_mph"] = np.inf
    return frame, labels


def fits_and_scores(kind: ModelKind, candidate: ModelCandidate | None = None) -> None:
    """Every row gets a score as float64 that its task allows, also a row of unknowns; no rows get none."""
    for task in kind.tasks:
        _fits_and_scores(kind, candidate, task)


def _fits_and_scores(kind: ModelKind, candidate: ModelCandidate | None, task: str) -> None:
    model, frame, _ = _fitted(kind, candidate, task)
    scores = model.predict(frame)
    unknown = frame.iloc[[50]].assign(carrier=None, wind_speed_mph=np.nan, hour=np.nan)
    require(model.kind == kind.name, f"its model calls itself {model.kind!r}, the kind {kind.name!r}")
    require(scores.dtype == np.float64 and scores.shape == (len(frame),), f"scores are {scores.dtype} {scores.shape}")
    scale = task_of(task).scale
    require(not scale.is_wrong(scores).any(), f"task {task}: a score is no {scale.score}")
    require(bool(np.isfinite(model.predict(unknown)).all()), "a row of unknowns has no score")
    require(model.predict(frame.iloc[:0]).shape == (0,), "no rows must give no scores")


def scores_rows_alone(kind: ModelKind, candidate: ModelCandidate | None = None) -> None:
    """A row has the same score alone, among others and in another order, to the bit."""
    for task in kind.tasks:
        model, frame, _ = _fitted(kind, candidate, task)
        together = model.predict(frame)
        alone = [model.predict(frame.iloc[[row]])[0] for row in range(20, 45)]
        require(alone == together[20:45].tolist(), "a row scores otherwise alone than among others")
        require(bool((model.predict(frame.iloc[::-1])[::-1] == together).all()), "the order of rows changes scores")


def names_missing_columns(kind: ModelKind, candidate: ModelCandidate | None = None) -> None:
    """A missing column raises ValueError with its name; more columns, in another order, change nothing."""
    model, frame, _ = _fitted(kind, candidate, kind.tasks[0])
    more = frame[frame.columns[::-1]].assign(another=1.0)
    require(bool((model.predict(more) == model.predict(frame)).all()), "a column it does not need changes scores")
    for name in model.feature_names:
        try:
            model.predict(frame.drop(columns=[name]))
        except ValueError as error:
            require(name in str(error), f"the error about the missing column {name!r} does not name it: {error}")
        else:
            raise ConformanceError(f"predict without {name!r} raises no ValueError")


def takes_odd_values_for_unknown(kind: ModelKind, candidate: ModelCandidate | None = None) -> None:
    """A text that training never saw, and a number that is not finite, count as unknown."""
    model, frame, _ = _fitted(kind, candidate, kind.tasks[0])
    row = frame.iloc[[50]]
    pairs = [(row.assign(carrier="??"), row.assign(carrier=None))]
    pairs += [(row.assign(hour=infinity), row.assign(hour=np.nan)) for infinity in (np.inf, -np.inf)]
    for odd, unknown in pairs:
        require(model.predict(odd).tolist() == model.predict(unknown).tolist(), "an odd value is not taken for unknown")


def saves_and_loads(kind: ModelKind, candidate: ModelCandidate | None = None) -> None:
    """What is read back scores alike to the bit and saves to the same files."""
    for task in kind.tasks:
        model, frame, _ = _fitted(kind, candidate, task)
        files = model.to_files()
        loaded = kind.load(files)
        require(bool(files) and all(isinstance(each, bytes) for each in files.values()), "files are not bytes by name")
        require(bool((loaded.predict(frame) == model.predict(frame)).all()), "a loaded model scores otherwise")
        require(loaded.feature_names == model.feature_names, "a loaded model takes other columns")
        require(loaded.to_files() == files, "a loaded model saves to other files")


def fits_the_same_twice(kind: ModelKind, candidate: ModelCandidate | None = None) -> None:
    """The same request gives the same bytes, and changes neither rows nor labels."""
    for task in kind.tasks:
        frame, labels = made_up_rows(task=task)
        before, labels_before = frame.copy(deep=True), labels.copy()
        first, second = (_fit(kind, candidate, frame, labels, task).to_files() for _ in range(2))
        require(first == second, "two fits on the same rows with the same seed differ")
        require(frame.equals(before) and bool((labels == labels_before).all()), "a fit changes its rows")


def explains_itself(kind: ModelKind, candidate: ModelCandidate | None = None) -> None:
    """Importance is of its columns alone; contributions, where it has them, add up to the score on the task's scale."""
    for task in kind.tasks:
        _explains_itself(kind, candidate, task)


def _explains_itself(kind: ModelKind, candidate: ModelCandidate | None, task: str) -> None:
    model, frame, _ = _fitted(kind, candidate, task)
    importance, found = model.importance(), model.contributions(frame)
    require(set(importance) <= set(model.feature_names), "importance of columns that it does not take")
    require(all(np.isfinite(list(importance.values()))), "importance that is not finite")
    if found is not None:
        parts, base = found
        total = base + sum(parts.values(), np.zeros(len(frame)))
        require(set(parts) <= set(model.feature_names), "contributions of columns that it does not take")
        asked = task_of(task).scale.link(model.predict(frame))
        require(bool(np.allclose(total, asked, rtol=1e-5, atol=1e-4)), f"task {task}: contributions miss the score")


def refuses_unknown_parameters(kind: ModelKind, candidate: ModelCandidate | None = None) -> None:
    """A parameter that the kind does not know raises ValueError naming it; `candidate_parameters` does that."""
    task = kind.tasks[0]
    frame, labels = made_up_rows(task=task)
    declared = candidate or ModelCandidate(name="conforms", kind=kind.name)
    odd = declared.model_copy(update={"parameters": {**declared.parameters, "no_such_parameter": 1}})
    if not kind.parameters:
        return
    try:
        _fit(kind, odd, frame, labels, task)
    except ValueError as error:
        require("no_such_parameter" in str(error), f"the error about an unknown parameter does not name it: {error}")
    else:
        raise ConformanceError("an unknown parameter raises no ValueError")
    require(
        dict(kind.parameters) == candidate_parameters(ModelCandidate(name="d", kind=kind.name), kind.parameters),
        "defaults",
    )


CHECKS = (
    fits_and_scores, scores_rows_alone, names_missing_columns, takes_odd_values_for_unknown, saves_and_loads,
    fits_the_same_twice, explains_itself, refuses_unknown_parameters,
)  # fmt: skip


def _fitted(
    kind: ModelKind, candidate: ModelCandidate | None, task: str
) -> tuple[FittedModel, pd.DataFrame, FloatArray]:
    frame, labels = made_up_rows(task=task)
    return _fit(kind, candidate, frame, labels, task), frame, labels


def _fit(
    kind: ModelKind, candidate: ModelCandidate | None, frame: pd.DataFrame, labels: FloatArray, task: str
) -> FittedModel:
    declared = candidate or ModelCandidate(name="conforms", kind=kind.name)
    return kind.fit(FitRequest(declared, frame, labels, 1, FitOptions(task=task)))
