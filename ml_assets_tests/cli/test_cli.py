from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.stores.lake import Lake
from ml_assets.stores.write_lock import write_lock
from ml_assets_tests.rehearsal import DEFS_FOLDER, flagship

PANELS = {
    "Declare a use case": ("init", "new", "validate", "schema", "test", "sources", "features"),
    "Run and watch": ("land", "batch", "status", "alerts", "drift", "performance", "sql", "tables", "fingerprint",
                      "doctor", "housekeep", "ui", "backfill", "requeue", "accept-missing", "extract", "expected",
                      "incident", "report"),
    "Models": ("retrain", "champion", "approve", "rollback", "experiment", "whatif", "reproduce", "explain", "tune",
               "ablation", "audit", "accept-feature", "rebuild", "routes", "policies", "diagnose",
               "vintages"),
    "Labels": ("labels", "label-quality", "review"),
    "History": ("replay", "demo"),
    "Upkeep": ("migrate", "backup", "restore"),
}  # fmt: skip
COMMANDS = tuple(command for commands in PANELS.values() for command in commands)
DROPS = [date(2013, 1, 1), date(2013, 1, 2)]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep all state in a folder of the test, and lines whole."""
    root = tmp_path / "state"
    monkeypatch.setenv("ML_ASSETS_DATA", str(root))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("ml_assets.cli.console.console._width", 200)  # it may have been made in a narrower terminal
    monkeypatch.setenv("DAGSTER_HOME", str(root / "dagster_home"))  # commands set both; restored after the test
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
    return root


@pytest.fixture
def lake(state: Path) -> Lake:
    """Give a lake with two predictions, one of them without a score."""
    lake = Lake(state / "lake" / "flight_delays")
    scores = [0.5, float("nan")]
    lake.replace_drops(
        "predictions", pa.table({"batch_date": pa.array(DROPS), "example_id": ["a", "b"], "score": scores}), DROPS
    )
    return lake


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), terminal_width=200)


def refused(*arguments: str) -> str:
    """Give what a command says on its way out; it ends with 1 and prints nothing as a result."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    return " ".join(result.stderr.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = run(command, "--help")

    assert result.exit_code == 0
    assert f"Usage: ml-assets {command}" in result.stdout.replace("Usage: root", "Usage: ml-assets")
    summary = next(line.strip() for line in result.stdout.splitlines()[2:] if line.strip())
    assert summary.endswith(".")


def test_help_names_every_command_and_these_only_by_what_they_are_for() -> None:
    found: dict[str, list[str]] = {}
    for line in run("--help").stdout.splitlines():
        if line.startswith("╭─ "):
            found[line.strip("╭─╮ ")] = []
        elif line.startswith("│ ") and line[2].isalpha():
            found[list(found)[-1]].append(line.split()[1])

    assert {title: tuple(names) for title, names in found.items() if title != "Options"} == PANELS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_in_one_line_of_80_columns_what_it_does(command: str) -> None:
    lines = CliRunner().invoke(app, ["--help"], terminal_width=80, env={"COLUMNS": "80"}).stdout.splitlines()
    (number,) = [number for number, line in enumerate(lines) if line.startswith(f"│ {command} ")]

    assert lines[number].rstrip("│ ").endswith(".")
    assert not lines[number + 1].startswith("│  ")


def test_sound_declaration_is_validated_with_its_size() -> None:
    result = run("validate")

    assert result.exit_code == 0
    sources = flagship().sources
    rules = sum(len(source.expectations) + len(source.rules) + len(source.drop_rules) for source in sources)
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["airport_delay", "flight_delays", "flight_delays_live"]
    assert lines[1].startswith(f"flight_delays: 5 sources, {rules} rules, ")
    assert all(line.endswith(" features, no mistake") for line in lines)


