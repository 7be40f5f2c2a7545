"""What people hear of, and in which words."""

from __future__ import annotations

from typing import Any

from ml_assets.decisions.findings import finding_of_experiment, finding_of_verdict, findings_of_drop
from ml_assets.decisions.incidents import Finding, Waning, measured_against
from ml_assets.stats.binary import BINARY

DROP = "2013-07-09"
WAIT = {"action": "wait", "trigger": "drift", "would_change": "the cooldown ends with drop 2013-07-20"}
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
    return findings_of_drop("flights", DROP, **{"task": BINARY, **known, **tables})


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
    assert finding.doing == "retraining waits: the cooldown ends with drop 2013-07-20"


RETRAIN = {"action": "retrain", "trigger": "staleness", "would_change": "the gate may still refuse what is trained"}


def test_what_happens_by_itself_is_about_the_incident_and_not_about_the_decision_of_the_drop() -> None:
    alarms = [
        alarm("feed", "weather.temp_f null_share", kind="cannot_tell"), alarm("before", "hour", kind="abrupt"),
        alarm("training", "carrier", kind="drift"),
    ]  # fmt: skip

    def doing(**decision: Any) -> dict[str, str]:
        rows = found(alarms=alarms, stale=["it is old"], performance=VERDICT, decision={**RETRAIN, **decision})
        return {finding.monitor: finding.doing for finding in rows if not isinstance(finding, Waning)}

    stale = doing()
    assert stale["freshness/champion"].startswith("the retraining sensor")
    assert stale["drift/training"].startswith("a retraining is asked for by the champion's age, and learns from these")
    assert stale["drift/before"] == "nothing: an abrupt change alone starts no retraining, and scoring goes on"
    assert stale["feed/weather"].startswith("nothing: it may be real, so training and scoring go on")
    lost = doing(action="wait", trigger="performance", would_change="it retrains once 40 drops have matured labels")
    assert lost["performance"] == "retraining waits: it retrains once 40 drops have matured labels"
    assert lost["drift/training"].startswith("nothing: too little of what the champion leans on has moved")
    assert lost["freshness/champion"] == "nothing by itself"
    left = doing(action="nothing", trigger=None, would_change="alarmed features hold 4.0% of the importance")
    assert left["drift/training"] == "nothing: alarmed features hold 4.0% of the importance"
    held = doing(action="fix_upstream", trigger=None)
    assert held["performance"].startswith("no retraining starts while a source is at fault")


def test_feature_with_values_the_reference_never_had_is_told_by_them() -> None:
    said = "was 0 in all 5,600 rows of the reference and is other in 63 % of the window"
    alarms = [alarm("before", "is_holiday", kind="abrupt", statistic="constant_changed", detail=said, importance=0.02)]
    (finding,) = found(alarms=alarms)

    assert finding.message.endswith(f"is_holiday ({said}, importance 2.0%)")


def test_missing_sources_are_told_by_who_goes_on_and_refused_ones_elsewhere() -> None:
    ledger = [
        {"source": "weather", "state": "missing", "reasons": []},
        {"source": "planes", "state": "missing_accepted", "reasons": []},
        {"source": "schedule", "state": "refused", "reasons": ["file_refused:column_missing:dest"]},
    ]

    told = {finding.monitor: (finding.kind, finding.severity) for finding in found(ledger=ledger)}

    assert told == {
        "drop/weather": ("missing_drop", "error"),
        "drop/planes": ("missing_drop", "warning"),
    }


def test_lost_performance_says_by_how_much() -> None:
    performance = {
        "state": "failed",
        "model_version": "2013-05-12-blend",
        "window_from": "2013-06-25",
        "window_until": "2013-07-01",
        "gain": 0.001,
        "gain_upper": 0.012,
        "threshold": 0.02,
    }
    (finding,) = found(performance=performance)

    assert finding.message == (
        "the champion 2013-05-12-blend gains 0.1% of log loss over the baseline (up to 1.2%) in rows from 2013-06-25 "
        "to 2013-07-01; it must keep 2.0%"
    )
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


