"""The whole of a use case on a real slice: fifteen drops, two champions, run in every order."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation

from ml_assets.pipeline.ingestion.corrections import AcceptedGap, accept_gap
from ml_assets.pipeline.training.reproduce import reproduce
from ml_assets.pipeline.training.training_set import rebuild
from ml_assets.spec.model import WarmStart
from ml_assets.stores.model_store import ModelStore
from ml_assets.training.boosted_trees import FittedBoostedTrees
from ml_assets_tests.rehearsal import (
    SOURCES,
    UP_TO_FEATURES,
    Rehearsal,
    checks_of,
    day,
    failures_of,
    go_on_from,
    rehearse,
    small_spec,
)

pytestmark = pytest.mark.xdist_group("replay")  # one worker runs the shared history once

LAST, FIRST_AS_OF, SECOND_AS_OF = 15, 9, 13
STRICT = {"min_gain": 0.9}  # no candidate saves nine tenths of the loss


@dataclass(frozen=True)
class History:
    """What the reference run left, and what its checks said before there was a champion and after."""

    state: Rehearsal
    checks_before: dict[str, AssetCheckEvaluation]
    checks_after: dict[str, AssetCheckEvaluation]
    refusals: list[dict[str, AssetCheckEvaluation]]
    fixed_candidate: list[dict[str, object]]


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Land fifteen real drops; three lines of them are spoilt, so that there is something to quarantine."""
    rehearsal = rehearse(tmp_path_factory.mktemp("landed"), last=LAST)
    weather = rehearsal.landed(4, "weather")
    lines = weather.read_text().splitlines()
    lines[1] = lines[1].replace(",", ",soggy,", 1)
    weather.write_text("\n".join([*lines, lines[5]]) + "\n")
    outcomes = rehearsal.landed(5, "flight_outcomes")
    lines = outcomes.read_text().splitlines()
    lines[1] = lines[1].rpartition(",")[0] + ",2013-02-01T00:00:00Z"
    outcomes.write_text("\n".join(lines) + "\n")
    return rehearsal.landing


@pytest.fixture(scope="module")
def history(landed: Path, tmp_path_factory: pytest.TempPathFactory) -> History:
    """Run all drops at once, promote as of the 9th and the 13th, refuse twice between, and score at once."""
    state = rehearse(tmp_path_factory.mktemp("history"), landed, LAST)
    before = checks_of(state.batch(1, LAST))
    state.retrain(FIRST_AS_OF, candidate="logistic_regression", gate="disabled")
    fixed_candidate = state.rows("candidate_model", "SELECT candidate, is_chosen FROM t")
    refusals = [checks_of(state.retrain(SECOND_AS_OF, spec=small_spec(**STRICT))) for _ in range(2)]
    state.retrain(SECOND_AS_OF)
    after = checks_of(state.score(FIRST_AS_OF + 1, LAST))
    return History(state, before, after, refusals, fixed_candidate)


