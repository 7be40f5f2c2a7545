"""Use cases that read a forecast: nothing of the future, final values caught, and what they would have flattered by."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml_assets.cli.models.vintages import run_vintages
from ml_assets.pipeline.audit.leakage import AuditRequest, audit_leakage
from ml_assets.pipeline.audit.outcomes import audit_outcomes
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.runs.steps import StepsResult
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.pipeline.training.vintages import report_vintages
from ml_assets.spec.forecasts import ForecastTimes
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.vintages.worlds import (
    DAYS,
    LEADS_H,
    PARKS,
    WORLDS,
    ForecastPast,
    ForecastWorld,
    declare,
    draw_past,
    land,
    write_past,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("vintages")]  # one worker lives each world once
NOW = datetime(2025, 12, 1, tzinfo=UTC)
OF_FORECAST = ("tomorrow_weather_1d", "tomorrow_lead_h_1d", "coming_weather_mean_36h", "coming_moments_36h")


@dataclass(frozen=True)
class Lived:
    """A world that was run from its first drop to its last, and trained as of the last."""

    world: ForecastWorld
    past: ForecastPast
    spec: UseCaseSpec
    state: UseCaseState
    retrained: StepsResult

    @property
    def features(self) -> dict[str, dict[str, Any]]:
        """Give the stored features by example."""
        return {row["example_id"]: row for row in read_rows(self.state.lake, "features", None)}


def live(world: ForecastWorld, past: ForecastPast, folder: Path, *, trains: bool = True) -> Lived:
    files = write_past(world, past, folder)
    spec, paths = declare(world, files, folder), StatePaths(folder / "state")
    land(spec, files, paths)
    state = UseCaseState(spec.name, paths)
    last = spec.calendar.last_drop
    assert last is not None
    drops = spec.calendar.drops_between(spec.calendar.first_drop, last)
    run_batch_steps(spec, state, drops, BatchContext(NOW))
    retrained = StepsResult()
    if trains:
        retrained = run_retraining_steps(spec, state, Retraining(as_of=str(last)), RetrainingContext(NOW))
    return Lived(world, past, spec, state, retrained)


@pytest.fixture(scope="module", params=WORLDS, ids=[world.name for world in WORLDS])
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return live(request.param, draw_past(request.param), tmp_path_factory.mktemp(request.param.name))


def test_features_are_of_the_newest_vintage_known_at_the_prediction(lived: Lived) -> None:
    known = LEADS_H.index(24)  # at noon, of noon tomorrow; the one of twelve hours later is not known

    features = lived.features
    assert len(features) == DAYS * 30
    for day in range(DAYS):
        row = features[f"R{day:03}007"]
        assert row["tomorrow_weather_1d"] == pytest.approx(lived.past.forecast[known, day, 7], abs=1e-5)
        assert (row["tomorrow_lead_h_1d"], row["coming_moments_36h"]) == (24, 1)


def test_audits_recompute_every_cell_from_the_vintages_known_by_then(lived: Lived) -> None:
    audit = audit_leakage(lived.spec, lived.state, AuditRequest(150, 3))

    assert (audit.examples, audit.leaks) == (150, [])
    assert lived.retrained.checks["training_set:leakage"].passed


def test_vintages_issued_after_a_drop_change_nothing_up_to_it(lived: Lived, tmp_path: Path) -> None:
    poisoned = lived.past.forecast.copy()
    drop_day = 70
    for place, lead in enumerate(LEADS_H):  # of day d the moment is 36 hours after its midnight
        issued_day = np.arange(DAYS) + (36 - lead) / 24
        poisoned[place, issued_day > drop_day + 0.5] = np.random.default_rng(1).normal(0, 9)
    again = live(lived.world, replace(lived.past, forecast=poisoned), tmp_path, trains=False)
    last = date(2024, 1, 1).toordinal() + drop_day

    then, now = lived.features, again.features

    early = [name for name, row in then.items() if row["batch_date"].toordinal() <= last]
    assert len(early) == 30 * (drop_day + 1)
    assert all(then[name][column] == now[name][column] for name in early for column in OF_FORECAST)
    assert any(then[name] != now[name] for name in then)


def test_stored_final_values_are_caught_by_recomputation(lived: Lived, tmp_path: Path) -> None:
    again = live(lived.world, lived.past, tmp_path, trains=False)
    rows = read_rows(again.state.lake, "features", None)
    final = {f"R{day:03}{place:03}": lived.past.forecast[-1, day, place] for day in range(DAYS) for place in range(30)}
    planted = [{**row, "tomorrow_weather_1d": final[row["example_id"]]} for row in rows]
    with again.state.writing("a planted leak") as lake, again.state.connect() as connection:
        schema = lake.relation(connection, "features").limit(0).to_arrow_table().schema
        drops = sorted({row["batch_date"] for row in planted})
        lake.replace_drops("features", pa.Table.from_pylist(planted, schema), drops)

    audit = audit_leakage(again.spec, again.state, AuditRequest(60, 3))

    assert {(leak.table, leak.column) for leak in audit.leaks} == {("features", "tomorrow_weather_1d")}
    assert len(audit.leaks) >= 55


def test_final_values_flatter_by_what_forecasts_did_not_know(lived: Lived) -> None:
    found = report_vintages(lived.spec, lived.state, "xgboost").flattery
    loss = found.loss

    assert set(found.features) == {"tomorrow_weather_1d", "coming_weather_mean_36h"}
    assert found.promised.lower > 0
    assert found.final[loss] < found.known[loss] <= found.mixed[loss]
    if lived.world is PARKS:  # noise of 3 that nothing knows, and a forecast 24 h ahead that misses two revisions
        missed = 2 * 0.36**2
        assert found.final[loss] == pytest.approx(9, rel=0.15)
        assert found.known[loss] == pytest.approx(9 + 100 * missed / (1 + missed), rel=0.15)


def test_vintages_are_counted_and_revised_less_the_nearer_they_are(lived: Lived) -> None:
    (found,) = report_vintages(lived.spec, lived.state, "xgboost").sources

    assert (found.counts.vintages, found.counts.moments, found.counts.single) == (DAYS * 30 * 6, DAYS * 30, 0)
    assert (found.counts.lead_h, found.counts.late_h) == (30, 0)
    revised = {band.from_h: band.rms for band in found.bands}
    assert revised[12] == pytest.approx(0.36, rel=0.05)
    assert revised[12] < revised[24] < revised[48]
    assert [sign.is_alarm for sign in found.signs] == [False]


def test_command_prints_the_same_as_its_page(lived: Lived, capsys: pytest.CaptureFixture[str]) -> None:
    run_vintages(lived.spec, lived.state, "", as_json=True)
    found = json.loads(capsys.readouterr().out)

    assert found["flattery"]["candidate"] == "xgboost"
    assert found["verdict"].startswith("A backtest with final values flatters: it promises ")
    page = Path(found["page"]).read_text()
    assert found["verdict"].split(" (")[0] in page
    assert "final values, served" in page

    run_vintages(lived.spec, lived.state, "group_history", as_json=True)
    unmoved = json.loads(capsys.readouterr().out)
    assert unmoved["flattery"]["promised"]["estimate"] == 0  # it reads no forecast
    assert unmoved["verdict"].startswith("Final values promise no surely better ")


@pytest.fixture(scope="module", params=WORLDS, ids=[world.name for world in WORLDS])
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Live a world whose forecasts say what came, under the early dates at which real ones were issued."""
    world: ForecastWorld = request.param
    return live(world, draw_past(world, final_values=True), tmp_path_factory.mktemp(world.name))


