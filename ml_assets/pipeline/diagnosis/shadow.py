"""A shadow candidate: trained on all that is known but the newest matured labels, and scored on those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.pipeline.diagnosis.matured_rows import ScoredRows
from ml_assets.pipeline.monitoring.feed_health import read_faults
from ml_assets.pipeline.training.bundle import BundleFacts
from ml_assets.pipeline.training.candidate import AskedFit, fit_bundle
from ml_assets.pipeline.training.training_set import draw, inputs_of
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.block_bootstrap import Interval, paired_day_block_bootstrap
from ml_assets.stats.tasks import task_of
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.training_set import plan_draw

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]
Tell = Callable[[str], None]
LEVEL, RESAMPLES = 0.9, 400


@dataclass(frozen=True, eq=False)
class ShadowCandidate:
    """A shadow candidate beside the champion.

    Attributes
    ----------
    candidate
        Its name among the model candidates.
    trained_until
        The newest `prediction_at` that it learned from, UTC.
    tested
        The rows that neither saw, with the champion's scores; `scores` are the candidate's.
    learned
        The newest rows before those, as many drops, with the champion's scores: what a shift is learned from.
    gain
        Relative loss that it saves beside the champion.
    """

    candidate: str
    trained_until: datetime
    tested: ScoredRows
    learned: ScoredRows
    scores: FloatArray
    gain: Interval


def fit_shadow(
    spec: UseCaseSpec, state: UseCaseState, bundle: ModelBundle, drop: DropKey, since: DropKey | None, tell: Tell
) -> ShadowCandidate | None:
    """Fit the champion's candidate on what is known in `drop`, and score both on the newest matured rows.

    Those rows are the holdout that a retraining would have; since a change began, the newer half of what matured after
    it, so that the candidate has seen some of it. None where too little is left on either side, the champion's
    candidate is not declared any more, or labels of labeling functions are trained on.
    """
    names = [each.name for each in spec.model.candidates]
    if bundle.candidate not in names or spec.trains_on_weak_labels:
        return None
    with state.connect() as connection:
        plan = plan_draw(spec, drop, read_faults(connection, spec, state.lake, drop).broken_drops(drop))
        versions = {table: state.lake.version(table) or 0 for table in inputs_of(plan)}
        drawn = draw(connection, state.lake, plan, versions)
        rows = connection.from_arrow(drawn.rows).order("batch_date, example_id").df()
    tested_after = _tested_after(spec, drop, datetime.fromisoformat(plan.holdout_after), since)
    unseen_after = max(tested_after, datetime.fromisoformat(bundle.trained_until))
    is_tested = (rows["prediction_at"] > unseen_after).to_numpy(dtype=bool)
    rows["split"] = np.where((rows["prediction_at"] > tested_after).to_numpy(dtype=bool), "holdout", "train")
    if not is_tested.any() or (rows["split"] == "train").sum() == 0:
        return None
    tell(f"a shadow candidate is fitted on {int((rows['split'] == 'train').sum()):,} rows")
    facts = BundleFacts(plan.as_of, tested_after.isoformat(), plan.matured_until, drawn.content_hash, plan.features)
    changes = () if since is None else (spec.calendar.batch_at(spec.calendar.previous_drop(since)),)
    # the bare model: what was held out is not learned afterwards
    bare = spec.model_copy(update={"model": spec.model.model_copy(update={"refit": False, "objectives": ()})})
    _, shadow, _ = fit_bundle(bare, state, rows, AskedFit(facts, bundle.candidate, changes=changes), lambda _: None)
    return _compare(spec, bundle, shadow, rows, is_tested, tested_after)


def _tested_after(spec: UseCaseSpec, drop: DropKey, holdout_after: datetime, since: DropKey | None) -> datetime:
    """Give the moment after which rows are scored and not learned."""
    if since is None:
        return holdout_after
    begun = spec.calendar.batch_at(spec.calendar.previous_drop(since))
    half = begun + (spec.matured_by(drop) - begun) / 2
    return max(holdout_after, half)


def _compare(
    spec: UseCaseSpec,
    champion: ModelBundle,
    shadow: ModelBundle,
    rows: pd.DataFrame,
    is_tested: NDArray[np.bool_],
    tested_after: datetime,
) -> ShadowCandidate | None:
    own = champion.model.predict(rows.loc[is_tested])
    scored = ScoredRows(rows.loc[is_tested].reset_index(drop=True), own)
    said = shadow.model.predict(scored.rows)
    task = task_of(spec.task)
    is_known = ~task.scale.is_wrong(own) & ~task.scale.is_wrong(said)
    tested, said = scored.where(is_known), said[is_known]
    if not said.size:
        return None
    first = tested.rows["prediction_at"].min()
    length = tested.rows["prediction_at"].max() - first
    is_before = (rows["prediction_at"] <= tested_after) & (rows["prediction_at"] > tested_after - length)
    is_before &= rows["prediction_at"] > datetime.fromisoformat(champion.trained_until)
    before = rows.loc[is_before].reset_index(drop=True)
    scores = champion.model.predict(before) if len(before) else np.empty(0)
    gain = paired_day_block_bootstrap(
        task.losses(tested.labels, tested.scores), task.losses(tested.labels, said), tested.days,
        rng=np.random.default_rng(spec.model.seed), resamples=RESAMPLES, level=LEVEL,
    )  # fmt: skip
    learned = ScoredRows(before, scores).where(~task.scale.is_wrong(scores))
    return ShadowCandidate(shadow.candidate, tested_after, tested, learned, said, gain)
