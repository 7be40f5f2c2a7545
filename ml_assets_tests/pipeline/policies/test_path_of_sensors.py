"""The path of the declared policy through the table is what the sensors did in a replay, decision by decision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml_assets.cli.models.policies import PolicyOptions, run_policies
from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.decisions.policies import SIGNALS, Policy
from ml_assets.graph.runs import replay as replaying
from ml_assets.graph.runs.replay import replay
from ml_assets.pipeline.monitoring.feed_health import read_faults
from ml_assets.pipeline.policies import fitted_cutoffs as fitting
from ml_assets.pipeline.policies.backtest import learned_until, read_upstream
from ml_assets.pipeline.policies.cells import PolicyTable
from ml_assets.pipeline.policies.cutoff_scores import score_cutoffs
from ml_assets.pipeline.policies.fitted_cutoffs import fit_cutoffs
from ml_assets.pipeline.policies.outcomes import read_outcomes
from ml_assets.pipeline.policies.path import PolicyPath, walk
from ml_assets.pipeline.policies.policy_state import policy_state
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.replay_steps import replay_steps
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.monitoring import RetrainingSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.dates import dates_of
from ml_assets_tests.rehearsal import _forgetful_instance, day, give_registry, rehearse
from ml_assets_tests.second_use_case.generate import write_past
from ml_assets_tests.second_use_case.machine import DECLARED

pytestmark = [
    pytest.mark.slow,  # a replay through the graph, drop by drop
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Replayed:
    """A use case whose sensors were replayed over the drops first..last."""

    spec: UseCaseSpec
    state: UseCaseState
    first: date
    last: date

    @property
    def drops(self) -> list[date]:
        """Give the drops of the replay."""
        return dates_of(self.spec.calendar.drops_between(self.first, self.last))


def walk_declared(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[date]) -> PolicyPath:
    """Walk the declared policy with a cutoff in every drop, also in those after which nothing has matured."""
    own = policy_state(state)
    with own.connect() as connection:
        cutoffs = fit_cutoffs(spec, own, drops, "", lambda _: None)
        outcomes = read_outcomes(connection, spec, own, learned_until(spec, own, cutoffs), drops[-1])
        scores = score_cutoffs(connection, spec, own, cutoffs, outcomes, lambda _: None)
        faults = read_faults(connection, spec, own.lake, drops[-1])
        table = PolicyTable(spec, own, connection, cutoffs, scores, outcomes, faults)
        return walk(table, Policy("declared", SIGNALS), read_upstream(connection, own, table))


def loans(folder: Path) -> Replayed:
    """Replay eighteen weeks of loans, from 35 weeks without a champion."""
    rule = RetrainingSpec(first_after=timedelta(weeks=36), stale_after=timedelta(days=7), cooldown=timedelta(weeks=3))
    spec, paths = load_use_case(DECLARED).model_copy(update={"retraining": rule}), StatePaths(folder)
    first, last = date(2022, 9, 11), date(2023, 1, 8)
    history = [f"{source.name}={file}" for source, file in zip(spec.sources, write_past(folder), strict=True)]
    run_history(spec, paths, HistoryOptions(history, last=str(last)), NOW)
    give_registry(paths)
    before = spec.calendar.drops_between(spec.calendar.start, spec.calendar.previous_drop(first))
    run_batch_steps(spec, UseCaseState(spec.name, paths), before, BatchContext(NOW))
    return Replayed(spec, UseCaseState(spec.name, paths), first, last)


def flights(folder: Path) -> Replayed:
    """Replay eight days of flights, whose scores are moved by prior shifts, from ten days without a champion."""
    made = rehearse(folder, last=18)
    rule = RetrainingSpec(first_after=timedelta(days=10), stale_after=timedelta(days=1), cooldown=timedelta(days=2))
    spec = made.spec.model_copy(update={"retraining": rule})
    run_batch_steps(spec, made.state, spec.calendar.drops_between(day(1), day(10)), BatchContext(NOW))
    return Replayed(spec, made.state, day(11), day(18))


@pytest.fixture(scope="module", params=[loans, flights], ids=["loans", "flights"])
def replayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """Replay a use case with its sensors."""
    found: Replayed = request.param(tmp_path_factory.mktemp("replayed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
        patch.setattr(replaying, "open_instance", lambda _: _forgetful_instance())
        replay(found.spec, found.state.paths, replay_steps(found.spec, found.first, found.last, 4))
    return found


def test_path_through_the_table_equals_what_the_sensors_did(replayed: Replayed) -> None:
    spec, state = replayed.spec, replayed.state

    path = walk_declared(spec, state, replayed.drops)

    names = ("action", "trigger", "reason", "monitor")
    decided = {row["batch_date"]: tuple(row[name] for name in names)
               for row in read_rows(state.lake, "decisions", None, (replayed.first, replayed.last))}  # fmt: skip
    walked = {drop: tuple(getattr(found, name) for name in names) for drop, found in path.decisions.items()}
    assert len(decided) == len(replayed.drops)
    assert walked == decided
    recorded = sorted(read_rows(state.lake, "champion", None), key=lambda row: row["sequence"])
    assert record_of(path.record) == record_of(recorded)
    assert path.n_retrained >= 3


def test_policies_are_compared_on_the_same_examples_and_nothing_is_fitted_twice(
    replayed: Replayed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = PolicyOptions("", "", "7d" if replayed.spec.name == "late_loans" else "1d", "all",
                          ("cooldown=1d",), as_json=True)  # fmt: skip
    run_policies(replayed.spec, replayed.state, asked)
    found = json.loads(capsys.readouterr().out)

    def refit(*_: Any, **__: Any) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(fitting, "_fit", refit)
    run_policies(replayed.spec, replayed.state, asked)
    again = json.loads(capsys.readouterr().out)

    by_name = {row["policy"]: row for row in found["policies"]}
    assert len(by_name) == 12
    assert {name: value for name, value in again.items() if name != "seconds"} == {
        name: value for name, value in found.items() if name != "seconds"
    }
    assert all(row["regret"] >= -1e-9 for row in by_name.values() if row["promoted"] == row["retrained"])
    assert by_name["never"]["promoted"] == 1
    assert (by_name["never"]["saved"], by_name["never"]["saved_lower"]) == (0, 0)
    assert found["recommendation"]
    page = Path(found["page"]).read_text()
    assert all(f"<td>{name}</td>" in page for name in by_name)


def record_of(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Give what was decided about each candidate, with its gain to nine digits."""
    names = ("as_of", "verdict", "decided_by", "serves_after", "serves", "asked_by")
    return [
        (*(row[name] for name in names), None if row["gain"] is None else pytest.approx(row["gain"], rel=1e-9))
        for row in rows
    ]