@pytest.fixture(scope="module")
def as_it_happened(landed: Path, tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Run the same in the order of time: two ranges, then day by day, and each verdict once."""
    state = rehearse(tmp_path_factory.mktemp("as_it_happened"), landed, LAST)
    state.batch(1, FIRST_AS_OF)
    state.retrain(FIRST_AS_OF, candidate="logistic_regression", gate="disabled")
    state.batch(FIRST_AS_OF + 1, SECOND_AS_OF)
    state.retrain(SECOND_AS_OF, spec=small_spec(**STRICT))
    state.retrain(SECOND_AS_OF)
    for number in range(SECOND_AS_OF + 1, LAST + 1):
        state.batch(number, number)
    return state


def test_every_landed_line_is_validated_or_quarantined(history: History) -> None:
    ledger = history.state.rows(
        "drops", "SELECT source, sum(landed)::INT AS landed, sum(validated)::INT AS validated, "
        "sum(quarantined)::INT AS quarantined FROM t GROUP BY source"
    )  # fmt: skip
    by_source = {row["source"]: (row["landed"], row["validated"], row["quarantined"]) for row in ledger}

    lines = {}
    for source in SOURCES:
        files = history.state.landing.glob(f"*/{source}.csv")
        lines[source] = sum(len(file.read_text().splitlines()) - 1 for file in files)
        tables = [f"{layer}_{source}" for layer in ("raw", "validated", "quarantine")]
        counts = [history.state.rows(table, "SELECT count(*) AS n FROM t")[0]["n"] for table in tables]
        assert by_source[source] == tuple(counts)
    assert {source: counts[0] for source, counts in by_source.items()} == lines
    assert all(landed == validated + quarantined for landed, validated, quarantined in by_source.values())
    assert {source: counts[2] for source, counts in by_source.items()} == {
        "schedule": 0,
        "flight_outcomes": 1,
        "weather": 2,
    }


def test_quarantined_lines_have_their_drop_line_and_reason(history: History) -> None:
    query = "SELECT batch_date, reason, _line FROM t ORDER BY batch_date, _line"

    found = [tuple(row.values()) for source in SOURCES for row in history.state.rows(f"quarantine_{source}", query)]

    assert found == [
        (day(5), "known_after_batch", 2),
        (day(4), "malformed_line", 2),
        (day(4), "duplicate_key", 6),  # of two clean lines with one key the last stands
    ]


@pytest.mark.slow  # a second history, run in another order
def test_order_of_runs_changes_no_value(history: History, as_it_happened: Rehearsal) -> None:
    tables = ("features", "examples", "labels", "predictions", "worklist", "drops", "champion")

    at_once = {table: history.state.content(table) for table in tables}

    assert {table: as_it_happened.content(table) for table in tables} == at_once
    for table in ("features", "predictions"):
        values = history.state.values(table, 1, LAST)
        assert values.num_rows > 4_000
        assert as_it_happened.values(table, 1, LAST).equals(values)


def test_range_run_twice_gives_the_same_bytes(history: History, tmp_path: Path) -> None:
    again = go_on_from(history.state, tmp_path)
    lists = {file.name: file.read_bytes() for file in (tmp_path / "delivered").rglob("*.csv")}
    again.batch(14, LAST)

    for table in ("features", "labels", "predictions", "worklist", "drops"):
        assert again.content(table) == history.state.content(table), table
    assert {file.name: file.read_bytes() for file in (tmp_path / "delivered").rglob("*.csv")} == lists


def test_drops_before_the_first_champion_have_no_predictions_and_the_check_says_so(history: History) -> None:
    check = history.checks_before["predictions:complete"]

    assert check.passed  # every use case begins so
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.description == "0 of 15 drops are scored in part; 15 before any champion"
    assert history.checks_after["predictions:complete"].passed
    first = history.state.rows("predictions", "SELECT min(batch_date) AS first FROM t")
    assert first == [{"first": day(FIRST_AS_OF + 1)}]


def test_model_serves_the_drops_after_the_one_it_was_trained_as_of(history: History) -> None:
    promoted = "SELECT as_of, model_version FROM t WHERE verdict = 'promoted' ORDER BY as_of"
    earlier, later = (row["model_version"] for row in history.state.rows("champion", promoted))

    query = "SELECT batch_date, min(model_version) AS least, max(model_version) AS most FROM t GROUP BY 1 ORDER BY 1"
    served = {row["batch_date"]: {row["least"], row["most"]} for row in history.state.rows("predictions", query)}

    assert earlier != later
    assert served == {
        **{day(number): {earlier} for number in range(FIRST_AS_OF + 1, SECOND_AS_OF + 1)},
        **{day(number): {later} for number in range(SECOND_AS_OF + 1, LAST + 1)},
    }
    assert history.checks_after["predictions:trained_before"].passed


def test_every_example_of_a_served_drop_has_a_score_and_the_baseline_beside_it(history: History) -> None:
    served = f"FROM t WHERE batch_date > '{day(FIRST_AS_OF)}'"
    examples = history.state.rows("examples", f"SELECT count(*) AS n {served}")[0]["n"]

    found = history.state.rows(
        "predictions",
        "SELECT count(*) AS n, count(DISTINCT score) AS scores, count(DISTINCT baseline_score) AS baselines, "
        f"min(least(score, baseline_score)) AS least, max(greatest(score, baseline_score)) AS most {served}",
    )[0]

    assert found["n"] == examples
    assert 0 < found["least"] < found["most"] < 1
    assert found["scores"] > found["baselines"] > 100


def test_verdicts_are_recorded_once_with_their_reasons(history: History) -> None:
    query = "SELECT as_of, verdict, gate, candidate, champion_before, reasons, sequence FROM t ORDER BY sequence"

    disabled, refused, promoted = history.state.rows("champion", query)

    assert (disabled["as_of"], disabled["verdict"], disabled["gate"]) == (day(FIRST_AS_OF), "promoted", "disabled")
    assert disabled["candidate"] == "logistic_regression"
    assert disabled["reasons"][0]["code"] == "gate_disabled"
    assert disabled["champion_before"] is None
    assert (refused["as_of"], refused["verdict"], refused["gate"]) == (day(SECOND_AS_OF), "refused", "enabled")
    assert [reason["code"] for reason in refused["reasons"] if not reason["passed"]] == ["gain_too_small"]
    assert (promoted["as_of"], promoted["verdict"]) == (day(SECOND_AS_OF), "promoted")
    assert promoted["champion_before"].startswith(f"{day(FIRST_AS_OF)}-logistic_regression-")
    assert all(reason["passed"] for reason in promoted["reasons"])


def test_gate_check_warns_of_a_refusal_each_time_it_is_given(history: History) -> None:
    for checks in history.refusals:
        gate = checks["champion:gate"]

        assert (gate.passed, gate.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert (gate.description or "").startswith("broken gain_too_small")


def test_candidate_of_a_fixed_candidate_is_compared_with_the_baseline_alone(history: History) -> None:
    all_candidates = history.state.rows("candidate_model", "SELECT candidate, is_chosen FROM t")

    assert history.fixed_candidate == [
        {"candidate": "group_history", "is_chosen": False},
        {"candidate": "logistic_regression", "is_chosen": True},
    ]
    names = ["constant", "group_history", "logistic_regression", "xgboost", "blend"]
    assert [row["candidate"] for row in all_candidates] == names
    assert sum(bool(row["is_chosen"]) for row in all_candidates) == 1


def test_training_sets_can_be_rebuilt_after_their_inputs_have_changed(history: History, tmp_path: Path) -> None:
    versions = [commit["version"] for commit in history.state.lake.history("training_set") if "plan" in commit]
    state = go_on_from(history.state, tmp_path)
    fewer = pa.Table.from_pylist(state.rows("labels", f"SELECT * FROM t WHERE batch_date = '{day(5)}' LIMIT 300"))
    state.lake.replace_drops("labels", fewer, [day(5)])
    state.retrain(SECOND_AS_OF)

    newest, *earlier = (commit for commit in state.lake.history("training_set") if "plan" in commit)
    rebuilt = {commit["version"]: _rebuild(state, commit["version"]) for commit in (newest, *earlier)}

    assert len(versions) == len(set(versions)) == 4
    assert newest["version"] > max(versions)
    assert len(rebuilt) == 5
    assert all(recorded == again for recorded, again in rebuilt.values())
    assert newest["plan"] == earlier[0]["plan"]
    assert newest["content_hash"] != earlier[0]["content_hash"]


def test_a_warm_start_goes_on_from_the_champion_says_so_and_can_be_reproduced(history: History, tmp_path: Path) -> None:
    copy = go_on_from(history.state, tmp_path)
    copy.retrain(SECOND_AS_OF, candidate="xgboost", gate="disabled")
    model = copy.spec.model
    warm = WarmStart(rounds=5, replay_share=0.2)
    candidates = tuple(
        r.model_copy(update={"warm_start": warm}) if r.kind == "xgboost" else r for r in model.candidates
    )
    spec = copy.spec.model_copy(update={"model": model.model_copy(update={"candidates": candidates})})

    copy.retrain(LAST, candidate="xgboost", gate="disabled", spec=spec)

    started, before = copy.rows("champion", "SELECT model_version FROM t ORDER BY sequence DESC LIMIT 2")
    store = ModelStore(copy.paths.models / spec.name)
    manifest = store.manifest(started["model_version"])
    assert manifest["started_from"] == before["model_version"]
    trees = store.load(started["model_version"], copy.rows("champion", "SELECT artifact_sha256 FROM t WHERE "
                       f"model_version = '{started['model_version']}'")[0]["artifact_sha256"]).model  # fmt: skip
    assert isinstance(trees, FittedBoostedTrees)
    assert trees.booster.num_boosted_rounds() == 15 + 5
    again = reproduce(copy.state, started["model_version"], lambda _: None)
    assert again.is_equal
    assert again.differing == ()


def test_tampered_model_is_refused_and_earlier_predictions_stay(history: History, tmp_path: Path) -> None:
    state = go_on_from(history.state, tmp_path)
    version = state.rows("predictions", f"SELECT any_value(model_version) AS v FROM t WHERE batch_date = '{day(LAST)}'")
    model = next((state.paths.models / state.spec.name / version[0]["v"] / "model").iterdir())
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)

    result = state.score(SECOND_AS_OF, LAST, raise_on_error=False)

    assert not result.success
    assert list(failures_of(result)) == ["predictions"]
    assert "TamperedModelError" in failures_of(result)["predictions"]
    assert hashlib.sha256(content).hexdigest() in failures_of(result)["predictions"]
    assert state.content("predictions") == history.state.content("predictions")


def test_worklist_is_the_highest_scores_of_each_drop_and_its_file_says_the_same(history: History) -> None:
    folder = history.state.paths.delivered / history.state.spec.name / "worklist"
    listed = pd.DataFrame(history.state.rows("worklist", "SELECT * FROM t ORDER BY batch_date, rank"))
    scored = pd.DataFrame(history.state.rows("predictions"))

    assert listed.groupby("batch_date").size().to_dict() == {
        day(number): 20 for number in range(FIRST_AS_OF + 1, LAST + 1)
    }
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{day(number)}.csv" for number in range(FIRST_AS_OF + 1, LAST + 1)
    ]
    for drop, rows in listed.groupby("batch_date"):
        ranked = scored[scored["batch_date"] == drop].sort_values(["score", "example_id"], ascending=[False, True])
        assert rows["example_id"].tolist() == ranked["example_id"].tolist()[:20]
        with (folder / f"{drop}.csv").open(newline="") as file:
            delivered = list(csv.DictReader(file))
        assert [line["example_id"] for line in delivered] == rows["example_id"].tolist()
        assert [float(line["score"]) for line in delivered] == rows["score"].tolist()
        assert [line["carrier"] for line in delivered] == rows["carrier"].tolist()


@pytest.mark.slow  # each a history of its own; the next test is the quick one of its kind
@pytest.mark.parametrize("until", [11, 12, 13])
def test_poisoned_future_changes_nothing_up_to_its_drop(
    until: int, history: History, landed: Path, tmp_path: Path
) -> None:
    poisoned, clean, end = rehearse(tmp_path, landed, until + 2), history.state, until + 2
    for number in range(until + 1, end + 1):
        for source in SOURCES:
            scramble(poisoned.landed(number, source), seed=number)
        contradict(poisoned.landed(number, "flight_outcomes"), poisoned.landed(3, "schedule"))

    poisoned.batch(1, end)
    poisoned.retrain(FIRST_AS_OF, candidate="logistic_regression", gate="disabled")
    if until >= SECOND_AS_OF:
        poisoned.retrain(SECOND_AS_OF)
    poisoned.score(FIRST_AS_OF + 1, end)

    for table, first in (("features", 1), ("labels", 1), ("predictions", FIRST_AS_OF + 1)):
        expected = clean.values(table, first, until)
        assert expected.num_rows > 500
        assert poisoned.values(table, first, until).equals(expected), table
        assert poisoned.content(table, first, until) == clean.content(table, first, until), table
        assert poisoned.content(table, until + 1, end) != clean.content(table, until + 1, end), table  # it took
    serving = "SELECT as_of, model_version, artifact_sha256 FROM t WHERE verdict = 'promoted' ORDER BY as_of"
    expected_promotions = [row for row in clean.rows("champion", serving) if row["as_of"] <= day(until)]
    assert poisoned.rows("champion", serving) == expected_promotions
    assert len(expected_promotions) == (2 if until >= SECOND_AS_OF else 1)


def test_poisoned_drop_changes_no_feature_and_no_label_of_the_drops_before_it(
    history: History, landed: Path, tmp_path: Path
) -> None:
    poisoned = rehearse(tmp_path, landed, 6)
    for source in SOURCES:
        scramble(poisoned.landed(6, source), seed=6)
    contradict(poisoned.landed(6, "flight_outcomes"), poisoned.landed(3, "schedule"))

    poisoned.ingest(1, 6)

    for table in ("features", "labels"):
        assert poisoned.content(table, 1, 5) == history.state.content(table, 1, 5), table
        assert poisoned.content(table, 6, 6) != history.state.content(table, 6, 6), table  # it took


def test_drops_run_before_those_they_follow_are_asked_for_again_and_not_forgotten(
    history: History, landed: Path, tmp_path: Path
) -> None:
    state = rehearse(tmp_path, landed, 6)
    state.batch(3, 4, raise_on_error=False)  # refused: nothing before it was run
    assert not state.lake.has("drops")  # and nothing of it is seen
    state.run_assets([name for name in UP_TO_FEATURES if not name.startswith("features/")], 3, 4)
    state.ingest(1, 2)

    hole = state.batch(5, 6, raise_on_error=False)

    assert not hole.success
    assert "features were not computed yet for 2013-01-03 to 2013-01-04" in failures_of(hole)["examples"]
    state.ingest(3, 6)
    assert state.content("features", 1, 6) == history.state.content("features", 1, 6)


def test_skipped_drop_is_refused_with_the_run_that_takes_it_and_what_it_waits_for(landed: Path, tmp_path: Path) -> None:
    state = rehearse(tmp_path, landed, 3)
    state.ingest(1, 1)
    taken = "run `ml-assets batch flight_delays --from 2013-01-02 --to 2013-01-03`"

    skipped = failures_of(state.batch(3, 3, raise_on_error=False))["examples"].strip()
    schedule = state.landed(2, "schedule")
    schedule.rename(schedule.with_name("later.csv"))
    absent = failures_of(state.batch(3, 3, raise_on_error=False))["examples"].strip()
    gap = AcceptedGap("schedule", [day(2)], "it was never sent")
    accept_gap(state.spec, state.state, gap, datetime(2026, 1, 1, tzinfo=UTC))

    assert "drop 2013-01-02 was not run yet" in skipped
    assert skipped.endswith(taken)
    assert "schedule of 2013-01-02 has not landed" in absent  # and not what has
    assert absent.endswith(f"--source schedule --drop 2013-01-02 --reason TEXT`; then {taken}")
    state.ingest(2, 3)  # as it says


def test_missing_drop_stops_what_follows_and_leaves_what_stood(history: History, landed: Path, tmp_path: Path) -> None:
    state = rehearse(tmp_path, landed, 6)
    schedule = state.landed(4, "schedule").read_bytes()
    state.landed(4, "schedule").unlink()
    spoil_header(state.landed(6, "weather"))
    state.ingest(1, 3)
    good = {table: state.content(table) for table in ("features", "examples", "labels")}

    stopped = state.batch(4, 6, raise_on_error=False)

    assert not stopped.success
    assert failures_of(stopped)["examples"].strip() == (
        "ml_assets.ingestion.ledger.DropsNotFinalError: schedule of 2013-01-04 has not landed, and drops are run in "
        f"order; nothing of this run is kept. Land the file in {state.landing}/2013-01-04/, or go on without it: "
        "`ml-assets accept-missing flight_delays --source schedule --drop 2013-01-04 --reason TEXT`; then run "
        "`ml-assets batch flight_delays --from 2013-01-04 --to 2013-01-06`"
    )
    assert not checks_of(stopped)["drops:final"].passed
    assert checks_of(stopped)["drops:final"].description == "1 missing: schedule of 2013-01-04"
    for table in ("features", "examples"):
        assert state.content(table) == good[table], table
    assert state.content("labels", 1, 3) == good["labels"]

    state.landed(4, "schedule").write_bytes(schedule)
    mended = checks_of(state.batch(4, 6))

    assert state.content("features", 1, 5) == history.state.content("features", 1, 5)
    assert mended["drops:final"].passed
    assert not mended["weather:contract"].passed
    assert mended["weather:contract"].severity == dg.AssetCheckSeverity.WARN
    assert mended["weather:contract"].description == "1 of 3 received drops refused: 2013-01-06"
    assert mended["schedule:contract"].passed
    states = "SELECT source, state, validated, reasons FROM t WHERE batch_date = '2013-01-06' ORDER BY source"
    outcomes, schedules, weather = state.rows("drops", states)
    assert [each["state"] for each in (outcomes, schedules, weather)] == ["admitted", "admitted", "refused"]
    assert (weather["validated"], outcomes["validated"] > 500) == (0, True)
    assert weather["reasons"][0].startswith("file_refused")
    ages = "SELECT count(*) AS n, count(weather_temp_f) AS known FROM t WHERE batch_date = '2013-01-06'"
    found = state.rows("features", ages)[0]
    assert found["n"] > 500
    assert found["known"] == 0  # the newest observation admitted is a day old


def scramble(file: Path, seed: int) -> None:
    """Shuffle every column by itself, change every number, and claim half the moments to be ten days older."""
    rng = np.random.default_rng(seed)
    frame = pd.read_csv(file)
    for name in frame.columns:
        values = frame[name].to_numpy()[rng.permutation(len(frame))]
        if name.endswith("_at"):
            moments = pd.Series(pd.to_datetime(values))
            moments -= pd.to_timedelta(np.where(rng.random(len(frame)) < 0.5, 10, 0), unit="D")
            values = moments.dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_numpy()
        elif pd.api.types.is_integer_dtype(values):
            values = values + rng.integers(1, 50, len(values))
        elif pd.api.types.is_float_dtype(values):
            shift = rng.integers(1, 50, len(values))
            values = pd.array(values + shift, dtype="Int64" if name.endswith("_min") else "Float64")
        frame[name] = values
    frame.to_csv(file, index=False, lineterminator="\n")


def contradict(outcomes: Path, schedule: Path) -> None:
    """Make half of the outcomes revisions of flights of an earlier drop: other labels, other facts."""
    frame, earlier = pd.read_csv(outcomes), pd.read_csv(schedule)["flight_id"]
    half = min(len(frame) // 2, len(earlier))
    frame.loc[: half - 1, "flight_id"] = earlier.iloc[:half].to_numpy()
    for name in ("departure_delay_min", "arrival_delay_min", "air_time_min"):
        frame[name] = frame[name].astype("Int64")
    frame.to_csv(outcomes, index=False, lineterminator="\n")


def spoil_header(file: Path) -> None:
    """Rename a column that the contract asks for."""
    header, _, rest = file.read_text().partition("\n")
    file.write_text(header.replace("temp_f", "temperature") + "\n" + rest)


def _rebuild(state: Rehearsal, version: int) -> tuple[str, str]:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return rebuild(connection, state.lake, version)
