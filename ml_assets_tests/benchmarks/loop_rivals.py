"""What other policies of retraining would have lost on a world: never, fixed schedules, and drift detectors.

Runs in an environment of its own (`make bench` makes it): River's ADWIN (Bifet and Gavaldà, 2007) and DDM (Gama et al.,
2004) stand for detectors that are fed each outcome as it becomes known. All policies fit the same logistic regression,
standardised, and score each day by the newest model that had been fitted before it, on outcomes known by then.

    python loop_rivals.py WORLD.npz FIRST_DAY DELAY_DAYS < nothing > losses.json

WORLD.npz holds `day`, `readings` and `label`, a row a thing; the answer holds, by policy, the mean log loss of the days
from FIRST_DAY on, how often it was fitted, and the losses by day.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

LEAST_ROWS = 200


class World:
    """Days of a world; `known(day)` are the days whose outcomes are there before `day` is scored."""

    def __init__(self, path: str, delay: int) -> None:
        drawn = np.load(path)
        self.day, self.readings, self.label = drawn["day"], drawn["readings"], drawn["label"]
        self.delay, self.last = delay, int(self.day.max())
        self.starts = np.searchsorted(self.day, np.arange(self.last + 2))

    def rows(self, first: int, last: int) -> slice:
        """Rows of the days first to last, without the last."""
        return slice(self.starts[max(0, first)], self.starts[max(0, last)])

    def known(self, day: int) -> int:
        """The first day whose outcomes are not known when `day` is scored."""
        return day - self.delay


def fit(world: World, first: int, last: int) -> Callable[[np.ndarray], np.ndarray] | None:
    rows = world.rows(first, last)
    label = world.label[rows]
    if label.size < LEAST_ROWS or label.min() == label.max():
        return None
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)).fit(world.readings[rows], label)
    return lambda readings: model.predict_proba(readings)[:, 1]


def losses_of(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    score = np.clip(score, 1e-9, 1 - 1e-9)
    return -(label * np.log(score) + (1 - label) * np.log(1 - score))


def on_schedule(world: World, begins: int, every: int | None, newest: int | None) -> dict[str, object]:
    """Fit every so many days (None: once) on all that is known, or on its newest days."""
    model, fits, by_day = None, 0, []
    for day in range(begins, world.last + 1):
        if model is None or (every is not None and (day - begins) % every == 0):
            known = world.known(day)
            again = fit(world, 0 if newest is None else known - newest, known)
            fits += again is not None
            model = again or model
        rows = world.rows(day, day + 1)
        by_day.append(float(losses_of(world.label[rows], model(world.readings[rows])).mean()))
    return {"mean": float(np.mean(by_day)), "fits": fits, "by_day": by_day}


def on_detection(world: World, begins: int, make: Callable[[], object], *, is_error: bool) -> dict[str, object]:
    """Fit when a detector that is fed each known outcome sees a change, on the days since it was last warned or cut."""
    model, detector = fit(world, 0, world.known(begins)), make()
    fits, by_day, scored, since, wants = 1, [], {}, None, False
    for day in range(begins, world.last + 1):
        known = world.known(day) - 1  # the outcomes that became known since yesterday
        if known in scored:
            rows = world.rows(known, known + 1)
            label, score = world.label[rows], scored.pop(known)
            values = (score > 0.5) != (label > 0.5) if is_error else losses_of(label, score)
            for value in values:
                detector.update(bool(value) if is_error else float(value))
                if getattr(detector, "warning_detected", False) and since is None:
                    since = known
                if detector.drift_detected:
                    rows_kept = int(getattr(detector, "width", 0))
                    since = known if rows_kept <= 0 else known - int(rows_kept / max(1, label.size))
                    wants = True
        if wants:
            again = fit(world, since or 0, world.known(day))
            if again is not None:
                model, detector, wants, since, fits = again, make(), False, None, fits + 1
        rows = world.rows(day, day + 1)
        scored[day] = model(world.readings[rows])
        by_day.append(float(losses_of(world.label[rows], scored[day]).mean()))
    return {"mean": float(np.mean(by_day)), "fits": fits, "by_day": by_day}


def main() -> None:
    from river import drift  # only .venv-bench has it

    path, begins, delay = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    world = World(path, delay)
    found = {"never": on_schedule(world, begins, None, None)}
    for every in (7, 28, 84):
        for newest in (None, 28, 84):
            named = f"every {every} days on {'all' if newest is None else f'the newest {newest}'}"
            found[named] = on_schedule(world, begins, every, newest)
    found["ADWIN"] = on_detection(world, begins, drift.ADWIN, is_error=False)
    found["DDM"] = on_detection(world, begins, drift.binary.DDM, is_error=True)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
