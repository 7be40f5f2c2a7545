"""A feature that was renamed in the declaration is told in plain words, whoever reads it under its new name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_assets.cli.operate import commands
from ml_assets.pipeline.features.versions import FeaturesNotStoredError, require_declared_features
from ml_assets.stores.failed_measures import failed_measures
from ml_assets_tests.rehearsal import Rehearsal, go_on_from
from ml_assets_tests.served import LAST, SPEC, run

pytestmark = pytest.mark.xdist_group("models")  # one worker runs the shared history once

_NAMED = [
    each.model_copy(update={"name": "carrier_slope"}) if each.name == "carrier_trend" else each
    for each in SPEC.features.expressions
]
RENAMED = SPEC.model_copy(update={"features": SPEC.features.model_copy(update={"expressions": tuple(_NAMED)})})
SAID = (
    "carrier_slope is declared and computed in no drop yet (stored, and declared no more: carrier_trend). Run "
    "`ml-assets backfill flight_delays --features`, or put the declaration back"
)


@pytest.fixture
def state(served: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    found = Rehearsal(RENAMED, go_on_from(served, tmp_path).root)
    monkeypatch.setenv("ML_ASSETS_DATA", str(found.root))
    monkeypatch.setattr(commands, "read_use_case", lambda _: RENAMED)
    return found


@pytest.mark.parametrize("command", [("drift", SPEC.name), ("performance", SPEC.name)])
def test_what_was_reported_before_is_shown_as_it_was(state: Rehearsal, command: tuple[str, ...]) -> None:
    assert state.spec is RENAMED
    assert run(*command).exit_code == 0


def test_page_of_distributions_is_refused_with_what_to_do(state: Rehearsal) -> None:
    result = run("drift", state.spec.name, "--page")

    assert result.exit_code == 1
    assert " ".join(result.stderr.split()) == f"error {SAID}"


def test_report_of_a_drop_before_says_what_it_could_not_compute(state: Rehearsal) -> None:
    state.run_assets(["monitoring/drift_report"], LAST - 1, LAST - 1)

    (failed,) = failed_measures(state.paths.alerts, state.spec.name)
    assert (failed.step, failed.measure) == ("drift_report", "drift of all features")
    assert failed.error == f"FeaturesNotStoredError: {SAID}"


def test_champion_of_the_old_name_is_named_with_what_it_was_trained_on() -> None:
    with pytest.raises(FeaturesNotStoredError) as raised:
        require_declared_features(RENAMED, "2013-01-09-line", SPEC.features.feature_names())

    assert str(raised.value) == (
        "2013-01-09-line was trained on carrier_trend, no longer declared: it can score nothing until the declaration "
        "is put back. `ml-assets retrain flight_delays` trains one on what is declared now"
    )
