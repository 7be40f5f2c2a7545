from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date

import duckdb
import pytest

from ml_assets.features.feature_table import compute_features
from ml_assets.pipeline.audit.leakage import AuditRequest, audit_leakage
from ml_assets.pipeline.training.training_set import draw
from ml_assets.spec.feature_versions import feature_definitions
from ml_assets.spec.features import FeatureSpec
from ml_assets.stores.kept_files import scan
from ml_assets.stores.lake import Lake
from ml_assets.training.training_set import plan_draw
from ml_assets_tests.benchmarks.planted_leaks import LEAKS, Planted, Scene, audit_scene, rewrite, run_planted
from ml_assets_tests.dates import dates_of
from ml_assets_tests.features.conftest import LAST, RealSlice

pytestmark = pytest.mark.xdist_group("real_slice")  # one worker ingests the 45 drops once

# what the leaks are about; the other views cost time here and are audited by the benchmark
TABLES = ("validated_flight_outcomes", "examples", "features", "training_set")
VIEWS = ("network", "carrier", "origin", "origin_recent", "weather", "weather_trend", "network_night")


@pytest.fixture(scope="module")
def honest(real_slice: RealSlice, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Give 45 real drops with features and a training set, and the twelve of them in which leaks are planted."""
    folder = tmp_path_factory.mktemp("leaks") / "lake" / "flight_delays"
    shutil.copytree(real_slice.lake.folder, folder)
    views = tuple(view for view in real_slice.spec.features.views if view.name in VIEWS)
    wanted = ("carrier", "distance_mi", "pressure_fall", "departure_hour")
    expressions = tuple(each for each in real_slice.spec.features.expressions if each.name in wanted)
    spec = real_slice.spec.model_copy(update={"features": FeatureSpec(views=views, expressions=expressions)})
    lake = Lake(folder)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        for source in {view.source for view in views}:
            scan(connection, lake.files(f"validated_{source}")).create_view(f"validated_{source}")
        scan(connection, lake.files("examples")).order("batch_date, example_id").create("_examples")
        lake.replace_drops("features", compute_features(connection, spec, real_slice.drops), real_slice.drops)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        plan, versions = plan_draw(spec, LAST), {name: lake.version(name) or 0 for name in ("features", "labels")}
        rows = draw(connection, lake, plan, versions).rows
    record = {"plan": plan.to_json(), "inputs": versions, "definitions": feature_definitions(spec)}
    lake.replace("training_set", rows, record)
    drops = [drop for drop in real_slice.drops if date(2013, 1, 31) <= drop <= date(2013, 2, 11)]
    return Scene(spec, lake, dates_of(drops))


@pytest.mark.parametrize("planted", LEAKS, ids=[each.name for each in LEAKS])
def test_planted_leak_is_named_where_it_came_in(honest: Scene, planted: Planted) -> None:
    found = run_planted(honest, planted, sample=16)

    assert [column for place, column in found if place == planted.named and column.startswith(planted.column)]
    named = [TABLES.index(place) for place, _ in found if place in TABLES]
    assert not named or TABLES[min(named)] == planted.named


@pytest.mark.parametrize("seed", range(2))
def test_honest_graph_raises_no_alarm(honest: Scene, seed: int) -> None:
    assert audit_scene(honest, honest.spec, 30, seed) == []


def test_accepted_rows_are_compared_with_what_landed_also_where_no_moment_reads(
    honest: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("landed") / "lake" / "flight_delays"
    shutil.copytree(honest.lake.folder, folder)
    changed = replace(honest, lake=Lake(folder))
    rewrite(changed, "validated_weather", "SELECT * REPLACE (temp_f + 1 AS temp_f) FROM stored")

    found = {}
    for everywhere in (True, False):
        request = AuditRequest(10, 1, (honest.drops[0], honest.drops[-1]), lands_everywhere=everywhere)
        leaks = audit_leakage(honest.spec, changed.state, request).leaks
        found[everywhere] = {leak.batch_date for leak in leaks if leak.table == "validated_weather"}

    assert found[False] < found[True]  # what two moments and their windows read, and all between
    assert len(found[False]) == 6