def test_broken_declaration_ends_with_every_mistake_and_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = yaml.safe_load((DEFS_FOLDER / "flight_delays" / "defs.yaml").read_text())
    declared["attributes"]["name"] = "broken"
    declared["attributes"]["worklist"]["capacity"] = 0
    declared["attributes"]["examples"]["sql"] = "sql/exmples.sql"
    folder = tmp_path / "defs" / "broken"
    (folder / "sql").mkdir(parents=True)
    for name in ("examples", "labels"):
        (folder / "sql" / f"{name}.sql").write_text((DEFS_FOLDER / "flight_delays/sql" / f"{name}.sql").read_text())
    (folder / "defs.yaml").write_text(yaml.safe_dump(declared))
    lines = (folder / "defs.yaml").read_text().splitlines()
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(tmp_path))

    result = run("validate")

    assert result.exit_code == 1
    said = {" ".join(line.split()) for line in result.stdout.splitlines()}
    line = lines.index("    sql: sql/exmples.sql") + 1
    assert "broken: 2 mistakes" in said
    assert (
        f"defs.yaml:{line} examples.sql: found 'sql/exmples.sql'; allowed: a file of this folder: sql/examples.sql, "
        "sql/labels.sql; nearest: sql/examples.sql"
    ) in said
    assert any(each.startswith(f"defs.yaml:{lines.index('    capacity: 0') + 1} worklist.capacity: ") for each in said)


@pytest.mark.parametrize(
    "command",
    [
        ("validate", "flight_delay"),
        ("status", "flight_delay"),
        ("land", "flight_delay", "--from", "2013-01-01", "--to", "2013-01-01"),
        ("batch", "flight_delay", "--from", "2013-01-01", "--to", "2013-01-01"),
        ("retrain", "flight_delay"),
        ("fingerprint", "flight_delay"),
    ],
)
def test_unknown_use_case_is_answered_with_the_nearest(command: tuple[str, ...]) -> None:
    names = "airport_delay, flight_delays, flight_delays_live"
    expected = f"error there is no use case 'flight_delay'; allowed: {names}; nearest: flight_delays"

    assert refused(*command) == expected


@pytest.mark.parametrize("command", ["land", "batch"])
@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("yesterday", "2013-01-02", "--from: found 'yesterday'; allowed: a date such as 2013-01-01"),
        ("2013-01-01", "2013-02-30", "--to: found '2013-02-30'; allowed: a date such as 2013-01-01"),
        ("2013-01-03", "2013-01-02", "--from 2013-01-03 is after --to 2013-01-02"),
        (
            "2012-12-31", "2013-01-02",
            "--from: found 2012-12-31; allowed: a drop of the calendar of flight_delays, 2013-01-01 to 2014-01-03; "
            "nearest: 2013-01-01",
        ),
    ],
)  # fmt: skip
def test_range_that_is_none_is_refused_with_what_is_allowed(
    command: str, first: str, last: str, message: str, state: Path
) -> None:
    assert refused(command, "flight_delays", "--from", first, "--to", last) == f"error {message}"
    assert not state.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--gate", "off"), "--gate: found 'off'; allowed: as_declared, enabled, dry_run, disabled"),
        (
            ("--candidate", "xgb"),
            "--candidate: found 'xgb'; allowed: constant, group_history, logistic_regression, xgboost, blend",
        ),
    ],
)
def test_retraining_options_are_refused_before_anything_runs(
    arguments: tuple[str, ...], message: str, state: Path
) -> None:
    assert refused("retrain", "flight_delays", *arguments) == f"error {message}"
    assert not state.exists()


