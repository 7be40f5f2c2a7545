"""Lands the bundled data of a use case, with progress."""

from __future__ import annotations

from collections.abc import Sequence

from ml_assets.cli.console import fail
from ml_assets.cli.progress import progress_bar
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import StatePaths


def land_bundled(spec: UseCaseSpec, paths: StatePaths, drops: Sequence[DropKey]) -> dict[str, int]:
    """Land `drops` from the public data that comes with the demo; give the rows of each source."""
    from ml_assets.demo.flights import SOURCES, land_flights

    folder = paths.landing / spec.name
    if spec.name not in SOURCES:
        raise fail(
            f"no data come with {spec.name}; put its files into {folder}/<drop>/<source>.csv, as in "
            f"{folder}/{drops[0]}/{spec.sources[0].file_name}"
        )
    with progress_bar() as progress:
        task = progress.add_task(f"land {drops[0]} to {drops[-1]}", total=len(drops), now="reading")

        def on_drop(drop: DropKey, rows: dict[str, int]) -> None:
            progress.update(task, advance=1, now=f"{drop}: {sum(rows.values()):,} rows")

        return land_flights(folder, spec.calendar, drops[0], drops[-1], on_drop, spec.name)
