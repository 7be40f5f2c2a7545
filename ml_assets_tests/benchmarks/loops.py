"""Worlds whose truth is known, each a use case made by `new` with its defaults, run for a year without Dagster.

How soon is a change noticed, how many retrainings does it take, and is serving better for them? Each world is two files
(things to predict, outcomes), landed as a past and run in steps of a week (`--step` days): batch, then a retraining where
the newest decision asks for one. Served scores are held against the first champion, never retrained; against a logistic regression
that was given 80 drops of the newest truth; and against other policies (loop_rivals.py): fixed schedules, ADWIN and DDM.

    python -m ml_assets_tests.benchmarks.loops --folder FOLDER [--worlds sudden,stationary] [--seeds 1,2,3] [--jobs 2]
    python -m ml_assets_tests.benchmarks.loops --folder FOLDER --page docs/loop.md   # of what is there, nothing is run

The rivals need `.venv-bench`, which `make bench-tools` makes; without it they are left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.cli.declare.new import begin_use_case
from ml_assets.cli.declare.new_facts import Decided
from ml_assets.cli.operate.history import HistoryOptions, run_history
from ml_assets.pipeline.monitoring.incidents import reconcile_incidents
from ml_assets.pipeline.monitoring.newest_decision import newest_decision
from ml_assets.pipeline.runs.batch import BatchContext, run_batch_steps
from ml_assets.pipeline.runs.retraining import RetrainingContext, run_retraining_steps
from ml_assets.pipeline.runs.steps import StepsStoppedError
from ml_assets.pipeline.training.retraining import Retraining
from ml_assets.spec.drop import day_of_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.decided import decide
from ml_assets_tests.rehearsal import REPOSITORY

FloatArray = NDArray[np.float64]
START = date(2024, 1, 1)
DAYS, CHANGE = 330, 180  # drops of a world, and the one in which it changes
BEFORE = np.array([1.2, -0.8, 0.6, 0.0])
AFTER = np.array([-1.0, 0.4, 0.6, 1.0])
COLUMNS = ("reading_a", "reading_b", "reading_c", "reading_d")


@dataclass(frozen=True)
class World:
    """A made-up past.

    Attributes
    ----------
    rows
        Things a day.
    base
        Log odds of a positive where all readings are zero, by day.
    weights
        What each reading adds, by day; shape (4,).
    readings
        The readings of a day's things, from standard normal ones of shape (rows, 4).
    delay_days
        Days until an outcome is known.
    changes_at
        The first day of a change; None where nothing changes.
    """

    name: str
    rows: int = 100
    base: Callable[[int], float] = lambda _: -1.0
    weights: Callable[[int], FloatArray] = lambda _: BEFORE
    readings: Callable[[int, FloatArray], FloatArray] = lambda _, drawn: drawn
    delay_days: int = 2
    changes_at: int | None = None
    is_concept: bool = False


def _sudden(day: int) -> FloatArray:
    return AFTER if day >= CHANGE else BEFORE


def _gradual(day: int) -> FloatArray:
    share = min(1.0, max(0.0, (day - CHANGE) / 60))
    return (1 - share) * BEFORE + share * AFTER


def _recurring(day: int) -> FloatArray:
    return AFTER if day >= CHANGE and (day - CHANGE) // 60 % 2 == 0 else BEFORE


def _constant_then_varies(day: int, drawn: FloatArray) -> FloatArray:
    found = drawn.copy()
    found[:, 3] = drawn[:, 3] if day >= CHANGE else 0.0
    return found


def _moved(column: int, by: float) -> Callable[[int, FloatArray], FloatArray]:
    def move(day: int, drawn: FloatArray) -> FloatArray:
        found = drawn.copy()
        found[:, column] += by if day >= CHANGE else 0.0
        return found

    return move


def _other_unit(day: int, drawn: FloatArray) -> FloatArray:
    found = drawn + 5
    found[:, 0] *= 2.54 if day >= CHANGE else 1.0
    return found


WORLDS = (
    World("stationary"),
    World("stationary_small", rows=40),
    World("stationary_large", rows=600),
    World("stationary_rare", rows=400, base=lambda _: -5.9),
    World("sudden", weights=_sudden, changes_at=CHANGE, is_concept=True),
    World("sudden_small", rows=40, weights=_sudden, changes_at=CHANGE, is_concept=True),
    World("sudden_late_labels", delay_days=14, weights=_sudden, changes_at=CHANGE, is_concept=True),
    World("gradual", weights=_gradual, changes_at=CHANGE, is_concept=True),
    World("recurring", weights=_recurring, changes_at=CHANGE, is_concept=True),
    World("base_rate", base=lambda day: -0.2 if day >= CHANGE else -1.0, changes_at=CHANGE),
    World("covariate_hurts", readings=_moved(3, 2.0), changes_at=CHANGE,
          weights=lambda day: np.array([1.2, -0.8, 0.6, 0.5 if day >= CHANGE else 0.0])),
    World("covariate_harmless", readings=_moved(3, 1.0), changes_at=CHANGE),
    World("constant_varies", readings=_constant_then_varies, weights=lambda _: np.array([1.2, -0.8, 0.6, 1.0]),
          changes_at=CHANGE),
    World("unit_change", readings=_other_unit, weights=lambda _: np.array([0.4, -0.3, 0.2, 0.0]), changes_at=CHANGE),
    World("seasonal", base=lambda day: -1.0 + 0.7 * float(np.sin(2 * np.pi * day / 182))),
)  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """What a world gave, a row a thing: its day, its readings and its outcome."""

    day: NDArray[np.int64]
    readings: FloatArray
    label: FloatArray


def draw_world(world: World, seed: int, days: range) -> Drawn:
    """Draw the things of `days`; the same seed gives the same things."""
    rng = np.random.default_rng([seed, days.start])
    parts: list[tuple[FloatArray, FloatArray]] = []
    for day in days:
        readings = world.readings(day, rng.normal(size=(world.rows, len(COLUMNS))))
        odds = world.base(day) + (readings - (5 if world.name == "unit_change" else 0)) @ world.weights(day)
        label = (rng.random(world.rows) < 1 / (1 + np.exp(-odds))).astype(float)
        parts.append((readings, label))
    return Drawn(
        np.repeat(np.arange(days.start, days.stop), world.rows),
        np.concatenate([readings for readings, _ in parts]),
        np.concatenate([label for _, label in parts]),
    )


def write_world(world: World, drawn: Drawn, folder: Path) -> tuple[Path, Path]:
    """Write the things and the outcomes as files."""
    folder.mkdir(parents=True, exist_ok=True)
    things, outcomes = folder / "things.csv", folder / "outcomes.csv"
    with things.open("w", newline="") as one, outcomes.open("w", newline="") as other:
        thing, outcome = csv.writer(one), csv.writer(other)
        thing.writerow(["thing_id", "asked_at", "site", *COLUMNS])
        outcome.writerow(["thing_id", "site", "closed_at", "went_wrong"])
        for place, day in enumerate(drawn.day):
            minute = int(1439 * (place % world.rows) / world.rows)
            asked = datetime(START.year, START.month, START.day) + timedelta(days=int(day), minutes=minute)  # noqa: DTZ001
            name, site = f"T{place:07}", "NESW"[place % 4]
            thing.writerow([name, asked, site, *(f"{value:.4f}" for value in drawn.readings[place])])
            known = asked + timedelta(days=world.delay_days, minutes=-1)
            outcome.writerow([name, site, known, int(drawn.label[place])])
    return things, outcomes


def declare_world(world: World, files: tuple[Path, Path], folder: Path) -> UseCaseSpec:
    """Declare the use case with `new`, and decide what only a person can know."""
    name, defs = world.name, folder / "defs"
    defs.mkdir(parents=True, exist_ok=True)
    begin_use_case(defs, name, [str(file) for file in files], Decided("1d", "00:00", "UTC"), date(2025, 12, 1))
    known_at = {"things": "asked_at", "outcomes": "closed_at"}
    return decide(defs / name, known_at, "went_wrong", f"{world.delay_days + 1}d")


def run_world(world: World, seed: int, folder: Path, tell: Callable[[str], None], step_days: int = 7) -> dict[str, Any]:
    """Run a world from its first drop to its last; give its figures."""
    begun = time.perf_counter()
    drawn = draw_world(world, seed, range(DAYS))
    spec = declare_world(world, write_world(world, drawn, folder), folder)
    paths = StatePaths(folder / "state")
    state = UseCaseState(spec.name, paths)
    past = [f"things={folder / 'things.csv'}", f"outcomes={folder / 'outcomes.csv'}"]
    run_history(spec, paths, HistoryOptions(past), datetime(2025, 12, 1, tzinfo=UTC))
    last = START + timedelta(days=DAYS)
    drops = spec.calendar.drops_between(spec.calendar.start, min(last, spec.calendar.end or last))
    retrained: list[dict[str, Any]] = []
    for first in range(0, len(drops), step_days):
        step = drops[first : first + step_days]
        now = datetime.combine(day_of_key(step[-1]), datetime.min.time(), UTC)
        run_batch_steps(spec, state, step, BatchContext(now))
        reconcile_incidents(spec, paths, [], [], now)
        decision = newest_decision(spec, paths)
        if decision is not None and decision["action"] == "retrain" and not decision["is_judged"]:
            context = RetrainingContext(now, asked_by=decision["trigger"])
            try:
                run_retraining_steps(spec, state, Retraining(as_of=str(step[-1])), context)
                row = max(read_rows(state.lake, "champion", None), key=lambda each: each["sequence"])
                why = [reason["code"] for reason in row["reasons"] or [] if not reason["passed"]]
                verdict = row["verdict"]
            except StepsStoppedError as error:
                verdict, why = "stopped", [str(error)]
            day = (day_of_key(step[-1]) - START).days
            retrained.append({"day": day, "trigger": decision["trigger"], "verdict": verdict, "why": why})
            tell(f"{world.name} day {day}: {decision['reason']} -> {verdict} {why}")
    seconds = round(time.perf_counter() - begun)
    np.savez(folder / "world.npz", day=drawn.day, readings=drawn.readings, label=drawn.label)
    return measure_world(world, seed, drawn, state, folder) | {
        "seed": seed,
        "retrainings": retrained,
        "step": step_days,
        "seconds": seconds,
    }


def measure_world(world: World, seed: int, drawn: Drawn, state: UseCaseState, folder: Path) -> dict[str, Any]:
    """Measure what was served, what would have been without retraining, and what was noticed."""
    served = _losses(drawn, read_rows(state.lake, "predictions", ["example_id", "score"]))
    shadow = read_rows(state.lake, "shadow_predictions", ["example_id", "score", "role"])
    never = _losses(drawn, [row for row in shadow if row["role"] == "first_champion"])
    both = np.isfinite(served) & np.isfinite(never)
    verdicts = read_rows(state.lake, "performance_verdicts", None)
    failed = sorted((row["batch_date"] - START).days for row in verdicts if row["state"] == "failed")
    changed = world.changes_at
    found: dict[str, Any] = {
        "world": world.name,
        "loss_served": _mean(served),
        "loss_never": _mean(never),
        "worst_60_against_never": _worst_stretch(served, never, both, drawn.day),
        "failed_before_change": len([day for day in failed if changed is None or day < changed]),
        "noticed_after": _first_new(failed, changed),
    }
    ideal = _ideal_losses(world, seed, drawn)
    if changed is not None:
        found["recovered_after"] = _recovered_after(served, ideal, drawn.day, changed)
    begins = int(drawn.day[np.isfinite(served)].min()) if np.isfinite(served).any() else None
    found["incidents"] = _incidents(world, state)
    found["rivals"] = {} if begins is None else _rivals(world, drawn, served, begins, folder)
    drift = read_rows(state.lake, "drift_report", ["batch_date", "state", "column_name", "family"])
    alarms = [row for row in drift if row["state"] == "alarm" and row["family"] == "training"]
    days = sorted({(row["batch_date"] - START).days for row in alarms})
    found["drift_days_before"] = len([day for day in days if changed is None or day < changed])
    found["drift_after"] = next((day - changed for day in days if changed is not None and day >= changed), None)
    return found


def _first_new(failed: list[int], changed: int | None) -> int | None:
    """Give the days from a change to the first failed verdict that does not go on from before it."""
    if changed is None:
        return None
    return next((day - changed for day in failed if day >= changed and (day == changed or day - 1 not in failed)), None)


def _incidents(world: World, state: UseCaseState) -> list[dict[str, Any]]:
    """List the incidents that people would have been told, by the day they opened in; verdicts are none."""
    return [
        {"day": (date.fromisoformat(each.opened_at[:10]) - START).days, "kind": each.kind, "message": each.message,
         "is_false": world.changes_at is None or date.fromisoformat(each.opened_at[:10]) < START
         + timedelta(days=world.changes_at)}
        for each in AlertOutbox(state.paths).incidents(world.name)
        if not each.is_event
    ]  # fmt: skip


def _recovered_after(served: FloatArray, ideal: FloatArray, day: NDArray[np.int64], changed: int) -> int | None:
    """Give the drops from the change until twenty drops in a row cost at most 5 % more than the ideal's."""
    for first in range(changed, DAYS - 20):
        part = (day >= first) & (day < first + 20) & np.isfinite(served)
        if part.any() and served[part].mean() <= 1.05 * ideal[part].mean():
            return first - changed
    return None


