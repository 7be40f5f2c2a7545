from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml_assets_tests.rehearsal import REPOSITORY


@pytest.mark.slow  # some 120 attempts; ML_ASSETS_KILLS=50 makes as many more at random
def test_killed_replay_ends_as_one_that_nobody_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ml_assets_tests.kills", "--folder", str(tmp_path / "kills")]
    few = ["--kills", os.environ.get("ML_ASSETS_KILLS", "5")]

    # in a process of its own: it forks, which one that has opened tables before must not
    ended = subprocess.run([*command, *few], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = re.search(r"killed at (\d+) of (\d+) fail points in one replay", ended.stdout)
    assert found, ended.stdout
    met, points = map(int, found.groups())
    assert points >= 90
    assert met >= 0.9 * points
    assert ended.stdout.count(" of 34 tables equal") == 2, ended.stdout
