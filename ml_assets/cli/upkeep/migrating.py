"""A state taken along to this release, in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ml_assets.cli.console import console, fail, next_steps, print_json, say
from ml_assets.pipeline.migrations import migrate
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.state_version import STATE_VERSION, StateVersionError, alone, check_state, found_version
from ml_assets.stores.write_lock import LockHeldError


def run_migrate(paths: StatePaths, *, is_dry_run: bool, as_json: bool) -> None:
    """Take the state along and print each change as it is made."""
    try:
        found = found_version(paths)
        if found is None:
            raise fail(f"{paths.root}: found no state; nothing was run yet, so there is nothing to migrate")
        if found > STATE_VERSION:
            check_state(paths)
        with only_process(paths):
            done = _changes(paths, is_dry_run=is_dry_run, is_shown=not as_json)
    except StateVersionError as error:
        raise fail(str(error)) from error
    if as_json:
        print_json({"found": found, "version": STATE_VERSION, "is_dry_run": is_dry_run, "changes": done})
        return
    verb = "would change" if is_dry_run else "changed"
    console.print(f"state of version {found}: {len(done)} {verb}", style="green")
    next_steps({"ml-assets migrate": "do it"} if is_dry_run and done else {"ml-assets status": "what stands"})


def _changes(paths: StatePaths, *, is_dry_run: bool, is_shown: bool) -> list[str]:
    from ml_assets.graph.runs.launch import migrate_instance

    done: list[str] = []
    for message in migrate(
        paths, lambda look_only: migrate_instance(paths, is_dry_run=look_only), is_dry_run=is_dry_run
    ):
        done.append(message)
        if is_shown:
            say(message)
    return done


@contextmanager
def only_process(paths: StatePaths) -> Iterator[None]:
    """Work on a state that no other process works on, or end the command saying which does."""
    try:
        with alone(paths):
            yield
    except LockHeldError as error:
        raise fail(
            f"{error}. Allowed: no UI and no run on {paths.root}. Stop it, or wait until it has ended, and run the "
            "command again"
        ) from error
