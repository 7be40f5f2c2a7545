"""What a retraining costs beside the fits it has to make.

    python -m ml_assets_tests.benchmarks.retraining_cost --state DIR --as-of 2013-11-30 [--repeats 1]

Runs the steps of a retraining of the flagship on copies of a state, such as a replay left. Each fit is timed by the
processor time of its own thread: one thread a fit. Printed are the seconds of the wall, the seconds of all fits divided
by the cores they share, and their ratio.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from ml_assets.graph import clock
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.declaration import load_use_case
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.telemetry import switch_off_telemetry
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training import candidate, objectives
from ml_assets_tests.rehearsal import DEFS_FOLDER


class _Clock:
    """Adds up the processor seconds of fits, whatever thread they run in."""

    def __init__(self) -> None:
        self.seconds, self.n, self._lock = 0.0, 0, threading.Lock()

    def timed(self, fit: Callable[..., Any]) -> Callable[..., Any]:
        def work(*arguments: Any, **named: Any) -> Any:
            begun = time.thread_time()
            try:
                return fit(*arguments, **named)
            finally:
                with self._lock:
                    self.seconds += time.thread_time() - begun
                    self.n += 1

        return work


def main() -> None:
    """Retrain and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--as-of", required=True)
    parser.add_argument("--repeats", type=int, default=1)
    asked = parser.parse_args()
    switch_off_telemetry()
    spec = load_use_case(DEFS_FOLDER / "flight_delays")
    for _ in range(asked.repeats):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(asked.state, Path(folder) / "state")
            state, fits = UseCaseState(spec.name, StatePaths(Path(folder) / "state")), _Clock()
            begun, used = time.perf_counter(), time.process_time()
            with (
                mock.patch.object(candidate, "fit_candidate", fits.timed(candidate.fit_candidate)),
                mock.patch.object(objectives, "_fit", fits.timed(objectives._fit)),
            ):
                run_retraining_steps(spec, state, Retraining(as_of=asked.as_of), RetrainingContext(clock.now()))
            wall, cpu = time.perf_counter() - begun, time.process_time() - used
        bare = fits.seconds / spec.model.threads
        sys.stdout.write(
            f"retraining as of {asked.as_of}: {wall:.1f} s ({cpu:.1f} s of processor time); {fits.n} fits of "
            f"{fits.seconds:.1f} s, on {spec.model.threads} cores {bare:.1f} s; ratio {wall / bare:.2f}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
