"""A calendar that is changed after drops were run is refused by every command, and by whatever runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.graph.definitions.discovery import build_folder
from ml_assets.pipeline.declaring.calendar_changes import CalendarChangeError, find_calendar_changes, keep_calendar
from ml_assets.pipeline.ingestion.ready_drops import find_ready_drops
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.calendar_record import read_calendar, record_calendar
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import DEFS_FOLDER, day, flagship

NAME = "flight_delays"
RUN = [day(1), day(2), day(3)]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEGUN = {"every": "1d", "at": "04:00", "timezone": "America/New_York", "start": "2013-01-01"}
Edit = Callable[[str, str], int]


@pytest.fixture(autouse=True)
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    """A machine of its own with the flagship, of which nothing was run yet."""
    shutil.copytree(DEFS_FOLDER / NAME, tmp_path / "defs" / NAME)
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(tmp_path))
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    return StatePaths(tmp_path / "state")


@pytest.fixture
def edit(tmp_path: Path) -> Edit:
    """Change a line of the declaration, and give its number."""
    file = tmp_path / "defs" / NAME / "defs.yaml"

    def change(before: str, after: str) -> int:
        lines = file.read_text().splitlines()
        number = next(number for number, line in enumerate(lines) if line.startswith(before))
        lines[number] = after
        file.write_text("\n".join(lines) + "\n")
        return number + 1

    return change


def state_of(paths: StatePaths) -> UseCaseState:
    return UseCaseState(NAME, paths)


def with_calendar(**changed: object) -> UseCaseSpec:
    spec = flagship()
    return spec.model_copy(update={"calendar": type(spec.calendar)(**{**spec.calendar.model_dump(), **changed})})


def run_drops(paths: StatePaths, spec: UseCaseSpec | None = None) -> Lake:
    """Leave what a batch of three drops leaves: the calendar that it ran with, and a ledger."""
    state = state_of(paths)
    with state.writing("test") as lake:
        keep_calendar(spec or flagship(), state)
        rows = [{"batch_date": drop, "source": "weather", "state": "admitted"} for drop in RUN]
        lake.replace_drops("drops", pa.Table.from_pylist(rows), RUN)
    return state.lake


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), terminal_width=200)


@pytest.mark.parametrize(
    ("before", "after", "key", "found", "recorded"),
    [
        ('    at: "04:00"', '    at: "05:30"', "at", "05:30", "04:00"),
        ("    timezone: America", "    timezone: UTC", "timezone", "UTC", "America/New_York"),
        ("    start: 2013-01-01", "    start: 2012-12-31", "start", "2012-12-31", "2013-01-01"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("validate",),
        ("status",),
        ("status", NAME),
        ("batch", NAME, "--from", "2013-01-08", "--to", "2013-01-08"),
        ("retrain", NAME),
        ("replay", NAME, "--from", "2013-01-01", "--to", "2013-01-08"),
    ],
)
def test_changed_calendar_is_refused_with_its_line_what_is_recorded_and_what_to_do(
    paths: StatePaths,
    edit: Edit,
    command: tuple[str, ...],
    before: str,
    after: str,
    key: str,
    found: str,
    recorded: str,
) -> None:
    run_drops(paths)
    line = edit(before, after)

    result = run(*command)

    assert result.exit_code == (0 if command == ("status",) else 1)  # it shows all that others stand for
    assert (
        f"defs.yaml:{line} calendar.{key}: found '{found}', and 3 drops were run with '{recorded}' (2013-01-01 to "
        f"2013-01-03); allowed: '{recorded}', for under another calendar their names mean other intervals. Change it "
        "back; or begin anew, with a use case of another name or in another state folder ($ML_ASSETS_DATA)"
    ) in " ".join(result.output.split())
    assert not paths.dagster_home.exists()


def test_script_is_given_the_parts_of_a_changed_calendar(paths: StatePaths, edit: Edit) -> None:
    run_drops(paths)
    line = edit('    at: "04:00"', '    at: "05:00"')

    (found,) = json.loads(run("validate", "--json").stdout)

    (mistake,) = found["mistakes"]
    assert (mistake["line"], mistake["key"]) == (line, "calendar.at")
    assert mistake["found"].startswith("found '05:00', and 3 drops were run with '04:00'")
    assert mistake["allowed"].startswith("'04:00'")


def test_end_may_change_and_everything_while_no_drop_was_run(paths: StatePaths, edit: Edit) -> None:
    record_calendar(paths.lake / NAME, flagship().calendar)
    later = with_calendar(start=date(2013, 1, 3), at="05:00")

    assert find_calendar_changes(later, Lake(paths.lake / NAME)) == []
    lake = run_drops(paths, later)
    assert read_calendar(lake.folder) == {**BEGUN, "start": "2013-01-03", "at": "05:00"}

    edit("    start: 2013-01-01", "    start: 2013-01-03")
    edit('    at: "04:00"', '    at: "05:00"')
    edit("    end: 2014-01-03", "    end: 2014-06-01")
    assert run("validate").exit_code == 0


def test_state_of_an_earlier_release_takes_the_calendar_of_its_next_run(paths: StatePaths) -> None:
    lake = run_drops(paths)
    (lake.folder / "calendar.json").unlink()

    assert find_calendar_changes(with_calendar(at="05:00"), lake) == []
    run_drops(paths)

    assert read_calendar(lake.folder) == BEGUN


def test_run_sensor_and_code_location_refuse_it_too(paths: StatePaths, edit: Edit, tmp_path: Path) -> None:
    run_drops(paths)
    changed = with_calendar(timezone="UTC", every="7d")
    said = "calendar.timezone: found 'UTC', and 3 drops were run with 'America/New_York'"

    with pytest.raises(CalendarChangeError, match=said) as raised:
        keep_calendar(changed, state_of(paths))
    assert str(raised.value).startswith("calendar.every: found '7d', and 3 drops were run with '1d'")
    assert said in str(find_ready_drops(changed, paths, now=NOW, is_patient=True))
    edit("    timezone: America", "    timezone: UTC")

    loaded = build_folder(tmp_path / "defs" / NAME)

    (asset,) = loaded.resolve_asset_graph().get_all_asset_keys()
    assert asset == dg.AssetKey([NAME, "broken_declaration"])
    (spec,) = loaded.resolve_all_asset_specs()
    assert said in str(spec.description)


def test_damaged_record_names_its_file_and_what_to_do(paths: StatePaths) -> None:
    lake = run_drops(paths)
    (lake.folder / "calendar.json").write_text("{")

    result = run("status")

    assert f"{lake.folder}/calendar.json is damaged" in " ".join(result.output.split())
    assert "take it from a backup, or remove it" in " ".join(result.output.split())
