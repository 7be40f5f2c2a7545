from __future__ import annotations

from ml_assets.decisions.alert_precision import (
    AlertPrecision,
    Judgement,
    alert_precision,
    kind_of,
    month_of,
    overall_precision,
    precision_sentence,
)
from ml_assets.decisions.incidents import Finding, Incident, reconcile_incidents


def incident(at: str, kind: str = "drift", *, is_event: bool = False) -> Incident:
    finding = Finding(f"{kind}/x", kind, "warning", "moved", None, None, "", "", is_event=is_event)
    (opened,) = reconcile_incidents([], [finding], use_case="flights", at=at, scope=(kind,)).opened
    return opened


JULY, LATER, AUGUST = incident("2013-07-01"), incident("2013-07-09", "broken_feed"), incident("2013-08-02")


def judged(*pairs: tuple[Incident, bool]) -> dict[str, Judgement]:
    return {each.incident_id: Judgement(each.incident_id, useful, "a note", "ana", "2026-01-05T09:00:00+00:00")
            for each, useful in pairs}  # fmt: skip


def test_precision_is_the_useful_share_of_what_was_judged_by_the_month_it_opened() -> None:
    found = alert_precision([AUGUST, JULY, LATER], judged((JULY, True), (LATER, False)), month_of)

    assert [(each.name, each.opened, each.judged, each.useful, each.share) for each in found] == [
        ("2013-07", 2, 2, 1, 0.5),
        ("2013-08", 1, 0, 0, None),
    ]
    assert (round(found[0].lower, 3), round(found[0].upper, 3)) == (0.121, 0.879)  # Wilson, 90 %
    assert (found[1].lower, found[1].upper) == (0.0, 1.0)


def test_kinds_are_counted_apart_and_together() -> None:
    said = judged((JULY, True), (AUGUST, True), (LATER, False))

    by_kind = {each.name: (each.useful, each.judged) for each in alert_precision([JULY, LATER, AUGUST], said, kind_of)}
    whole = overall_precision([JULY, LATER, AUGUST], said)

    assert by_kind == {"drift": (2, 2), "broken_feed": (0, 1)}
    assert (whole.opened, whole.judged, whole.useful) == (3, 3, 2)


def test_event_is_no_alarm_until_somebody_judges_it() -> None:
    promotion = incident("2013-07-03", "promotion", is_event=True)

    assert overall_precision([JULY, promotion], {}).opened == 1
    assert overall_precision([JULY, promotion], judged((promotion, False))).opened == 2


def test_sentence_says_how_many_were_not_judged() -> None:
    found = AlertPrecision("all", 2, 2, 2, 1.0, 0.42, 1.0)

    assert precision_sentence(found) == "2 of 2 judged alerts were useful, 100 % (42 to 100 %); all were judged"
    assert precision_sentence(AlertPrecision("all", 0, 0, 0, None, 0.0, 1.0)) == "there was no alert"