VERDICT: dict[str, Any] = {
    "state": "failed", "model_version": "m5", "window_from": "2013-06-20", "window_until": "2013-07-03", "gain": 0.01,
    "gain_upper": 0.03, "threshold": 0.05, "loss_since": None, "loss_now": 0.52, "loss_at_gate": 0.44,
    "loss_level": 7.0, "loss_limit": 5.0, "behind_since": None, "prior_since": None, "prior_share": 0.31,
    "prior_score": 0.25, "prior_level": 6.0, "prior_limit": 4.0, "ece": 0.03, "ece_by_chance": 0.02, "first_gain": 0.02,
    "first_gain_upper": 0.05,
}  # fmt: skip


def told(**changes: Any) -> list[tuple[str, str]]:
    """Give kind and message of what a verdict that failed opens."""
    return [(finding.kind, finding.message) for finding in of_verdict(**changes) if not isinstance(finding, Waning)]


def waning(**changes: Any) -> set[str]:
    """Give the kinds of which open incidents stay open, and none opens."""
    return {finding.kind for finding in of_verdict(**changes) if isinstance(finding, Waning)}


def of_verdict(**changes: Any) -> list[Finding]:
    decision = {**WAIT, "refused": 0, "failure": None, "fallback_since": None, **changes.pop("decision", {})}
    return found(performance={**VERDICT, **changes}, decision=decision, max_ece=0.05)


def test_a_risen_loss_is_told_with_its_first_drop_and_what_it_was_before() -> None:
    ((kind, message),) = told(loss_since="2013-06-22")

    assert kind == "loss_risen"
    assert message.startswith("since drop 2013-06-22 the champion m5 does worse: log loss 0.5200 from 2013-06-20 to")
    assert message.endswith("had 0.4400 before it served")
    ((_, again),) = told(loss_since="2013-06-22", loss_now=0.40)
    assert again.endswith("the newest rows are as before, and the alarm ends when that has lasted")


def test_a_rise_that_the_baseline_shares_is_told_as_rows_that_are_harder_for_both() -> None:
    ((kind, shared),) = told(loss_since="2013-06-22", gain=0.1, baseline_at_gate=0.49)
    ((_, own),) = told(loss_since="2013-06-22", gain=0.01, baseline_at_gate=0.49)

    assert kind == "loss_risen"  # two models that lose together are still a loss
    assert (
        "had 0.4400 before it served. The baseline's rose by as much, from 0.4900 to 0.5778: these rows are" in shared
    )
    assert "the gate refuses it and the loss stays" in shared
    assert "baseline" not in own  # it rose by 0.035, the champion by 0.08


def test_a_window_without_matured_rows_stops_nothing() -> None:
    empty = {"gain": None, "gain_upper": None, "loss_now": None, "label_share": None, "ece": None}

    assert told(**empty) == []
    assert [kind for kind, _ in told(**empty, loss_since="2013-06-22")] == ["loss_risen"]


def test_a_failed_champion_is_one_incident_before_and_while_the_fallback_serves() -> None:
    proven = told(decision={"failure": "it has done worse than the baseline since drop 2013-06-22"}, loss_since="x")
    serves = told(decision={"fallback_since": "2013-07-08"}, loss_since="x")

    assert [kind for kind, _ in proven] == [kind for kind, _ in serves] == ["loss_risen", "champion_failed"]
    assert "the champion m5 has failed: it has done worse than the baseline since drop 2013-06-22" in proven[1][1]
    assert "since drop 2013-07-08 the fallback serves in its place" in serves[1][1]
    assert "ml-assets retrain flights" in serves[1][1]


def test_candidates_that_keep_failing_are_told_from_the_second_on() -> None:
    kinds = [[kind for kind, _ in told(loss_since="2013-06-22", decision={"refused": n})] for n in (1, 2)]

    assert kinds == [["loss_risen"], ["loss_risen", "candidates_fail"]]


OFF = {"prior_since": "2013-06-25", "ece": 0.08}


