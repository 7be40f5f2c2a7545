from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import ml_assets
from ml_assets.ingestion.ledger import (
    DropsNotFinalError,
    Gap,
    find_gaps,
    ledger_rows,
    require_computed,
    require_final,
)
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.ingestion.conftest import CALENDAR, declare

FIRST, SECOND, THIRD = (date(2013, 1, day) for day in (1, 2, 3))
SCHEMAS = {
    "received": pa.schema(
        {
            "batch_date": pa.date32(),
            "_file": pa.string(),
            "refusal": pa.string(),
            "warning": pa.string(),
            "_is_late": pa.bool_(),
        }
    ),
    "raw": pa.schema({"batch_date": pa.date32(), "_is_late": pa.bool_()}),
    "validated": pa.schema({"batch_date": pa.date32()}),
    "quarantine": pa.schema({"batch_date": pa.date32(), "reason": pa.string()}),
    "contract": pa.schema(
        {"batch_date": pa.date32(), "reason": pa.string(), "observed": pa.string(), "is_refused": pa.bool_()}
    ),
}
GAPS = pa.schema({"batch_date": pa.date32(), "source": pa.string(), "reason": pa.string()})


@pytest.fixture(scope="module")
def spec() -> UseCaseSpec:
    """Declare a source that is waited for, one that is not, one that comes once, and one that comes at times."""
    flagship = load_use_case(Path(ml_assets.__file__).parent / "defs" / "flight_delays")
    sources = (
        declare(name="waited"),
        declare(name="passed", when_missing="go_on", until=SECOND),
        declare(name="once", arrives="once"),
        declare(name="sometimes", arrives="sometimes"),
    )
    return flagship.model_copy(update={"name": "stops", "calendar": CALENDAR, "sources": sources})


def settle(
    spec: UseCaseSpec, drops: list[date], tables: dict[str, list[dict[str, Any]]]
) -> dict[tuple[date, str], dict[str, Any]]:
    """Settle the ledger of `tables`, given as <kind>_<source>; the others are empty."""
    with duckdb.connect() as connection:
        for source in spec.sources:
            for kind, schema in SCHEMAS.items():
                name = f"{kind}_{source.name}"
                rows = [{"_is_late": False, "_file": source.file_name, **row} for row in tables.get(name, [])]
                connection.register(name, pa.Table.from_pylist(rows, schema))
        connection.register("accepted_gaps", pa.Table.from_pylist(tables.get("accepted_gaps", []), GAPS))
        settled = ledger_rows(connection, spec, drops).to_arrow_table().to_pylist()
    return {(row["batch_date"], row["source"]): row for row in settled}


def of(drop: date, count: int = 1, **more: Any) -> list[dict[str, Any]]:
    return [{"batch_date": drop, **more}] * count


def test_file_that_kept_its_contract_is_admitted_with_counts_and_reasons(spec: UseCaseSpec) -> None:
    quarantined = of(FIRST, 2, reason="n_big") + of(FIRST, 1, reason="duplicate_key")
    tables = {
        "received_waited": of(FIRST),
        "raw_waited": of(FIRST, 10),
        "validated_waited": of(FIRST, 7),
        "quarantine_waited": quarantined,
        "contract_waited": of(FIRST, reason="n_big", is_refused=False)
        + of(FIRST, reason="unusual", observed="10 rows; usual 20", is_refused=False),
    }

    assert settle(spec, [FIRST], tables)[FIRST, "waited"] == {
        "batch_date": FIRST,
        "source": "waited",
        "expected": True,
        "received": True,
        "state": "admitted",
        "landed": 10,
        "validated": 7,
        "quarantined": 3,
        "late": 0,
        "reasons": ["n_big x2", "duplicate_key x1"],
        "notes": ["unusual: 10 rows; usual 20"],
    }


def test_file_without_a_row_is_received_and_admitted(spec: UseCaseSpec) -> None:
    row = settle(spec, [FIRST], {"received_waited": of(FIRST)})[FIRST, "waited"]

    assert (row["state"], row["landed"], row["reasons"]) == ("admitted", 0, [])


def test_refused_file_and_refused_rows_are_refused_by_name(spec: UseCaseSpec) -> None:
    tables = {
        "received_waited": of(FIRST, refusal="file_refused:empty") + of(SECOND),
        "raw_waited": of(SECOND, 2),
        "quarantine_waited": of(SECOND, 2, reason="drop_refused:volume"),
        "contract_waited": of(SECOND, reason="volume", is_refused=True),
    }

    found = settle(spec, [FIRST, SECOND], tables)

    assert [(found[drop, "waited"]["state"], found[drop, "waited"]["reasons"]) for drop in (FIRST, SECOND)] == [
        ("refused", ["file_refused:empty in waited.csv"]),
        ("refused", ["drop_refused:volume"]),
    ]


def test_absent_file_has_the_state_its_declaration_says(spec: UseCaseSpec) -> None:
    found = settle(spec, [FIRST, SECOND, THIRD], {})

    assert {name: [found[drop, name]["state"] for drop in (FIRST, SECOND, THIRD)] for name in NAMES} == {
        "waited": ["missing", "missing", "missing"],
        "passed": ["missing_accepted", "missing_accepted", "not_expected"],
        "once": ["missing", "not_expected", "not_expected"],
        "sometimes": ["not_expected", "not_expected", "not_expected"],
    }
    assert [row["expected"] for row in found.values()] == [row["state"] != "not_expected" for row in found.values()]
    assert not any(row["received"] for row in found.values())