def test_landing_two_days_writes_their_files_and_says_how_many_rows(state: Path) -> None:
    result = run("land", "flight_delays", "--from", "2013-01-01", "--to", "2013-01-02")

    assert result.exit_code == 0
    folder = state / "landing" / "flight_delays"
    written = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert written == {
        *(f"2013-01-01/{name}.csv" for name in ("planes", "airports", "weather", "flight_outcomes", "schedule")),
        *(f"2013-01-02/{name}.csv" for name in ("weather", "flight_outcomes", "schedule")),
    }
    rows = 0
    for day in DROPS:
        with (folder / str(day) / "schedule.csv").open(newline="") as file:
            rows += len(list(csv.DictReader(file)))
    assert rows > 1_500
    assert f"{rows:,}" in next(line for line in result.stdout.splitlines() if "schedule" in line)
    assert "ml-assets batch flight_delays --from 2013-01-01 --to 2013-01-02" in result.stdout


def test_status_of_an_empty_state_says_what_to_do_first(state: Path) -> None:
    result = run("status", "flight_delays")

    assert result.exit_code == 0
    said = [" ".join(line.split()) for line in result.stdout.splitlines() if line.strip()]
    assert said == [
        "flight_delays",
        "landed nothing yet",
        "run nothing yet",
        "champion none yet: drops have no predictions",
        "next",
        "ml-assets land flight_delays --help nothing has landed yet: a past, or the files of 2013-01-01",
    ]
    assert not state.exists()


def test_status_as_json_is_for_scripts(state: Path) -> None:
    for name in ("2013-01-02", "2013-01-01", "notes"):
        (state / "landing" / "flight_delays" / name).mkdir(parents=True)
        (state / "landing" / "flight_delays" / name / "weather.csv").touch()
    (state / "landing" / "flight_delays" / "2015-01-01").mkdir()  # no drop of the calendar, and empty

    (facts,) = json.loads(run("status", "flight_delays", "--json").stdout)

    assert facts["landed"] == {"first": "2013-01-01", "last": "2013-01-02", "drops": 2}
    assert facts["landed_not_run"] == ["2013-01-01", "2013-01-02"]
    assert (facts["run"], facts["champion"], facts["predictions"], facts["verdicts"]) == (None, None, None, [])
    assert list(facts["next"]) == ["ml-assets batch flight_delays --from 2013-01-01 --to 2013-01-02"]


@pytest.mark.usefixtures("lake")
def test_sql_as_json_is_an_array_of_row_objects_with_null_for_nan() -> None:
    query = (
        "SELECT example_id, score, batch_date, TIMESTAMPTZ '2013-01-01 09:00:00Z' AS at FROM flight_delays.predictions"
    )

    result = run("sql", f"{query} ORDER BY example_id", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == [
        {"example_id": "a", "score": 0.5, "batch_date": "2013-01-01", "at": "2013-01-01T09:00:00+00:00"},
        {"example_id": "b", "score": None, "batch_date": "2013-01-02", "at": "2013-01-01T09:00:00+00:00"},
    ]


@pytest.mark.usefixtures("lake")
def test_sql_without_rows_is_an_empty_array() -> None:
    assert json.loads(run("sql", "SELECT 1 AS n FROM flight_delays.predictions WHERE false", "--json").stdout) == []


@pytest.mark.usefixtures("lake")
def test_sql_table_says_when_it_shows_only_the_first_rows() -> None:
    result = run("sql", "SELECT n FROM flight_delays.predictions, range(150) AS r(n)")

    assert result.exit_code == 0
    assert "200 of 300 rows; --json prints all" in result.stdout


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SELECT * FROM flight_delays.prediction",
            "there is no table flight_delays.prediction; allowed: flight_delays.predictions; nearest: "
            "flight_delays.predictions",
        ),
        ("SELECT 1; SELECT 2", "found SELECT, SELECT; allowed: one SELECT"),
        ("COPY (SELECT 1) TO 'out.csv'", "found COPY; allowed: one SELECT"),
        ("SELECT * FROM read_csv('/etc/passwd')", "/etc/passwd"),
        ("SELECT nothing FROM flight_delays.predictions", 'Referenced column "nothing" not found'),
        ("SELEC 1", "does not parse"),
    ],
)
def test_sql_that_cannot_run_ends_in_one_line_without_a_trace(query: str, message: str) -> None:
    said = refused("sql", query)

    assert message in said
    assert "Traceback" not in said
    assert "root:" not in said


