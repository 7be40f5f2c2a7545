from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ml_assets.stores.paths import project_root


@pytest.mark.slow  # some eighty attempts; with --kills 50 it makes more
def test_killed_replay_ends_as_one_that_nobody_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ml_assets_tests.kills", "--folder", str(tmp_path / "kills")]
    few = ["--kills", "5", "--most", "6"]

    # in a process of its own: it forks, which one that has opened tables before must not
    ended = subprocess.run([*command, *few], cwd=project_root(), capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "random: " in ended.stdout
