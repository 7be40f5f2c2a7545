"""Executes a run and kills its own process right after one of its commits to the lake.

In: the folder of a life, the id of the run, the moment of the life, and after how many commits. A run that makes fewer
ends as usual.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

from ml_assets.stores.lake import Lake
from ml_assets_tests.life.machine import Machine
from ml_assets_tests.life.time_machine import LifeClock, clock_injected


def main(folder: str, run_id: str, moment: str, commits: str) -> None:
    """Run it."""
    clock = LifeClock(datetime.fromisoformat(moment))
    left = int(commits)
    write = Lake._write

    def write_and_die(lake: Lake, *args: Any, **options: Any) -> int:
        nonlocal left
        version = write(lake, *args, **options)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return version

    machine = Machine(Path(folder), clock)
    with clock_injected(clock), mock.patch.object(Lake, "_write", write_and_die):
        machine.start()
        machine.launcher.launched.append(run_id)
        machine.execute(run_id)
        machine.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
