"""Extracting from databases by itself: once the batch of a drop is past, before anything asks whether it has landed."""

from __future__ import annotations

from datetime import datetime

from ml_assets.spec.drop import read_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.databases import DatabaseError
from ml_assets.stores.extracting import extract_source, last_extractions, lock_name
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.write_lock import is_locked


def extract_due(spec: UseCaseSpec, paths: StatePaths, now: datetime) -> str:
    """Extract the sources whose last extraction is before the newest drop that is past; say what failed, or nothing.

    A source that another process extracts is left to it. Nothing is done where the clock is the data's: then `ml-assets
    extract` says how far. What fails is tried again at the next look; meanwhile its drop waits, and is told as missing.
    """
    if spec.clock != "wall" or all(source.extract is None for source in spec.sources):
        return ""
    receiving = spec.calendar.drop_receiving(now)
    newest = receiving if spec.calendar.batch_at(receiving) <= now else spec.calendar.previous_drop(receiving)
    failed: list[str] = []
    for name, done in last_extractions(spec, paths).items():
        source = spec.source(name)
        is_by_time = source.extract is not None and source.columns[source.extract.watermark].type == "timestamp"
        due = newest if is_by_time else receiving
        if done is not None and read_key(done.drop) >= due:
            continue
        if is_locked(paths.locks, lock_name(spec, source)):
            failed.append(f"{name} is being extracted")
            continue
        try:
            extract_source(spec, paths, source, now)
        except DatabaseError as error:
            failed.append(f"{name} could not be extracted: {error}")
    return "; ".join(failed)
