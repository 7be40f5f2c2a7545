"""What a step could not compute the last time it ran, kept until it can: status and incidents tell it.

One small file a step under `alerts/not_computed/<use case>/`; none where everything was computed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ml_assets.stats.not_computed import NotComputed, collecting
from ml_assets.stores.landing import write_whole

MIRROR = "mlflow"  # what stands for a step where MLflow could not be told something


@dataclass(frozen=True)
class FailedMeasure:
    """A measure of a step that was not computed: in which drop, and the error."""

    step: str
    drop: str
    measure: str
    error: str


@contextmanager
def noting_failures(alerts: Path, use_case: str, step: str, drop: object) -> Iterator[list[NotComputed]]:
    """Collect what a step does not compute, and keep it in place of what it could not the last time."""
    with collecting() as failed:
        yield failed
    keep_failures(alerts, use_case, step, [FailedMeasure(step, str(drop), f.measure, f.error) for f in failed])


def keep_failures(alerts: Path, use_case: str, step: str, failed: Sequence[FailedMeasure]) -> None:
    """Keep what a step could not compute; with none, forget what it could not before."""
    file = alerts / "not_computed" / use_case / f"{step}.json"
    if not failed:
        file.unlink(missing_ok=True)
        return
    write_whole(file, json.dumps([asdict(each) for each in failed], indent=1).encode())
    for each in failed:
        logging.getLogger("ml_assets").warning("%s: %s was not computed: %s", step, each.measure, each.error)


def failed_measures(alerts: Path, use_case: str) -> list[FailedMeasure]:
    """Give what the steps of a use case could not compute, by step."""
    files = sorted((alerts / "not_computed" / use_case).glob("*.json"))
    return [FailedMeasure(**each) for file in files for each in json.loads(file.read_bytes())]
