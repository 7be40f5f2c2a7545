"""What the model of each cutoff scores of every later drop: the triangular table of a policy backtest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.decisions.failure import ScoredDrop
from ml_assets.pipeline.policies.fitted_cutoffs import FittedCutoff
from ml_assets.pipeline.policies.kept_arrays import ArraysInFiles
from ml_assets.pipeline.policies.outcomes import Outcomes, label_rows
from ml_assets.pipeline.policies.policy_state import PolicyState
from ml_assets.pipeline.scoring.prior_correction import PriorCorrector
from ml_assets.serving.prior_shift import shifted
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_moment
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.model_store import ModelBundle

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

FloatArray = NDArray[np.float64]
Tell = Callable[[str], None]
_ROWS_AT_ONCE = 40_000
_OWN, _OUTSIDE, _WRONG = 0.0, 1.0, 2.0  # the model scores; abstains from its inputs; gives no score
_KINDS = ("score", "model_score", "baseline", "abstained")


@dataclass(frozen=True, eq=False)
class CutoffScores:
    """Scores of one model, in the order of the outcomes; NaN in drops up to its own.

    Attributes
    ----------
    score
        What it would have served, moved by the prior shift; the baseline's where it abstains.
    model_score, baseline
        The model's own before the shift, and the baseline's.
    abstained
        0 where the model scores, 1 where it abstains from the inputs, 2 where it gives no score.
    """

    score: FloatArray
    model_score: FloatArray
    baseline: FloatArray
    abstained: FloatArray

    def scored_drops(self, outcomes: Outcomes, after: DropKey, until: DropKey) -> list[ScoredDrop]:
        """Sum up how the model scored each drop after one and up to another, in order."""
        return [self._sum_up(drop, part) for drop, part in _parts(outcomes) if after < drop <= until]

    def _sum_up(self, drop: DropKey, part: slice) -> ScoredDrop:
        abstained, own = self.abstained[part], self.model_score[part]
        own = own[~np.isnan(own)]
        bounds = (float(own.min()), float(own.max())) if own.size else (None, None)
        outside, wrong = int((abstained == _OUTSIDE).sum()), int((abstained == _WRONG).sum())
        return ScoredDrop(drop, int(abstained.size), outside, wrong, *bounds)


def score_cutoffs(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: PolicyState,
    cutoffs: Sequence[FittedCutoff],
    outcomes: Outcomes,
    tell: Tell,
) -> list[CutoffScores]:
    """Score every drop after each cutoff with its model; what was scored before of the same files is read."""
    kept = ArraysInFiles(state.folder / "scores")
    found = {each.as_of: _read(kept, each, outcomes) for each in cutoffs}
    missing = [each for each in cutoffs if found[each.as_of] is None]
    if missing:
        raw = _score_raw(connection, spec, state, missing, outcomes, tell)
        labels = None if spec.model.prior_correction is None else _labels_by_drop(connection, spec, state, outcomes)
        for each, (own, simple, abstained) in zip(missing, raw, strict=True):
            served = np.where(abstained == _OWN, own, simple)
            if labels is not None:
                served = _shifted(connection, spec, state, each, outcomes, labels, own, served, abstained)
                tell(f"prior shifts of {each.model_version}")
            before = slice(0, outcomes.after(each.as_of).start)
            for values in (served, own, simple, abstained):
                values[before] = np.nan
            scores = CutoffScores(served, own, simple, abstained)
            for kind in _KINDS:
                kept[_name(each, outcomes, kind)] = getattr(scores, kind)[outcomes.after(each.as_of)]
            found[each.as_of] = scores
    return [scores for scores in (found[each.as_of] for each in cutoffs) if scores is not None]


def _name(cutoff: FittedCutoff, outcomes: Outcomes, kind: str) -> str:
    return f"{cutoff.model_version}.{outcomes.last}.{outcomes.fingerprint}.{kind}"


def _read(kept: ArraysInFiles, cutoff: FittedCutoff, outcomes: Outcomes) -> CutoffScores | None:
    part = outcomes.after(cutoff.as_of)
    arrays: list[FloatArray] = []
    for kind in _KINDS:
        values = kept.get(_name(cutoff, outcomes, kind))
        if values is None or values.size != part.stop - part.start:
            return None
        whole = np.full(outcomes.dates.size, np.nan)
        whole[part] = values
        arrays.append(whole)
    return CutoffScores(*arrays)


def _score_raw(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: PolicyState,
    cutoffs: Sequence[FittedCutoff],
    outcomes: Outcomes,
    tell: Tell,
) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Score the drops with all models, some drops at once: their features are read once."""
    found = [tuple(np.full(outcomes.dates.size, np.nan) for _ in range(3)) for _ in cutoffs]
    # also the drops between its newest training row and its own: prior shifts are learned on them
    learned = {each.as_of: spec.calendar.drop_receiving(each.facts(state).trained_until) for each in cutoffs}
    for drops in _in_parts(outcomes):
        relation = state.lake.relation(connection, "features", (drops[0], drops[-1]))
        frame = relation.order("batch_date, example_id").df()
        begin = outcomes.place(drops[0])
        days = outcomes.dates[begin : begin + len(frame)]
        for each, (own, simple, abstained) in zip(cutoffs, found, strict=True):
            later = int(np.searchsorted(days, key_moment(learned[each.as_of]), side="right"))
            if later < len(frame):
                part = slice(begin + later, begin + len(frame))
                own[part], simple[part], abstained[part] = _score(each.load(state), frame.iloc[later:])
        tell(f"{len(cutoffs)} models scored drops {drops[0]} to {drops[-1]}")
    return [(own, simple, abstained) for own, simple, abstained in found]


