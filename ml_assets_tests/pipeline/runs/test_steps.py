from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_assets.pipeline.results import CheckOutcome
from ml_assets.pipeline.runs.steps import Step, StepsStoppedError, run_steps
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState

PASSED = CheckOutcome("final", True, "9 states final")
WARNED = CheckOutcome("complete", False, "3 of 9 drops are scored in part")


@pytest.fixture
def state(tmp_path: Path) -> UseCaseState:
    return UseCaseState("parcels", StatePaths(tmp_path))


def steps_of(ran: list[str], **outcomes: CheckOutcome | Exception) -> dict[str, Step]:
    """Give a step a name, which remembers that it ran and then gives its outcome or raises its error."""

    def step(name: str) -> Iterator[CheckOutcome]:
        ran.append(name)
        found = outcomes[name]
        if isinstance(found, Exception):
            raise found
        yield found

    return {f"layer/{name}": lambda name=name: step(name) for name in outcomes}


def test_steps_run_in_their_order_and_a_failed_check_that_does_not_block_stops_none(state: UseCaseState) -> None:
    ran: list[str] = []

    result = run_steps(state, steps_of(ran, drops=PASSED, predictions=WARNED, decisions=PASSED))

    assert ran == ["drops", "predictions", "decisions"]
    assert result.steps == ("layer/drops", "layer/predictions", "layer/decisions")
    assert result.checks == {"drops:final": PASSED, "predictions:complete": WARNED, "decisions:final": PASSED}


def test_failed_blocking_check_stops_the_run_and_is_named(state: UseCaseState) -> None:
    ran: list[str] = []
    nothing = CheckOutcome("admitted", False, "0 of 9 admitted", is_error=True)

    with pytest.raises(StepsStoppedError) as stopped:
        run_steps(state, steps_of(ran, weather=PASSED, drops=nothing, examples=PASSED))

    assert ran == ["weather", "drops"]
    assert (stopped.value.step, stopped.value.check) == ("layer/drops", "drops:admitted")
    assert stopped.value.result.checks["drops:admitted"] is nothing
    assert str(stopped.value) == (
        "parcels: the check drops:admitted failed and nothing after layer/drops was run: 0 of 9 admitted"
    )


def test_error_of_a_check_that_is_not_declared_as_blocking_stops_nothing(state: UseCaseState) -> None:
    error = CheckOutcome("feeds", False, "", is_error=True)

    result = run_steps(state, steps_of([], feed_health=error, decisions=PASSED))

    assert result.steps == ("layer/feed_health", "layer/decisions")


def test_step_that_raises_stops_the_run_with_its_error_as_the_cause(state: UseCaseState) -> None:
    ran: list[str] = []
    error = ValueError("no such drop")

    with pytest.raises(StepsStoppedError, match="parcels: layer/labels stopped: ValueError: no such drop") as stopped:
        run_steps(state, steps_of(ran, drops=PASSED, labels=error, examples=PASSED))

    assert ran == ["drops", "labels"]
    assert stopped.value.__cause__ is error
    assert (stopped.value.step, stopped.value.check) == ("layer/labels", "")
    assert stopped.value.result.steps == ("layer/drops",)


def test_only_some_steps_run_in_the_order_of_all_and_an_unknown_one_is_refused(state: UseCaseState) -> None:
    ran: list[str] = []
    steps = steps_of(ran, drops=PASSED, labels=PASSED, examples=PASSED)

    run_steps(state, steps, only=["layer/examples", "layer/drops"])

    assert ran == ["drops", "examples"]
    with pytest.raises(ValueError, match=r"found 'layer/label'; allowed: .*; nearest: layer/labels"):
        run_steps(state, steps, only=["layer/label"])


def test_use_case_is_locked_for_others_while_steps_run_and_free_after(state: UseCaseState) -> None:
    def is_locked() -> bool:
        with (state.paths.locks / "parcels.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    seen: list[bool] = []

    def look() -> tuple[CheckOutcome, ...]:
        seen.append(is_locked())
        return ()

    run_steps(state, {"layer/look": look})

    assert seen == [True]
    assert not is_locked()
