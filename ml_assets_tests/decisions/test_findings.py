"""What people hear of, and in which words."""

from __future__ import annotations

from typing import Any

from ml_assets.decisions.findings import finding_of_verdict, findings_of_drop

DROP = "2013-07-09"
WAIT = {"action": "wait", "would_change": "the cooldown ends with drop 2013-07-20"}
FIX = {"action": "fix_upstream", "would_change": ""}


def alarm(family: str, monitor: str, **more: Any) -> dict[str, Any]:
    source, _, rest = monitor.partition(" ")[0].partition(".")
    return {
        "family": family, "monitor": f"{family}/{monitor}", "source": source if family == "feed" else None,
        "column_name": rest if family == "feed" else monitor, "z": 20.0, "threshold": 5.0,
        "ratio": 4.0, "kind": "broken_feed", "meaning": "missing values", "importance": None, "value": 0.4,
        "usual": 0.01, **more,
    }  # fmt: skip


def found(**tables: Any) -> list[Any]:
    known: dict[str, Any] = {"ledger": [], "alarms": [], "performance": None, "stale": [], "decision": FIX}
    return findings_of_drop("flights", DROP, **{**known, **tables})


def test_healthy_drop_has_no_finding() -> None:
    performance = {"state": "ok"}

    assert found(performance=performance, ledger=[{"source": "weather", "state": "admitted", "reasons": []}]) == []


def test_what_is_missing_says_who_goes_on_without_it_and_nothing_of_other_files() -> None:
    late = ["already_known x67", "late: 2013-07-02/weather.csv"]
    by_person = {"source": "schedule", "state": "missing_accepted",
                 "reasons": ["accepted by a person: lost by its publisher", *late]}  # fmt: skip
    declared = {"source": "weather", "state": "missing_accepted", "reasons": late}

    assert [finding.message for finding in found(ledger=[by_person, declared])] == [
        "schedule of drop 2013-07-09 did not arrive; a person goes on without it: lost by its publisher",
        "weather of drop 2013-07-09 did not arrive; the declaration goes on without it",
    ]


def test_faults_of_one_source_are_one_finding_that_names_its_columns() -> None:
    alarms = [
        alarm("feed", "weather.temp_f null_share", ratio=3.0),
        alarm("feed", "weather rows", ratio=9.0, meaning="the number of rows: 30 where 72 is usual"),
        alarm("feed", "weather.wind center", kind="cannot_tell"),
    ]
    (finding,) = found(alarms=alarms)

    assert (finding.monitor, finding.kind, finding.severity) == ("feed/weather", "broken_feed", "error")
    assert finding.message.startswith("weather looks broken in drop 2013-07-09: weather rows (the number of rows: 30")
    assert "weather.temp_f null_share" in finding.message
    assert (finding.measurement, finding.threshold) == (20.0, 5.0)
    assert "repair the feed" in finding.doing


def test_features_that_follow_a_broken_feed_are_told_with_it() -> None:
    alarms = [alarm("feed", "weather.temp_f null_share"), alarm("training", "weather_temp_f")]

    assert [finding.monitor for finding in found(alarms=alarms)] == ["feed/weather"]


def test_features_that_drift_are_one_finding_with_what_matters_first() -> None:
    alarms = [
        alarm("training", "is_holiday", kind="drift", importance=0.0),
        alarm("training", "carrier_late_share_7d", kind="drift", importance=0.2),
    ]
    (finding,) = found(alarms=alarms, decision=WAIT)

    assert (finding.monitor, finding.kind, finding.severity) == ("drift/training", "drift", "warning")
    assert finding.message.startswith("2 features have moved away")
    assert finding.message.index("carrier_late_share_7d") < finding.message.index("is_holiday")
    assert finding.doing == "it waits: the cooldown ends with drop 2013-07-20"


def test_feature_with_values_the_reference_never_had_is_told_by_them() -> None:
    said = "was 0 in all 5,600 rows of the reference and is other in 63 % of the window"
    alarms = [alarm("before", "is_holiday", kind="abrupt", statistic="constant_changed", detail=said, importance=0.02)]
    (finding,) = found(alarms=alarms)

    assert finding.message.endswith(f"is_holiday ({said}, importance 2.0%)")


def test_missing_and_refused_sources_are_told_apart() -> None:
    ledger = [
        {"source": "weather", "state": "missing", "reasons": []},
        {"source": "planes", "state": "missing_accepted", "reasons": []},
        {"source": "schedule", "state": "refused", "reasons": ["file_refused:column_missing:dest"]},
    ]

    told = {finding.monitor: (finding.kind, finding.severity) for finding in found(ledger=ledger)}

    assert told == {
        "drop/weather": ("missing_drop", "error"),
        "drop/planes": ("missing_drop", "warning"),
        "drop/schedule": ("refused_drop", "error"),
    }
    assert "file_refused:column_missing:dest" in found(ledger=ledger)[2].message


def test_lost_performance_says_by_how_much() -> None:
    performance = {
        "state": "failed",
        "window_from": "2013-06-25",
        "gain": 0.001,
        "gain_upper": 0.012,
        "threshold": 0.02,
    }
    (finding,) = found(performance=performance)

    assert "gains 0.1% of log loss over the baseline (up to 1.2%); it must keep 2.0%" in finding.message
    assert (finding.measurement, finding.threshold) == (0.001, 0.02)


def test_stale_training_data_are_a_warning() -> None:
    (finding,) = found(stale=["the champion is old"], decision=None)

    assert (finding.kind, finding.severity, finding.doing) == ("freshness", "warning", "nothing by itself")


def test_verdicts_are_events() -> None:
    verdict = {"verdict": "refused", "model_version": "m", "as_of": "2013-07-07", "gate": "enabled", "gain": -0.01,
               "reasons": [{"passed": True, "code": "finite", "message": "yes"},
                           {"passed": False, "code": "gain_too_small", "message": "-1 %"}]}  # fmt: skip
    refused = finding_of_verdict("flights", verdict)
    promoted = finding_of_verdict("flights", {**verdict, "verdict": "promoted", "reasons": []})

    assert (refused.kind, refused.severity, refused.is_event) == ("refused_candidate", "warning", True)
    assert refused.message == "m was refused as of 2013-07-07 (gate enabled): gain_too_small: -1 %"
    assert (promoted.kind, promoted.severity, promoted.doing) == ("promotion", "info", "it serves the drops after")