def test_final_values_under_early_dates_of_issue_are_caught_and_refused(planted: Lived) -> None:
    signs = [sign for sign in audit_outcomes(planted.spec, planted.state) if sign.kind == "final"]
    record = read_rows(planted.state.lake, "champion", None)

    assert {sign.column for sign in signs} == {"tomorrow_weather_1d", "coming_weather_mean_36h"}
    assert [(sign.value, sign.is_alarm) for sign in signs] == [(1.0, True)] * 2
    assert audit_leakage(planted.spec, planted.state, AuditRequest(50, 3)).leaks == []  # the contract deceives it
    assert [row["verdict"] for row in record] == ["refused"]
    assert f"accept-feature {planted.spec.name} tomorrow_weather_1d" in str(record)


def test_forecast_that_is_declared_as_never_revised_is_not_suspected(planted: Lived) -> None:
    def fixed(source: Any) -> Any:
        times = ForecastTimes.model_validate({"issued_at": "issued_at", "for": "hour_at", "unrevised": "a tariff"})
        return source.model_copy(update={"forecast": times}) if source.name == "forecasts" else source

    spec = planted.spec.model_copy(update={"sources": tuple(fixed(source) for source in planted.spec.sources)})

    assert [sign for sign in audit_outcomes(spec, planted.state) if sign.kind == "final"] == []
