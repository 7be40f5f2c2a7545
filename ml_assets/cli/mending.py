"""Commands that bring the past up to date: corrections, gaps, features that changed."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from ml_assets.cli.options import UseCaseName
from ml_assets.cli.terminal import (
    fail,
    read_drops,
    read_use_case,
)

commands = typer.Typer()


@commands.command()
def backfill(
    use_case: UseCaseName,
    features: Annotated[bool, typer.Option("--features", help="What to compute again; there is nothing else yet.")],
    first: Annotated[str, typer.Option("--from", help="First drop; by default the first of all.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last drop; by default the newest that was run.")] = "",
    step: Annotated[int, typer.Option(min=1, help="Drops a run; what was done is not done again.")] = 31,
) -> None:
    """Compute new and changed features of drops that were run before; what was predicted stays as it was."""
    from ml_assets.cli.backfill import Asked, run_backfill
    from ml_assets.stores.paths import state_paths

    if not features:
        raise fail("--no-features: found; allowed: --features")
    spec = read_use_case(use_case)
    begins = read_drops(spec, first, first, "--from")[0] if first else spec.calendar.start
    ends = read_drops(spec, last, last, "--to")[0] if last else date.max
    run_backfill(spec, state_paths(), Asked(begins, ends, step))


@commands.command()
def requeue(
    use_case: UseCaseName,
    source: Annotated[str, typer.Option("--source", help="Whose rows.")],
    reason: Annotated[list[str] | None, typer.Option("--reason", help="A reason code; by default every one.")] = None,
    first: Annotated[str, typer.Option("--from", help="First drop; by default the first of all.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last drop; by default the newest that was run.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which rows.")] = False,
) -> None:
    """Bring quarantined rows back as corrections, after their contract was mended."""
    from ml_assets.cli.corrections import Requeue, run_requeue
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    begins = read_drops(spec, first, first, "--from")[0] if first else spec.calendar.start
    ends = read_drops(spec, last, last, "--to")[0] if last else date.max
    run_requeue(spec, state_paths(), Requeue(source, tuple(reason or ()), begins, ends, dry_run))


@commands.command(name="accept-missing")
def accept_missing(
    use_case: UseCaseName,
    source: Annotated[str, typer.Option("--source", help="What will not come.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is right to go on without it.")],
    drop: Annotated[list[str] | None, typer.Option("--drop", help="A drop that waits; repeatable.")] = None,
    first: Annotated[str, typer.Option("--from", help="The first of a range of drops that wait.")] = "",
    last: Annotated[str, typer.Option("--to", help="The last of the range, included.")] = "",
) -> None:
    """Say that a source will not come in some drops, so that later drops need not wait for it."""
    from datetime import UTC, datetime

    from ml_assets.cli.corrections import AcceptedGap, run_accept
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    if bool(drop) == bool(first or last) or bool(first) != bool(last):
        raise fail("allowed: --drop D, as often as needed, or --from D --to D")
    days = {day for each in drop or () for day in read_drops(spec, each, each, "--drop")}
    days |= set(read_drops(spec, first, last)) if first else set()
    run_accept(spec, state_paths(), AcceptedGap(source, sorted(days), reason), datetime.now(UTC))
