from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.cli.console import console
from ml_assets.decisions.incidents import Finding, incident_id_of
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.alert_relay import masked
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.stores.test_alert_relay import receiving

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DRIFT = Finding("drift/temp_f", "drift", "warning", "temp_f [moved]", 0.31, 0.2, "retrains", "ml-assets explain drift")
LATE = Finding("drop/weather", "missing_drop", "error", "weather did not arrive", None, None, "", "")

# apprise 2.2: its e-mail service loads imghdr for pgpy, which Python 3.13 will not have
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep all state in a folder of the test, lines whole, and no receiver."""
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "state"))
    monkeypatch.setattr(console, "_width", 200)  # it reads COLUMNS when it is made, and again when it prints
    monkeypatch.delenv("ML_ASSETS_ALERT_URLS", raising=False)
    return tmp_path / "state"


@pytest.fixture
def outbox(state: Path) -> AlertOutbox:
    """Give an outbox with one open and one closed incident."""
    outbox = AlertOutbox(StatePaths(state))
    outbox.reconcile("flight_delays", ("dr",), "2013-07-01", [DRIFT, LATE], NOW)
    outbox.reconcile("flight_delays", ("dr",), "2013-07-02", [DRIFT], NOW)
    return outbox


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["alerts", *arguments], terminal_width=200)


def lines_of(result: Result) -> list[str]:
    return [" ".join(line.split()) for line in result.stdout.splitlines() if line.strip()]


def test_without_any_alert_it_says_so_and_makes_nothing(state: Path) -> None:
    result = run()

    assert result.exit_code == 0
    assert lines_of(result)[0] == "no open incident"
    assert not state.exists()


@pytest.mark.usefixtures("outbox")
def test_open_incidents_come_with_what_was_said_and_that_nothing_was_sent() -> None:
    said = lines_of(run())

    assert said[:6] == [
        "warning flight_delays: drift (drift/temp_f)",
        "what temp_f [moved]",
        "since 2013-07-01",
        "measured 0.31, threshold 0.2",
        "by itself retrains",
        "look at ml-assets explain drift",
    ]
    rows = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in said if line.startswith("│")]
    assert rows == [
        ["2013-07-01", "flight_delays: drift (drift/temp_f)", "no: ML_ASSETS_ALERT_URLS is not set"],
        ["2013-07-01", "flight_delays: missing drop (drop/weather)", "no: ML_ASSETS_ALERT_URLS is not set"],
        ["2013-07-02", "flight_delays: closed: missing drop (drop/weather)", "no: ML_ASSETS_ALERT_URLS is not set"],
    ]
    assert said[6] == f"id {incident_id_of('flight_delays', 'drift/temp_f', 'drift', '2013-07-01')}"
    assert said[-1].startswith("ml-assets incident close ")
    assert said[-3].startswith("export ML_ASSETS_ALERT_URLS=")
    assert said[-2].startswith("ml-assets status flight_delays")


@pytest.mark.usefixtures("outbox")
def test_all_shows_closed_incidents_too() -> None:
    assert "since 2013-07-01; closed 2013-07-02" in lines_of(run("--all"))
    assert [one["monitor"] for one in json.loads(run("--all", "--json").stdout)["incidents"]] == [
        "drift/temp_f",
        "drop/weather",
    ]


def test_time_that_is_shown_is_the_drop_and_the_clock_of_the_wall_is_detail(outbox: AlertOutbox) -> None:
    failed = Finding("run/batch", "failed_run", "error", "it failed", None, None, "", "")
    outbox.reconcile("flight_delays", ("run/",), NOW.isoformat(), [failed], NOW, date(2013, 6, 30))

    shown, everything = run().stdout, run("--all").stdout

    assert "since      2013-06-30\n" in shown
    assert "2026" not in shown
    drops = [line.split("│")[1].strip() for line in shown.splitlines() if line.startswith("│")]
    assert drops == ["2013-06-30", "2013-07-01", "2013-07-01", "2013-07-02"]
    assert "recorded   2026-01-05 09:00Z" in everything
    assert everything.count("│ 2026-01-05 09:00Z │") == 4


@pytest.mark.usefixtures("outbox")
def test_json_is_one_object_for_scripts() -> None:
    found = json.loads(run("flight_delays", "--json").stdout)

    assert [(one["monitor"], one["measurement"], one["closed_at"]) for one in found["incidents"]] == [
        ("drift/temp_f", 0.31, None)
    ]
    assert [message["sent_at"] for message in found["messages"]] == [None, None, None]
    assert (found["unsent"], found["urls"]) == (3, [])


def test_use_case_that_is_not_there_ends_with_the_nearest_name() -> None:
    result = run("flight_delay")

    assert result.exit_code == 1
    assert "there is no use case 'flight_delay'; allowed: airport_delay, flight_delays, " in result.stderr
    assert "; nearest: flight_delays" in result.stderr


@pytest.mark.parametrize("option", ["--test", "--send"])
def test_sending_without_urls_says_how_to_set_them(option: str) -> None:
    result = run(option)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "ML_ASSETS_ALERT_URLS is not set" in result.stderr
    assert "export ML_ASSETS_ALERT_URLS='mailto://… slack://…'" in result.stderr


def test_test_says_for_each_url_whether_it_went_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as sound, receiving("500") as broken:
        monkeypatch.setenv("ML_ASSETS_ALERT_URLS", f"{sound.url} {broken.url}")
        result = run("--test")
        monkeypatch.setenv("ML_ASSETS_ALERT_URLS", sound.url)
        alone = run("--test", "--json")

    first, second, *_ = lines_of(result)
    assert result.exit_code == 1
    assert first == f"sent {masked(sound.url)}"
    assert second.startswith(f"failed {masked(broken.url)}: ")
    assert alone.exit_code == 0
    assert json.loads(alone.stdout)["test"] == [{"url": masked(sound.url), "error": None}]


@pytest.mark.usefixtures("outbox")
def test_send_sends_what_is_due_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("ML_ASSETS_ALERT_URLS", receiver.url)
        first, second = run("--send"), run("--send")
        shown = run("--json")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert lines_of(first)[0] == "3 sent, 0 failed, 0 not sent yet"
    assert lines_of(second)[0] == "0 sent, 0 failed, 0 not sent yet"
    assert len(receiver.got) == 3
    assert all(message["sent_at"] for message in json.loads(shown.stdout)["messages"])


@pytest.mark.usefixtures("outbox")
def test_failed_sending_ends_with_1_and_shows_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving("500") as receiver:
        monkeypatch.setenv("ML_ASSETS_ALERT_URLS", receiver.url)
        result = run("--send")

    assert result.exit_code == 1
    assert lines_of(result)[0] == "0 sent, 1 failed, 3 not sent yet"
    assert "error=500" in lines_of(result)[1]
    assert any("failed 1x, tried again later: " in line for line in lines_of(run()))
    assert any("failed 1x, next try 2" in line for line in lines_of(run("--all")))


def test_broken_outbox_ends_in_one_line(state: Path) -> None:
    (state / "alerts").mkdir(parents=True)
    (state / "alerts" / "alerts.sqlite").write_bytes(b"no database" * 50)

    result = run()

    assert (result.exit_code, result.stdout) == (1, "")
    assert "alerts.sqlite: it cannot be used" in result.stderr


def close(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["incident", *arguments])


def test_incident_is_closed_with_an_answer_that_alerts_and_json_show(outbox: AlertOutbox) -> None:
    open_one = next(each for each in outbox.incidents() if each.closed_at is None)

    said = lines_of(close("close", open_one.incident_id[:8], "--useful", "no", "--note", "a [known] change"))

    assert said[:3] == [
        f"closed {open_one.incident_id}, drift (drift/temp_f) of flight_delays",
        "what it is about still holds; it is not told again until that has ended and comes anew",
        "flight_delays: 0 of 1 judged alerts were useful, 0 % (0 to 73 %); 1 of 2 were not judged",
    ]
    assert lines_of(run())[0] == "no open incident"
    shown = " ".join(lines_of(run("--all")))
    assert "judged not useful, by " in shown
    assert "a [known] change" in shown
    found = json.loads(run("--all", "--json").stdout)
    by_id = {each["incident_id"]: each["judgement"] for each in found["incidents"]}
    assert by_id[open_one.incident_id]["note"] == "a [known] change"
    assert [each is None for each in by_id.values()].count(True) == 1
    assert found["usefulness"]["by_month"][0]["name"] == "2013-07"


@pytest.mark.usefixtures("outbox")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shut", "abcd", "--useful", "yes", "--note", "x"), "found 'shut'; allowed: close"),
        (("close", "abcd", "--useful", "maybe", "--note", "x"), "--useful: found 'maybe'; allowed: yes, no"),
        (("close", "abcd", "--useful", "yes", "--note", "x"), "found 'abcd'; allowed: the id of an incident"),
    ],
)
def test_what_no_incident_is_closed_by_is_named(arguments: tuple[str, ...], said: str) -> None:
    result = close(*arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert said in " ".join(result.stderr.split())
