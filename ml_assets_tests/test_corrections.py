"""Late, revised and corrected files through the real graph: they count from the drop in which they were received."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml_assets.cli.console import console
from ml_assets.cli.operate.corrections import run_requeue
from ml_assets.pipeline.ingestion.corrections import AcceptedGap, RequeueRequest, accept_gap
from ml_assets.spec.contract import Expectation
from ml_assets.spec.drop import LATEST
from ml_assets_tests.rehearsal import UP_TO_FEATURES, Rehearsal, day, flagship, go_on_from, rehearse

pytestmark = [
    pytest.mark.xdist_group("corrections"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]

REVISED, LAST = 4, 6  # the drop whose outcomes are revised; the drop that receives the revision
TABLES = ("validated_flight_outcomes", "validated_weather", "labels", "examples", "features", "drops")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Six real drops landed, five of them run."""
    found = rehearse(tmp_path_factory.mktemp("corrections"), last=LAST)
    found.ingest(1, LAST - 1)
    return found


def revise(state: Rehearsal) -> list[str]:
    """Land one drop's outcomes again: four flights were later than first said. Give their ids."""
    path = state.landed(REVISED, "flight_outcomes")
    rows = pd.read_csv(path, dtype=str)
    chosen = rows.index[rows["status"] == "completed"][:4]
    rows.loc[chosen, "arrival_delay_min"] = "777"
    rows.to_csv(path, index=False)
    return sorted(rows.loc[chosen, "flight_id"])


def contents(state: Rehearsal, first: int, last: int) -> dict[str, str]:
    return {table: state.content(table, first, last) for table in TABLES}


def ledger(state: Rehearsal, number: int, source: str) -> dict[str, Any]:
    (row,) = state.rows("drops", f"SELECT * FROM t WHERE batch_date = '{day(number)}' AND source = '{source}'")
    return row


def test_revision_counts_from_the_drop_that_received_it_and_changes_nothing_before(
    history: Rehearsal, tmp_path: Path
) -> None:
    state, untouched = go_on_from(history, tmp_path / "revised"), go_on_from(history, tmp_path / "untouched")
    before = contents(history, 1, LAST - 1)
    flights = revise(state)

    state.ingest(LAST, LAST)
    untouched.ingest(LAST, LAST)

    assert contents(state, 1, LAST - 1) == before
    late = state.rows("validated_flight_outcomes", f"SELECT * FROM t WHERE batch_date = '{day(LAST)}' AND _is_late")
    assert sorted(row["flight_id"] for row in late) == flights
    assert {row["arrival_delay_min"] for row in late} == {777}
    assert {row["_file"] for row in late} == {f"{day(REVISED)}/flight_outcomes.csv"}
    assert state.content("features", LAST, LAST) != untouched.content("features", LAST, LAST)
    assert ledger(state, LAST, "flight_outcomes")["late"] == ledger(state, REVISED, "flight_outcomes")["landed"]
    assert (
        f"already_known x{ledger(state, REVISED, 'flight_outcomes')['landed'] - 4}"
        in (ledger(state, LAST, "flight_outcomes")["reasons"])
    )


def test_running_it_all_again_in_one_range_gives_the_same_tables(history: Rehearsal, tmp_path: Path) -> None:
    state = go_on_from(history, tmp_path)
    revise(state)
    state.ingest(LAST, LAST)
    found = contents(state, 1, LAST)

    state.ingest(1, LAST)

    assert contents(state, 1, LAST) == found


@pytest.mark.slow  # a second history, drop by drop
def test_same_receipts_in_the_same_order_give_the_same_tables(history: Rehearsal, tmp_path: Path) -> None:
    first = go_on_from(history, tmp_path / "first")
    second = rehearse(tmp_path / "second", history.landing, last=LAST - 1)
    for start, end in ((1, 3), (4, 4), (5, 5)):
        second.ingest(start, end)
    for state in (first, second):
        revise(state)
    rehearse(tmp_path / "third", history.landing, last=LAST).landed(LAST, "weather").parent.rename(
        second.landing / str(day(LAST))
    )

    first.ingest(LAST, LAST)
    second.ingest(LAST, LAST)

    assert contents(first, 1, LAST) == contents(second, 1, LAST)


def test_source_that_was_gone_on_without_is_received_when_it_comes(history: Rehearsal, tmp_path: Path) -> None:
    state = rehearse(tmp_path, history.landing, last=3)
    weather = state.landed(2, "weather")
    kept = weather.read_bytes()
    weather.unlink()
    state.ingest(1, 2)
    assert ledger(state, 2, "weather")["state"] == "missing_accepted"
    weather.write_bytes(kept)

    state.ingest(3, 3)

    assert ledger(state, 2, "weather")["state"] == "missing_accepted"
    assert ledger(state, 3, "weather")["late"] == kept.count(b"\n") - 1
    assert f"late: {day(2)}/weather.csv" in ledger(state, 3, "weather")["reasons"]


def test_person_accepts_that_a_source_will_not_come(history: Rehearsal, tmp_path: Path) -> None:
    state = rehearse(tmp_path, history.landing, last=2)
    state.landed(2, "flight_outcomes").unlink()
    state.ingest(1, 1)

    lost = AcceptedGap("flight_outcomes", [day(2)], "lost by the publisher")
    accept_gap(state.spec, state.state, lost, state.spec.calendar.batch_at(day(3)))
    state.ingest(2, 2)

    row = ledger(state, 2, "flight_outcomes")
    assert (row["state"], row["reasons"]) == ("missing_accepted", ["accepted by a person: lost by the publisher"])
    assert state.rows("features", f"SELECT count(*) AS n FROM t WHERE batch_date = '{day(2)}'")[0]["n"] > 500