def _rivals(world: World, drawn: Drawn, served: FloatArray, begins: int, folder: Path) -> dict[str, Any]:
    """Give what other policies lose on the days that were served, relative to what was served; and how often they fit."""
    python = REPOSITORY / ".venv-bench" / "bin" / "python"
    if not python.exists():
        return {}
    script = Path(__file__).with_name("loop_rivals.py")
    asked = [str(python), str(script), str(folder / "world.npz"), str(begins), str(world.delay_days)]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    days = np.arange(begins, int(drawn.day.max()) + 1)
    by_day = np.array([np.nanmean(served[drawn.day == day]) if np.isfinite(served[drawn.day == day]).any() else np.nan
                       for day in days])  # fmt: skip
    known = np.isfinite(by_day)
    return {
        name: {"mean": float(np.array(policy["by_day"])[known].mean()), "fits": policy["fits"],
               "served_over_it": float(by_day[known].mean() / np.array(policy["by_day"])[known].mean() - 1)}
        for name, policy in json.loads(said).items()
    }  # fmt: skip


def _losses(drawn: Drawn, rows: list[dict[str, Any]]) -> FloatArray:
    found = np.full(drawn.label.size, np.nan)
    places = np.array([int(row["example_id"].removeprefix("T")) for row in rows], dtype=np.int64)
    scores = np.clip([row["score"] for row in rows], 1e-9, 1 - 1e-9)
    if places.size:
        label = drawn.label[places]
        found[places] = -(label * np.log(scores) + (1 - label) * np.log(1 - scores))
    return found


