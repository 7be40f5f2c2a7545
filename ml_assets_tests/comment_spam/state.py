"""The use case as run: all drops up to a day through the graph, or as steps without it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from ml_assets.graph.automation.run_requests import range_tags, retrain_config
from ml_assets.graph.definitions.jobs import batch_job_name, retrain_job_name
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.comment_spam.generate import GOLD, answered, draw_comments, land_comments
from ml_assets_tests.rehearsal import checks_of, run_job

FOLDER = Path(__file__).parent / "comment_spam"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LAST = date(2023, 4, 28)


def spam_spec() -> UseCaseSpec:
    """Read the declaration."""
    return load_use_case(FOLDER)


def land(root: Path, last: date = LAST, gold: int = GOLD) -> UseCaseState:
    """Land every drop up to `last` with so many gold labels, and give the state that they will be run into."""
    spec, comments = spam_spec(), draw_comments()
    land_comments(StatePaths(root).landing / spec.name, last, comments, answered(comments, gold))
    return UseCaseState(spec.name, StatePaths(root))


def run_steps_until(root: Path, last: date = LAST, gold: int = GOLD) -> UseCaseState:
    """Run every drop up to `last` without Dagster."""
    spec, state = spam_spec(), land(root, last, gold)
    run_batch_steps(spec, state, spec.calendar.drops_between(spec.calendar.start, last), BatchContext(NOW))
    return state


def retrain_steps(state: UseCaseState, as_of: date, only: tuple[str, ...] = ()) -> dict[str, bool]:
    """Retrain as of a drop without Dagster; give which checks passed."""
    context = RetrainingContext(NOW)
    result = run_retraining_steps(spam_spec(), state, Retraining(str(as_of)), context, only=only)
    return {name: each.passed for name, each in result.checks.items()}


def run_through_graph(root: Path, last: date = LAST) -> tuple[UseCaseState, dict[str, bool]]:
    """Run every drop up to `last` and a retraining as of it by the jobs of the graph; give which checks passed."""
    spec, state = spam_spec(), land(root, last)
    batch = run_job(spec, root, batch_job_name(spec.name), tags=range_tags(spec.calendar.start, last))
    retrained = run_job(
        spec, root, retrain_job_name(spec.name), config=retrain_config(spec, Retraining(str(last), gate="disabled"))
    )
    return state, {name: each.passed for result in (batch, retrained) for name, each in checks_of(result).items()}


def train_and_run_on(root: Path, as_of: date, gold: int, last: date, drops: Sequence[date]) -> None:
    """Train a champion as of a drop, land the drops up to `last`, and run `drops` with it."""
    state = run_steps_until(root, as_of, gold)
    assert retrain_steps(state, as_of)["champion:gate"]
    land(root, last, gold)
    run_batch_steps(spam_spec(), state, drops, BatchContext(NOW))


def rows_of(state: UseCaseState, table: str) -> pd.DataFrame:
    """Give all rows of a table, with `batch_date` as dates."""
    with state.connect() as connection:
        found = state.lake.relation(connection, table).df()
    return found.assign(batch_date=pd.to_datetime(found["batch_date"]).dt.date)
