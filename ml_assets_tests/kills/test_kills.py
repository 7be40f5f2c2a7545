from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from ml_assets_tests.kills.killed_replay import (
    Plan,
    choose_fail_points,
    kill_at_points,
    kill_at_random,
    look_at,
    prepare,
    run_unkilled,
)

PLAN = Plan(drops=6, every=3, retrain_after=2)


@pytest.mark.slow  # some eighty attempts; python -m ml_assets_tests.kills makes many more
def test_killed_replay_ends_as_one_that_nobody_killed(tmp_path: Path) -> None:
    random = Random(1)  # noqa: S311 - the same kills each time
    spec = prepare(tmp_path / "landed")
    unkilled = run_unkilled(spec, tmp_path / "landed", tmp_path / "unkilled", PLAN)
    points = choose_fail_points(unkilled.passed, random)
    for name in ("points", "random"):
        shutil.copytree(tmp_path / "landed", tmp_path / name)

    missed = kill_at_points(spec, tmp_path / "points", PLAN, points)
    kills = kill_at_random(spec, tmp_path / "random", PLAN, random, kills=5, most=3)

    assert len(points) > 40
    assert len(missed) < len(points) / 4
    assert kills > 0
    wanted = look_at(spec, tmp_path / "unkilled")
    assert look_at(spec, tmp_path / "points") == wanted
    assert look_at(spec, tmp_path / "random") == wanted
