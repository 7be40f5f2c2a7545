"""Run named steps one after another, under the write lock of their use case.

A step is named like the asset that calls it in the graph, `layer/name`. It gives what its checks found. The first step
that raises, or whose blocking check fails, stops the run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from ml_assets.pipeline.results import CheckOutcome
from ml_assets.stores.processes import this_process
from ml_assets.stores.use_case_state import UseCaseState

Step = Callable[[], Iterable[CheckOutcome]]
Tell = Callable[[str], None]

# as `asset:check`; the graph declares the same ones as blocking
BLOCKING_CHECKS = frozenset(
    {"drops:admitted", "predictions:trained_before", "training_set:known_in_time", "training_set:leakage"}
)


@dataclass(frozen=True)
class StepsResult:
    """What a run did.

    Attributes
    ----------
    steps
        Names of the steps that ended, in order.
    checks
        What every check of these steps found, by `asset:check`.
    """

    steps: tuple[str, ...] = ()
    checks: Mapping[str, CheckOutcome] = field(default_factory=dict)


class StepsStoppedError(RuntimeError):
    """A run that stopped at a step: it raised, which is the cause, or one of its blocking checks failed.

    Attributes
    ----------
    step
        Name of the step.
    check
        The blocking check that failed, as `asset:check`; empty where the step raised.
    result
        What was done until then, with the checks of this step as far as it came.
    """

    def __init__(self, message: str, step: str, result: StepsResult, check: str = "") -> None:
        super().__init__(message)
        self.step, self.result, self.check = step, result, check


def ignore(message: str) -> None:
    """Take a message and show it to nobody."""


def run_steps(
    state: UseCaseState, steps: Mapping[str, Step], *, only: Collection[str] = (), tell: Tell = ignore
) -> StepsResult:
    """Run `steps` in their order, all of them or `only` some, while no other run writes to the use case.

    What they write is committed when all have ended, or when a blocking check has failed; where one raises, nothing is.
    In the graph, steps that do not depend on the one that failed run on; here none does.

    Raises
    ------
    ValueError
        Where `only` names what is no step.
    StepsStoppedError
        Where a step raises, or a blocking check fails.
    """
    _require_known(only, steps)
    done: list[str] = []
    checks: dict[str, CheckOutcome] = {}
    blocked: StepsStoppedError | None = None
    with state.writing(f"steps of process {this_process()}", tell=tell):
        for name, step in steps.items():
            if only and name not in only:
                continue
            asset = name.rpartition("/")[2]
            try:
                for outcome in step():
                    checks[f"{asset}:{outcome.name}"] = outcome
            except Exception as error:
                said = f"{state.use_case}: {name} stopped: {type(error).__name__}: {error}"
                raise StepsStoppedError(said, name, StepsResult(tuple(done), checks)) from error
            done.append(name)
            blocked = _find_blocked(state.use_case, name, StepsResult(tuple(done), checks))
            if blocked is not None:
                break  # what was refused, and why, is committed
    if blocked is not None:
        raise blocked
    return StepsResult(tuple(done), checks)


def _find_blocked(use_case: str, step: str, result: StepsResult) -> StepsStoppedError | None:
    for name, outcome in result.checks.items():
        if name in BLOCKING_CHECKS and outcome.is_error and not outcome.passed:
            said = f"{use_case}: the check {name} failed and nothing after {step} was run: {outcome.description}"
            return StepsStoppedError(said, step, result, name)
    return None


def _require_known(only: Collection[str], steps: Mapping[str, Step]) -> None:
    for name in only:
        if name not in steps:
            nearest = get_close_matches(name, steps, n=1, cutoff=0.0)
            raise ValueError(f"only: found {name!r}; allowed: {', '.join(steps)}; nearest: {nearest[0]}")
