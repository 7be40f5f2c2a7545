"""A use case of another kind from files alone, through the terminal: no Python, and no change elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ml_assets_tests.second_use_case.machine import ask, loans_machine, run

pytestmark = [
    pytest.mark.xdist_group("second_use_case"),  # one worker runs the shared history once
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning"),
]

FIRST_WEEKS = ("2022-01-09", "2022-02-13")
HISTORY, SERVED = ("2022-01-09", "2022-11-06"), ("2022-11-13", "2022-11-27")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("late_loans")


@pytest.fixture(scope="module", autouse=True)
def machine(root: Path) -> Any:
    """Give a machine whose only use case is late_loans, with the files that somebody brings."""
    with loans_machine(root):
        yield


@pytest.fixture(scope="module")
def landed(root: Path) -> str:
    """Land the past and run its first six weeks; give what landing said."""
    files = [f"--history={name}={root / name}.csv" for name in ("applications", "repayments")]
    said = run("land", "late_loans", *files)
    run("batch", "late_loans", "--from", FIRST_WEEKS[0], "--to", FIRST_WEEKS[1])
    return said


@pytest.fixture(scope="module")
def trained(landed: str) -> str:
    """Run the rest of ten months, train, and run three weeks more; give what landing said."""
    run("batch", "late_loans", "--from", "2022-02-20", "--to", HISTORY[1])
    run("retrain", "late_loans", "--as-of", HISTORY[1])
    run("batch", "late_loans", "--from", SERVED[0], "--to", SERVED[1])
    return landed


def test_declaration_is_sound_and_its_sql_does_what_its_tests_say() -> None:
    assert run("validate") == "late_loans: 2 sources, 21 rules, 12 features, no mistake\n"
    assert "late_loans: 2 tests, 0 failed, 0 mistakes" in run("test")


def test_two_files_become_weeks_of_drops_with_features_and_no_score_yet(landed: str) -> None:
    assert "landed up to 2024-02-04" in landed
    assert landed.count("5,000") == 4  # rows and landed rows of both: none was left out
    ledger = ask("SELECT DISTINCT state FROM late_loans.drops WHERE batch_date <= '2022-02-13'")
    assert ledger == [{"state": "admitted"}]
    weeks = ask("SELECT batch_date, count(*) AS n FROM late_loans.features WHERE batch_date <= '2022-02-13' GROUP BY 1")
    assert len(weeks) == 6
    assert all(week["n"] > 20 for week in weeks)


@pytest.mark.slow  # ten months and a retraining
@pytest.mark.usefixtures("trained")
def test_from_two_files_to_a_champion_and_predictions_with_no_python(root: Path) -> None:
    ledger = ask(
        "SELECT source, state, count(*) AS n, sum(quarantined)::INTEGER AS bad FROM late_loans.drops GROUP BY ALL"
    )
    assert sorted(tuple(row.values()) for row in ledger) == [
        ("applications", "admitted", 47, 0),
        ("repayments", "admitted", 47, 0),
    ]
    (labels,) = ask("SELECT avg(label) AS share, count(*) AS n FROM late_loans.labels")
    assert labels["n"] > 1500
    assert labels["share"] == pytest.approx(0.08, abs=0.015)
    (verdict,) = ask("SELECT as_of, verdict FROM late_loans.champion")
    assert verdict == {"as_of": HISTORY[1], "verdict": "promoted"}
    rows = ask(
        "SELECT batch_date, count(*) AS n, min(score) AS low, max(score) AS high FROM late_loans.predictions "
        "GROUP BY 1 ORDER BY 1"
    )
    assert [row["batch_date"] for row in rows] == ["2022-11-13", "2022-11-20", "2022-11-27"]
    assert all(row["n"] > 20 and 0 < row["low"] < 0.08 < row["high"] < 1 for row in rows)
    delivered = root / "state" / "delivered" / "late_loans" / "worklist" / "2022-11-27.csv"
    assert len(delivered.read_text().splitlines()) == 21


@pytest.mark.usefixtures("landed")
def test_moments_without_an_offset_were_read_on_the_clock_of_kolkata(root: Path) -> None:
    (row,) = ask(
        "SELECT batch_date, known_at, event_at FROM late_loans.validated_applications WHERE loan_id = 'L100000'"
    )
    first = (root / "applications.csv").read_text().splitlines()[1].split(",")

    assert first[1] == "2022-01-03 10:28:00"
    assert row == {
        "batch_date": "2022-01-09",
        "known_at": "2022-01-03T04:58:00+00:00",
        "event_at": "2022-01-03T04:58:00+00:00",
    }


@pytest.mark.usefixtures("landed")
def test_facts_of_a_drop_became_known_in_its_week() -> None:
    (late,) = ask(
        "SELECT count(*) AS n FROM late_loans.validated_repayments "
        "WHERE known_at > batch_date::TIMESTAMPTZ + INTERVAL 30 MINUTE "
        "OR known_at <= batch_date::TIMESTAMPTZ - INTERVAL 7 DAY + INTERVAL 30 MINUTE"
    )  # 06:00 in Kolkata is 00:30 UTC

    assert late == {"n": 0}


@pytest.mark.slow  # it reads a training set of ten months
@pytest.mark.usefixtures("trained")
def test_examples_mature_before_they_are_trained_on() -> None:
    (early,) = ask(
        f"SELECT count(*) FILTER (prediction_at + INTERVAL 30 DAY > TIMESTAMPTZ '{HISTORY[1]} 00:30:00Z') AS n, "
        "max(prediction_at) AS newest FROM late_loans.training_set"
    )

    assert early["n"] == 0
    assert early["newest"] is not None


@pytest.mark.slow  # it audits a training set of ten months
@pytest.mark.usefixtures("trained")
def test_audit_finds_nothing_and_says_what_the_split_shares() -> None:
    found = json.loads(run("audit", "late_loans", "--sample", "40", "--json"))

    assert (found["examples"], found["leaks"]) == (40, [])
    assert [each["column"] for each in found["findings"] if each["is_alarm"]] == []
    shared = [each for each in found["findings"] if each["limit"] is None]
    assert [each["kind"] for each in shared] == ["twins", "near-duplicates", "entities", "entities"]
    # each loan is one example, so none is met again; its branch is
    assert {each["column"]: each["value"] for each in shared[2:]} == {"branch": 1.0, "loan_id": 0.0}
