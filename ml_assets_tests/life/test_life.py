"""Short lives: a few weeks with a trouble in most drops, daily east of UTC and weekly where clocks change at the batch.

Two years are lived by `python -m ml_assets_tests.life`.
"""

from __future__ import annotations

import os
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import pytest

from ml_assets_tests.dates import dates_of
from ml_assets_tests.life.driver import Life
from ml_assets_tests.life.plan import TROUBLES, Plan
from ml_assets_tests.life.promises import content_hashes, promises_of
from ml_assets_tests.life.use_case import Setting
from ml_assets_tests.life.world import World

pytestmark = [
    pytest.mark.slow,  # fifty runs, some in processes that are killed
    pytest.mark.xdist_group("life"),
    # great_expectations 1.24 imports sre_constants and sre_parse, which Python 3.11 calls deprecated
    pytest.mark.filterwarnings("ignore:module 'sre_.*' is deprecated:DeprecationWarning"),
    # apprise 2.2: its e-mail service loads imghdr for pgpy, which Python 3.13 will not have
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]

asked_for = pytest.mark.skipif("ML_ASSETS_LIVES" not in os.environ, reason="half an hour more: ML_ASSETS_LIVES=1")

DAILY = Setting(date(2024, 1, 1), "Asia/Kolkata", "06:00", timedelta(days=1))
# its clocks are set back on 27 October 2024, a Sunday, when 02:30 comes twice
WEEKLY = Setting(date(2024, 5, 12), "Europe/Berlin", "02:30", timedelta(days=7))
PROMISES = (
    "1 each accepted row is counted once",
    "2 readers see only committed drops",
    "3 landed = accepted + quarantined",
    "4 the champion is loadable and passed the gate",
    "5 alerts arrive at least once with a stable id",
    "6 a failure keeps the last good state",
    "6 and says so",
    "retraining works on the last day",
)


def begin(folder: Path, setting: Setting, drops: int, seed: int, share: float = 0.95) -> Life:
    """Begin a life of so many drops, in a share of which something goes wrong."""
    world = World(setting, seed)
    days = world.calendar.drops_between(setting.start, setting.start + setting.every * (drops - 1))
    return Life(folder, world, Plan(setting, dates_of(days), seed, share=share, outages_often=False))


def _live(folder: Path, setting: Setting, drops: int, seed: int) -> Life:
    life = begin(folder, setting, drops, seed)
    life.live()
    return life


@pytest.fixture(scope="module")
def daily(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Live a daily life."""
    return _live(tmp_path_factory.mktemp("daily"), DAILY, 38, 31)


@pytest.fixture(scope="module")
def weekly(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Live a weekly life."""
    return _live(tmp_path_factory.mktemp("weekly"), WEEKLY, 28, 15)


@cache
def _kept(life: Life) -> dict[str, list[str]]:
    return promises_of(life.machine.paths, life.sink, life.good, life.record)


@pytest.mark.parametrize("promise", PROMISES)
def test_promise_holds_at_the_end_of_a_daily_life(daily: Life, promise: str) -> None:
    assert _kept(daily)[promise] == []


@asked_for
@pytest.mark.parametrize("promise", PROMISES)
def test_promise_holds_at_the_end_of_a_weekly_life(weekly: Life, promise: str) -> None:
    assert _kept(weekly)[promise] == []


def test_no_promise_is_left_out(daily: Life) -> None:
    assert tuple(_kept(daily)) == PROMISES


@asked_for
def test_short_lives_meet_every_kind_of_trouble(daily: Life, weekly: Life) -> None:
    met = {kind for life in (daily, weekly) for kind, times in life.record.events.items() if times}

    assert {*TROUBLES, "clock_change_night", "contract_gains_column", "contract_renames_column",
            "broken_declaration"} <= met  # fmt: skip


@asked_for
def test_two_lives_of_one_seed_leave_the_same_tables(daily: Life, tmp_path: Path) -> None:
    again = _live(tmp_path, DAILY, 38, 31)

    assert content_hashes(again.machine.paths) == content_hashes(daily.machine.paths)
