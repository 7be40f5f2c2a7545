from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from ml_assets.cli import app
from ml_assets.pipeline.ingestion.corrections import AcceptedGap, CorrectionError, accept_gap
from ml_assets.pipeline.ingestion.ready_drops import ACCEPTED_GAPS
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import day, small_spec

SPEC = small_spec()


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    """Three drops, of which the second has its outcomes."""
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    found = StatePaths(tmp_path)
    row = {"batch_date": day(2), "source": "flight_outcomes", "state": "admitted"}
    Lake(found.lake / SPEC.name).replace_drops("drops", pa.Table.from_pylist([row]), [day(1), day(2), day(3)])
    return found


def accept(*options: str) -> Result:
    return CliRunner().invoke(app, ["accept-missing", SPEC.name, "--source", "flight_outcomes", *options])


def accepted(paths: StatePaths) -> list[tuple[object, ...]]:
    rows = read_rows(Lake(paths.lake / SPEC.name), ACCEPTED_GAPS, None)
    return sorted((row["batch_date"], row["source"], row["reason"]) for row in rows)


def test_several_drops_are_accepted_at_once_by_name_or_as_a_range(paths: StatePaths) -> None:
    assert accept("--reason", "lost", "--drop", str(day(1)), "--drop", str(day(3))).exit_code == 0
    assert accept("--reason", "strike", "--from", str(day(4)), "--to", str(day(6))).exit_code == 0

    assert accepted(paths) == [
        *((day(number), "flight_outcomes", "lost") for number in (1, 3)),
        *((day(number), "flight_outcomes", "strike") for number in (4, 5, 6)),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "2013-01-01", "--to", "2013-01-03"), "flight_outcomes of 2013-01-02 is admitted already"),
        (("--drop", "2015-01-01"), "allowed: a drop of the calendar of flight_delays, 2013-01-01 to 2014-01-03"),
        (("--from", "2013-12-31", "--to", "2014-01-04"), "allowed: a drop of the calendar of flight_delays"),
        (("--from", "2013-01-01"), "allowed: --drop D, as often as needed, or --from D --to D"),
        (("--drop", "2013-01-01", "--from", "2013-01-01", "--to", "2013-01-02"), "allowed: --drop D, as often"),
        ((), "allowed: --drop D, as often as needed, or --from D --to D"),
    ],
)
def test_nothing_is_accepted_where_one_drop_is_not_missing(
    paths: StatePaths, options: tuple[str, ...], said: str
) -> None:
    result = accept("--reason", "lost", *options)

    assert result.exit_code == 1
    assert said in " ".join(result.output.split())
    assert accepted(paths) == []


def test_drop_whose_batch_has_not_come_is_not_accepted(paths: StatePaths) -> None:
    on_the_wall, state = SPEC.model_copy(update={"clock": "wall"}), UseCaseState(SPEC.name, paths)
    gap = AcceptedGap("flight_outcomes", [day(1), day(3)], "lost")
    now = SPEC.calendar.batch_at(day(3)) - timedelta(minutes=1)

    with pytest.raises(CorrectionError, match="the batch of 2013-01-03 is at 2013-01-03 09:00 UTC"):
        accept_gap(on_the_wall, state, gap, now)

    assert accepted(paths) == []
    accept_gap(on_the_wall, state, gap, now + timedelta(minutes=1))
    assert [row[0] for row in accepted(paths)] == [day(1), day(3)]
