from __future__ import annotations

import math
from dataclasses import asdict, replace

from hypothesis import given
from hypothesis import strategies as st

from ml_assets.decisions.incidents import (
    Changes,
    Finding,
    Incident,
    Waning,
    incident_id_of,
    message_of,
    reconcile_incidents,
)

DRIFT = Finding(
    monitor="drift/weather_temp_f",
    kind="drift",
    severity="warning",
    message="weather_temp_f is not distributed as in training",
    measurement=0.31,
    threshold=0.2,
    doing="retrains as of this drop, at most once in 7 days",
    look_at="ml-assets explain retrain flight_delays",
)
PROMOTED = Finding(
    "promotion", "promotion", "info", "m-7 serves", None, None, "", "ml-assets status flight_delays", is_event=True
)
SCOPE = ("drift/", "drop/", "gate", "promotion")

FINDINGS = st.builds(
    Finding,
    monitor=st.sampled_from(["drift/a", "drift/b", "drop/a", "gate"]),
    kind=st.sampled_from(["drift", "broken_feed"]),
    severity=st.sampled_from(["error", "warning", "info"]),
    message=st.sampled_from(["one", "another"]),
    measurement=st.none() | st.floats(),
    threshold=st.none() | st.floats(),
    doing=st.just("nothing"),
    look_at=st.just("ml-assets alerts"),
    is_event=st.booleans(),
)


def _settle(incidents: list[Incident], *findings: Finding, at: str, scope: tuple[str, ...] = SCOPE) -> Changes:
    return reconcile_incidents(incidents, findings, use_case="flight_delays", at=at, scope=scope)


def _open_after(incidents: list[Incident], changes: Changes) -> list[Incident]:
    gone = {incident.incident_id for incident in changes.closed}
    stay = [incident for incident in incidents if incident.incident_id not in gone]
    return [*stay, *(incident for incident in changes.opened if incident.closed_at is None)]


def test_people_read_the_drop_where_there_is_one_and_the_moment_where_there_is_none() -> None:
    moments = ("2026-01-05T09:00:00+00:00", "2026-01-05T09:30:00+00:00")
    (opened,) = reconcile_incidents([], [DRIFT], use_case="u", at=moments[0], scope=SCOPE, drop="2013-07-01").opened
    (closed,) = reconcile_incidents([opened], [], use_case="u", at=moments[1], scope=SCOPE, drop="2013-07-02").closed
    (event,) = reconcile_incidents([], [replace(DRIFT, is_event=True)], use_case="u", at=moments[0], scope=SCOPE).opened

    assert (closed.since, closed.until) == ("2013-07-01", "2013-07-02")
    assert (closed.opened_at, closed.closed_at) == moments
    assert (event.since, event.until) == (moments[0], moments[0])
    assert "from: 2013-07-01\nclosed: 2013-07-02" in message_of(closed, "closed")[1]


def test_a_finding_opens_once_stays_open_and_closes_once() -> None:
    first = _settle([], DRIFT, at="2013-07-01")
    second = _settle([*first.opened], replace(DRIFT, measurement=0.4, severity="error"), at="2013-07-02")
    third = _settle([*first.opened], at="2013-07-03")

    (opened,) = first.opened
    assert (opened.monitor, opened.kind, opened.measurement) == ("drift/weather_temp_f", "drift", 0.31)
    assert (opened.opened_at, opened.closed_at) == ("2013-07-01", None)
    assert second == Changes(still_open=(replace(opened, measurement=0.4, severity="error"),))  # as found last
    assert third == Changes(closed=(replace(opened, closed_at="2013-07-03", closed_drop="2013-07-03"),))


def test_what_wavers_about_its_threshold_is_one_incident() -> None:
    waning = Waning(**{**asdict(DRIFT), "message": "", "measurement": 0.1})
    (opened,) = _settle([], DRIFT, at="2013-07-01").opened

    assert _settle([], waning, at="2013-07-01") == Changes()
    assert _settle([opened], waning, at="2013-07-02") == Changes(still_open=(opened,))
    assert _settle([opened], DRIFT, at="2013-07-03").still_open == (opened,)
    assert len(_settle([opened], at="2013-07-04").closed) == 1


def test_id_of_an_incident_is_the_same_wherever_it_is_worked_out() -> None:
    (opened,) = _settle([], DRIFT, at="2013-07-01").opened

    assert opened.incident_id == incident_id_of("flight_delays", "drift/weather_temp_f", "drift", "2013-07-01")
    assert opened.incident_id == "f4831efea2cc8b9c"
    others = [("b", "drift/weather_temp_f", "drift"), ("flight_delays", "drift/weather_temp", "fdrift")]
    assert opened.incident_id not in {incident_id_of(*other, "2013-07-01") for other in others}


