from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from ml_assets.stores.write_lock import write_lock

HOLD = """
import sys
from pathlib import Path
from ml_assets.stores.write_lock import write_lock

with write_lock(Path(sys.argv[1]), "stops", on_wait=lambda text: print(text, flush=True)):
    Path(sys.argv[2]).touch()
    print("held", flush=True)
    sys.stdin.readline()
"""


def start(folder: Path, name: str) -> subprocess.Popen[str]:
    """Start a process that takes the lock, makes the file `name` and says so, and holds it until it is sent a line."""
    command = [sys.executable, "-c", HOLD, str(folder), str(folder / name)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_second_process_waits_for_the_first_and_is_told_which_it_is(tmp_path: Path) -> None:
    with start(tmp_path, "first") as first:
        assert says(first) == "held"
        with start(tmp_path, "second") as second:
            assert says(second) == f"another run writes to stops (process {first.pid}); waiting for it"
            time.sleep(0.2)
            assert not (tmp_path / "second").exists()

            first.communicate("\n")
            assert says(second) == "held"
            second.communicate("\n")
    assert (first.returncode, second.returncode) == (0, 0)


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with start(tmp_path, "first") as first:
        assert says(first) == "held"
        first.kill()
    waited: list[str] = []

    with write_lock(tmp_path, "stops", on_wait=waited.append):
        holder = (tmp_path / "stops.lock").read_text(encoding="utf-8")

    assert waited == []
    assert int(holder) != first.pid


def test_locks_of_two_use_cases_do_not_wait_for_each_other(tmp_path: Path) -> None:
    waited: list[str] = []

    with write_lock(tmp_path, "stops"), write_lock(tmp_path, "flights", on_wait=waited.append):
        names = sorted(path.name for path in tmp_path.iterdir())

    assert (waited, names) == ([], ["flights.lock", "stops.lock"])
