"""A retraining: training set, candidate, evidence and verdict as of a drop; it serves the drops after."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ml_assets.pipeline.audit.skew import compare_with_served, skew_outcome
from ml_assets.pipeline.audit.training_set_audit import audit_training_set, check_known_in_time, store_audit
from ml_assets.pipeline.champion.abandoned import mark_abandoned
from ml_assets.pipeline.champion.promote import record_verdict
from ml_assets.pipeline.evaluation.behaviours import behaviour_outcome, store_behaviours
from ml_assets.pipeline.evaluation.card_facts import CardFacts, gather_facts, store_card
from ml_assets.pipeline.evaluation.comparison import compare
from ml_assets.pipeline.evaluation.measures import store_measures
from ml_assets.pipeline.evaluation.slices import store_slices
from ml_assets.pipeline.evaluation.verdict import judge_candidate
from ml_assets.pipeline.labeling.label_errors import store_label_errors
from ml_assets.pipeline.labeling.label_model import store_label_model
from ml_assets.pipeline.labeling.training_labels import store_training_labels
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.pipeline.runs.steps import Step, StepsResult, Tell, ignore, run_steps
from ml_assets.pipeline.training.candidate import FittedCandidate, fit_candidate, record_candidate
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.pipeline.training.training_set import store_training_set
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState


@dataclass(frozen=True)
class RetrainingContext:
    """What a retraining takes from who runs it.

    Attributes
    ----------
    now
        When its verdict is recorded.
    run_id
        Of the run that it is part of; kept beside the verdict and in MLflow.
    tell
        Is given each message of progress.
    draw_plots
        Draws what MLflow keeps beside a candidate, by file name; None keeps none.
    asked_by
        What asked for it: a trigger or schedule; empty is a person.
    write_card
        Writes the model card and gives its Markdown; None leaves the step `models/model_card` out.
    """

    now: datetime
    run_id: str = ""
    asked_by: str = ""
    tell: Tell = ignore
    draw_plots: Callable[[FittedCandidate], Mapping[str, bytes]] | None = None
    write_card: Callable[[UseCaseSpec, UseCaseState, CardFacts], str] | None = None


def run_retraining_steps(
    spec: UseCaseSpec,
    state: UseCaseState,
    retraining: Retraining,
    context: RetrainingContext,
    *,
    only: Collection[str] = (),
) -> StepsResult:
    """Retrain as of a drop, all steps or `only` some, named as `layer/name`; raises as `run_steps` does.

    Tables, models and what MLflow lists come out as from the graph's job.
    """
    return run_steps(state, retraining_steps(spec, state, retraining, context), only=only, tell=context.tell)


def retraining_steps(
    spec: UseCaseSpec, state: UseCaseState, retraining: Retraining, context: RetrainingContext
) -> dict[str, Step]:
    """Name the steps of a retraining, in the order of the graph."""
    steps: dict[str, Step] = _labeling(spec, state, retraining) | {
        "training/training_set": lambda: _draw(spec, state, retraining),
        **_suspecting(spec, state),
        "models/candidate_model": lambda: _fit(spec, state, retraining, context),
        "models/evaluation_measures": lambda: _measure(spec, state),
        "models/evaluation_slices": lambda: _slice(spec, state),
        "models/behaviours": lambda: [behaviour_outcome(store_behaviours(spec, state, compare(state)))],
        "models/evaluation": lambda: _judge(spec, state, retraining, context.tell),
        "models/champion": lambda: [record_verdict(spec, state, context.now, context.run_id, context.asked_by).outcome],
    }
    if context.write_card is not None:
        steps["models/model_card"] = partial(_write_card, spec, state, context.write_card)
    return steps


def _labeling(spec: UseCaseSpec, state: UseCaseState, retraining: Retraining) -> dict[str, Step]:
    """Name the steps of the label model and its labels, where a use case declares functions."""
    if spec.labeling is None:
        return {}
    return {
        "labels/label_model": lambda: store_label_model(spec, state, retraining.as_of).checks,
        "labels/training_labels": lambda: _label(spec, state),
    }


def _suspecting(spec: UseCaseSpec, state: UseCaseState) -> dict[str, Step]:
    """Name the step of likely label errors, where people look at them."""
    if spec.review is None or not spec.review.looks_for_label_errors:
        return {}
    return {"labels/label_errors": lambda: store_label_errors(spec, state).checks}


def _label(spec: UseCaseSpec, state: UseCaseState) -> tuple[CheckOutcome, ...]:
    store_training_labels(spec, state)
    return ()


def _draw(spec: UseCaseSpec, state: UseCaseState, retraining: Retraining) -> Iterator[CheckOutcome]:
    drawn = store_training_set(spec, state, retraining.as_of, mix_features=retraining.mix_features)
    yield check_known_in_time(state, drawn.plan, drawn.version)
    audit = audit_training_set(spec, state, drawn.as_of, drawn.before)
    store_audit(state, audit, drawn.version)
    yield audit.outcome
    yield skew_outcome(compare_with_served(spec, state))


def _fit(
    spec: UseCaseSpec, state: UseCaseState, retraining: Retraining, context: RetrainingContext
) -> tuple[CheckOutcome, ...]:
    for version in mark_abandoned(state):
        context.tell(f"{spec.name}: {version} was left without a recorded verdict; it is marked abandoned")
    fitted = fit_candidate(spec, state, candidate=retraining.candidate, tune=retraining.tune, tell=context.tell)
    plots = context.draw_plots(fitted) if context.draw_plots else {}
    record_candidate(state, fitted, plots, context.run_id)
    return ()


def _measure(spec: UseCaseSpec, state: UseCaseState) -> tuple[CheckOutcome, ...]:
    store_measures(spec, state, compare(state))
    return ()


def _slice(spec: UseCaseSpec, state: UseCaseState) -> tuple[CheckOutcome, ...]:
    store_slices(spec, state, compare(state))
    return ()


def _judge(spec: UseCaseSpec, state: UseCaseState, retraining: Retraining, tell: Tell) -> tuple[CheckOutcome, ...]:
    judged = judge_candidate(spec, state, None if retraining.gate == "as_declared" else retraining.gate)
    tell(f"{judged.comparison.row.model_version}: {judged.verdict.outcome}")
    return ()


def _write_card(
    spec: UseCaseSpec, state: UseCaseState, write: Callable[[UseCaseSpec, UseCaseState, CardFacts], str]
) -> tuple[CheckOutcome, ...]:
    facts = gather_facts(state)
    store_card(state, facts, write(spec, state, facts))
    return ()
