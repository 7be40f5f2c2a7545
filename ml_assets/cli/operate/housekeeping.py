"""Housekeeping from the terminal: what went, by which rule."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from ml_assets.cli.console import next_steps, print_json
from ml_assets.cli.tables import print_table
from ml_assets.pipeline.housekeeping import housekeep
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.state_version import writing
from ml_assets.stores.use_case_state import UseCaseState


def run_housekeeping(spec: UseCaseSpec, state: UseCaseState, now: datetime, *, is_dry_run: bool, as_json: bool) -> None:
    """Remove what is kept no longer and print how much that was."""
    from ml_assets.graph.runs.launch import open_instance
    from ml_assets.graph.runs.run_logs import remove_run_logs

    with writing(state.paths, spec.name):
        removed = housekeep(spec, state, now, is_dry_run=is_dry_run)
    with open_instance(state.paths) as instance:
        removed.append(remove_run_logs(spec, state.paths, instance, now, is_dry_run=is_dry_run))
    if as_json:
        print_json([asdict(each) for each in removed])
        return
    rows = [[each.what, each.files, f"{each.bytes / 1e6:,.1f}", each.rule] for each in removed]
    print_table("would be removed" if is_dry_run else "removed", ["what", "files", "MB", "what is removed"], rows)
    if is_dry_run:
        next_steps({f"ml-assets housekeep {spec.name}": "remove it"})
