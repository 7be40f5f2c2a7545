"""The bar of long work."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ml_assets.cli.console import errors


def progress_bar() -> Progress:
    """Make the bar of long work; it writes to stderr, so that output can be piped."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[now]}"), console=errors, transient=True,
    )  # fmt: skip