def test_sql_before_any_run_says_so() -> None:
    assert refused("sql", "SELECT * FROM flight_delays.predictions") == (
        "error there is no table flight_delays.predictions: no run has written one yet"
    )


def test_fingerprint_is_of_values_up_to_a_drop(lake: Lake) -> None:
    whole = json.loads(run("fingerprint", "flight_delays", "--json").stdout)
    first = json.loads(run("fingerprint", "flight_delays", "--to", "2013-01-01", "--json").stdout)

    assert list(whole) == list(first) == ["predictions"]
    assert whole != first
    changed = pa.table({"batch_date": pa.array(DROPS[1:]), "example_id": ["b"], "score": [0.75]})
    lake.replace_drops("predictions", changed, DROPS[1:])
    assert json.loads(run("fingerprint", "flight_delays", "--json").stdout) != whole
    assert json.loads(run("fingerprint", "flight_delays", "--to", "2013-01-01", "--json").stdout) == first


def test_rebuilding_where_nothing_was_drawn_says_so() -> None:
    assert refused("rebuild", "flight_delays", "--version", "0") == (
        "error flight_delays.training_set is not there yet: no run has written it"
    )


def test_batch_of_a_drop_that_never_landed_fails_and_says_where_to_put_it(state: Path) -> None:
    result = run("batch", "flight_delays", "--from", "2013-01-02", "--to", "2013-01-02")

    assert result.exit_code == 1
    failed, *found = result.stdout.splitlines()
    assert failed == "failed raw/airports, raw/flight_outcomes, raw/planes and 2 more"
    landing = state / "landing" / "flight_delays"
    assert " ".join(map(str.strip, found)).strip().split("Error: ")[-1] == (
        f"drop 2013-01-02 has not come yet: nothing has landed in {landing}"
    )  # the one cause of all five, said once
    assert "batch 2013-01-02 to 2013-01-02 failed; the last good state still serves. Run " in result.stderr
    assert (state / "dagster_home" / "dagster.yaml").is_file()
    (facts,) = json.loads(run("status", "flight_delays", "--json").stdout)
    assert "failed_run" in {each["kind"] for each in facts["incidents"]}
    told = json.loads(run("alerts", "flight_delays", "--json").stdout)
    assert [(each["kind"], each["message"]) for each in told["incidents"]] == [
        (each["kind"], each["message"]) for each in facts["incidents"]
    ]
    assert facts["missing"] == []  # nothing of a drop that has not come is in the ledger
    assert facts["missing_accepted"] == []
    assert list(facts["next"]) == ["ml-assets land flight_delays --help"]


def test_state_of_another_version_is_refused_in_one_line_and_migrated_once(lake: Lake, state: Path) -> None:
    (state / "state.json").unlink()

    assert "found a state of version 0; allowed: 1. Run `ml-assets migrate` once" in refused("status", "flight_delays")
    assert run("status", "--help").exit_code == 0
    planned = run("migrate", "--dry-run")
    assert not (state / "state.json").exists()
    result = run("migrate")

    assert (planned.exit_code, result.exit_code) == (0, 0), result.output
    assert "state.json: version 1" in result.stdout
    assert lake.version("predictions") == 1
    (state / "state.json").write_text('{"version": 9}')
    assert "found a state of version 9; allowed: 1. It was written by a newer release" in refused("migrate")


@pytest.mark.usefixtures("lake")
def test_nothing_is_migrated_while_a_run_goes_on(state: Path) -> None:
    (state / "state.json").unlink()
    with write_lock(state / "locks", "flight_delays"):
        said = refused("migrate")

    assert "flight_delays.lock is held by" in said
    assert "no UI and no run" in said