def test_rows_come_back_as_corrections_once_their_contract_is_mended(history: Rehearsal, tmp_path: Path) -> None:
    rule = {"expect": "expect_column_values_to_be_between", "arguments": {"column": "temp_f", "max_value": 30}}
    too_strict = Expectation.model_validate({**rule, "reason": "too_warm"})
    mended = rehearse(tmp_path, history.landing, last=3)
    sources = [
        source.model_copy(update={"expectations": (too_strict,)}) if source.name == "weather" else source
        for source in mended.spec.sources
    ]
    strict = replace(mended, spec=mended.spec.model_copy(update={"sources": tuple(sources)}))
    strict.ingest(1, 2)
    refused = strict.rows("quarantine_weather", "SELECT * FROM t WHERE list_contains(reasons, 'too_warm')")
    assert len(refused) > 20

    request = RequeueRequest("weather", ("too_warm",), date(2013, 1, 1), LATEST)
    for _ in range(2):  # asked twice, they come once
        run_requeue(mended.spec, mended.state, request, is_dry_run=False)
    mended.ingest(3, 3)

    back = mended.rows("validated_weather", f"SELECT * FROM t WHERE batch_date = '{day(3)}' AND _is_late")
    key = ("origin", "observed_at", "temp_f")
    assert {tuple(row[name] for name in key) for row in back} == {tuple(row[name] for name in key) for row in refused}
    assert len(back) == len(refused)


def test_nothing_to_requeue_is_said_of_the_drops_that_were_asked_for(history: Rehearsal) -> None:
    said = []
    for last in (LATEST, day(2)):
        with console.capture() as printed:
            run_requeue(history.spec, history.state, RequeueRequest("weather", (), day(1), last), is_dry_run=False)
        said.append(" ".join(printed.get().split()))

    nothing = "nothing to requeue: no such row of weather in quarantine, from 2013-01-01"
    assert said == [nothing, f"{nothing} to 2013-01-02"]


def with_weather_rule(state: Rehearsal, highest_f: float) -> Rehearsal:
    rule = {"expect": "expect_column_values_to_be_between", "arguments": {"column": "temp_f", "max_value": highest_f}}
    expectation = Expectation.model_validate({**rule, "reason": "too_warm"})
    sources = tuple(
        source.model_copy(update={"expectations": (expectation,)}) if source.name == "weather" else source
        for source in state.spec.sources
    )
    return replace(state, spec=state.spec.model_copy(update={"sources": sources}))


def test_closed_drop_keeps_its_verdict_when_its_contract_changes(history: Rehearsal, tmp_path: Path) -> None:
    state = go_on_from(history, tmp_path)
    before = contents(state, 1, LAST - 1)

    with_weather_rule(state, 0.0).ingest(1, LAST - 1)

    assert contents(state, 1, LAST - 1) == before


@pytest.mark.slow  # four drops in three runs
def test_old_row_does_not_come_back_over_a_newer_one(history: Rehearsal, tmp_path: Path) -> None:
    state = rehearse(tmp_path, history.landing, last=4)
    weather = state.landed(2, "weather")
    rows = pd.read_csv(weather, dtype=str)
    published = rows.loc[0, "temp_f"]
    rows.loc[0, "temp_f"] = "99"
    rows.to_csv(weather, index=False)
    strict = with_weather_rule(state, 90.0)
    strict.ingest(1, 2)
    rows.loc[0, "temp_f"] = published
    rows.to_csv(weather, index=False)
    strict.ingest(3, 3)  # the revision

    request = RequeueRequest("weather", ("too_warm",), day(1), day(3))
    run_requeue(state.spec, state.state, request, is_dry_run=False)
    state.ingest(4, 4)

    key = f"origin = '{rows.loc[0, 'origin']}' AND observed_at = '{rows.loc[0, 'observed_at']}'"
    versions = state.rows("validated_weather", f"SELECT batch_date, temp_f FROM t WHERE {key}")
    assert [(row["batch_date"], row["temp_f"]) for row in versions] == [(day(3), float(str(published)))]


def test_source_that_is_declared_later_stops_nothing(history: Rehearsal, tmp_path: Path) -> None:
    state = go_on_from(history, tmp_path)
    planes = next(source for source in flagship().sources if source.name == "planes")
    later = planes.model_copy(update={"name": "crews", "arrives": "every_drop", "when_missing": "wait",
                                      "expectations": ()})  # fmt: skip
    state = replace(state, spec=state.spec.model_copy(update={"sources": (*state.spec.sources, later)}))
    header = ",".join(later.columns)
    state.landed(LAST, "crews").write_text(f"{header}\n")

    names = [f"{layer}/crews" for layer in ("raw", "validated", "quarantine")]
    state.run_assets([*names, *UP_TO_FEATURES], LAST, LAST)

    assert ledger(state, LAST, "crews")["state"] == "admitted"
    assert state.rows("features", f"SELECT count(*) AS n FROM t WHERE batch_date = '{day(LAST)}'")[0]["n"] > 0
