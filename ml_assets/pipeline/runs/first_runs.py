"""How to begin with a past that has landed: go live on all of it, or rehearse most of it first.

Input: the declaration, and the drops that landed and were not run. Output: commands in order, each with what it is for.
"""

from __future__ import annotations

from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec


def ways_to_begin(spec: UseCaseSpec, first: DropKey, last: DropKey, run_until: DropKey | None = None) -> dict[str, str]:
    """Give the commands that lead to a first champion, by two ways; of a past too short for that, the batch alone.

    A training set needs as many drops to learn from as to be judged on, and their labels; what is left for a replay has
    to be longer than a step of one.

    Parameters
    ----------
    first, last
        Drops that landed and were not run, without a hole.
    run_until
        The newest drop that was run; None before the first.
    """
    name, calendar = spec.name, spec.calendar
    whole = f"ml-assets batch {name} --from {first} --to {last}"
    middle = _first_training(spec, last, run_until)
    if (
        middle is None or calendar.span(middle, last) <= spec.retraining.replay_every
    ):  # there is nothing to speak of to replay
        return {whole: "drops that landed and were not run"}
    is_over = calendar.last_drop is not None and last >= calendar.last_drop
    after = f"; none comes: `calendar.end` is {calendar.last_drop}" if is_over else ""
    live = {
        whole: "1. to go live today: run the whole past,",
        f"ml-assets retrain {name} --as-of {last}": f"and train on all of it; the model serves the drops after {last}"
        f"{after}",
    }
    begun = f"ml-assets batch {name} --from {first} --to {middle}"
    rehearsal = {
        **({} if middle < first else {begun: "2. or to see how it would have done: run a first part,"}),
        f"ml-assets retrain {name} --as-of {middle}": "2. or to see how it would have done: train on what was run,"
        if middle < first else "train on it,",
        f"ml-assets replay {name} --from {calendar.next_drop(middle)} --to {last}": "and let the rest pass, with the "
        "retrainings and alerts that automation would have had; what way 1 has run is not replayed",
    }  # fmt: skip
    return live | rehearsal


def _first_training(spec: UseCaseSpec, last: DropKey, run_until: DropKey | None) -> DropKey | None:
    """Give the drop to train as of: the newest that was run, or the middle of the past, where either is late enough."""
    calendar = spec.calendar
    needed = 2 * spec.model.holdout + spec.labels.matures_after
    if run_until is not None and needed <= calendar.span(calendar.first_drop, run_until):
        return run_until
    wanted = max(needed, calendar.span(calendar.first_drop, last) / 2)
    past = calendar.drops_between(calendar.first_drop, last)[:-1]
    return next((drop for drop in past if calendar.span(calendar.first_drop, drop) >= wanted), None)
