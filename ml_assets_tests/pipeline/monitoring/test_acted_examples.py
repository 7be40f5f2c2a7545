"""Two use cases of different kinds whose lists are acted on: what that does to labels is seen, and only that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets.cli.operate.performance import PerformanceOptions, run_performance
from ml_assets.pipeline.monitoring.acted_examples import compare_with_not_acted
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.vintages.test_vintages import NOW
from ml_assets_tests.vintages.worlds import PARKS, WORLDS, ForecastWorld, declare, draw_past, land, write_past

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("acted_examples")]
LAST = date(2024, 5, 1)


@dataclass(frozen=True)
class Served:
    """A world whose second half was predicted, with a list a drop."""

    world: ForecastWorld
    spec: UseCaseSpec
    state: UseCaseState


@pytest.fixture(scope="module", params=WORLDS, ids=[world.name for world in WORLDS])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    world, folder = request.param, tmp_path_factory.mktemp(request.param.name)
    files = write_past(world, draw_past(world), folder)
    spec, paths = declare(world, files, folder), StatePaths(folder / "state")
    spec = spec.model_copy(update={"acted_on": "worklist"})
    land(spec, files, paths)
    state, first = UseCaseState(spec.name, paths), date(2024, 2, 20)
    run_batch_steps(spec, state, spec.calendar.drops_between(spec.calendar.first_drop, first), BatchContext(NOW))
    run_retraining_steps(spec, state, Retraining(as_of=str(first), gate="disabled"), RetrainingContext(NOW))
    run_batch_steps(spec, state, spec.calendar.drops_between(date(2024, 2, 21), LAST), BatchContext(NOW))
    return Served(world, spec, state)


def act(served: Served) -> None:
    """Let acting do what it is for: the outcomes of all that was on a list are lower, or do not happen."""
    acted = {row["example_id"] for row in read_rows(served.state.lake, "worklist", ["example_id"])}
    rows = read_rows(served.state.lake, "labels", None)
    changed = [
        {**row, "label": type(row["label"])(row["label"] - 15 if served.world is PARKS else 0)}
        if row["example_id"] in acted else row
        for row in rows
    ]  # fmt: skip
    with served.state.writing("what people did") as lake, served.state.connect() as connection:
        schema = lake.relation(connection, "labels").limit(0).to_arrow_table().schema
        lake.replace_drops("labels", pa.Table.from_pylist(changed, schema), sorted({row["batch_date"] for row in rows}))


def test_natural_labels_show_no_sign_and_changed_ones_do(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    natural = compare_with_not_acted(served.spec, served.state, LAST)
    act(served)
    changed = compare_with_not_acted(served.spec, served.state, LAST)
    run_performance(served.spec, served.state, PerformanceOptions(None, None, as_json=True))
    told = json.loads(capsys.readouterr().out)["feedback"]

    assert natural is not None
    assert changed is not None
    assert natural.n_acted == changed.n_acted >= 150
    assert natural.n_drops == changed.n_drops >= 60
    assert not natural.is_changed
    assert changed.is_changed
    if served.world is PARKS:
        assert (changed.jump or 0) - (natural.jump or 0) == pytest.approx(-15, abs=1e-6)
    else:
        assert changed.label_acted == 0
        assert (changed.upper or 0) < -0.4
    assert told["paths"] == ["predictions/worklist -> what people do -> validated/outcomes -> training/labels -> "
                             "training/training_set"]  # fmt: skip
    assert told["acted"]["jump"] == pytest.approx(changed.jump)


def test_use_case_that_declares_nothing_compares_nothing(served: Served) -> None:
    silent = served.spec.model_copy(update={"acted_on": None})

    assert compare_with_not_acted(silent, served.state, LAST) is None
    assert compare_with_not_acted(served.spec, UseCaseState("empty", StatePaths(Path("nowhere"))), LAST) is None
