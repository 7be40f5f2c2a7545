"""A diagnosis of two use cases: what it says adds up, rests on rows that nobody saw, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from ml_assets.cli.models.diagnose import run_diagnose
from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.pipeline.diagnosis import diagnose as diagnosing
from ml_assets.pipeline.diagnosis.diagnose import ChampionDiagnosis, diagnose
from ml_assets.pipeline.diagnosis.matured_rows import ScoredRows
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import day, give_registry, rehearse
from ml_assets_tests.second_use_case.generate import write_past
from ml_assets_tests.second_use_case.machine import DECLARED

pytestmark = pytest.mark.slow  # weeks of two use cases, and a champion of each
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Served = tuple[UseCaseSpec, UseCaseState, date]


def loans(folder: Path) -> Served:
    """Give 46 weeks of loans, with a champion as of the 36th."""
    spec, paths, last = load_use_case(DECLARED), StatePaths(folder), date(2022, 11, 20)
    history = [f"{source.name}={file}" for source, file in zip(spec.sources, write_past(folder), strict=True)]
    run_history(spec, paths, HistoryOptions(history, last=str(last)), NOW)
    give_registry(paths)
    state, champion = UseCaseState(spec.name, paths), date(2022, 9, 11)
    run_batch_steps(spec, state, spec.calendar.drops_between(spec.calendar.start, champion), BatchContext(NOW))
    asked = Retraining(champion.isoformat(), "logistic_regression", "disabled")
    run_retraining_steps(spec, state, asked, RetrainingContext(NOW))
    later = spec.calendar.drops_between(spec.calendar.next_drop(champion), last)
    run_batch_steps(spec, state, later, BatchContext(NOW))
    return spec, state, last


def flights(folder: Path) -> Served:
    """Give twenty days of flights, with a champion as of the ninth."""
    made = rehearse(folder, last=20)
    made.batch(1, 9)
    made.retrain(9, candidate="xgboost", gate="disabled")
    made.batch(10, 20)
    return made.spec, made.state, day(20)


@pytest.fixture(scope="module", params=[loans, flights], ids=["loans", "flights"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    make: Callable[[Path], Served] = request.param
    return make(tmp_path_factory.mktemp("diagnosed"))


@pytest.fixture(scope="module")
def found(served: Served) -> ChampionDiagnosis:
    return diagnose(*served, lambda _: None)


def versions(state: UseCaseState) -> dict[str, int | None]:
    tables = ("features", "labels", "champion", "training_set", "decisions", "predictions", "candidate_model")
    return {table: state.lake.version(table) for table in tables}


def test_parts_of_the_change_add_up_and_rest_on_rows_that_the_champion_had_not_seen(
    served: Served, found: ChampionDiagnosis
) -> None:
    spec, state, _ = served
    change = found.change

    assert change is not None
    assert change.total.estimate == pytest.approx(change.now - change.before)
    assert found.n_before > 0
    assert found.n_now > 0
    trained_until = datetime.fromisoformat(state.models.manifest(found.model_version)["trained_until"])
    judged_until = state.models.manifest(found.model_version)["judged_until"]
    unseen = trained_until if judged_until is None else datetime.fromisoformat(judged_until)
    assert date.fromisoformat(found.before_from) >= spec.calendar.drop_receiving(unseen)
    if change.covariate is not None and change.label is not None and change.concept is not None:
        parts = change.covariate.estimate + change.label.estimate + change.concept.estimate
        assert parts == pytest.approx(change.total.estimate)


def test_shadow_is_scored_on_rows_that_neither_it_nor_the_champion_learned(
    served: Served, found: ChampionDiagnosis
) -> None:
    _, state, _ = served
    assert found.shadow is not None

    tested = found.shadow.tested.rows["prediction_at"].min()

    assert tested > found.shadow.trained_until
    assert tested > datetime.fromisoformat(state.models.manifest(found.model_version)["trained_until"])
    assert found.shadow.gain.n == len(found.shadow.scores)


def test_diagnosis_changes_no_table_and_its_json_holds_the_answer(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, state, drop = served
    before = versions(state)

    run_diagnose(spec, state, drop, as_json=True)
    told = json.loads(capsys.readouterr().out)
    run_diagnose(spec, state, drop, as_json=False)

    assert told["answer"]["answer"] in ("retrain", "recalibrate", "fix upstream", "wait for labels", "nothing")
    assert told["answer"]["answer"] in capsys.readouterr().out
    assert versions(state) == before


def test_concept_change_planted_in_the_newest_outcomes_is_named(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, state, drop = served
    find = diagnosing._find_rows

    def planted(*arguments: object) -> object:
        sides = find(*arguments)  # pyright: ignore[reportArgumentType] - passed on as they are
        rows = sides.now.rows
        likely = sides.now.scores > np.median(sides.now.scores)
        # the base rate stays about where it was: whom it happens to is turned around
        labels = np.where(likely, 0.0, np.random.default_rng(1).random(len(rows)) < 2 * rows["label"].mean())
        return replace(sides, now=ScoredRows(rows.assign(label=labels), sides.now.scores))

    monkeypatch.setattr(diagnosing, "_find_rows", planted)
    found = diagnose(spec, state, drop, lambda _: None)

    assert found.change is not None
    assert found.change.total.estimate > 0
    if found.change.concept is not None:  # else the days are too few to say
        assert found.change.concept.lower > 0
        assert found.cause == ("concept" if found.change.total.lower > 0 else "no rise")


def test_drop_before_the_first_champion_has_nothing_to_diagnose(served: Served) -> None:
    spec, state, _ = served

    with pytest.raises(LookupError, match=r"no champion serves the drops after .*: there is nothing to diagnose"):
        diagnose(spec, state, spec.calendar.start, lambda _: None)
