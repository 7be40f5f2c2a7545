"""Amounts and counts from files to a champion that recovers, by the steps of the pipeline and `new`'s defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_assets.pipeline.monitoring.four_layers import read_four_layers
from ml_assets.pipeline.monitoring.incidents import reconcile_incidents
from ml_assets.pipeline.monitoring.newest_decision import newest_decision
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.reports.layers_page import layers_page
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.drop import day_of_key
from ml_assets.spec.tables import declared_lake_tables
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.table_rows import arrow_type
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.numbers.worlds import (
    CHANGE,
    DAYS,
    METERS,
    START,
    WORLDS,
    NumberWorld,
    Past,
    declare,
    draw_past,
    land,
    write_past,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("numbers")]  # one worker lives each world once


@dataclass(frozen=True)
class Lived:
    """A world that was run from its first drop to its last, a week at a time."""

    world: NumberWorld
    past: Past
    spec: UseCaseSpec
    state: UseCaseState
    retrained: list[dict[str, Any]]

    def losses(self, table: str, column: str, **wanted: str) -> tuple[np.ndarray, np.ndarray]:
        """Give the day and the loss of each stored score, of rows that are as wanted."""
        from ml_assets.stats.tasks import task_of

        rows = read_rows(self.state.lake, table, None)
        rows = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
        places = [(int(row["example_id"][1:4]), int(row["example_id"][4:7])) for row in rows]
        came = [float(f"{self.past.outcome[place]:.6g}") for place in places]
        return np.array([day for day, _ in places]), task_of(self.world.task).losses(
            came, [row[column] for row in rows]
        )


@pytest.fixture(scope="module", params=WORLDS, ids=lambda world: world.name)
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    world, folder = request.param, tmp_path_factory.mktemp(request.param.name)
    past = draw_past(world)
    files = write_past(world, past, folder)
    spec, paths = declare(world, files, folder), StatePaths(folder / "state")
    land(spec, files, paths)
    state, retrained = UseCaseState(spec.name, paths), list[dict[str, Any]]()
    drops = spec.calendar.drops_between(spec.calendar.start, START + timedelta(days=DAYS - 2))
    for first in range(0, len(drops), 7):
        step = drops[first : first + 7]
        now = datetime.combine(day_of_key(step[-1]), datetime.min.time(), UTC)
        run_batch_steps(spec, state, step, BatchContext(now))
        reconcile_incidents(spec, paths, [], [], now)
        asked = newest_decision(spec, paths)
        if asked is not None and asked["action"] == "retrain" and not asked["is_judged"]:
            about = RetrainingContext(now, asked_by=asked["trigger"])
            run_retraining_steps(spec, state, Retraining(as_of=str(step[-1])), about)
            row = max(read_rows(state.lake, "champion", None), key=lambda each: each["sequence"])
            retrained.append({"day": (day_of_key(step[-1]) - START).days, "verdict": row["verdict"], "row": row})
    return Lived(world, past, spec, state, retrained)


def test_the_first_candidate_is_promoted_and_beats_the_baseline_by_far(lived: Lived) -> None:
    first = lived.retrained[0]

    assert (first["verdict"], first["row"]["champion_before"]) == ("promoted", None)
    day, served = lived.losses("predictions", "score")
    _, simple = lived.losses("predictions", "baseline_score")
    before = day < CHANGE
    assert served[before].mean() < 0.7 * simple[before].mean()


def test_what_turned_around_is_noticed_and_recovered_from(lived: Lived) -> None:
    failed = [row["batch_date"] for row in read_rows(lived.state.lake, "performance_verdicts", None)
              if row["state"] == "failed" and (row["batch_date"] - START).days >= CHANGE]  # fmt: skip
    day, served = lived.losses("predictions", "score")
    _, never = lived.losses("shadow_predictions", "score", role="first_champion")
    early, late = served[day < CHANGE].mean(), served[day >= CHANGE + 40].mean()

    assert (min(failed) - START).days <= CHANGE + 12
    assert late < 1.25 * early
    assert late < 0.5 * never[day >= CHANGE + 40].mean()
    told = {each.kind for each in AlertOutbox(lived.state.paths).incidents(lived.spec.name)}
    assert {"loss_risen", "promotion"} <= told


def test_four_layers_say_what_each_version_was_worth_in_the_words_of_the_task(lived: Lived) -> None:
    found = read_four_layers(lived.spec, lived.state, None, None)
    page = layers_page(lived.spec, found)

    assert len(found.by_model) >= 2  # before the change, and after it
    day, served = lived.losses("predictions", "score")
    labelled = sum(row["n"] for row in found.by_model)
    total = sum(row["n"] * row["champion"]["loss"] for row in found.by_model)
    assert total / labelled == pytest.approx(served[day <= DAYS - 4].mean(), rel=0.02)
    assert all(row["champion"]["cost"] is None for row in found.by_model)
    assert "label at capacity" in page
    assert "cost an example" not in page


def test_tables_have_the_columns_of_their_task_and_no_other(lived: Lived) -> None:
    declared = declared_lake_tables(lived.spec)
    drawn = {"examples", "quarantine_examples", "labels", "worklist", "features", "training_set"}  # SQL adds columns

    for name in lived.state.lake.tables():
        if name in declared and name not in drawn:
            written = {field: str(arrow_type(kind)) for field, kind in declared[name].types.items()}
            assert set(lived.state.lake.column_types(name)) == set(written), name
    assert lived.state.lake.column_types("labels")["label"] == "DOUBLE"
    report = set(lived.state.lake.column_types("performance_report"))
    assert not report & {"auc", "log_loss", "brier", "ece", "label_share", "cost"}
    assert {"mae", "rank_correlation", "mean_label", "label_at_capacity"} < report


def test_the_report_measures_what_was_scored(lived: Lived) -> None:
    loss = {"regression": "mse", "count": "deviance"}[lived.world.task]
    rows = read_rows(lived.state.lake, "performance_report", None, where="role = 'champion' AND slice_column IS NULL")
    day, served = lived.losses("predictions", "score")

    whole = [row for row in rows if row["n_unresolved"] == 0 and row["n"] >= 30]
    assert len(whole) > 60
    total = sum(row["n"] * row[loss] for row in rows if row[loss] is not None)
    labelled = sum(row["n"] for row in rows)
    assert total / labelled == pytest.approx(served[day <= DAYS - 4].mean(), rel=0.02)


def test_a_candidate_that_says_the_same_of_all_is_refused(lived: Lived) -> None:
    """The group history that `new` proposes says three values; a gate that asks for more refuses it."""
    as_of = START + timedelta(days=100)
    context = RetrainingContext(datetime.combine(as_of, datetime.min.time(), UTC), asked_by="by hand")

    run_retraining_steps(
        lived.spec, lived.state, Retraining(as_of=as_of.isoformat(), candidate="group_history"), context
    )

    row = max(read_rows(lived.state.lake, "champion", None), key=lambda each: each["sequence"])
    broken = {reason["code"] for reason in row["reasons"] if not reason["passed"]}
    assert row["verdict"] == "refused"
    assert {"gain_too_small", "may_be_worse"} <= broken


def test_amounts_of_every_hour_have_bounds_that_hold_what_comes(tmp_path: Path) -> None:
    past = draw_past(METERS)
    files = write_past(METERS, past, tmp_path)
    spec, paths = declare(METERS, files, tmp_path, every="1h"), StatePaths(tmp_path / "state")
    land(spec, files, paths)
    state, now = UseCaseState(spec.name, paths), datetime(2024, 3, 1, tzinfo=UTC)
    drops = [spec.calendar.shift(spec.calendar.first_drop, number) for number in range(24 * 30)]
    served = drops[24 * 26 :]

    run_batch_steps(spec, state, drops[: 24 * 26], BatchContext(now))
    as_of = Retraining(as_of=str(drops[24 * 26 - 1]), gate="disabled")
    run_retraining_steps(spec, state, as_of, RetrainingContext(now))
    run_batch_steps(spec, state, served, BatchContext(now))

    rows = read_rows(state.lake, "predictions", None)
    came = [past.outcome[int(row["example_id"][1:4]), int(row["example_id"][4:7])] for row in rows]
    inside = [row["lower"] <= value <= row["upper"] for row, value in zip(rows, came, strict=True)]
    assert {row["batch_date"] for row in rows} <= {str(drop) for drop in served}
    assert len(rows) > 200
    assert 0.8 <= np.mean(inside) <= 0.99


def test_margins_by_a_feature_hold_in_each_of_its_groups(tmp_path: Path) -> None:
    def draw(rng: np.random.Generator, mean: np.ndarray) -> np.ndarray:
        return mean + rng.normal(0, 1, mean.size) * np.where(np.arange(mean.size) % 3 == 2, 18, 3)  # kind `large`

    world = replace(METERS, name="wild_meters", draw=draw)
    past = draw_past(world)
    files = write_past(world, past, tmp_path)
    declare(world, files, tmp_path)
    defs = tmp_path / "defs" / world.name
    declared = (defs / "defs.yaml").read_text()
    (defs / "defs.yaml").write_text(declared.replace("intervals: {level: 0.9,", "intervals: {level: 0.9, by: kind,"))
    spec, paths = load_use_case(defs), StatePaths(tmp_path / "state")
    land(spec, files, paths)
    state, now = UseCaseState(spec.name, paths), datetime(2024, 6, 1, tzinfo=UTC)
    drops = spec.calendar.drops_between(spec.calendar.start, START + timedelta(days=90))

    run_batch_steps(spec, state, drops[:60], BatchContext(now))
    run_retraining_steps(spec, state, Retraining(as_of=str(drops[59]), gate="disabled"), RetrainingContext(now))
    run_batch_steps(spec, state, drops[60:], BatchContext(now))

    rows = read_rows(state.lake, "predictions", None)
    kinds = np.array([int(row["example_id"][4:7]) % 3 for row in rows])
    came = np.array([past.outcome[int(row["example_id"][1:4]), int(row["example_id"][4:7])] for row in rows])
    lower, upper = (np.array([row[name] for row in rows]) for name in ("lower", "upper"))
    inside, width = (lower <= came) & (came <= upper), upper - lower
    assert [0.86 <= inside[kinds == kind].mean() <= 0.95 for kind in range(3)] == [True] * 3
    assert width[kinds == 2].mean() > 3 * width[kinds == 0].mean()
    champion = max(read_rows(state.lake, "champion", None), key=lambda each: each["sequence"])
    held = state.models.load(champion["model_version"], champion["artifact_sha256"]).intervals
    assert held is not None
    assert (held.by, set(held.groups_ahead)) == ("kind", {"old", "new", "large"})
