"""What the terminal says of a use case that cannot be used, beside one that can."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.stores.lake import Lake
from ml_assets_tests.rehearsal import DEFS_FOLDER
from ml_assets_tests.spec.test_malformed import write_case

BROKEN = {
    "case": "broken",
    "change": [["capacity: 20", "capacty: 20"], ["every: 1d", "every: 1x"]],
    "files": {"sql/labels.sql": "SELECT parcel AS example_id, 1 AS label, known_at\nFROM deliveries\n"},
}


@pytest.fixture(autouse=True)
def two_use_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay a broken use case beside the flagship."""
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    defs = tmp_path / "defs"
    shutil.copytree(DEFS_FOLDER / "flight_delays", defs / "flight_delays")
    write_case(BROKEN, defs / "parcels")
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(defs.parent))


def run(*arguments: str, color: bool = False) -> Result:
    return CliRunner().invoke(app, list(arguments), color=color, terminal_width=200)


def test_validate_prints_the_mistakes_of_the_one_and_passes_the_other() -> None:
    result = run("validate")

    assert result.exit_code == 1
    first, second, *rest = result.stdout.splitlines()
    assert first.startswith("flight_delays: 5 sources, ")
    assert first.endswith("no mistake")
    assert second == "parcels: 4 mistakes"
    assert [line.split(";")[0].strip() for line in rest] == [
        "defs.yaml:12 calendar.every: found '1x'",
        "defs.yaml:93 worklist.capacity: is required and missing",
        "defs.yaml:94 worklist.capacty: found 'capacty'",
        "sql/labels.sql:1 labels.sql: reads column 'parcel'",
    ]
    assert run("validate", "flight_delays").exit_code == 0


def test_validate_gives_a_script_each_mistake_in_parts() -> None:
    result = run("validate", "--json")

    assert result.exit_code == 1
    sound, broken = json.loads(result.stdout)
    assert (sound["use_case"], sound["mistakes"], sound["sources"]) == ("flight_delays", [], 5)
    assert broken["use_case"] == "parcels"
    assert broken["mistakes"][2:] == [
        {
            "file": "defs.yaml",
            "line": 94,
            "key": "worklist.capacty",
            "found": "found 'capacty'",
            "allowed": "capacity, rank_by, columns, routes",
            "nearest": "capacity",
        },
        {
            "file": "sql/labels.sql",
            "line": 1,
            "key": "labels.sql",
            "found": "reads column 'parcel'",
            "allowed": "parcel_id, depot, scanned_at, delay_h, status, event_at, known_at, claimed_known_at",
            "nearest": "parcel_id",
        },
    ]


def test_what_is_left_to_decide_in_sql_tests_is_named_and_is_no_mistake_of_the_declaration(tmp_path: Path) -> None:
    labels = tmp_path / "defs" / "flight_delays" / "sql_tests" / "labels.yaml"
    labels.write_text(re.sub(r"label: [01]", "label: decide", labels.read_text(), count=1))

    result = run("validate", "flight_delays")

    assert result.exit_code == 0
    head, named = result.stdout.splitlines()
    assert head.endswith("no mistake")
    assert re.search(r"sql_tests/labels.yaml:\d+ .*found 'decide'; allowed: the value that is right here", named)
    assert named.endswith("it stops `ml-assets test flight_delays` alone")


def test_status_shows_the_broken_one_in_red_and_the_other_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    console = Console(force_terminal=True, color_system="standard", width=200, emoji=False)
    for module in ("ml_assets.cli.operate.status", "ml_assets.cli.console"):
        monkeypatch.setattr(import_module(module), "console", console)
    with console.capture() as captured:
        result = run("status")

    shown = captured.get()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert result.exit_code == 0
    assert "\x1b[1;31mbroken declaration\x1b[0m" in shown
    assert "broken declaration, 4 mistakes; nothing of it runs" in plain
    assert "sql/labels.sql:1 labels.sql: reads column 'parcel'" in plain
    flights, parcels = json.loads(run("status", "--json").stdout)
    assert (flights["use_case"], "broken" in flights) == ("flight_delays", False)
    assert (parcels["use_case"], len(parcels["broken"])) == ("parcels", 4)


