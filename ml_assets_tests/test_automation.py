"""The automation for real: `ml-assets ui` with its daemon, on landed drops, without a click."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml_assets.demo.flights import land_flights
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.daemon import (
    USE_CASE,
    command,
    drops_in,
    kinds_of_alerts,
    lake,
    runs,
    ticks,
    user_interface,
    wait_for,
)
from ml_assets_tests.rehearsal import flagship

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("automation")]  # a real daemon, and three months of drops

FIRST, LAST, AS_OF = date(2013, 1, 1), date(2013, 3, 28), date(2013, 3, 1)
LATE_FROM, LATE_MIN = date(2013, 3, 18), 90  # from then on every flight is so much later than it was
# Seconds: until a sensor that looks once a minute has asked for a run, and from there to the decision. A run takes
# about 65 on two cores, of which Evidently's page takes about 25 where an alarm begins.
TICK, PATIENCE = 90.0, 110.0


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> StatePaths:
    """Three months of drops with a champion, as the demo leaves them; in the last days flights run late."""
    found = StatePaths(tmp_path_factory.mktemp("automation"))
    land_flights(found.landing / USE_CASE, flagship().calendar, FIRST, LAST)
    for drop in flagship().calendar.drops_between(LATE_FROM, LAST):
        run_late(found.landing / USE_CASE / str(drop))
    following = AS_OF + timedelta(days=1)
    command(found, "batch", USE_CASE, "--from", f"{FIRST}", "--to", f"{AS_OF}")
    command(found, "retrain", USE_CASE, "--as-of", f"{AS_OF}", "--candidate", "xgboost", "--gate", "disabled")
    command(found, "batch", USE_CASE, "--from", f"{following}", "--to", f"{LAST}")
    return found


def run_late(folder: Path) -> None:
    """Make every flight of a landed drop later, where its outcome tells by how much."""
    path = folder / "flight_outcomes.csv"
    rows = pd.read_csv(path, dtype=str)
    for column in ("departure_delay_min", "arrival_delay_min"):
        rows[column] = (pd.to_numeric(rows[column]) + LATE_MIN).astype("Int64")
    rows.to_csv(path, index=False)


def land_aside(paths: StatePaths, drop: date) -> None:
    """Land a drop as another system would: written elsewhere, then moved in whole."""
    aside = paths.root / "aside"
    land_flights(aside, flagship().calendar, drop, drop)
    run_late(aside / drop.isoformat())
    shutil.move(aside / drop.isoformat(), paths.landing / USE_CASE / drop.isoformat())


def test_landed_drop_is_reported_without_a_click_and_its_drift_leads_to_a_retraining(
    paths: StatePaths,
) -> None:
    following = LAST + timedelta(days=1)
    with user_interface(paths):
        wait_for("the daemon's first tick", lambda: ticks(paths, f"{USE_CASE}_landing") > 0, 120)
        before = len(runs(paths, f"{USE_CASE}_batch"))

        land_aside(paths, following)
        wait_for("the run", lambda: len(runs(paths, f"{USE_CASE}_batch")) > before, TICK)
        wait_for("the decision on the drop", lambda: following in drops_in(paths, "decisions"), PATIENCE)

        for table in ("predictions", "worklist", "drift_report", "shadow_predictions"):
            assert following in drops_in(paths, table), table
        assert (paths.delivered / USE_CASE / "worklist" / f"{following}.csv").is_file()

        # the same file again does nothing
        file = paths.landing / USE_CASE / following.isoformat() / "weather.csv"
        file.write_bytes(file.read_bytes())
        seen = ticks(paths, f"{USE_CASE}_landing")
        wait_for("two more ticks", lambda: ticks(paths, f"{USE_CASE}_landing") >= seen + 2, 2 * TICK)
        assert len(runs(paths, f"{USE_CASE}_batch")) == before + 1

        decision = _newest_decision(paths)
        assert (decision["batch_date"], decision["action"], decision["trigger"]) == (following, "retrain", "drift")
        assert decision["measurement"] > decision["threshold"]
        wait_for(
            "the retraining", lambda: _retrained(paths, following), 5 * PATIENCE
        )  # five minutes at most until the sensor looks

    _check_retraining(paths, decision)
    assert "drift" in kinds_of_alerts(paths)


def _check_retraining(paths: StatePaths, decision: dict[str, Any]) -> None:
    (started,) = [run for run in runs(paths, f"{USE_CASE}_retrain") if run.tags.get("ml_assets/trigger")]
    assert started.tags["ml_assets/reason"] == decision["reason"]
    assert started.tags["ml_assets/monitor"] == decision["monitor"]
    assert float(started.tags["ml_assets/measurement"]) > float(started.tags["ml_assets/threshold"])


def _newest_decision(paths: StatePaths) -> dict[str, Any]:
    import duckdb

    with duckdb.connect() as connection:
        rows = lake(paths).relation(connection, "decisions").order("batch_date DESC").limit(1)
        return rows.to_arrow_table().to_pylist()[0]


def _retrained(paths: StatePaths, as_of: date) -> bool:
    import duckdb

    with duckdb.connect() as connection:
        rows = lake(paths).relation(connection, "champion").project("as_of").fetchall()
    return as_of in {row[0] for row in rows}
