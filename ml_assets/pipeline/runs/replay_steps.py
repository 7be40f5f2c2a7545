"""The steps of a replay of history: which drops each one takes, what it did, and what of it has to be run again.

The drops of a step are run together. A retraining or a fallback as of one of them changes what serves those after it,
and they were run without knowing: `fall_back` applies the fallback of one drop, `find_stale` finds the drops whose
decisions no longer follow from the record of the champion.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from ml_assets.pipeline.champion.fallback import apply_fallback
from ml_assets.pipeline.champion.record import drop_of, read_record
from ml_assets.pipeline.monitoring.decisions import decide_drops
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.processes import this_process
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState


class ReplayStoppedError(RuntimeError):
    """A step that cannot go on: a run failed, or a drop waits for what does not come."""


@dataclass(frozen=True)
class StepOutcome:
    """What one step did.

    Attributes
    ----------
    decision, reason
        Of the last drop.
    runs
        Identifiers of the runs, in order.
    seconds
        By what they were spent on; a step that was done before took none.
    acted
        The drops before the last one that asked for a retraining which was done, each with its reason.
    """

    drops: tuple[DropKey, ...]
    decision: str
    reason: str
    runs: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    acted: tuple[tuple[DropKey, str], ...] = ()


def replay_steps(spec: UseCaseSpec, first: DropKey, last: DropKey, every: int | None = None) -> list[list[DropKey]]:
    """Cut the drops first..last into steps of `every` drops, by default of the declared cadence."""
    length = every or max(1, spec.retraining.replay_every // spec.calendar.every)
    drops = spec.calendar.drops_between(first, last)
    return [drops[start : start + length] for start in range(0, len(drops), length)]


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds that the block takes to those of `name`."""
    begun = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun


def fall_back(spec: UseCaseSpec, state: UseCaseState, drop: DropKey, now: datetime) -> None:
    """Apply the fallback after `drop` where its decision says that the champion has failed."""
    (decided,) = read_rows(state.lake, "decisions", None, (drop, drop))
    if decided.get("failure") is not None and spec.model.fallback != "none":
        with state.writing(f"replay of process {this_process()}"):
            apply_fallback(spec, state, decided, now)


def find_stale(spec: UseCaseSpec, state: UseCaseState, drop: DropKey, later: Sequence[DropKey]) -> list[DropKey]:
    """Give `later`, the drops of a step after `drop`, where the record holds an entry as of `drop` that they miss.

    They miss it where a decision taken now, by what is known of its drop, is another one than the stored one. So a
    replay that was killed after a retraining, and before it ran the later drops again, finds them.
    """
    if not later:
        return []
    with state.connect() as connection:
        if all(drop_of(row) != drop for row in read_record(connection, state.lake)):
            return []
        decided = decide_drops(connection, spec, state, later)
    stored = {row["batch_date"]: row for row in read_rows(state.lake, "decisions", None, (later[0], later[-1]))}
    is_same = all({name: stored[row["batch_date"]].get(name) for name in row} == row for row in decided)
    return [] if is_same else list(later)
