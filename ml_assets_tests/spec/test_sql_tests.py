from __future__ import annotations

from datetime import date
from pathlib import Path

from ml_assets.spec.sql_tests import SqlTests, load_sql_tests
from ml_assets_tests.rehearsal import flagship


def load(tmp_path: Path, text: str) -> SqlTests:
    folder = tmp_path / "sql_tests"
    folder.mkdir(exist_ok=True)
    (folder / "some.yaml").write_text(text, encoding="utf-8")
    return load_sql_tests(tmp_path, flagship())


def said(tmp_path: Path, text: str) -> list[str]:
    return [str(mistake) for mistake in load(tmp_path, text).mistakes]


GOOD = """\
table: labels
tests:
  - name: one
    drop: 2013-07-01
    given:
      flight_outcomes:
        - {flight_id: 007, tail_number: null, reported_at: 2013-07-01T00:00:00Z}
    expect:
      - {example_id: a, label: ~}
"""


def test_values_are_kept_as_they_are_written_with_their_lines(tmp_path: Path) -> None:
    (test,) = load(tmp_path, GOOD).tests

    (row,) = test.given["flight_outcomes"]
    assert {name: cell.text for name, cell in row.cells.items()} == {
        "flight_id": "007",
        "tail_number": None,
        "reported_at": "2013-07-01T00:00:00Z",
    }
    assert (test.table, test.name, test.line, test.drop) == ("labels", "one", 3, date(2013, 7, 1))
    assert (test.expected[0].cells["label"].text, test.expected[0].line) == (None, 9)


def test_every_mistake_has_its_line_and_what_is_allowed(tmp_path: Path) -> None:
    text = (
        GOOD.replace("flight_id: 007", "flight_idd: 007")
        .replace("drop: 2013-07-01", "drop: 2012-07-01")
        .replace("{example_id: a, label: ~}", "{label: decide}")
        .replace("name: one", "nam: one")
    )

    assert said(tmp_path, text) == [
        "sql_tests/some.yaml:3 tests[0].nam: found 'nam'; allowed: name, drop, given, expect; nearest: name",
        "sql_tests/some.yaml:3 tests[0].name: is required and missing",
        "sql_tests/some.yaml:4 tests[0].drop: found '2012-07-01'; allowed: a drop of the calendar, 2013-01-01 to "
        "2014-01-03",
        "sql_tests/some.yaml:7 tests[0].given.flight_outcomes[0].flight_idd: found 'flight_idd'; allowed: "
        + ", ".join(flagship().source("flight_outcomes").columns)
        + "; nearest: flight_id",
        "sql_tests/some.yaml:9 tests[0].expect[0].label: found 'decide'; allowed: the value that is right here",
        "sql_tests/some.yaml:9 tests[0].expect[0]: example_id: is required and missing",
    ]


def test_test_with_a_mistake_is_not_run_and_the_others_are(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD + "  - {name: two, given: {planets: []}, expect: []}\n")

    assert [test.name for test in found.tests] == ["one"]
    assert [(each.line, each.key) for each in found.mistakes] == [(10, "tests[1].given.planets")]
    assert found.mistakes[0].message.startswith("found 'planets'; allowed: schedule, flight_outcomes, ")


def test_shapes_that_are_none_are_named(tmp_path: Path) -> None:
    assert said(tmp_path, "table: lables\ntests: []\n") == [
        "sql_tests/some.yaml:1 table: found 'lables'; allowed: examples, labels, features; nearest: labels"
    ]
    no_list = "sql_tests/some.yaml:2 tests: found 'none'; allowed: a list"
    assert said(tmp_path, "table: labels\ntests: none\n") == [no_list]
    assert said(tmp_path, "- 1\n")[0] == "sql_tests/some.yaml:1 found a list; allowed: a mapping"
    assert said(tmp_path, "table: [\n")[0].startswith("sql_tests/some.yaml:2 while parsing a flow node")
    assert said(tmp_path, "table: labels\ntests:\n  - {name: a, given: {}, expect: [{example_id: [1]}]}\n")[0] == (
        "sql_tests/some.yaml:3 tests[0].expect[0].example_id: found a list; allowed: one value"
    )
    assert said(tmp_path, "") == ["sql_tests/some.yaml:1 found nothing; allowed: a mapping of table, tests"]