NAMES = ("waited", "passed", "once", "sometimes")


def test_file_that_was_not_due_is_admitted_all_the_same(spec: UseCaseSpec) -> None:
    found = settle(spec, [THIRD], {f"received_{name}": of(THIRD) for name in NAMES})

    assert {name: (found[THIRD, name]["expected"], found[THIRD, name]["state"]) for name in NAMES} == {
        "waited": (True, "admitted"),
        "passed": (False, "admitted"),
        "once": (False, "admitted"),
        "sometimes": (False, "admitted"),
    }


def gaps_of(spec: UseCaseSpec, last: date, states: dict[tuple[date, str], str]) -> list[Gap]:
    rows = [{"batch_date": drop, "source": source, "state": state} for (drop, source), state in states.items()]
    schema = pa.schema({"batch_date": pa.date32(), "source": pa.string(), "state": pa.string()})
    with duckdb.connect() as connection:
        connection.register("drops", pa.Table.from_pylist(rows, schema))
        return find_gaps(connection, spec, last)


def test_gap_is_a_source_that_is_missing_or_was_never_settled(spec: UseCaseSpec) -> None:
    states = {(FIRST, "waited"): "admitted", (FIRST, "passed"): "missing_accepted", (FIRST, "once"): "refused"}
    states |= {(FIRST, "sometimes"): "not_expected", (SECOND, "waited"): "missing", (SECOND, "passed"): "admitted"}

    assert gaps_of(spec, FIRST, states) == []
    assert gaps_of(spec, SECOND, states) == [Gap(SECOND, "waited"), Gap(SECOND, "once"), Gap(SECOND, "sometimes")]


def test_drops_that_were_skipped_are_refused_with_the_one_run_that_takes_them_and_what_follows(
    spec: UseCaseSpec,
) -> None:
    gaps = gaps_of(spec, SECOND, {(FIRST, "waited"): "admitted"})

    with pytest.raises(DropsNotFinalError) as refused:
        require_final(gaps, [], spec.name, date(2013, 1, 5))

    assert str(refused.value) == (
        "2 drops, 2013-01-01 to 2013-01-02, were not run yet, and drops are run in order; nothing of this run is kept. "
        "Every file that is waited for has landed: run `ml-assets batch stops --from 2013-01-01 --to 2013-01-05`"
    )


def test_file_that_is_waited_for_is_named_with_its_folder_and_the_command_that_goes_on_without_it(
    spec: UseCaseSpec,
) -> None:
    gaps = gaps_of(spec, SECOND, {(FIRST, "waited"): "admitted"})

    with pytest.raises(DropsNotFinalError) as refused:
        require_final(gaps, [Gap(SECOND, "waited")], spec.name, SECOND, "/data/landing/stops")

    assert str(refused.value) == (
        "waited of 2013-01-02 has not landed, and drops are run in order; nothing of this run is kept. Land the file "
        "in /data/landing/stops/2013-01-02/, or go on without it: `ml-assets accept-missing stops --source waited "
        "--drop 2013-01-02 --reason TEXT`; then run `ml-assets batch stops --from 2013-01-01 --to 2013-01-02`"
    )


def test_hole_in_what_was_computed_is_refused_with_the_run_that_fills_it(spec: UseCaseSpec) -> None:
    computed = {date(2013, 1, day) for day in (1, 4, 6)}

    with pytest.raises(DropsNotFinalError) as refused:
        require_computed(spec, computed, date(2013, 1, 6))

    assert "for 2013-01-02 to 2013-01-03. Run `ml-assets batch" in str(refused.value)
    require_computed(spec, computed, date(2013, 1, 1))


def test_missing_source_that_a_person_accepted_is_final_and_says_why(spec: UseCaseSpec) -> None:
    accepted = {"batch_date": FIRST, "source": "waited", "reason": "the publisher lost it"}

    found = settle(spec, [FIRST, SECOND], {"accepted_gaps": [accepted]})

    assert found[FIRST, "waited"]["state"] == "missing_accepted"
    assert found[FIRST, "waited"]["reasons"] == ["accepted by a person: the publisher lost it"]
    assert found[SECOND, "waited"]["state"] == "missing"


def test_late_files_are_counted_and_named_and_decide_nothing_about_the_drop(spec: UseCaseSpec) -> None:
    late = {"_file": "2013-01-01/waited.csv", "_is_late": True}
    tables = {
        "received_waited": of(FIRST) + of(SECOND, **late, refusal="file_refused:empty"),
        "raw_waited": of(FIRST, 3) + of(SECOND, 2, _is_late=True),
    }

    found = settle(spec, [FIRST, SECOND], tables)

    assert (found[FIRST, "waited"]["state"], found[FIRST, "waited"]["late"]) == ("admitted", 0)
    second = found[SECOND, "waited"]
    assert (second["state"], second["landed"], second["late"]) == ("missing", 2, 2)
    assert second["reasons"] == ["late: 2013-01-01/waited.csv file_refused:empty"]