def test_labels_away_from_scores_worse_than_the_first_and_miscalibrated_are_told() -> None:
    found_now = dict(told(state="ok", first_gain=-0.03, first_gain_upper=-0.01, **OFF))

    assert set(found_now) == {"worse_than_first", "prior_shift", "miscalibrated"}
    assert found_now["prior_shift"].startswith(
        "since drop 2013-06-25 positives are more frequent than the scores say: 31.0% in what has matured since, where "
        "scores average 25.0%"
    )
    assert "log loss higher by 3.0%" in found_now["worse_than_first"]
    assert [
        measured_against(finding)
        for finding in of_verdict(state="ok", first_gain=-0.03, first_gain_upper=-0.01)
        if finding.kind == "worse_than_first"
    ] == ["0.03, threshold 0.01"]  # the figure of the message, in the same unit
    assert "worse_than_first" not in dict(told(first_gain=-0.003, first_gain_upper=-0.001))
    assert "the gate allows 5.0%, and chance alone gives up to 2.0%" in found_now["miscalibrated"]


def test_scores_that_are_off_are_told_with_the_loss_that_rose_and_what_was_open_of_them_stays() -> None:
    ((kind, message),) = told(loss_since="2013-06-22", **OFF)

    assert kind == "loss_risen"
    assert "positives are more frequent than the scores say" in message
    assert "the gate allows 5.0%" in message
    assert waning(loss_since="2013-06-22", **OFF) == {"prior_shift", "miscalibrated"}


def test_a_verdict_of_an_earlier_release_without_the_means_of_a_prior_tells_none() -> None:
    earlier = {name: value for name, value in VERDICT.items() if name not in ("prior_share", "prior_score")}
    decision = {**WAIT, "refused": 0, "failure": None, "fallback_since": None}

    kinds = {each.kind for each in found(performance={**earlier, "state": "ok", "prior_since": "2013-06-25"},
                                         decision=decision) if not isinstance(each, Waning)}  # fmt: skip

    assert kinds == set()


def test_a_fallback_that_ranks_no_better_than_chance_is_told_to_be_worth_nothing() -> None:
    decision, since = {"fallback_since": "2013-07-08"}, {"loss_since": "2013-06-22"}
    (_, poor), (_, good) = (
        told(decision=decision, fallback_auc=0.52, fallback_auc_lower=lower, **since)[1] for lower in (0.49, 0.51)
    )

    assert "no better than chance: AUC 0.52 (from 0.49) in what has matured since the champion did worse" in poor
    assert "chance" not in good


def test_what_is_under_its_threshold_by_less_than_a_quarter_keeps_what_is_open_and_opens_nothing() -> None:
    near = {"loss_level": 4.0, "prior_level": 3.1, "ece": 0.04}

    assert waning(**near) == {"loss_risen", "prior_shift", "miscalibrated"}
    assert waning(loss_level=3.7, prior_level=2.9, ece=0.037) == set()
    assert "miscalibrated" not in waning(**near, ece_by_chance=0.045)
    assert waning(state="ok", **OFF) == {"loss_risen"}  # the others are told


def test_events_of_an_experiment_are_told_and_an_abort_once() -> None:
    event = {
        "experiment": "canary",
        "event": "extended",
        "after": "2013-02-01",
        "decided_by": "experiment",
        "note": "unsure",
    }

    told = finding_of_experiment("flights", event)
    refused = {"verdict": "refused", "decided_by": "experiment", "serves_after": "2013-02-01"}
    aborted = finding_of_verdict("flights", {**refused, "note": "experiment canary aborted: worse"})

    assert told is not None
    assert told.message == "experiment canary extended for the drops after 2013-02-01, by experiment: unsure"
    assert told.is_event
    assert finding_of_experiment("flights", {**event, "event": "aborted"}) is None
    assert (aborted.kind, aborted.severity) == ("experiment_aborted", "warning")
    assert aborted.message == "for the drops after 2013-02-01: experiment canary aborted: worse"
