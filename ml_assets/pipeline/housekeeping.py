"""Removes what a use case keeps no longer: old versions of tables, models that were never promoted, runs, pages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml_assets.pipeline.champion.record import PROMOTED, read_record
from ml_assets.pipeline.experiments.record import read_events, running_in
from ml_assets.spec.drop import LATEST
from ml_assets.spec.duration import format_duration
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sql_limits import forget_spilled
from ml_assets.stores.state_version import keeping_files
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.stores.write_lock import LockHeldError

_TRAINING_SET = "training_set"


@dataclass(frozen=True)
class Removed:
    """What was removed, or would be: files, bytes, and the rule in words."""

    what: str
    files: int
    bytes: int
    rule: str


def housekeep(spec: UseCaseSpec, state: UseCaseState, now: datetime, *, is_dry_run: bool = False) -> list[Removed]:
    """Remove what is older than `retention` declares. Doing it again removes nothing more.

    Call it under the write lock of the use case. The newest rows of every table, promoted models and the training sets
    they were fitted on are never removed; nothing is while a backup is made.
    """
    try:
        with keeping_files(state.paths, spec.name):
            return _housekeep(spec, state, now, is_dry_run=is_dry_run)
    except LockHeldError as error:
        return [_removed("nothing", [], f"a backup is being made (process {error.holder}); run it again after that")]


def _housekeep(spec: UseCaseSpec, state: UseCaseState, now: datetime, *, is_dry_run: bool) -> list[Removed]:
    with state.connect() as connection:
        record = read_record(connection, state.lake)
    rule = spec.retention
    sizes = _forget_versions(state, record, now - rule.versions, now, is_dry_run=is_dry_run)
    found = [_removed("versions of tables", sizes, f"superseded more than {format_duration(rule.versions)} ago")]
    models = [
        size
        for version in _unneeded_models(state, record, now - rule.candidates)
        for size in state.models.remove(version, is_dry_run=is_dry_run)
    ]
    days = format_duration(rule.candidates)
    found.append(_removed("models", models, f"refused, tried or abandoned more than {days} ago"))
    promoted = {row["model_version"] for row in record if row["verdict"] == PROMOTED}
    needed = promoted | {row["model_version"] for row in record[-1:]}  # the newest candidate may still be looked at
    runs = state.registry.forget(now - rule.registry, needed, is_dry_run=is_dry_run) if _has_registry(state) else []
    found.append(_removed("runs of MLflow", runs, f"not promoted, more than {format_duration(rule.registry)} ago"))
    pages = _forget_pages(state, promoted, now - rule.pages, is_dry_run=is_dry_run)
    found.append(_removed("pages", pages, f"drawn more than {format_duration(rule.pages)} ago"))
    spilled = forget_spilled(now - rule.spill, is_dry_run=is_dry_run)
    rest = f"of killed processes, written to more than {format_duration(rule.spill)} ago"
    return [*found, _removed("spilled by SQL", spilled, rest)]


def _has_registry(state: UseCaseState) -> bool:
    """Say whether MLflow was told anything yet: to look would make its tables."""
    return (state.paths.mlflow / "mlflow.db").exists()


def _forget_pages(state: UseCaseState, promoted: Collection[str], before: datetime, *, is_dry_run: bool) -> list[int]:
    """Remove old pages, but the cards of promoted models and those of drift, which have a rule of their own."""
    folder, sizes = state.paths.reports / state.use_case, list[int]()
    for path in sorted(folder.rglob("*")):
        is_kept = path.parent == folder / "drift" or (path.parent.name == "models" and path.stem in promoted)
        if path.is_file() and not is_kept and path.stat().st_mtime < before.timestamp():
            sizes.append(path.stat().st_size)
            if not is_dry_run:
                path.unlink()
    return sizes


def _forget_versions(
    state: UseCaseState, record: Sequence[Mapping[str, Any]], before: datetime, now: datetime, *, is_dry_run: bool
) -> list[int]:
    fitted_on = {int(row["_training_set_version"]) for row in record if row["verdict"] == PROMOTED}
    sizes: list[int] = []
    for table in state.lake.tables():
        keep = fitted_on & state.lake.kept_versions(table) if table == _TRAINING_SET else set[int]()
        sizes += state.lake.forget(table, before, now, keep=keep, is_dry_run=is_dry_run)
    return sizes


def _unneeded_models(state: UseCaseState, record: Sequence[Mapping[str, Any]], before: datetime) -> list[str]:
    """Name models written before a moment that were never promoted.

    The newest refused one may still score as a shadow, and a challenger serves while its experiment runs.
    """
    needed = {row["model_version"] for row in record if row["verdict"] == PROMOTED}
    needed |= {each.challenger for each in running_in(read_events(state.lake), LATEST)}
    refused = [row["model_version"] for row in record if row["verdict"] != PROMOTED]
    written = state.models.written_at()
    return sorted(
        version for version in written if written[version] < before and version not in needed | {*refused[-1:]}
    )


def _removed(what: str, sizes: Sequence[int], rule: str) -> Removed:
    return Removed(what, len(sizes), sum(sizes), rule)
