"""What one drop costs: `ml-assets batch` of a single drop as a whole process, after many others and a retraining.

    python -m ml_assets_tests.benchmarks.drop_cost [--after 180] [--repeats 5] [--state DIR]

The state is made once: so many drops of the flagship by `batch`, then `retrain`. Each repeat runs the drop after them on
a copy of it. The first run after a promotion learns what the champion was trained on and is printed apart. A small use
case, late_loans with about 50 rows a drop, follows after 43 drops. `--state` takes a state of the flagship instead,
such as a replay left, and runs the drop after its newest one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ml_assets.stores.paths import DATA_VARIABLE
from ml_assets.stores.project import PROJECT_VARIABLE
from ml_assets_tests.second_use_case.generate import write_past

_LOANS = Path(__file__).parents[1] / "second_use_case" / "late_loans"
_COMMAND = "from ml_assets.cli.process import main; main()"


@dataclass(frozen=True)
class Cost:
    """Processor seconds and peak memory, in MB, of one process."""

    cpu_s: float
    peak_mb: float


def run(root: Path, defs: Path | None, *arguments: str) -> Cost:
    """Run a command on the state below `root`, and give what it cost."""
    command = [sys.executable, "-c", _COMMAND, *arguments]
    environment = os.environ | {DATA_VARIABLE: str(root)} | ({PROJECT_VARIABLE: str(defs.parent)} if defs else {})
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        said = process.stderr.read() if process.stderr is not None else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: exit {process.returncode}: {said.decode()[-2000:]}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measure(state: Path, defs: Path | None, use_case: str, drop: date, repeats: int) -> tuple[Cost, list[Cost]]:
    """Run `drop` on copies of `state`; give the first run after the promotion, and the repeats."""
    batch = ("batch", use_case, "--from", str(drop), "--to", str(drop))
    shutil.rmtree(state / "kept", ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        learned = Path(folder) / "learned"
        shutil.copytree(state, learned)
        first, found = run(learned, defs, *batch), list[Cost]()
        shutil.copytree(learned / "kept", state / "kept")
        for packed in (learned / "lake").rglob("_rows.arrow"):
            shutil.copy(packed, state / packed.relative_to(learned))
        for repeat in range(repeats):
            copied = Path(folder) / str(repeat)
            shutil.copytree(state, copied)
            for looked in (copied / "received" / ".looked").glob("*"):
                looked.touch()  # a copy is a new file: else all that ever landed is hashed again
            found.append(run(copied, defs, *batch))
            shutil.rmtree(copied)
    return first, found


def show(name: str, first: Cost, found: list[Cost]) -> None:
    """Print medians."""
    cpu, peak = (statistics.median(values) for values in zip(*((c.cpu_s, c.peak_mb) for c in found), strict=True))
    spread = f"{min(c.cpu_s for c in found):.1f} to {max(c.cpu_s for c in found):.1f}"
    sys.stdout.write(
        f"{name}: {cpu:.1f} s of processor time ({spread}), {peak:,.0f} MB; the first after a promotion "
        f"{first.cpu_s:.1f} s, {first.peak_mb:,.0f} MB\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Make the states, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--after", type=int, default=180)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--state", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "flights"
        begin = date(2013, 1, 1)
        if asked.state is not None:
            shutil.copytree(asked.state, root)
            drops = [
                path.name.partition("=")[2] for path in (root / "lake/flight_delays/decisions").glob("batch_date=*")
            ]
            last = date.fromisoformat(max(drops))
        else:
            last = begin + timedelta(days=asked.after - 1)
            run(root, None, "land", "flight_delays", "--from", str(begin), "--to", str(last + timedelta(days=1)))
            run(root, None, "batch", "flight_delays", "--from", str(begin), "--to", str(last))
            run(root, None, "retrain", "flight_delays", "--as-of", str(last))
        after = (last - begin).days + 1
        show(f"flight_delays, drop {after + 1}", *measure(root, None, "flight_delays", last + timedelta(days=1),
                                                         asked.repeats))  # fmt: skip
        if asked.state is not None:
            return
        defs, root = Path(folder) / "defs", Path(folder) / "loans"
        shutil.copytree(_LOANS, defs / "late_loans")
        files = dict(zip(("applications", "repayments"), write_past(Path(folder)), strict=True))
        landed = [word for name, path in files.items() for word in ("--history", f"{name}={path}")]
        run(root, defs, "land", "late_loans", *landed)
        run(root, defs, "batch", "late_loans", "--from", "2022-01-09", "--to", "2022-11-06")
        run(root, defs, "retrain", "late_loans", "--as-of", "2022-11-06")
        show("late_loans, drop 45", *measure(root, defs, "late_loans", date(2022, 11, 13), asked.repeats))


if __name__ == "__main__":
    main()