def _score(bundle: ModelBundle, rows: pd.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray]:
    own, simple = bundle.model.predict(rows), bundle.baseline.predict(rows)
    is_wrong = task_of(bundle.recipe.task).scale.is_wrong(own)
    abstained = np.where(is_wrong, _WRONG, _OWN)
    if bundle.envelope is not None:
        outside = np.array([each is not None for each in bundle.envelope.outside(rows)], dtype=bool)
        abstained = np.where(outside & ~is_wrong, _OUTSIDE, abstained)
    return np.where(is_wrong, np.nan, own), simple, abstained


def _parts(outcomes: Outcomes) -> Iterator[tuple[DropKey, slice]]:
    for number, drop in enumerate(outcomes.drops):
        yield drop, slice(int(outcomes.starts[number]), int(outcomes.starts[number + 1]))


def _in_parts(outcomes: Outcomes) -> Iterator[list[DropKey]]:
    some: list[DropKey] = []
    n = 0
    for drop, part in _parts(outcomes):
        if some and n + part.stop - part.start > _ROWS_AT_ONCE:
            yield some
            some, n = [], 0
        some.append(drop)
        n += part.stop - part.start
    if some:
        yield some


def _labels_by_drop(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: PolicyState, outcomes: Outcomes
) -> dict[DropKey, pd.DataFrame]:
    rows = label_rows(connection, state, (spec.calendar.next_drop(outcomes.first), outcomes.last))
    return dict(iter(rows.groupby("drop", sort=True)))  # pyright: ignore[reportReturnType] - keys are drops


def _shifted(  # noqa: PLR0913, PLR0917 - scores, and what their shift is learned from
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: PolicyState,
    cutoff: FittedCutoff,
    outcomes: Outcomes,
    labels: dict[DropKey, pd.DataFrame],
    own: FloatArray,
    served: FloatArray,
    abstained: FloatArray,
) -> FloatArray:
    """Move the scores of each drop by the prior shift that could be known at its batch."""
    bundle = cutoff.load(state)
    corrector = PriorCorrector(connection, spec)
    for drop, rows in labels.items():
        if drop > spec.calendar.drop_receiving(datetime.fromisoformat(bundle.trained_until)):
            known = rows.assign(score=own[rows["place"].to_numpy(dtype=np.int64)])
            corrector.know(cutoff.model_version, 0, drop, known)
    found = served.copy()
    for drop, part in _parts(outcomes):
        if drop > cutoff.as_of:
            shift = corrector.shift_of(drop, cutoff.model_version, bundle, 0).shift
            found[part] = np.where(abstained[part] == _OWN, shifted(served[part], shift), served[part])
    return found