def _ideal_losses(world: World, seed: int, drawn: Drawn) -> FloatArray:
    """Losses of a logistic regression that was given 80 drops of the newest truth, and of no other."""
    from sklearn.linear_model import LogisticRegression

    newest = draw_world(world, seed + 1000, range(DAYS - 80, DAYS))
    model = LogisticRegression(C=1.0, max_iter=1000).fit(newest.readings, newest.label)
    score = np.clip(model.predict_proba(drawn.readings)[:, 1], 1e-9, 1 - 1e-9)
    return -(drawn.label * np.log(score) + (1 - drawn.label) * np.log(1 - score))


def _worst_stretch(served: FloatArray, never: FloatArray, both: NDArray[np.bool_], day: NDArray[np.int64]) -> float:
    days = np.unique(day[both])
    stretches = [
        float(served[both & (day >= first) & (day < first + 60)].mean()
              / never[both & (day >= first) & (day < first + 60)].mean() - 1)
        for first in days[: max(1, days.size - 59) : 5]
    ]  # fmt: skip
    return max(stretches, default=float("nan"))


def _mean(values: FloatArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _say(message: str) -> None:
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


def write_page(found: Sequence[dict[str, Any]], page: Path) -> None:
    """Write what was found as a page, a row a world and seed."""
    heads = ["world", "seed", "step", "noticed after", "drift after", "recovered after", "incidents before", "retrainings (promoted)",
             "against never", "worst 60 drops against never", "against the best schedule", "against ADWIN",
             "against DDM"]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    regrets: list[float] = []
    for row in sorted(found, key=lambda row: (_place(row["world"]), row["seed"])):
        rivals = row["rivals"]
        schedules = {name: each for name, each in rivals.items() if name.startswith("every")}
        best = min(schedules.values(), key=lambda each: each["mean"], default=None)
        false = sum(each["is_false"] for each in row["incidents"])
        promoted = sum(each["verdict"] == "promoted" for each in row["retrainings"])
        over = [best, rivals.get("ADWIN"), rivals.get("DDM")]
        never = row["loss_served"] / row["loss_never"] - 1 if row["loss_never"] else None
        cells = [
            row["world"], row["seed"], row.get("step", 7), _drops(row.get("noticed_after")), _drops(row.get("drift_after")),
            _drops(row.get("recovered_after")), false,
            f"{len(row['retrainings'])} ({promoted})", _percent(never), _percent(row["worst_60_against_never"]),
            *(_percent(each and each["served_over_it"]) for each in over),
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
        regrets += [best["served_over_it"]] if best else []
    left = [world.name for world in WORLDS if world.name not in {row["world"] for row in found}]
    lines += ["", f"Against the best schedule, mean of {len(regrets)} worlds: {_percent(float(np.mean(regrets)))}." if regrets
              else "Rivals were left out.", "", f"Not run: {', '.join(left) or 'none'}."]  # fmt: skip
    page.write_text(_PAGE.format(table="\n".join(lines), days=DAYS, change=CHANGE))


def _place(name: str) -> int:
    return [world.name for world in WORLDS].index(name)


def _drops(value: int | None) -> str:
    return "" if value is None else str(value)


def _percent(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:+.1%}"


_PAGE = """# The loop: noticed, retrained, recovered

Made by `python -m ml_assets_tests.benchmarks.loops`: worlds whose truth is known, each a use case made by `ml-assets new`
with its defaults, {days} drops, the change (if there is one) in drop {change}. A *step* of so many drops is one batch, then
a retraining where the newest decision asks for one; the sensors of a daily use case work in steps of one.

- *noticed after*: drops from the change to the first `performance_verdicts` that failed; *drift after*: to the first alarm
  of a feature or the score against the champion's training rows.
- *recovered after*: drops from the change until twenty drops in a row cost at most 5 % more log loss than a model that was
  given 80 drops of the new truth alone.
- *incidents before*: incidents told before the change, or at all where nothing changes.
- *against* another policy: the mean log loss of what was served, relative to that policy's on the same days; above zero
  it would have been better. Schedules retrain every 7, 28 or 84 days on all, or the newest 28 or 84 days; the best of them
  is picked in hindsight; they act daily. ADWIN and DDM are River's, with their defaults,
  fed with each outcome as it becomes known. All rivals fit the kind of model that made the worlds, which the candidates of a use case first has to find.

{table}
"""


def _run_one(name: str, seed: int, folder: Path, step_days: int) -> dict[str, Any]:
    world = {world.name: world for world in WORLDS}[name]
    made = folder / f"{name}_{seed}"
    found = run_world(world, seed, made, _say, step_days)
    (made / "found.json").write_text(json.dumps(found, indent=1, default=str))
    return found


def main() -> None:
    """Run the worlds that are asked for, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="a folder for states and results")
    parser.add_argument("--worlds", default="", help="names, with commas; all by default")
    parser.add_argument("--seeds", default="1", help="numbers, with commas")
    parser.add_argument("--step", type=int, default=7, help="drops of a step: a batch, then a retraining if asked for")
    parser.add_argument("--jobs", type=int, default=1, help="worlds side by side")
    parser.add_argument("--page", type=Path, help="write the page of what the folder holds, and run nothing")
    asked = parser.parse_args()
    if asked.page is not None:
        write_page([json.loads(path.read_text()) for path in asked.folder.glob("*/found.json")], asked.page)
        return
    logging.getLogger("alembic").setLevel(logging.WARNING)
    names = [name for name in asked.worlds.split(",") if name] or [world.name for world in WORLDS]
    with ProcessPoolExecutor(asked.jobs) as pool:
        runs = [
            pool.submit(_run_one, name, int(seed), asked.folder, asked.step)
            for seed in asked.seeds.split(",")
            for name in names
        ]
        for run in runs:
            _say(json.dumps(run.result(), default=str))


if __name__ == "__main__":
    main()
