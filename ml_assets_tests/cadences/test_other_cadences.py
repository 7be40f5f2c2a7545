"""Hourly and monthly use cases, as `new` begins them: from files to models, reports and equal tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ml_assets_tests.cadences.generate import write_contracts, write_flights
from ml_assets_tests.cadences.machine import ask, decide, machine, run

# the two tests of hours share what the first range left, and so a worker
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cadences")]
FEATURES = (
    "SELECT batch_date, example_id, carrier_arrivals_rows_1d, dest_arrivals_arrival_delay_min_mean_7d FROM "
    "hourly.features WHERE batch_date < '2013-11-04T' ORDER BY ALL"
)


def begin_hourly(root: Path) -> None:
    files = write_flights(root, "2013-10-30", "2013-11-22")
    run("new", "hourly", *(f"--from={file}" for file in files), "--every", "1h", "--zone", "America/New_York")
    known_at = {"departures": "published_at", "arrivals": "reported_at"}
    decide(root / "defs" / "hourly", known_at, "CAST(arrival_delay_min >= 15 AS INTEGER)", "1d")
    run("land", "hourly", *(f"--history={file.stem}={file}" for file in files))


@pytest.fixture(scope="module")
def hourly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a project `one`, whose first hours were run as one range."""
    root = tmp_path_factory.mktemp("hourly")
    with machine(root / "one"):
        begin_hourly(root / "one")
        assert "no mistake" in run("validate", "hourly")
        run("batch", "hourly", "--from", "2013-10-29", "--to", "2013-11-17")
    return root


@contextmanager
def first_machine(root: Path) -> Iterator[None]:
    """Go on with the project `one`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_ASSETS_PROJECT", str(root / "one"))
        patch.setenv("ML_ASSETS_DATA", str(root / "one" / "state"))
        patch.setenv("DAGSTER_HOME", str(root / "one" / "state" / "dagster_home"))
        patch.setenv("DAGSTER_EVENT_BATCH_SIZE", "2000")
        yield


def test_hours_go_from_files_to_models_and_reports_over_a_clock_change(hourly: Path) -> None:
    with first_machine(hourly):
        run("retrain", "hourly", "--as-of", "2013-11-17", "--gate", "disabled")
        run("batch", "hourly", "--from", "2013-11-18", "--to", "2013-11-21")

        examples = ask("SELECT batch_date, count(*) AS n FROM hourly.examples GROUP BY ALL")
        by_day = Counter(row["batch_date"][:10] for row in ask("SELECT DISTINCT batch_date FROM hourly.drops"))
        scored = ask("SELECT count(*) AS n, count(score) AS scored FROM hourly.predictions WHERE batch_date > "
                     "'2013-11-18T0500Z' AND model_version IS NOT NULL")  # fmt: skip
        reports = ask("SELECT count(*) AS n FROM hourly.performance_report WHERE role = 'champion' AND n > 0")
        drift = ask("SELECT family, count(DISTINCT batch_date) AS n FROM hourly.drift_report GROUP BY ALL")
        incidents = run("alerts", "hourly")

    assert by_day["2013-11-03"] == 24  # of UTC; by the clock of New York there are 25
    assert sum(row["n"] for row in examples) > 18_000
    assert len(examples) < len(by_day) * 24 - 100  # hours of the night have no flight
    assert scored[0]["n"] == scored[0]["scored"] > 2_500
    assert reports[0]["n"] > 40
    assert {row["family"] for row in drift} >= {"before", "training"}
    assert "no_rows" not in incidents


def test_the_same_hours_in_other_ranges_give_equal_features(hourly: Path) -> None:
    with machine(hourly / "other"):
        begin_hourly(hourly / "other")
        run("batch", "hourly", "--from", "2013-10-29", "--to", "2013-10-31", "--step", "37")
        run("batch", "hourly", "--from", "2013-11-01", "--to", "2013-11-03", "--step", "11")
        run("batch", "hourly", "--from", "2013-11-02T0700Z", "--to", "2013-11-03T0600Z")
        again = ask(FEATURES)
    with first_machine(hourly):
        first = ask(FEATURES)

    assert len(first) > 3_000
    assert again == first


def test_months_go_from_files_to_models_and_a_replay(tmp_path: Path) -> None:
    root = tmp_path / "monthly"
    with machine(root):
        files = write_contracts(root)
        run("new", "churn", *(f"--from={file}" for file in files), "--every", "month", "--at", "06:00",
            "--zone", "Europe/Berlin")  # fmt: skip
        decide(root / "defs" / "churn", {"contracts": "reviewed_at", "ends": "checked_at"}, "has_left", "32d")
        assert "no mistake" in run("validate", "churn")
        run("land", "churn", *(f"--history={file.stem}={file}" for file in files))

        run("batch", "churn", "--from", "2021-02-01", "--to", "2023-06-01")
        run("retrain", "churn", "--as-of", "2023-06-01")
        run("replay", "churn", "--from", "2023-07-01", "--to", "2023-10-01")

        verdict = ask("SELECT verdict, serves_after FROM churn.champion ORDER BY sequence LIMIT 1")
        drops = ask("SELECT DISTINCT batch_date FROM churn.predictions ORDER BY ALL")
        measured = ask("SELECT batch_date, prediction_batch_date, auc FROM churn.performance_report WHERE role = "
                       "'champion' AND slice_column IS NULL AND auc IS NOT NULL ORDER BY ALL")  # fmt: skip

    assert verdict == [{"verdict": "promoted", "serves_after": "2023-06-01"}]
    assert [row["batch_date"] for row in drops][-4:] == ["2023-07-01", "2023-08-01", "2023-09-01", "2023-10-01"]
    assert {row["prediction_batch_date"] for row in measured} >= {"2023-07-01"}
    assert min(row["auc"] for row in measured) > 0.55
