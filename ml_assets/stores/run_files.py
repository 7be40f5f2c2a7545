"""The files that Dagster keeps of each run, under its home: events and outputs of steps."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path


def remove_run_files(home: Path, run_ids: Sequence[str], *, is_dry_run: bool = False) -> list[int]:
    """Remove the files of runs, or only look, and give the size in bytes of each."""
    sizes: list[int] = []
    for run_id in run_ids:
        events = sorted((home / "history" / "runs").glob(f"{run_id}.db*"))
        outputs = home / "storage" / run_id
        sizes += [file.stat().st_size for file in (*events, *outputs.rglob("*")) if file.is_file()]
        if not is_dry_run:
            shutil.rmtree(outputs, ignore_errors=True)
            for file in events:
                file.unlink(missing_ok=True)
    return sizes
