from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets.pipeline.ingestion.corrections import (
    AcceptedGap,
    CorrectionError,
    RequeueRequest,
    accept_gap,
    land_again,
    plan_requeue,
)
from ml_assets.spec.tables.features import CLOSED_DROPS
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import day, flagship

SPEC = flagship()
ALL = RequeueRequest("weather", (), day(1), date.max)
AT = "2013-01-01T01:00:00Z"
FILE = f"origin,observed_at,temp_f\nEWR,{AT},10\nJFK,{AT},999\nLGA,{AT},x\n".encode()
KEYS = [("JFK", 3, ["too_warm"]), ("LGA", 4, ["too_warm", "already_known"])]


@pytest.fixture
def state(tmp_path: Path) -> UseCaseState:
    """Two rows of drop 1 in quarantine, the drop closed, the file kept."""
    state = UseCaseState(SPEC.name, StatePaths(tmp_path))
    sha256 = hashlib.sha256(FILE).hexdigest()
    state.paths.received.mkdir(parents=True)
    (state.paths.received / f"{sha256}.csv").write_bytes(FILE)
    (state.landing / str(day(1))).mkdir(parents=True)
    rows = [
        {"batch_date": day(1), "origin": origin, "observed_at": AT, "reasons": reasons,
         "_file": "2013-01-01/weather.csv", "_sha256": sha256, "_line": line}
        for origin, line, reasons in KEYS
    ]  # fmt: skip
    state.lake.replace_drops("quarantine_weather", pa.Table.from_pylist(rows), [day(1)])
    state.lake.replace_drops(CLOSED_DROPS.name, pa.table({"batch_date": [day(1)], "examples": [5]}), [day(1)])
    return state


def test_planned_rows_are_landed_once_beside_their_file(state: UseCaseState) -> None:
    plan = plan_requeue(SPEC, state, ALL)

    assert (plan.n_rows, plan.n_superseded, plan.next_drop) == (2, 0, day(2))
    assert plan.by_reason == {"already_known": 1, "too_warm": 2}
    assert list((state.landing / str(day(1))).iterdir()) == []  # nothing is written by a plan
    first, second = land_again(state, plan), land_again(state, plan)
    assert (first.n_landed, first.n_files, second.n_landed) == (1, 1, 0)
    (landed,) = (state.landing / str(day(1))).iterdir()
    assert landed.read_bytes().splitlines()[1:] == FILE.splitlines()[2:]


def test_reasons_that_no_contract_brings_back_are_not_asked_for_by_default(state: UseCaseState) -> None:
    known = RequeueRequest("weather", ("already_known",), day(1), date.max)

    assert plan_requeue(SPEC, state, known).n_rows == 1
    state.lake.replace_drops(
        "quarantine_weather",
        pa.Table.from_pylist([
            {"batch_date": day(1), "origin": "LGA", "observed_at": "x", "reasons": ["already_known"], "_file": "f",
             "_sha256": "s", "_line": 4}
        ]),
        [day(1)],
    )  # fmt: skip
    assert plan_requeue(SPEC, state, ALL).n_rows == 0


def test_row_of_whose_key_a_later_drop_brought_a_newer_one_stays_out(state: UseCaseState) -> None:
    newer = {"batch_date": [day(2)], "origin": ["JFK"], "observed_at": [AT]}
    state.lake.replace_drops("validated_weather", pa.table(newer), [day(2)])

    plan = plan_requeue(SPEC, state, ALL)

    assert (plan.n_rows, plan.n_superseded, list(plan.lines.values())) == (1, 1, [[4]])


def test_file_that_is_gone_is_a_problem_and_not_an_end(state: UseCaseState) -> None:
    plan = plan_requeue(SPEC, state, ALL)
    next(iter(state.paths.received.iterdir())).unlink()

    result = land_again(state, plan)

    assert result.n_landed == 0
    assert result.problems[0].startswith("left out: 2 lines of weather in drop 2013-01-01 (")


def test_open_drop_is_run_again_instead(state: UseCaseState) -> None:
    state.lake.replace_drops(CLOSED_DROPS.name, pa.table({"batch_date": [day(2)], "examples": [5]}), [day(1), day(2)])

    with pytest.raises(CorrectionError, match=r"weather of 2013-01-01 is not closed yet: run `ml-assets batch"):
        plan_requeue(SPEC, state, ALL)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (RequeueRequest("wether", (), day(1), day(2)), "--source: found 'wether'; allowed: .*; nearest: weather"),
        (RequeueRequest("weather", ("too_warn",), day(1), day(2)), "--reason: found 'too_warn'; .*nearest: too_warm"),
        (RequeueRequest("weather", ("x",), day(2), day(2)), "allowed: no row is in quarantine there"),
    ],
)
def test_what_is_not_there_is_named_with_the_nearest(state: UseCaseState, request_: RequeueRequest, said: str) -> None:
    with pytest.raises(CorrectionError, match=said):
        plan_requeue(SPEC, state, request_)


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (AcceptedGap("weather", [day(1)], "  "), "--reason: found nothing"),
        (AcceptedGap("planes", [day(9)], "lost"), "planes is not expected in 2013-01-09"),
        (AcceptedGap("wether", [day(1)], "lost"), "nearest: weather"),
    ],
)
def test_gap_that_is_none_is_refused(state: UseCaseState, gap: AcceptedGap, said: str) -> None:
    with pytest.raises(CorrectionError, match=said):
        accept_gap(SPEC, state, gap, SPEC.calendar.batch_at(day(20)))

    assert not state.lake.has("accepted_gaps")


def test_file_that_landed_is_no_gap(state: UseCaseState) -> None:
    (state.landing / str(day(1)) / "weather.csv").touch()

    with pytest.raises(CorrectionError, match="weather of 2013-01-01 has landed; run `ml-assets batch flight_delays"):
        accept_gap(SPEC, state, AcceptedGap("weather", [day(1)], "lost"), SPEC.calendar.batch_at(day(20)))
