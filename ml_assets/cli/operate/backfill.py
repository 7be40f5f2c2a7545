"""Computes new and changed features of drops that were run before, in ranges, with progress."""

from __future__ import annotations

from dataclasses import dataclass

from ml_assets.cli.console import console, fail, next_steps
from ml_assets.cli.progress import progress_bar
from ml_assets.cli.tables import print_table
from ml_assets.graph.runs.launch import run_features
from ml_assets.pipeline.features.versions import stale_drops
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState


@dataclass(frozen=True)
class BackfillOptions:
    """Which drops, and how many a run."""

    first: DropKey
    last: DropKey
    step: int


def run_backfill(spec: UseCaseSpec, state: UseCaseState, asked: BackfillOptions) -> None:
    """Compute the features of every drop that holds other versions than are declared now.

    Each range is a run of its own: what a killed backfill had done is not done again.
    """
    stale = {drop: names for drop, names in _stale(spec, state).items() if asked.first <= drop <= asked.last}
    if not stale:
        console.print("every drop holds the features that are declared now")
        return
    counted = {name: sum(name in names for names in stale.values()) for names in stale.values() for name in names}
    print_table(f"{len(stale)} drops", ["feature", "drops"], sorted(counted.items()))
    with progress_bar() as progress:
        task = progress.add_task("backfill", total=len(stale), now="loading")
        for first, last in ranges_of(sorted(stale), spec, asked.step):
            progress.update(task, now=f"{first} to {last}")
            outcome = run_features(spec, state.paths, first, last)
            if not outcome.succeeded:
                raise fail(f"{first} to {last}: {outcome.failures[0][1]}; run the same command to go on")
            progress.advance(task, sum(first <= drop <= last for drop in stale))
    next_steps({
        f"ml-assets retrain {spec.name}": "a candidate on the features as they are now",
        f"ml-assets features {spec.name}": "each feature with its version",
    })  # fmt: skip


def _stale(spec: UseCaseSpec, state: UseCaseState) -> dict[DropKey, list[str]]:
    with state.connect() as connection:
        return stale_drops(connection, state.lake, spec)


def ranges_of(drops: list[DropKey], spec: UseCaseSpec, step: int) -> list[tuple[DropKey, DropKey]]:
    """Cut drops into ranges of at most `step` that follow each other without a hole."""
    found: list[list[DropKey]] = []
    for drop in drops:
        if found and len(found[-1]) < step and spec.calendar.next_drop(found[-1][-1]) == drop:
            found[-1].append(drop)
        else:
            found.append([drop])
    return [(each[0], each[-1]) for each in found]
