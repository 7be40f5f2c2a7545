"""The steps of a replay of history: which drops each one takes, and what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from ml_assets.spec.use_case import UseCaseSpec


class ReplayStoppedError(RuntimeError):
    """A step that cannot go on: a run failed, or a drop waits for what does not come."""


@dataclass(frozen=True)
class StepOutcome:
    """What one step did. `seconds` by what they were spent on; a step that was done before took none."""

    drops: tuple[date, ...]
    decision: str
    reason: str
    runs: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)


def replay_steps(spec: UseCaseSpec, first: date, last: date, every: int | None = None) -> list[list[date]]:
    """Cut the drops first..last into steps of `every` drops, by default of the declared cadence."""
    length = every or max(1, spec.retraining.replay_every // spec.calendar.every)
    drops = spec.calendar.drops_between(first, last)
    return [drops[start : start + length] for start in range(0, len(drops), length)]
