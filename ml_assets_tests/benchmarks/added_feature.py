"""A feature added in July: every drop before is computed again, a model trained and served; what was served stays.

    python -m ml_assets_tests.benchmarks.added_feature FOLDER

The flagship is run from January to July 14 in ranges of 31 drops, with a champion as of March 31. Then a copy of its
declaration gets two features, one a window of facts and one an expression. The first drop with them is run, retraining
is refused, the backfill is killed once in the middle of a range (SIGKILL) and run again, a model is trained and serves
the rest of July. FOLDER keeps the state before July 15; each run works on a copy.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import duckdb

import ml_assets
from ml_assets.cli.declare.features import run_features
from ml_assets.cli.operate.backfill import BackfillOptions, run_backfill
from ml_assets.demo.flights import land_flights
from ml_assets.graph.runs.launch import RunOutcome, run_batch, run_retrain
from ml_assets.pipeline.features.versions import sets_of_drops
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.declaration import load_use_case
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.telemetry import switch_off_telemetry
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import DEFS_FOLDER, flagship

USE_CASE, DAY = "flight_delays", timedelta(days=1)
START, TRAINED, ADDED, LAST = date(2013, 1, 1), date(2013, 3, 31), date(2013, 7, 15), date(2013, 7, 31)
STEP = 31
VIEW = """      - name: carrier_dest
        from: flight_outcomes
        entity: [carrier, dest]
        windows: [7d]
        aggregates:
          late_share: mean(arrival_delay_min >= 15)
"""
EXPRESSION = "      - {name: is_far, sql: distance_mi > 1500}\n"
ADDED_FEATURES = ("carrier_dest_late_share_7d", "is_far")


def declared_anew(folder: Path) -> UseCaseSpec:
    """Give the use case with two features more, from a copy of its declaration."""
    copy = folder / "declaration" / USE_CASE
    if not copy.exists():
        shutil.copytree(DEFS_FOLDER / USE_CASE, copy)
        text = (copy / "defs.yaml").read_text()
        text = text.replace("    views:\n", f"    views:\n{VIEW}", 1)
        (copy / "defs.yaml").write_text(text.replace("    expressions:\n", f"    expressions:\n{EXPRESSION}", 1))
    return load_use_case(copy)


def prepared(folder: Path) -> StatePaths:
    """Run up to July 14, unless that was done."""
    paths = StatePaths(folder / "before")
    if not (folder / "prepared").exists():
        shutil.rmtree(paths.root, ignore_errors=True)
        land_flights(paths.landing / USE_CASE, flagship().calendar, START, date(2013, 12, 31))
        first = START
        while first < ADDED:
            last = min(first + (STEP - 1) * DAY, TRAINED if first <= TRAINED else ADDED - DAY)
            with timed(f"batch {first} to {last}"):
                _succeeded(run_batch(flagship(), paths, first, last))
            if last == TRAINED:
                with timed(f"champion as of {TRAINED}"):
                    _succeeded(run_retrain(flagship(), paths, Retraining(TRAINED.isoformat())))
            first = last + DAY
        (folder / "prepared").touch()
    return paths


def _succeeded(outcome: RunOutcome) -> None:
    if not outcome.succeeded:
        raise RuntimeError(f"a run failed: {outcome.failures}")


@contextmanager
def timed(what: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    say(f"| {what} | {time.perf_counter() - begun:.0f} s |")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def content(paths: StatePaths, table: str, *, as_served: bool = False) -> str:
    """Hash what a notebook reads of the drops before the feature was added."""
    frame = ml_assets.read(USE_CASE, table, as_of=ADDED - DAY, as_served=as_served, data=paths)
    frame = frame.sort_values(["batch_date", "example_id"])
    return hashlib.sha256(frame[sorted(frame.columns)].to_csv(index=False).encode()).hexdigest()


def drops_by_set(paths: StatePaths) -> Counter[int]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        return Counter(sets_of_drops(connection, Lake(paths.lake / USE_CASE)).values())


def killed_backfill(folder: Path, paths: StatePaths) -> int:
    """Begin to backfill in another process, and kill it in its third range; give the drops that were done."""
    command = [sys.executable, "-m", "ml_assets_tests.benchmarks.added_feature", str(folder), "--backfill"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and drops_by_set(paths)[2] < 2 * STEP:
        time.sleep(0.2)
    time.sleep(3)
    process.kill()
    process.wait()
    return drops_by_set(paths)[2] - 1


def start_from(before: StatePaths, paths: StatePaths) -> None:
    """Begin with a copy of the state before."""
    shutil.rmtree(paths.root, ignore_errors=True)
    shutil.copytree(before.root, paths.root)


def main(arguments: Sequence[str]) -> None:
    """Print what each step took, and what is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backfill", action="store_true", help=argparse.SUPPRESS)  # the process that is killed
    asked = parser.parse_args(arguments)
    switch_off_telemetry()
    anew, paths = declared_anew(asked.folder), StatePaths(asked.folder / "after")
    if asked.backfill:
        run_backfill(anew, UseCaseState(anew.name, paths), BackfillOptions(START, ADDED, STEP))
        return
    say("| step | took |\n|---|---|")
    start_from(prepared(asked.folder), paths)
    served, predicted = content(paths, "features", as_served=True), content(paths, "predictions")
    with timed(f"first drop with the features, {ADDED}"):
        _succeeded(run_batch(anew, paths, ADDED, ADDED))
    refused = run_retrain(anew, paths, Retraining(ADDED.isoformat()))
    with timed("backfill up to the kill"):
        done = killed_backfill(asked.folder, paths)
    left = drops_by_set(paths)[1]
    with timed(f"backfill of the {left} drops that were left"), contextlib.redirect_stdout(io.StringIO()):
        run_backfill(anew, UseCaseState(anew.name, paths), BackfillOptions(START, ADDED, STEP))
    with timed(f"training as of {ADDED}"):
        _succeeded(run_retrain(anew, paths, Retraining(ADDED.isoformat(), gate="disabled")))
    with timed(f"batch {ADDED + DAY} to {LAST}"):
        _succeeded(run_batch(anew, paths, ADDED + DAY, LAST))
    with timed(f"drops that were served, run again: {ADDED - 14 * DAY} to {ADDED - DAY}"):
        _succeeded(run_batch(anew, paths, ADDED - 14 * DAY, ADDED - DAY))
    said = refused.failures[0][1] if refused.failures else "went through"
    say(f"\n| | |\n|---|---|\n| retraining before the backfill | {said} |\n| drops done when it was killed | {done} |")
    for name, is_so in what_is_so(anew, paths, served, predicted).items():
        say(f"| {name} | {is_so} |")


