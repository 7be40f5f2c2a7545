"""What a drop whose batch has not come is refused by: every step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml_assets.ingestion.ledger import DropsNotFinalError
from ml_assets.pipeline.features.closed_drops import require_features
from ml_assets.pipeline.features.labels import store_labels
from ml_assets.pipeline.ingestion.validated import validate_source
from ml_assets.pipeline.monitoring.decisions import store_decisions
from ml_assets.pipeline.monitoring.drift import store_drift_report
from ml_assets.pipeline.monitoring.feed_health import store_feed_health
from ml_assets.pipeline.monitoring.performance import report_performance
from ml_assets.pipeline.scoring.predictions import score_drops
from ml_assets.pipeline.scoring.shadows import score_shadows
from ml_assets.pipeline.scoring.worklist import store_worklist
from ml_assets.spec.tables.features import CLOSED_DROPS
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import day, small_spec

SPEC = small_spec()
NOW = (datetime(2013, 1, 9, tzinfo=UTC),)


@pytest.fixture
def state(tmp_path: Path) -> UseCaseState:
    """Give a state of which the features of the first two drops are stored."""
    found = UseCaseState(SPEC.name, StatePaths(tmp_path))
    rows = [{"batch_date": day(number), "examples": 0, "_feature_set": 1} for number in (1, 2)]
    found.lake.replace_drops(CLOSED_DROPS.name, arrow_rows(CLOSED_DROPS, rows), [day(1), day(2)])
    return found


@pytest.mark.parametrize(
    ("step", "more"),
    [
        (score_drops, ()), (store_worklist, ()), (score_shadows, ()), (store_drift_report, ()),
        (report_performance, ()), (store_decisions, NOW),
    ],
)  # fmt: skip
def test_step_refuses_a_drop_without_features_and_writes_nothing(
    step: Callable[..., Any], more: tuple[Any, ...], state: UseCaseState
) -> None:
    before = state.lake.tables()

    with pytest.raises(DropsNotFinalError, match=r"no features yet for drop 2013-01-03 and 1 more\. Run the whole"):
        step(SPEC, state, [day(number) for number in (2, 3, 4)], *more)

    assert state.lake.tables() == before


def test_drops_whose_features_are_stored_pass(state: UseCaseState) -> None:
    require_features(state, [day(1), day(2)])


def validate_first_source(*asked: Any) -> object:
    """Validate one source, with the arguments of the other steps."""
    spec, state, drops, now = asked
    return validate_source(spec, state, spec.sources[0], drops, now)


@pytest.mark.parametrize("step", [validate_first_source, store_labels, store_feed_health])
def test_step_before_the_features_refuses_a_drop_that_has_not_come_and_writes_nothing(
    step: Callable[..., Any], state: UseCaseState
) -> None:
    landed = state.landing / "2013-01-02" / "weather.csv"
    landed.parent.mkdir(parents=True)
    landed.write_text("origin\n")
    before = state.lake.tables()

    with pytest.raises(DropsNotFinalError, match="drop 2013-01-10 has not come yet: the newest that can be run is"):
        step(SPEC, state, [day(10)], *NOW)

    assert state.lake.tables() == before
