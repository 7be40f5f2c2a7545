from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml_assets.decisions.incidents import Finding
from ml_assets.pipeline.monitoring.incident_judgements import (
    UnknownIncidentError,
    close_incident,
    open_for_people,
    usefulness,
)
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DRIFT = Finding("drift/temp_f", "drift", "warning", "temp_f moved", 0.31, 0.2, "", "")
LATE = Finding("drift/wind", "drift", "warning", "wind moved", 0.4, 0.2, "", "")


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return StatePaths(tmp_path)


def settle(paths: StatePaths, at: str, *findings: Finding) -> list[str]:
    """Look at a drop, and give the titles of all messages so far."""
    AlertOutbox(paths).reconcile("flights", ("drift/",), at, findings, NOW)
    return [message.title for message in AlertOutbox(paths).messages()]


def test_incident_closed_by_hand_is_not_told_again_while_it_lasts_nor_when_it_ends(paths: StatePaths) -> None:
    settle(paths, "2013-07-01", DRIFT)
    (opened,) = AlertOutbox(paths).incidents()

    closed = close_incident(paths, opened.incident_id[:6], (True, "the thermometer was moved"), "ana", NOW)

    assert closed == opened
    assert open_for_people(AlertOutbox(paths), "flights") == []
    titles = ["flights: drift (drift/temp_f)"]
    assert settle(paths, "2013-07-02", DRIFT) == titles
    assert settle(paths, "2013-07-03") == titles  # it is over
    assert AlertOutbox(paths).incidents()[0].until == "2013-07-03"
    assert settle(paths, "2013-07-04", DRIFT) == titles * 2  # anew
    assert len(open_for_people(AlertOutbox(paths), "flights")) == 1


def test_others_are_told_as_before_and_the_last_judgement_counts(paths: StatePaths) -> None:
    settle(paths, "2013-07-01", DRIFT, LATE)
    first, second = AlertOutbox(paths).incidents()
    close_incident(paths, first.incident_id, (False, "nothing was wrong"), "ana", NOW)
    close_incident(paths, first.incident_id, (True, "it was, after all"), "bo", NOW)

    assert [each.incident_id for each in open_for_people(AlertOutbox(paths), None)] == [second.incident_id]
    said = AlertOutbox(paths).judgements()[first.incident_id]
    assert (said.is_useful, said.note, said.judged_by) == (True, "it was, after all", "bo")
    assert (usefulness(paths, "flights")["all"].judged, usefulness(paths, "others")["all"].opened) == (1, 0)
    assert settle(paths, "2013-07-02")[2:] == ["flights: closed: drift (drift/wind)"]


@pytest.mark.parametrize(
    ("begins_with", "note", "error", "said"),
    [
        ("zzzz", "a note", UnknownIncidentError, "allowed: the id of an incident"),
        ("", "a note", UnknownIncidentError, "at least 4 letters"),
        ("WHOLE", " ", ValueError, "--note: found nothing"),
    ],
)
def test_unknown_id_and_empty_note_are_refused(
    paths: StatePaths, begins_with: str, note: str, error: type[Exception], said: str
) -> None:
    settle(paths, "2013-07-01", DRIFT)
    (opened,) = AlertOutbox(paths).incidents()
    wanted = opened.incident_id if begins_with == "WHOLE" else begins_with

    with pytest.raises(error, match=said):
        close_incident(paths, wanted, (True, note), "ana", NOW)
    assert AlertOutbox(paths).judgements() == {}


def test_file_of_a_version_without_judgements_takes_them(paths: StatePaths) -> None:
    settle(paths, "2013-07-01", DRIFT)
    with closing(sqlite3.connect(paths.alerts / "alerts.sqlite")) as connection:
        connection.execute("DROP TABLE judgements")
        connection.commit()
    (opened,) = AlertOutbox(paths).incidents()

    close_incident(paths, opened.incident_id, (True, "a note"), "ana", NOW)

    assert AlertOutbox(paths).judgements()[opened.incident_id].note == "a note"
