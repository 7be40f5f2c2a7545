"""A canary over real drops: who is served by what, what ends it, and that ranges, reruns and kills change nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_assets.pipeline.champion.decisions import NotDecidableError, PersonDecision
from ml_assets.pipeline.champion.record import ServingDecision, append_decision, champion_in, read_record
from ml_assets.pipeline.experiments.people import conclude_experiment, plan_start, start_experiment
from ml_assets.pipeline.experiments.record import BY_ITSELF, RunningExperiment, UnknownExperimentError, free_part
from ml_assets.pipeline.experiments.status import experiment_statuses
from ml_assets.pipeline.experiments.whatif import PolicyChange, what_if
from ml_assets.pipeline.housekeeping import housekeep
from ml_assets.pipeline.monitoring.incidents import reconcile_incidents
from ml_assets.pipeline.runs.steps import StepsStoppedError
from ml_assets.pipeline.scoring.explain import explain_prediction
from ml_assets.reports.experiment_page import experiment_card, write_experiment_page
from ml_assets.spec.experiments import Experiment, ExperimentGuardrail
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.lake import Lake
from ml_assets_tests.rehearsal import Rehearsal, day, go_on_from, rehearse
from ml_assets_tests.served import served_spec

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("canary")]  # one worker runs the shared history once

NOW = datetime(2013, 2, 1, tzinfo=UTC)
STARTED, LAST = 18, 26
CANARY = Experiment(
    name="canary", share=0.2, guardrails=(ExperimentGuardrail(measure="brier", max_worse=0.01),), min_drops=3
)
TABLES = ("assignments", "arm_predictions", "experiment_reports", "predictions", "worklist")
EVENTS = "SELECT event, after, challenger, champion, decided_by, note FROM t ORDER BY sequence"
ARMS = "SELECT batch_date, arm, count(*) AS n, min(scored_by) AS model FROM t GROUP BY ALL ORDER BY ALL"


def by_me(note: str = "because", first: int | None = None) -> PersonDecision:
    return PersonDecision("me", note, NOW, None if first is None else day(first))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Serve a line as of the 9th, and leave a candidate as of the 16th that does not serve."""
    spec = served_spec().model_copy(update={"experiments": (CANARY,)})
    found = Rehearsal(spec, rehearse(tmp_path_factory.mktemp("canary"), last=LAST).root)
    found.batch(1, 9)
    found.retrain(9, candidate="logistic_regression", gate="disabled")
    found.batch(10, 16)
    found.retrain(16, gate="dry_run")
    found.batch(17, STARTED)
    return found


