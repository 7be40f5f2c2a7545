"""A measure or a tool that raises: named, told as an incident, and nothing else stops."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml_assets.pipeline.monitoring.incidents import reconcile_incidents
from ml_assets.reports.drift_page import write_due_page
from ml_assets.stats.not_computed import measured
from ml_assets.stores.alert_outbox import AlertOutbox, Incident
from ml_assets.stores.failed_measures import MIRROR, FailedMeasure, keep_failures, noting_failures
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import day, small_spec

SPEC = small_spec()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def fail() -> float:
    raise ValueError("singular\nmatrix")


def told(paths: StatePaths) -> list[Incident]:
    reconcile_incidents(SPEC, paths, [], [], NOW)
    return AlertOutbox(paths).incidents(SPEC.name, open_only=True)


def test_measure_that_fails_is_an_incident_until_it_is_computed_again(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    with noting_failures(paths.alerts, SPEC.name, "drift_report", day(3)) as failed:
        values = [measured("drift of origin", fail, None), measured("drift of carrier", lambda: 2.0, None)]
        measured("drift of origin", fail, None)

    assert values == [None, 2.0]
    assert len(failed) == 1
    (incident,) = told(paths)
    assert (incident.monitor, incident.severity) == ("not_computed/drift_report", "warning")
    assert incident.message == (
        "drift_report of drop 2013-01-03: drift of origin was not computed: ValueError: singular matrix"
    )

    with noting_failures(paths.alerts, SPEC.name, "drift_report", day(4)):
        measured("drift of origin", lambda: 1.0, None)
    assert told(paths) == []


def test_error_is_raised_where_nobody_collects() -> None:
    with pytest.raises(ValueError, match="singular"):
        measured("drift of origin", fail, None)


def test_what_mlflow_could_not_be_told_is_information(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    keep_failures(paths.alerts, SPEC.name, MIRROR, [FailedMeasure(MIRROR, "", "the candidate m2", "disk I/O error")])

    (incident,) = told(paths)

    assert (incident.kind, incident.severity) == ("mirror_failed", "info")
    assert incident.message == "MLflow could not be told the candidate m2: disk I/O error"


def test_page_that_cannot_be_drawn_is_told_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Evidently gave up")

    monkeypatch.setattr("ml_assets.reports.drift_page.write_drift_page", broken)
    paths = StatePaths(tmp_path)

    assert write_due_page(SPEC, UseCaseState(SPEC.name, paths), day(3)) is None

    assert "Evidently's page was not computed: RuntimeError: Evidently gave up" in told(paths)[0].message
