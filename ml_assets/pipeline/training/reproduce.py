"""A model trained again from what it recorded, to compare the bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ml_assets.pipeline.champion.decisions import NotDecidableError
from ml_assets.pipeline.champion.record import read_record
from ml_assets.pipeline.training.bundle import BundleFacts, Taken, make_bundle
from ml_assets.pipeline.training.training_set import TABLE as TRAINING_SET
from ml_assets.pipeline.training.training_set import draw
from ml_assets.spec.names import did_you_mean
from ml_assets.stores.model_store import ModelStore, installed_libraries
from ml_assets.stores.table_files import content_hash
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.candidate import Start, fit_candidates
from ml_assets.training.history import within_history
from ml_assets.training.training_set import DrawPlan


@dataclass(frozen=True)
class Reproduced:
    """What was recorded of a model and what came out again.

    Attributes
    ----------
    differing
        What is not equal: files of the model, or the training set.
    libraries
        By name, the recorded version and the one installed, where they differ.
    forgotten
        Tables whose version that the training set was drawn from is no longer kept: it was read as stored.
    """

    model_version: str
    recorded_sha256: str
    sha256: str
    training_set_hash: str
    recorded_training_set_hash: str
    differing: tuple[str, ...]
    libraries: dict[str, tuple[str, str]]
    forgotten: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Whether the artifact is the same, byte for byte."""
        return self.recorded_sha256 == self.sha256


def reproduce(state: UseCaseState, model_version: str, tell: Callable[[str], None]) -> Reproduced:
    """Draw the training set again from its recorded plan and inputs, train by the recorded recipe, and compare.

    Where housekeeping has removed the inputs, the training set that was stored is taken.

    Raises NotDecidableError on a model that no verdict names.
    """
    store, lake = state.models, state.lake
    with state.connect() as connection:
        record = read_record(connection, lake)
        entry = _entry(record, model_version)
        recorded = store.load(entry["model_version"], entry["artifact_sha256"])
        drawn = lake.metadata(TRAINING_SET, entry["_training_set_version"])
        forgotten = tuple(table for table, its in drawn["inputs"].items() if its not in lake.kept_versions(table))
        tell(f"{'reading' if forgotten else 'drawing'} training set version {entry['_training_set_version']} again")
        if forgotten:
            again = lake.relation(connection, TRAINING_SET, version=entry["_training_set_version"])
            again_hash = content_hash(again)
        else:
            made = draw(connection, lake, DrawPlan.from_json(drawn["plan"]), drawn["inputs"])
            again, again_hash = connection.from_arrow(made.rows), made.content_hash
        rows = again.order("batch_date, example_id").df()
    start = None
    if recorded.started_from is not None:
        before = store.load(recorded.started_from, _entry(record, recorded.started_from)["artifact_sha256"])
        start = Start(before.model, datetime.fromisoformat(before.trained_until), recorded.started_from)
    tell(f"training {recorded.candidate} again")
    rows = within_history(recorded.recipe, rows)
    candidates = fit_candidates(
        recorded.recipe,
        rows,
        recorded.features,
        start=start,
        on_candidate=lambda r: tell(f"{r.candidate.name} is done"),
    )
    plan = drawn["plan"]
    facts = BundleFacts(recorded.as_of, plan["holdout_after"], plan["matured_until"], again_hash, recorded.features)
    bundle = make_bundle(Taken(recorded.recipe, candidates, recorded.candidate), rows, facts, start=start, tell=tell)
    with TemporaryDirectory() as folder:
        stored = ModelStore(Path(folder)).save(bundle)
        differing = _differing(store.folder / model_version, stored.folder)
    now, then = installed_libraries(), store.manifest(model_version)["libraries"]
    return Reproduced(
        model_version,
        entry["artifact_sha256"],
        stored.artifact_sha256,
        again_hash,
        drawn["content_hash"],
        differing,
        {name: (then[name], now.get(name, "no longer used")) for name in then if then[name] != now.get(name)},
        forgotten,
    )


def _entry(record: list[dict[str, Any]], model_version: str) -> dict[str, Any]:
    names = list(dict.fromkeys(row["model_version"] for row in record))
    if model_version not in names:
        hint = did_you_mean(model_version, names)
        raise NotDecidableError(f"found {model_version!r}; allowed: a model with a verdict: {', '.join(names)}{hint}")
    return next(row for row in record if row["model_version"] == model_version)


def _differing(recorded: Path, again: Path) -> tuple[str, ...]:
    names = {str(path.relative_to(folder)) for folder in (recorded, again) for path in folder.rglob("*")
             if path.is_file() and path.name != "abandoned.txt"}  # fmt: skip
    return tuple(sorted(name for name in names if _bytes(recorded / name) != _bytes(again / name)))


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