@pytest.fixture(scope="module")
def started(before: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Start the canary, and run no drop yet."""
    found = go_on_from(before, tmp_path_factory.mktemp("started"))
    start_experiment(found.spec, found.state, "canary", "", by_me())
    return found


@pytest.fixture(scope="module")
def watched(started: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Run the drops after the start, one by one."""
    found = go_on_from(started, tmp_path_factory.mktemp("watched"))
    for number in range(STARTED + 1, LAST + 1):
        found.batch(number, number)
    return found


def events(rehearsal: Rehearsal) -> list[tuple[str, int]]:
    return [(row["event"], row["after"].day) for row in rehearsal.rows("experiment_record", EVENTS)]


def contents(rehearsal: Rehearsal, last: int = LAST) -> dict[str, str]:
    return {table: rehearsal.content(table, 1, last) for table in TABLES} | {
        "experiment_record": rehearsal.content("experiment_record")
    }


@contextmanager
def poisoned(monkeypatch: pytest.MonkeyPatch, challenger: str, factor: float) -> Iterator[None]:
    """Multiply the log odds of what the challenger says, from now on."""
    from ml_assets.pipeline.experiments import arm_scores

    original = arm_scores.score_drop

    def score(rows: Any, drop: date, server: Any, shift: float = 0.0) -> Any:
        found = original(rows, drop, server, shift)
        if server.model_version != challenger:
            return found
        odds = np.log(found["score"] / (1 - found["score"]))
        return found.assign(score=1 / (1 + np.exp(-factor * odds)))

    with monkeypatch.context() as patch:
        patch.setattr(arm_scores, "score_drop", score)
        yield


def test_before_it_starts_every_prediction_is_the_champions_with_certainty(before: Rehearsal) -> None:
    rows = before.rows("predictions", "SELECT DISTINCT arm, propensity, scored_by = model_version AS own FROM t")

    assert rows == [{"arm": "champion", "propensity": 1.0, "own": True}]
    assert not before.lake.has("assignments")  # nothing is written where none runs


def test_plan_says_what_it_can_find_from_drops_that_neither_model_saw(before: Rehearsal) -> None:
    plan = plan_start(before.spec, before.state, "canary", "", by_me())

    assert plan.experiment.challenger.startswith("2013-01-16")
    assert plan.experiment.champion.startswith("2013-01-09")
    assert plan.n_reference >= 3
    assert plan.detectable is not None
    assert 0.005 < plan.detectable < 1
    assert not before.lake.has("experiment_record")  # nothing was written


def test_challenger_serves_its_share_and_every_prediction_says_so(watched: Rehearsal) -> None:
    challenger = watched.rows("experiment_record")[0]["challenger"]
    rows = watched.rows("predictions")
    arms = {row["example_id"]: row for row in watched.rows("arm_predictions") if row["arm"] == "challenger"}
    served = [row for row in rows if row["arm"] == "challenger"]
    inside = [row for row in rows if row["batch_date"] > day(STARTED)]

    assert {row["batch_date"].day for row in served} == set(range(STARTED + 1, LAST + 1))
    assert abs(len(served) / len(inside) - 0.2) < 0.02
    assert {row["scored_by"] for row in served} == {challenger}
    assert {row["propensity"] for row in served} == {0.2}
    assert all(row["score"] == arms[row["example_id"]]["score"] for row in served)
    assert len({row["policy_version"] for row in inside}) == 1
    assert {row["served_by"] for row in served} == {"challenger"}
    champion = [row for row in inside if row["arm"] == "champion"]
    assert {round(row["propensity"], 9) for row in champion} == {0.8}
    assert {row["scored_by"] for row in champion} == {row["model_version"] for row in inside}


def test_explanation_of_a_prediction_names_the_challenger_that_gave_it(watched: Rehearsal) -> None:
    row = next(row for row in watched.rows("predictions") if row["served_by"] == "challenger")

    found = explain_prediction(watched.spec, watched.state, row["example_id"], row["batch_date"])

    assert found["why"].startswith(
        "the challenger of an experiment, which serves 20% of its units; the champion is 2013"
    )
    assert found["prediction"]["model_version"] == row["scored_by"]


def test_assignments_are_the_exposures_each_once(watched: Rehearsal) -> None:
    columns = "SELECT example_id, arm, propensity, policy_version FROM t"
    assigned = watched.rows("assignments", f"{columns} ORDER BY 1")
    exposed = watched.rows("predictions", f"{columns} WHERE batch_date > DATE '{day(STARTED)}' ORDER BY 1")

    assert assigned == exposed
    assert len({row["example_id"] for row in assigned}) == len(assigned)


def test_range_gives_what_its_drops_give_one_by_one_and_so_does_a_rerun(
    started: Rehearsal, watched: Rehearsal, tmp_path: Path
) -> None:
    at_once = go_on_from(started, tmp_path / "range")
    at_once.batch(STARTED + 1, LAST)
    again = go_on_from(watched, tmp_path / "again")
    again.batch(STARTED + 1, LAST)
    again.batch(STARTED + 3, STARTED + 4)

    assert contents(at_once) == contents(watched)
    assert contents(again) == contents(watched)


def test_only_matured_drops_are_compared_and_a_verdict_waits_for_three(watched: Rehearsal) -> None:
    rows = watched.rows("experiment_reports", "SELECT * FROM t WHERE measure = 'log_loss' ORDER BY batch_date")

    assert [row["n_units"] for row in rows if row["n"]][-1] == LAST - STARTED - 2  # labels mature after two days
    assert rows[1]["reason"] == "not enough data: 0 matured drops; a verdict needs 3"
    assert all(row["lower"] is None or row["lower"] < row["worse_by"] < row["upper"] for row in rows)


def test_challenger_that_got_worse_is_aborted_and_serves_nothing_after(
    started: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurt = go_on_from(started, tmp_path / "hurt")
    challenger = hurt.rows("experiment_record")[0]["challenger"]
    with poisoned(monkeypatch, challenger, -1.0):
        hurt.batch(STARTED + 1, LAST)
        at_once = contents(hurt)
        step_by_step = go_on_from(started, tmp_path / "steps")
        for number in range(STARTED + 1, LAST + 1):
            step_by_step.batch(number, number)

    (_, aborted) = hurt.rows("experiment_record", EVENTS)
    last = aborted["after"].day
    served = {row["batch_date"].day for row in hurt.rows("predictions", ARMS) if row["arm"] == "challenger"}
    record = hurt.rows("champion", "SELECT * FROM t ORDER BY sequence")
    assert aborted["event"] == "aborted"
    assert last <= STARTED + 2 + 5  # within five drops of labels, which take two days
    assert "is surely worse than allowed" in aborted["note"]
    assert served == set(range(STARTED + 1, last + 1))
    assert (record[-1]["verdict"], record[-1]["decided_by"]) == ("refused", BY_ITSELF)
    assert (record[-1]["model_version"], record[-1]["serves_after"]) == (challenger, aborted["after"])
    serving = champion_in(record, date.max)
    assert serving is not None
    assert serving["model_version"] == aborted["champion"]
    assert contents(step_by_step) == at_once
    reconcile_incidents(hurt.spec, hurt.paths, [], [], NOW)
    told = [each.kind for each in AlertOutbox(hurt.paths).incidents(hurt.spec.name) if "experiment" in each.kind]
    assert sorted(told) == ["experiment_aborted", "experiment_started"]
    page = write_experiment_page(hurt.spec, hurt.state, experiment_statuses(hurt.spec, hurt.state)[0])
    assert "surely worse than allowed" in page.read_text()


def test_kill_at_any_write_moves_no_unit_and_loses_or_doubles_no_exposure(
    started: Rehearsal, watched: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, last = go_on_from(started, tmp_path / "killed"), STARTED + 4
    for number in range(STARTED + 1, last + 1):
        # each of the writes of assignments, arms, reports and predictions, and one of those after
        for nth in (13 + number % 4, 17 + number % 4):
            with monkeypatch.context() as patch:
                _die_at(patch, nth)
                with pytest.raises(StepsStoppedError):
                    killed.batch(number, number)
        killed.batch(number, number)

    assert contents(killed, last) == contents(watched, last)


def _die_at(patch: pytest.MonkeyPatch, nth: int) -> None:
    """Let the nth write to the lake fail, as a process does that is killed there."""
    original, seen = Lake._write, [0]

    def write(self: Lake, *arguments: Any, **options: Any) -> int:
        seen[0] += 1
        if seen[0] == nth:
            raise OSError("killed here")
        return original(self, *arguments, **options)

    patch.setattr(Lake, "_write", write)


def test_declaration_that_changes_later_moves_no_unit(watched: Rehearsal, tmp_path: Path) -> None:
    changed = watched.spec.model_copy(update={"experiments": (CANARY.model_copy(update={"share": 0.5}),)})
    again = replace(go_on_from(watched, tmp_path / "changed"), spec=changed)

    again.batch(STARTED + 1, LAST)

    assert contents(again) == contents(watched)


def test_promotion_of_another_model_ends_it(started: Rehearsal, tmp_path: Path) -> None:
    ended = go_on_from(started, tmp_path / "ended")
    ended.batch(STARTED + 1, STARTED + 2)
    ended.retrain(STARTED + 2, candidate="group_history", gate="disabled")
    ended.batch(STARTED + 3, STARTED + 4)

    assert events(ended) == [("started", STARTED), ("ended", STARTED + 2)]
    newest = ended.rows("predictions", ARMS)[-2:]
    assert {row["arm"] for row in newest} == {"champion"}


def test_challenger_whose_files_were_changed_is_aborted_before_it_serves(started: Rehearsal, tmp_path: Path) -> None:
    broken = go_on_from(started, tmp_path / "broken")
    challenger = broken.rows("experiment_record")[0]["challenger"]
    folder = broken.paths.models / broken.spec.name / challenger / "model"
    file = next(each for each in folder.rglob("*") if each.is_file())
    file.write_bytes(file.read_bytes() + b" ")

    broken.batch(STARTED + 1, STARTED + 1)

    assert events(broken) == [("started", STARTED), ("aborted", STARTED)]
    assert {row["arm"] for row in broken.rows("predictions", ARMS)} == {"champion"}


def test_person_concludes_and_the_challenger_serves_all(watched: Rehearsal, tmp_path: Path) -> None:
    concluded = go_on_from(watched, tmp_path / "concluded")

    conclude_experiment(concluded.spec, concluded.state, "canary", "promote", by_me("as good, and newer"))

    record = concluded.rows("champion", "SELECT * FROM t ORDER BY sequence")
    serving = champion_in(record, date.max)
    assert serving is not None
    assert serving["model_version"] == record[-1]["model_version"]
    assert serving["note"] == "experiment canary: as good, and newer"
    assert serving["serves_after"] == day(LAST)
    assert events(concluded)[-1] == ("concluded", LAST)
    with pytest.raises(UnknownExperimentError, match="none runs; declared: canary"):
        conclude_experiment(concluded.spec, concluded.state, "canary", "stop", by_me())


def test_start_is_refused_with_what_is_allowed(started: Rehearsal, before: Rehearsal) -> None:
    with pytest.raises(NotDecidableError, match="canary runs already"):
        plan_start(started.spec, started.state, "canary", "", by_me())
    with pytest.raises(NotDecidableError, match=r"found 'canari'; allowed: an experiment .* nearest: canary"):
        plan_start(before.spec, before.state, "canari", "", by_me())
    with pytest.raises(NotDecidableError, match="found 'nothing'; allowed: a model of the record"):
        plan_start(before.spec, before.state, "canary", "nothing", by_me())
    with pytest.raises(NotDecidableError, match=r"--from: found 2013-01-12; allowed: 2013-01-19 or later"):
        plan_start(before.spec, before.state, "canary", "", by_me(first=12))


def test_recorded_design_holds_what_was_learned_before_the_start(started: Rehearsal) -> None:
    design = json.loads(started.rows("experiment_record")[0]["design"])

    assert design["share"] == 0.2
    assert set(design["reference"]) == {"log_loss", "brier"}
    assert design["reference"]["log_loss"]["n_units"] >= 3


def test_page_shows_values_of_data_as_text(watched: Rehearsal) -> None:
    (found,) = experiment_statuses(watched.spec, watched.state)
    hostile = {**found.disagreements[0], "example_id": "<script>alert(1)</script>"}
    event = {**found.events[0], "note": "<img src=x onerror=alert(1)>"}

    page = experiment_card(watched.spec, replace(found, disagreements=[hostile], events=[event])).to_html()

    assert "<script>" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;" in page


def test_files_of_a_challenger_that_serves_are_kept(watched: Rehearsal, tmp_path: Path) -> None:
    kept = go_on_from(watched, tmp_path / "kept")
    challenger = kept.rows("experiment_record")[0]["challenger"]
    folder = kept.paths.models / kept.spec.name / challenger
    newer = {"_recorded_at": NOW, "_run_id": ""}
    with kept.state.writing("test") as lake, kept.state.connect() as connection:
        entry = read_record(connection, lake)[0]
        refused = ServingDecision("refused", "me", day(LAST), "another is the newest")
        append_decision(connection, lake, entry, refused, newer, task="binary")

    with kept.state.writing("test"):
        housekeep(kept.spec, kept.state, NOW + timedelta(days=9000))
    assert folder.exists()
    conclude_experiment(kept.spec, kept.state, "canary", "stop", by_me())
    with kept.state.writing("test"):
        housekeep(kept.spec, kept.state, NOW + timedelta(days=9000))
    assert not folder.exists()


def test_two_experiments_at_once_share_no_example(before: Rehearsal, tmp_path: Path) -> None:
    both = tuple(CANARY.model_copy(update={"name": name, "traffic": 0.5, "share": 0.4}) for name in ("one", "two"))
    spec = before.spec.model_copy(update={"experiments": both})
    state = replace(go_on_from(before, tmp_path / "both"), spec=spec)
    for each in both:
        start_experiment(spec, state.state, each.name, "", by_me())
    state.batch(STARTED + 1, STARTED + 2)

    taken = state.rows("assignments", "SELECT example_id, count(*) AS n FROM t WHERE arm <> '' GROUP BY 1")
    rows = state.rows(
        "predictions",
        f"SELECT arm, policy_version, propensity, count(*) AS n FROM t WHERE batch_date > DATE '{day(STARTED)}' "
        "GROUP BY ALL ORDER BY ALL",
    )
    total = sum(row["n"] for row in rows)
    assert {row["n"] for row in taken} == {1}
    assert len(taken) == total  # between them they take all
    assert [(row["arm"], round(row["propensity"], 9)) for row in rows] == [
        ("challenger", 0.2), ("challenger", 0.2), ("champion", 0.3), ("champion", 0.3)
    ]  # fmt: skip
    assert all(abs(row["n"] / total - row["propensity"]) < 0.04 for row in rows)
    with pytest.raises(NotDecidableError, match="one runs already"):
        start_experiment(spec, state.state, "one", "", by_me())


def test_units_that_are_taken_cannot_be_taken_again() -> None:
    held = RunningExperiment("one", day(1), "", "", "", {"first": 0.0, "last": 0.6})

    assert free_part([held], 0.4) == (0.6, 1.0)
    with pytest.raises(ValueError, match=r"found traffic 0\.5; allowed: .* one holds 60%"):
        free_part([held], 0.5)


def test_what_if_replays_a_longer_list_on_outcomes_that_do_not_react(watched: Rehearsal) -> None:
    drops = (day(10), day(LAST))

    found = what_if(watched.spec, watched.state, PolicyChange(capacity=40), drops)

    by_name = {each.measure: each for each in found.measures}
    listed = by_name["positives on the list of a drop"]
    known = watched.rows(
        "worklist",
        f"SELECT count(*) AS n FROM t WHERE batch_date <= DATE '{day(LAST - 2)}'",
    )[0]["n"]
    assert found.n_drops == LAST - 10 - 1  # labels mature after two days
    assert known == found.n_drops * watched.spec.worklist.capacity
    assert listed.actual < listed.other <= 40
    assert listed.difference.lower > 0
    assert by_name["cost an example"].difference.estimate == 0  # the threshold was left as it was
    assert any("what acting would have changed" in each for each in found.not_identified)


def test_what_if_of_a_threshold_costs_what_the_declared_costs_say(watched: Rehearsal) -> None:
    found = what_if(watched.spec, watched.state, PolicyChange(threshold=1.0), (day(10), day(LAST)))

    (cost, acted, _) = found.measures
    assert acted.other == 0  # nobody acts
    assert cost.other == pytest.approx(_late_share(watched) * watched.spec.monitoring.costs.missed)


def _late_share(rehearsal: Rehearsal) -> float:
    with rehearsal.state.connect() as connection:
        for name in ("predictions", "labels"):
            rehearsal.lake.relation(connection, name).create_view(name)
        return connection.sql(
            "SELECT avg(label) FROM predictions JOIN (SELECT example_id, arg_max(label, known_at) AS label FROM labels "
            f"GROUP BY 1) USING (example_id) WHERE batch_date BETWEEN DATE '{day(10)}' AND DATE '{day(LAST - 2)}' "
            "AND label IS NOT NULL"
        ).fetchall()[0][0]


def test_what_if_outcomes_react_only_the_arms_tell(watched: Rehearsal) -> None:
    start = watched.rows("experiment_record")[0]
    drops = (day(10), day(LAST))

    by_arm = what_if(watched.spec, watched.state, PolicyChange(model=start["challenger"], reacts=True), drops)
    by_list = what_if(watched.spec, watched.state, PolicyChange(capacity=40, reacts=True), drops)

    assert by_arm.value is not None
    assert by_arm.value.diagnostics.n_units == LAST - STARTED - 2  # a drop is one piece of evidence, as declared
    assert any("effective units; allowed: 100 or more" in why for why in by_arm.value.refused)
    assert abs(by_arm.value.diagnostics.mean_weight - 1) < 0.1
    by_unit = watched.spec.model_copy(update={"experiments": (CANARY.model_copy(update={"evidence": "unit"}),)})
    told = what_if(by_unit, watched.state, PolicyChange(model=start["challenger"], reacts=True), drops).value
    assert told is not None
    value = told.values["snips"]
    assert value.lower < _late_share(watched) < value.upper  # flights do not react to who scored them
    assert by_list.measures == ()
    assert "no decision about an example was drawn at random" in by_list.not_identified[0]


def test_what_if_refuses_a_model_that_has_seen_the_drops(watched: Rehearsal) -> None:
    challenger = watched.rows("experiment_record")[0]["challenger"]

    with pytest.raises(LookupError, match="was trained as of 2013-01-16; allowed: --from a later drop"):
        what_if(watched.spec, watched.state, PolicyChange(model=challenger), (day(10), day(LAST)))
    with pytest.raises(LookupError, match="found 'none'; allowed: a model of the record"):
        what_if(watched.spec, watched.state, PolicyChange(model="none"), (day(17), day(LAST)))
