"""Kill a replay at every fail point and so many times at random, and compare what is left with one that nobody killed.

python -m ml_assets_tests.kills --folder FOLDER [--kills 50] [--only random] [--seed 1] [--drops 30]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.kills.fail_points import FailPoint
from ml_assets_tests.kills.killed_replay import (
    Left,
    Plan,
    choose_fail_points,
    kill_at_points,
    kill_at_random,
    look_at,
    prepare,
    run_unkilled,
)

_MET = 0.9  # share of the fail points that one replay must meet
_KILLS_VARIABLE = "ML_ASSETS_KILLS"  # kills at random, where --kills names none


def _say(message: str) -> None:
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


def main() -> int:
    """Run what is asked for; the exit code is 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="a folder that is not there yet")
    kills = int(os.environ.get(_KILLS_VARIABLE, "50"))
    parser.add_argument("--kills", type=int, default=kills, help=f"at random; by default ${_KILLS_VARIABLE}, or 50")
    parser.add_argument("--only", choices=("points", "random"), help="one of the two alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drops", type=int, default=30)
    parser.add_argument("--retrain-after", type=int, default=10, help="steps of three drops")
    asked = parser.parse_args()
    plan, random, root = Plan(asked.drops, retrain_after=asked.retrain_after), Random(asked.seed), asked.folder  # noqa: S311 - the same kills each time
    spec = prepare(root / "landed")
    unkilled = run_unkilled(spec, root / "landed", root / "unkilled", plan)
    wanted = look_at(spec, root / "unkilled")
    points = choose_fail_points(unkilled.passed, random)
    _say(f"nobody killed: {unkilled.seconds:.0f} s, {len(wanted.hashes)} tables, {len(wanted.incidents)} incidents, "
         f"{len(points)} fail points")  # fmt: skip
    is_sound = asked.only == "random" or _kill_at_every_point(spec, root, plan, points, wanted)
    if asked.only == "points":
        return 0 if is_sound else 1
    shutil.copytree(root / "landed", root / "random")
    killed = kill_at_random(spec, root / "random", plan, random, asked.kills, unkilled.seconds / plan.steps)
    _say(f"killed {killed} times at random")
    return 0 if _compare(spec, root / "random", wanted) and killed == asked.kills and is_sound else 1


def _kill_at_every_point(spec: UseCaseSpec, root: Path, plan: Plan, points: Sequence[FailPoint], wanted: Left) -> bool:
    """Kill one replay at all points, and say whether nearly all were met and what is left is equal."""
    folder = root / "points"
    shutil.copytree(root / "landed", folder)
    left = kill_at_points(spec, folder, plan, points)
    _say(f"killed at {len(points) - len(left)} of {len(points)} fail points in one replay")
    for point in left:
        _say(f"not met: {point}")
    return _compare(spec, folder, wanted) and len(left) <= (1 - _MET) * len(points)


def _compare(spec: UseCaseSpec, folder: Path, wanted: Left) -> bool:
    found = look_at(spec, folder)
    tables = wanted.hashes.keys() | found.hashes.keys()
    differ = sorted(table for table in tables if wanted.hashes.get(table) != found.hashes.get(table))
    others = [each for each in found.incidents if each not in wanted.incidents]
    others += [each for each in wanted.incidents if each not in found.incidents]
    _say(f"{folder.name}: {len(tables) - len(differ)} of {len(tables)} tables equal {differ or ''}, "
         f"{len(others)} incidents differ {others or ''}")  # fmt: skip
    return not differ and not others


if __name__ == "__main__":
    sys.exit(main())