def test_delivery_into_the_state_of_this_machine_is_a_mistake_with_its_line(tmp_path: Path) -> None:
    state, declared = tmp_path / "state", tmp_path / "defs" / "flight_delays" / "defs.yaml"
    text = declared.read_text()
    for folder, is_wrong in ((state / "lake", True), (state / "delivered" / "flight_delays" / "x", False)):
        declared.write_text(f"{text}\n  deliveries:\n    - {{table: worklist, folder: {folder}}}\n")

        result = run("validate", "flight_delays")

        assert result.exit_code == int(is_wrong), result.stdout
        line = declared.read_text().splitlines().index(f"    - {{table: worklist, folder: {folder}}}") + 1
        said = f"defs.yaml:{line} deliveries[0].folder: found '{folder}', which lies in the state of this machine"
        assert (said in result.stdout) == is_wrong
    declared.write_text(f"{text}\n  deliveries:\n    - {{table: worklist, folder: {state / 'lake'}}}\n")
    assert "allowed: below " in run("batch", "flight_delays", "--from", "2013-01-01",
                                                               "--to", "2013-01-01").stderr  # fmt: skip


def test_contract_that_stored_rows_cannot_follow_is_a_mistake_with_its_line(tmp_path: Path) -> None:
    import pyarrow as pa

    drop, declared = date(2013, 1, 1), tmp_path / "defs" / "flight_delays" / "defs.yaml"
    rows = pa.table({"batch_date": [drop], "origin": ["EWR"], "visibility_mi": ["far"], "gone": [1]})
    Lake(tmp_path / "state" / "lake" / "flight_delays").replace_drops("validated_weather", rows, [drop])

    result = run("validate", "flight_delays")

    (number,) = (place for place, text in enumerate(declared.read_text().splitlines(), 1) if "visibility_mi:" in text)
    assert result.exit_code == 1
    assert (
        f"defs.yaml:{number} sources[2].columns.visibility_mi: found type 'float', and 1 stored values of type "
        "'string' do not read as that (first 'far' in drop 2013-01-01); allowed: string, or a column of another name"
    ) in result.stdout


def test_validate_says_what_a_changed_contract_means_for_earlier_drops(tmp_path: Path) -> None:
    import pyarrow as pa

    drop = date(2013, 1, 1)
    rows = pa.table({"batch_date": [drop], "origin": ["EWR"], "gone": [1]})
    Lake(tmp_path / "state" / "lake" / "flight_delays").replace_drops("validated_weather", rows, [drop])

    result = run("validate", "flight_delays")

    assert result.exit_code == 0
    assert "visibility_mi: new since 1 drop was run: null in it" in result.stdout
    assert "gone: no column of the contract any more: the 1 drop that was run keeps it" in result.stdout


@pytest.mark.parametrize("command", [("validate",), ("validate", "flight_delays"), ("status",)])
def test_delivery_to_a_folder_that_the_machine_does_not_allow_is_a_mistake_wherever_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    declared = tmp_path / "defs" / "flight_delays" / "defs.yaml"
    declared.write_text(f"{declared.read_text()}\n  deliveries:\n    - {{table: worklist, folder: /etc}}\n")

    refused = run(*command)
    monkeypatch.setenv("ML_ASSETS_DELIVERY_FOLDERS", f"/srv/desk{os.pathsep}/etc")
    allowed = run(*command)

    said = (
        "deliveries[0].folder: found '/etc', which is not among the folders of $ML_ASSETS_DELIVERY_FOLDERS; allowed: "
    )
    assert said in " ".join(refused.stdout.split())
    assert "deliveries[0]" not in allowed.stdout
