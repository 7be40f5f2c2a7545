"""Lives a life and prints its events and what became of its promises: see the package."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from statistics import mean

from ml_assets_tests.dates import dates_of
from ml_assets_tests.life.driver import Life
from ml_assets_tests.life.plan import Plan
from ml_assets_tests.life.promises import content_hashes, promises_of
from ml_assets_tests.life.use_case import Setting
from ml_assets_tests.life.world import World

ZONES = {"Asia/Kolkata": "06:00", "Europe/Berlin": "02:30", "America/New_York": "01:30", "UTC": "04:00"}


def main() -> int:
    """Read the arguments, live, and give how many promises were broken."""
    asked = _arguments()
    if asked.folder.exists() and any(asked.folder.iterdir()):
        sys.stderr.write(
            f"--folder: found files in {asked.folder}; allowed: an empty folder, or one that is not there\n"
        )
        return 2
    at = asked.at or ZONES.get(asked.zone, "04:00")
    setting = Setting(asked.start, asked.zone, at, timedelta(days=7 if asked.cadence == "weekly" else 1))
    world = World(setting, asked.seed)
    drops = world.calendar.drops_between(setting.start, setting.start + timedelta(days=asked.days - 1))
    plan = Plan(setting, dates_of(drops), asked.seed, share=asked.troubles, outages_often=asked.outages == "often")
    begun = time.perf_counter()

    def show(life: Life, drop: date) -> None:
        done = drops.index(drop) + 1
        minutes = (time.perf_counter() - begun) / 60
        runs = ", ".join(f"{n} {what}" for what, n in sorted(life.record.runs.items()))
        if done % asked.every == 0 or done == len(drops):
            sys.stdout.write(f"{drop}  {done} of {len(drops)} drops, {minutes:.1f} min; {runs}\n")
            sys.stdout.flush()

    life = Life(asked.folder, world, plan, show)
    asked.folder.mkdir(parents=True, exist_ok=True)
    with (asked.folder / "life.log").open("w", encoding="utf-8") as log, contextlib.redirect_stderr(log):
        record = life.live()
    for title, counted in (("events", record.events), ("runs", record.runs)):
        sys.stdout.write(f"\n{title}\n" + "".join(f"  {n:>6} {what}\n" for what, n in sorted(counted.items())))
    sys.stdout.write("\nCPU seconds, mean of the first twenty and of the last twenty\n")
    for what, spent in sorted(record.seconds.items()):
        sys.stdout.write(f"  {mean(spent[:20]):>6.2f} {mean(spent[-20:]):>6.2f} {what}, {len(spent)} times\n")
    broken = promises_of(life.machine.paths, life.sink, life.good, record)
    sys.stdout.write("\npromises\n")
    for promise, problems in broken.items():
        sys.stdout.write(f"  {'kept  ' if not problems else 'BROKEN'} {promise}\n")
        sys.stdout.write("".join(f"           {problem}\n" for problem in problems[:20]))
    (asked.folder / "content_hashes.json").write_text(json.dumps(content_hashes(life.machine.paths), indent=1))
    sys.stdout.write(f"\nlast retraining {record.last_retraining}; {(time.perf_counter() - begun) / 60:.1f} min\n")
    return sum(map(len, broken.values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ml_assets_tests.life", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder, for all state")
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=date.fromisoformat, default=date(2024, 1, 1))
    parser.add_argument("--zone", default="Asia/Kolkata")
    parser.add_argument("--at", default="", help="local time of the batch; by default one that suits the zone")
    parser.add_argument("--cadence", choices=["daily", "weekly"], default="daily")
    parser.add_argument("--troubles", type=float, default=0.35, help="share of the drops that something goes wrong in")
    parser.add_argument("--outages", choices=["now-and-then", "often"], default="now-and-then",
                        help="often: the machine is off for two or three weeks of each month")  # fmt: skip
    parser.add_argument("--every", type=int, default=10, help="drops between two lines of progress")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