def test_silence_of_a_monitor_that_was_not_looked_at_closes_nothing() -> None:
    (opened,) = _settle([], DRIFT, at="2013-07-01").opened

    assert _settle([opened], at="2013-07-02", scope=("drop/", "gate")) == Changes()
    assert _settle([opened], at="2013-07-02", scope=()) == Changes()


def test_incidents_of_another_use_case_are_left_alone() -> None:
    (opened,) = _settle([], DRIFT, at="2013-07-01").opened
    other = replace(opened, use_case="trips", incident_id="0")

    changes = _settle([other], DRIFT, at="2013-07-02")

    assert [incident.use_case for incident in changes.opened] == ["flight_delays"]
    assert changes.closed == ()


def test_of_two_findings_with_one_key_the_worse_one_counts() -> None:
    worse = replace(DRIFT, severity="error", message="it is all null", measurement=None)

    (one,) = _settle([], DRIFT, worse, at="2013-07-01").opened
    (other,) = _settle([], worse, DRIFT, at="2013-07-01").opened

    assert one == other
    assert (one.severity, one.message) == ("error", "it is all null")


def test_two_kinds_at_one_monitor_are_two_incidents() -> None:
    changes = _settle([], DRIFT, replace(DRIFT, kind="broken_feed"), at="2013-07-01")

    assert [incident.kind for incident in changes.opened] == ["broken_feed", "drift"]


def test_an_event_is_over_as_it_opens_and_never_closes_later() -> None:
    changes = _settle([], PROMOTED, at="2013-07-01")

    (event,) = changes.opened
    assert (event.opened_at, event.closed_at) == ("2013-07-01", "2013-07-01")
    assert changes.closed == ()
    assert _settle([event], at="2013-07-02") == Changes()


def test_a_measurement_that_is_no_number_is_left_out() -> None:
    (opened,) = _settle([], replace(DRIFT, measurement=math.nan, threshold=math.inf), at="2013-07-01").opened

    assert (opened.measurement, opened.threshold) == (None, None)


@given(before=st.lists(FINDINGS), findings=st.lists(FINDINGS), data=st.data())
def test_settling_twice_is_settling_once_and_order_is_irrelevant(
    before: list[Finding], findings: list[Finding], data: st.DataObject
) -> None:
    incidents = _open_after([], _settle([], *before, at="2013-07-01"))
    shuffled = data.draw(st.permutations(findings))

    once = _settle(incidents, *findings, at="2013-07-02", scope=("drift/", "gate"))
    after = _open_after(incidents, once)
    twice = _settle(after, *findings, at="2013-07-02", scope=("drift/", "gate"))

    assert _settle(incidents[::-1], *shuffled, at="2013-07-02", scope=("drift/", "gate")) == once
    assert [incident for incident in twice.opened if not incident.is_event] == []
    assert twice.closed == ()
    assert {incident.incident_id for incident in _open_after(after, twice)} == {one.incident_id for one in after}
    keys = {finding.monitor + finding.kind for finding in findings}
    assert {incident.monitor + incident.kind for incident in (*once.opened, *once.still_open)} == keys


def test_message_of_an_opening_says_what_since_when_how_much_and_where_to_look() -> None:
    (opened,) = _settle([], DRIFT, at="2013-07-01").opened

    assert message_of(opened, "opened") == (
        "flight_delays: drift (drift/weather_temp_f)",
        "weather_temp_f is not distributed as in training\n"
        "severity: warning\n"
        "since: 2013-07-01\n"
        "measured: 0.31, threshold 0.2\n"
        "what happens by itself: retrains as of this drop, at most once in 7 days\n"
        "look at: ml-assets explain retrain flight_delays",
    )


def test_message_of_a_closing_says_from_when_to_when() -> None:
    (opened,) = _settle([], DRIFT, at="2013-07-01").opened
    (closed,) = _settle([opened], at="2013-07-08").closed

    title, body = message_of(closed, "closed")

    assert title == "flight_delays: closed: drift (drift/weather_temp_f)"
    assert body.splitlines() == [
        "over: what was told is not found any more as of 2013-07-08",
        "from: 2013-07-01",
        "closed: 2013-07-08",
        "told was: weather_temp_f is not distributed as in training",
        "measured last: 0.31, threshold 0.2",
    ]


def test_message_of_an_event_has_one_moment_and_no_empty_line() -> None:
    (event,) = _settle([], PROMOTED, at="2013-07-01").opened

    assert message_of(event, "opened") == (
        "flight_delays: promotion (promotion)",
        "m-7 serves\nat: 2013-07-01\nlook at: ml-assets status flight_delays",
    )
