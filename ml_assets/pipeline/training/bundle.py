"""What is kept of a chosen model candidate: the model as judged, the same fitted again, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.spec.model import TrainingRecipe
from ml_assets.stats.sequential import daily_means
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.stores.model_store import JudgedParts, ModelBundle, UnseenDay
from ml_assets.training.applicability_domain import Envelope, learn_envelope
from ml_assets.training.candidate import MeasuredCandidate, Start, going_on
from ml_assets.training.intervals import fit_intervals, refit_intervals
from ml_assets.training.objectives import fit_objectives
from ml_assets.training.refit import departs, refit

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BundleFacts:
    """What a bundle records of its training set, as its plan has it. Moments in UTC, ISO 8601."""

    as_of: str
    holdout_after: str
    matured_until: str
    content_hash: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class Taken:
    """The recipe, what was fitted by it, and the name of the model candidate that was taken."""

    recipe: TrainingRecipe
    candidates: Sequence[MeasuredCandidate]
    name: str


def make_bundle(
    taken: Taken,
    rows: pd.DataFrame,
    facts: BundleFacts,
    *,
    start: Start | None,
    tell: Callable[[str], None],
) -> ModelBundle:
    """Give the bundle of the candidate that was taken, fitted again on all of `rows` where the recipe asks for it.

    Parameters
    ----------
    rows
        The training set without what the recipe leaves out of the past; both splits.
    """
    recipe, name = taken.recipe, taken.name
    by_name = {candidate.candidate.name: candidate for candidate in taken.candidates}
    chosen, baseline = by_name[name], by_name[recipe.baseline.name]
    model, served_baseline, learned = chosen.model, baseline.model, rows.loc[rows["split"] == "train"]
    trained_until, judged = facts.holdout_after, None
    intervals = fit_intervals(recipe, learned, facts.features)
    if recipe.refit:
        again = refit(recipe, chosen.candidate, chosen.model, rows, facts.features, start)
        said = departs(task_of(recipe.task), chosen.model, again, rows.loc[rows["split"] == "holdout"])
        if said:
            tell(f"{name}: fitted again on all matured rows, but {said}: what was judged is kept")
        else:
            judged = JudgedParts(facts.holdout_after, chosen.model, baseline.model, intervals)
            intervals = None if intervals is None else refit_intervals(recipe, intervals, rows, facts.features)
            served_baseline = refit(recipe, baseline.candidate, baseline.model, rows, facts.features)
            model, learned, trained_until = again, rows, facts.matured_until
    learned = learned.assign(split="train")
    return ModelBundle(
        as_of=facts.as_of,
        candidate=name,
        trained_until=trained_until,
        training_set_hash=facts.content_hash,
        recipe=recipe.only(name),
        features=facts.features,
        model=model,
        baseline=served_baseline,
        envelope=envelope_of(recipe, learned, facts.features),
        objectives=fit_objectives(recipe, learned, facts.features),
        intervals=intervals,
        started_from=_started_from(recipe, chosen, rows, facts.features, start),
        judged=judged,
        unseen_days=_unseen_days(task_of(recipe.task), chosen, baseline, rows),
    )


def envelope_of(recipe: TrainingRecipe, learned: pd.DataFrame, features: Sequence[str]) -> Envelope | None:
    """Learn which inputs are scored from the rows learned from, where the recipe asks for it."""
    if recipe.abstain is None:
        return None
    watched = [name for name in recipe.abstain.features if name in features]
    return learn_envelope(learned[watched], recipe.abstain.max_range_multiple) if watched else None


def _started_from(
    recipe: TrainingRecipe, chosen: MeasuredCandidate, rows: pd.DataFrame, features: Sequence[str], start: Start | None
) -> str | None:
    """Name the champion that the candidate, or one that it blends, went on from; None where all were trained anew."""
    candidate, train = chosen.candidate, rows.loc[rows["split"] == "train"]
    taken = [recipe.candidate(name) for name in candidate.members or (candidate.name,)]
    went_on = any(going_on(recipe, each, train, features, start) is not None for each in taken)
    return start.model_version if start is not None and went_on else None


def _unseen_days(
    task: Task, chosen: MeasuredCandidate, baseline: MeasuredCandidate, rows: pd.DataFrame
) -> tuple[UnseenDay, ...]:
    """Give the losses of windows ahead and of the holdout, and what they exceed the baseline's by, by drop."""
    is_train = (rows["split"] == "train").to_numpy()
    ahead, holdout = rows.loc[is_train].iloc[chosen.ahead_places], rows.loc[~is_train]
    labels = np.concatenate([part["label"].to_numpy(dtype=np.float64) for part in (ahead, holdout)])
    if not labels.size:
        return ()
    drops = np.concatenate(
        [part["batch_date"].astype(str).str.slice(0, 10).to_numpy(dtype=str) for part in (ahead, holdout)]
    )
    scores, simple = (
        np.concatenate([candidate.ahead_scores, candidate.holdout_scores]) for candidate in (chosen, baseline)
    )
    losses = task.losses(labels, scores)
    names, found = daily_means(drops, losses)
    others = [daily_means(drops, values)[1] for values in (losses - task.losses(labels, simple), labels - scores)]
    measured = [values for each in (found, *others) for values in (each.means, each.variances)]
    return tuple(
        UnseenDay(str(name), int(n), *map(float, of_day))
        for name, n, *of_day in zip(names, found.n, *measured, strict=True)
    )
