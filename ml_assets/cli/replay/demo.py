"""The demo: real drops through the real graph, and a table of what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ml_assets.cli.console import console, next_steps, read_use_case
from ml_assets.cli.operate.landing import land_bundled
from ml_assets.cli.operate.runs import batch_with_progress, retrain_with_progress
from ml_assets.cli.operate.status import show_candidates, show_drop_counts, show_verdict
from ml_assets.cli.replay.run import ReplayOptions, replay_and_show
from ml_assets.demo.flights import BUNDLED_USE_CASE
from ml_assets.pipeline.features.closed_drops import closed_drops
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.drop import DropKey
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

_HISTORY = (date(2013, 1, 1), date(2013, 3, 31))
_REPLAYED = (date(2013, 4, 1), date(2013, 6, 9))  # ten weeks


def run_demo(paths: StatePaths) -> None:
    """Land and run three months, train as of their end, replay ten weeks, and show how they turned out."""
    spec = read_use_case(BUNDLED_USE_CASE)
    state = UseCaseState(spec.name, paths)
    as_of = _HISTORY[1]
    history = spec.calendar.drops_between(*_HISTORY)
    land_bundled(spec, paths, history)
    is_unchanged = _is_run(state, history)
    if not is_unchanged:
        batch_with_progress(spec, paths, history, len(history))
    promoted = f"as_of = '{as_of}' AND verdict = 'promoted'"
    has_champion = bool(read_rows(state.lake, "champion", ["as_of"], where=promoted))
    if not (is_unchanged and has_champion):
        retrain_with_progress(spec, paths, Retraining(str(as_of)))
    else:
        console.print("the three months were run before and landed unchanged: nothing of them to run again\n")
    show_drop_counts(state, *_HISTORY)
    show_candidates(state)
    show_verdict(state)
    console.print("\nten weeks, replayed through the sensors that would have run them:")
    replay_and_show(spec, paths, ReplayOptions(*_REPLAYED))
    next_steps(
        {
            "make ui": "the graph, its checks and plots, at http://127.0.0.1:3000",
            f".venv/bin/ml-assets alerts {spec.name} --all": "every incident, and what was said about it",
            f".venv/bin/ml-assets status {spec.name}": "what landed, what serves, what to do next",
        }
    )


def _is_run(state: UseCaseState, drops: Sequence[DropKey]) -> bool:
    """Say whether features stand for all of `drops`."""
    return set(drops) <= closed_drops(state)
