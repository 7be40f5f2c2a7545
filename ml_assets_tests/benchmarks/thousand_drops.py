"""A thousand small daily drops that landed at once: minutes and memory of `ml-assets batch`, and what the sensor asks for.

    python -m ml_assets_tests.benchmarks.thousand_drops [--drops 1000] [--step 100]

The use case is late_loans with a daily calendar: ten applications and ten repayments a drop.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from ml_assets.pipeline.ingestion.ready_drops import ReadyRange, find_ready_drops
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.drop import day_of_key
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import DATA_VARIABLE, StatePaths
from ml_assets.stores.project import PROJECT_VARIABLE

_DECLARED = Path(__file__).parents[1] / "second_use_case" / "late_loans"
_START = date(2022, 1, 4)
_A_DROP = 10
_BRANCHES = ("Pune", "Nagpur", "Surat", "Mysuru", "Kochi", "Indore", "Guntur", "Salem")
_COMMAND = "from ml_assets.cli.process import main; main()"


def declare(defs: Path, drops: int) -> None:
    """Copy the declaration, with a calendar of so many days."""
    shutil.copytree(_DECLARED, defs / "late_loans")
    file = defs / "late_loans" / "defs.yaml"
    text = file.read_text(encoding="utf-8")
    text = text.replace("start: 2022-01-09", f"start: {_START}").replace("every: 7d", "every: 1d")
    file.write_text(text.replace("end: 2024-02-04", f"end: {_START + timedelta(days=drops - 1)}"), encoding="utf-8")


def land(landing: Path, drops: int) -> None:
    """Land every drop: loans applied for the day before, and how those of 30 days earlier stood."""
    for number in range(drops):
        drop = _START + timedelta(days=number)
        folder = landing / drop.isoformat()
        folder.mkdir(parents=True)
        day = drop - timedelta(days=1)
        asked = [
            "loan_id,applied_at,customer_id,branch,product,amount_inr,tenure_weeks,monthly_income_inr,bureau_score"
        ]
        stood = ["loan_id,branch,checked_at,days_late"]
        for row in range(_A_DROP):
            branch, at = _BRANCHES[row % len(_BRANCHES)], f"{day} {9 + row}:15:00"
            asked.append(
                f"L{number * _A_DROP + row:06},{at},C{row:05},{branch},crop,{9000 + 100 * row},26,15000,{650 + row}"
            )
            if number >= 30:
                late = 20 if (number + row) % 7 == 0 else 2
                stood.append(f"L{(number - 30) * _A_DROP + row:06},{branch},{at},{late}")
        (folder / "applications.csv").write_text("\n".join(asked) + "\n", encoding="utf-8")
        (folder / "repayments.csv").write_text("\n".join(stood) + "\n", encoding="utf-8")


def asked_by_sensor(defs: Path, paths: StatePaths) -> list[ReadyRange]:
    """Give the ranges that the landing sensor asks for, one after another, as if each was run at once."""
    spec, found = load_use_case(defs / "late_loans"), list[ReadyRange]()
    lake = Lake(paths.lake / spec.name)
    now = datetime.now(UTC)  # noqa: TID251 - whatever has landed by the time it is run
    while isinstance(ready := find_ready_drops(spec, paths, now=now, is_patient=False), ReadyRange):
        found.append(ready)
        drops = spec.calendar.drops_between(ready.first, ready.last)
        lake.replace_drops("decisions", pa.table({"batch_date": drops, "action": ["nothing"] * len(drops)}), drops)
    return found


def main() -> None:
    """Land, run, and print minutes and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drops", type=int, default=1000)
    parser.add_argument("--step", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        defs, paths, other = (
            Path(folder) / "defs",
            StatePaths(Path(folder) / "state"),
            StatePaths(Path(folder) / "other"),
        )
        declare(defs, asked.drops)
        land(paths.landing / "late_loans", asked.drops)
        shutil.copytree(paths.landing, other.landing)
        begun = time.monotonic()
        ranges = asked_by_sensor(defs, other)
        in_order = all(day_of_key(a.last) + timedelta(days=1) == b.first for a, b in pairwise(ranges))
        sys.stdout.write(f"the sensor asks for {len(ranges)} ranges, in order: {in_order}; "
                         f"{time.monotonic() - begun:.1f} s to find them\n")  # fmt: skip
        last = _START + timedelta(days=asked.drops - 1)
        command = [sys.executable, "-c", _COMMAND, "batch", "late_loans", "--from", str(_START), "--to",
                   str(last), "--step", str(asked.step)]  # fmt: skip
        begun = time.monotonic()
        ended = subprocess.run(
            command, env=os.environ | {DATA_VARIABLE: str(paths.root), PROJECT_VARIABLE: str(defs.parent)}, check=False
        )
        minutes, peak = (time.monotonic() - begun) / 60, resource.getrusage(resource.RUSAGE_CHILDREN)
        sys.stdout.write(f"{asked.drops} drops, {asked.step} a run: exit {ended.returncode}, {minutes:.1f} min "
                         f"({(peak.ru_utime + peak.ru_stime) / 60:.1f} min of processor time), "
                         f"{peak.ru_maxrss / 1024:.0f} MB at most\n")  # fmt: skip


if __name__ == "__main__":
    main()
