from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.cli.declare.sql_tests import report_lines
from ml_assets.pipeline.declaring.sql_tests import run_sql_test
from ml_assets.spec.declaration import find_use_cases, load_use_case
from ml_assets.spec.sql_tests import load_sql_tests
from ml_assets_tests.rehearsal import DEFS_FOLDER


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the flagship, the only use case there is."""
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    found = Path(shutil.copytree(DEFS_FOLDER / "flight_delays", tmp_path / "defs" / "flight_delays"))
    shutil.rmtree(found / "sql_tests")
    return found


def test_of(folder: Path, text: str) -> Result:
    """Run the command on one file of tests."""
    (folder / "sql_tests").mkdir(exist_ok=True)
    (folder / "sql_tests" / "labels.yaml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["test", "flight_delays"], terminal_width=200)


test_of.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]

HEAD = "table: labels\ntests:\n  - name: outcomes\n    given:\n      flight_outcomes:\n"


@pytest.mark.parametrize("use_case", [path.name for path in find_use_cases(DEFS_FOLDER)])
def test_sql_of_every_use_case_that_ships_does_what_its_tests_say(use_case: str) -> None:
    spec = load_use_case(DEFS_FOLDER / use_case)
    found = load_sql_tests(DEFS_FOLDER / use_case, spec)

    assert [str(mistake) for mistake in found.mistakes] == []
    assert len(found.tests) >= 2
    assert {test.name: report_lines(run_sql_test(spec, test)) for test in found.tests} == {
        test.name: [] for test in found.tests
    }


def test_differences_are_shown_row_by_row_and_cell_by_cell_and_end_with_1(folder: Path) -> None:
    rows = (
        "        - {flight_id: a, status: completed, arrival_delay_min: 15, reported_at: 2013-01-01T15:00:00Z}\n"
        "        - {flight_id: b, status: completed, arrival_delay_min: 3, reported_at: 2013-01-01T15:00:00Z}\n"
    )
    expected = (
        "    expect:\n      - {example_id: a, label: 0, known_at: 2013-01-01T10:00:00-05:00}\n"
        "      - {example_id: c, label: 1}\n"
    )

    result = test_of(folder, HEAD + rows + expected)

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "failed labels.yaml:3 outcomes",
        "    ~ differs    a  label: expected 0, found 1 (line 9)",
        "    - missing    c  label: 1 (line 10)",
        "    + unexpected b  label: 0; known_at: 2013-01-01T15:00:00+00:00",
        "flight_delays: 1 tests, 1 failed, 0 mistakes in their files",
    ]


def test_passing_tests_end_with_0(folder: Path) -> None:
    result = test_of(folder, HEAD + "        []\n    expect: []\n")

    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "ok labels.yaml:3 outcomes")


def test_sql_that_goes_wrong_turns_its_tests_red(folder: Path) -> None:
    rows = "        - {flight_id: a, status: cancelled, arrival_delay_min: 15, reported_at: 2013-01-01T15:00:00Z}\n"
    assert test_of(folder, HEAD + rows + "    expect: []\n").exit_code == 0
    sql = folder / "sql" / "labels.sql"

    sql.write_text(sql.read_text().replace("status = 'completed' AND", ""))
    assert "+ unexpected a" in test_of(folder, HEAD + rows + "    expect: []\n").stdout
    sql.write_text("SELECT flight_id AS example_id, 2 AS label, known_at, arrival_delay_min FROM flight_outcomes")
    assert (
        "labels.sql: found 1 rows with a label other than 0 or 1"
        in test_of(folder, HEAD + rows + "    expect: []\n").stdout
    )
    sql.write_text(
        "SELECT flight_id AS example_id, 1 AS label, now() AS known_at, arrival_delay_min FROM flight_outcomes"
    )
    assert "found now" in test_of(folder, HEAD + rows + "    expect: []\n").stderr  # the declaration is refused
    sql.write_text(
        "SELECT flight_id AS example_id, 1 AS label, known_at, arrival_delay_min FROM read_csv('/etc/passwd')"
    )
    assert "read_csv" in test_of(folder, HEAD + rows + "    expect: []\n").stderr


@pytest.mark.parametrize(
    ("row", "expected", "message"),
    [
        (
            "{flight_id: a, status: completed, arrival_delay_min: soon, reported_at: 2013-01-01T15:00:00Z}", "[]",
            "labels.yaml:6 tests[0].given.flight_outcomes[0].arrival_delay_min: found 'soon'; allowed: a "
            "value of type integer",
        ),
        (
            "{flight_id: a, status: completed}", "[]",
            "labels.yaml:6 tests[0].given.flight_outcomes[0]: the contract of flight_outcomes refuses this row: "
            "known_at_missing; allowed: a row it accepts",
        ),
        (
            "{flight_id: a, reported_at: 2013-01-01T15:00:00Z}", "[{example_id: a, lable: 1}]",
            "labels.yaml:7 tests[0].expect[0].lable: found 'lable'; allowed: batch_date, example_id, label, known_at, "
            "arrival_delay_min; "
            "nearest: label",
        ),
        (
            "{flight_id: a, reported_at: 2013-01-01T15:00:00Z}", '[{example_id: a, known_at: "2013-01-01 15:00"}]',
            "labels.yaml:7 tests[0].expect[0].known_at: found '2013-01-01 15:00'; allowed: a moment with its offset, "
            "as 2024-03-01T06:00:00+05:30",
        ),
        (
            "{flight_id: a, reported_at: 2013-01-01T15:00:00Z}", "[{example_id: a, label: late}]",
            "labels.yaml:7 tests[0].expect[0].label: found 'late'; allowed: INTEGER",
        ),
    ],
)  # fmt: skip
def test_mistake_in_a_test_is_no_difference_but_a_line(row: str, expected: str, message: str, folder: Path) -> None:
    result = test_of(folder, f"{HEAD}        - {row}\n    expect: {expected}\n")

    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].strip() == f"sql_tests/{message}"


def test_example_that_was_drawn_and_refused_says_why(folder: Path) -> None:
    text = (
        "table: examples\ntests:\n  - name: twice\n    given:\n      schedule:\n"
        "        - {flight_id: a, scheduled_departure_at: 2013-01-01T12:00:00Z}\n"
        "      flight_outcomes:\n"
        "        - {flight_id: a, status: completed, arrival_delay_min: 1, reported_at: 2013-01-01T08:00:00Z}\n"
        "    expect: [{example_id: a, departure_hour: 7}]\n"
    )

    lines = test_of(folder, text).stdout.splitlines()

    assert lines[1] == "    - missing    a  departure_hour: 7  drawn, and refused: outcome_already_known (line 9)"


def test_use_case_without_tests_says_where_they_go(folder: Path) -> None:
    result = CliRunner().invoke(app, ["test"], terminal_width=200)

    assert result.exit_code == 0
    assert result.stdout.replace("\n", "") == f"flight_delays: no test; they go into {folder}/sql_tests/*.yaml"
