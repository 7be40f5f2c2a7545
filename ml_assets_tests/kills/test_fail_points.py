from __future__ import annotations

import os
import signal
from pathlib import Path
from random import Random

from ml_assets_tests.kills.fail_points import FailPoint, Watch
from ml_assets_tests.kills.killed_replay import choose_fail_points

PASSED = {0: {"create": 1, "write": 2}, 1: {"write": 7}, 2: {"write": 1, "promote": 1}}


def test_one_passage_of_each_place_is_chosen_in_a_step_that_comes_by_it() -> None:
    chosen = [choose_fail_points(PASSED, Random(seed)) for seed in range(20)]  # noqa: S311 - the same each time

    for points in chosen:
        assert [point.place for point in points] == ["create", "write", "promote"]
        assert all(1 <= point.count <= min(3, PASSED[point.step][point.place]) for point in points)
    assert {points[1].step for points in chosen} == {0, 1, 2}


def test_process_dies_at_the_first_target_it_meets_and_names_it(tmp_path: Path) -> None:
    met = tmp_path / "met.txt"
    targets = [FailPoint(1, "b", 1, is_after=False), FailPoint(0, "b", 1, is_after=False), FailPoint(0, "a", 2, True)]
    process = os.fork()
    if process == 0:
        watch = Watch(targets, met)
        for place in "aab":
            with watch.around(place):
                pass
        os._exit(0)

    _, status = os.waitpid(process, 0)

    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert met.read_text() == "2"