def what_is_so(spec: UseCaseSpec, paths: StatePaths, served: str, predicted: str) -> dict[str, object]:
    """Say what holds after it all; `served` and `predicted` are the content before."""
    features = ml_assets.read(USE_CASE, "features", data=paths)
    predictions = ml_assets.read(USE_CASE, "predictions", data=paths)
    return {
        "drops by set of features": dict(drops_by_set(paths)),
        "predictions of the drops before are the same": content(paths, "predictions") == predicted,
        "features as served are the same": content(paths, "features", as_served=True) == served,
        "features as they are now differ from them": content(paths, "features") != served,
        "examples without a value of is_far": int(features["is_far"].isna().sum()),
        "`ml-assets features`": listed(spec, paths),
        f"served {LAST} by": sorted(set(predictions[predictions["batch_date"] == str(LAST)]["model_version"])),
    }


def listed(spec: UseCaseSpec, paths: StatePaths) -> str:
    """Give the versions and first drops of the features that were added, and those of all others."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        run_features(spec, UseCaseState(spec.name, paths), as_json=True)
    rows = {row["feature"]: (row["version"], row["first_drop"]) for row in json.loads(printed.getvalue())}
    added = "; ".join(f"{name}: version {rows[name][0]} since {rows[name][1]}" for name in ADDED_FEATURES)
    others = Counter(value for name, value in rows.items() if name not in ADDED_FEATURES)
    return f"{added}; the {sum(others.values())} others: {', '.join(f'version {v} since {d}' for v, d in others)}"


if __name__ == "__main__":
    main(sys.argv[1:])
