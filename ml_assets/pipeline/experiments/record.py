"""The record of experiments: which runs in which drop, with which models and which design.

A design is fixed when an experiment starts: who changes the declaration changes the next one that is started, and moves
no unit of this one. What ends an experiment holds from a drop on, so a range that is run again finds the same arms.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ml_assets.experiments.assignment import Allocation
from ml_assets.spec.drop import LATEST, DropKey
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.tables import with_keys
from ml_assets.spec.tables.experiments import EXPERIMENT_RECORD
from ml_assets.stores.lake import Lake
from ml_assets.stores.rows import read_rows
from ml_assets.stores.table_rows import arrow_rows

ExperimentEvent = Literal["started", "extended", "passed", "aborted", "concluded", "ended"]
BY_ITSELF = "experiment"  # in `decided_by`
LAYER = "models"
CHALLENGER, CHAMPION_ARM = "challenger", "champion"
_OVER = ("aborted", "concluded", "ended")
Row = Mapping[str, Any]


class UnknownExperimentError(LookupError):
    """An experiment that is not declared, or does not run."""


@dataclass(frozen=True)
class RunningExperiment:
    """An experiment as it was started.

    Attributes
    ----------
    after
        It takes the drops after this one.
    design
        What was declared then, with the part of the units that it takes and what was learned of the drops before.
    extended, passed
        Whether it was extended, and whether the challenger has passed.
    """

    name: str
    after: DropKey
    challenger: str
    challenger_sha256: str
    champion: str
    design: Mapping[str, Any]
    extended: bool = False
    passed: bool = False

    @property
    def allocation(self) -> Allocation:
        """Which units it takes, and how it shares them out."""
        share = self.design["share"]
        arms = {CHALLENGER: share, CHAMPION_ARM: 1 - share}
        return Allocation(self.name, LAYER, arms, self.design["first"], self.design["last"])

    @property
    def policy_version(self) -> str:
        """Hash what decides arm and score."""
        return policy_hash([self.name, str(self.after), self.challenger, self.champion, self.design])


def policy_hash(parts: object) -> str:
    """Hash what decides an arm and a score, in twelve hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def read_events(lake: Lake) -> list[dict[str, Any]]:
    """Read every event of every experiment, in the order recorded; none where none was started."""
    return sorted(read_rows(lake, EXPERIMENT_RECORD.name, None), key=lambda row: row["sequence"])


def running_in(events: Iterable[Row], drop: DropKey) -> list[RunningExperiment]:
    """Give the experiments that run in a drop, in the order they were started.

    >>> from datetime import date
    >>> started = {"experiment": "canary", "event": "started", "after": date(2013, 1, 9), "challenger": "b",
    ...            "challenger_sha256": "", "champion": "a", "design": "{}"}
    >>> aborted = {**started, "event": "aborted", "after": date(2013, 1, 12)}
    >>> [[each.name for each in running_in([started, aborted], date(2013, 1, day))] for day in (9, 10, 12, 13)]
    [[], ['canary'], ['canary'], []]
    """
    found: dict[str, RunningExperiment] = {}
    for row in events:
        if row["after"] >= drop:
            continue
        name, event = row["experiment"], row["event"]
        if event == "started":
            models = (row["challenger"], row["challenger_sha256"], row["champion"])
            found[name] = RunningExperiment(name, row["after"], *models, json.loads(row["design"]))
        elif event in _OVER:
            found.pop(name, None)
        elif name in found:
            flag = {"extended": event == "extended" or found[name].extended,
                    "passed": event == "passed" or found[name].passed}  # fmt: skip
            found[name] = RunningExperiment(**{**vars(found[name]), **flag})
    return list(found.values())


def find_running(events: Sequence[Row], name: str, declared: Iterable[str]) -> RunningExperiment:
    """Give the experiment of a name that goes on; raises UnknownExperimentError with the nearest where none does."""
    going_on = {each.name: each for each in running_in(events, LATEST)}
    if name not in going_on:
        known = list(going_on) or list(declared)
        what = "one that runs" if going_on else "none runs; declared"
        raise UnknownExperimentError(
            f"found {name!r}; allowed: {what}: {', '.join(known) or 'none'}{did_you_mean(name, known)}"
        )
    return going_on[name]


def free_part(running: Sequence[RunningExperiment], traffic: float) -> tuple[float, float]:
    """Give the first part of the units, as from and to, that no running experiment takes.

    Raises
    ------
    ValueError
        Where none is large enough, with who holds what.
    """
    first = 0.0
    for held in sorted((each.design["first"], each.design["last"]) for each in running):
        if held[0] - first >= traffic - 1e-9:
            break
        first = max(first, held[1])
    if first + traffic > 1 + 1e-9:
        holders = ", ".join(f"{each.name} holds {each.design['last'] - each.design['first']:.0%}" for each in running)
        raise ValueError(f"found traffic {traffic:g}; allowed: what is free of the units: {holders}")
    return first, min(first + traffic, 1.0)


def append_event(
    lake: Lake, experiment: RunningExperiment, event: ExperimentEvent, after: DropKey, said: tuple[str, str, datetime]
) -> bool:
    """Append an event with who decided, why and when; say whether it is new.

    What is already recorded of the same start and drop is not recorded twice: a run that is repeated leaves one row.
    """
    recorded = read_events(lake)
    since = max(
        (row["sequence"] for row in recorded if row["experiment"] == experiment.name and row["event"] == "started"),
        default=0,
    )
    own = [row for row in recorded if row["experiment"] == experiment.name and row["sequence"] > since]
    if event != "started" and any(row["event"] == event and row["after"] == after for row in own):
        return False
    by, note, now = said
    row = {
        "sequence": len(recorded) + 1,
        "experiment": experiment.name,
        "event": event,
        "after": after,
        "challenger": experiment.challenger,
        "challenger_sha256": experiment.challenger_sha256,
        "champion": experiment.champion,
        "design": json.dumps(dict(experiment.design), sort_keys=True),
        "decided_by": by,
        "note": note,
        "_recorded_at": now,
    }
    lake.append(EXPERIMENT_RECORD.name, arrow_rows(with_keys(EXPERIMENT_RECORD, after), [row]))
    return True
