"""Backups made and restored in the terminal, with their progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ml_assets.cli.console import console, errors, fail, next_steps, print_json, say
from ml_assets.cli.progress import progress_bar
from ml_assets.cli.upkeep.migrating import only_process
from ml_assets.pipeline.backup import back_up, use_cases_in
from ml_assets.pipeline.restore import restore
from ml_assets.spec.use_case import did_you_mean
from ml_assets.stores.backup_files import BackupError, Manifest
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.state_version import STATE_VERSION


def run_backup(paths: StatePaths, to: Path, use_cases: Sequence[str], now: datetime, *, as_json: bool) -> None:
    """Copy the state of use cases and print how much that was."""
    known = use_cases_in(paths)
    for name in use_cases:
        if name not in known:
            raise fail(f"{paths.root} has no state of {name!r}; allowed: {', '.join(known)}{did_you_mean(name, known)}")
    if not known:
        raise fail(f"{paths.root}: found no state; nothing has landed yet, so there is nothing to back up")
    with _progress(f"backup to {to}") as tell:
        manifest = back_up(
            paths, to, use_cases or known, now, tell, on_wait=lambda message: errors.print(message, markup=False)
        )
    if as_json:
        print_json({"to": to, **_facts(manifest)})
        return
    _say_size(manifest, "backed up")
    next_steps({f"ML_ASSETS_DATA=/another/folder ml-assets restore {to}": "try it: restore it somewhere else"})


def run_restore(paths: StatePaths, source: Path, now: datetime, *, may_set_aside: bool, as_json: bool) -> None:
    """Put a backup back, end the runs that went on when it was made, and say what stands."""
    from ml_assets.graph.runs.launch import open_instance
    from ml_assets.graph.runs.lost_runs import end_lost_runs

    with only_process(paths), _progress(f"restore {source}") as tell:
        restored = restore(source, paths, now, tell, may_set_aside=may_set_aside)
    manifest, ended = restored.manifest, list[str]()
    if manifest.state_version == STATE_VERSION:
        with open_instance(paths) as instance:
            ended = end_lost_runs(instance, is_restored=True)
    if as_json:
        print_json({"from": source, "set_aside": restored.aside, "runs_ended": ended, **_facts(manifest)})
        return
    _say_size(manifest, "restored")
    if restored.aside is not None:
        say(f"what was there is in {restored.aside}; remove it when nothing of it is needed")
    if ended:
        say(
            f"{len(ended)} runs went on when the backup was made and are marked as failed; their drops can be run again"
        )
    is_older = manifest.state_version < STATE_VERSION
    next_steps(
        {"ml-assets migrate": "it is of an earlier release"} if is_older else {"ml-assets status": "what stands"}
    )


@contextmanager
def _progress(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar of files; what cannot be backed up or restored ends the command with one line."""
    try:
        with progress_bar() as progress:
            task = progress.add_task(title, total=None, now="")
            yield lambda name, done, total: progress.update(task, completed=done, total=total, now=name)
    except BackupError as error:
        raise fail(str(error)) from error


def _facts(manifest: Manifest) -> dict[str, object]:
    return {
        "made_at": manifest.made_at, "files": len(manifest.files), "bytes": manifest.bytes, "tables": manifest.tables
    }  # fmt: skip


def _say_size(manifest: Manifest, verb: str) -> None:
    names = ", ".join(manifest.tables)
    size = f"{len(manifest.files):,} files, {manifest.bytes / 1e6:,.1f} MB"
    console.print(f"{verb}: {names}; {size}; state as of {manifest.made_at[:19]}", style="green", highlight=False)
