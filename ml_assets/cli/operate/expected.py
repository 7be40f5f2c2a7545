"""The command that estimates quality before labels are there."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ml_assets.cli.console import (
    console,
    explained_errors,
    fail,
    next_steps,
    print_json,
    read_run_drop,
    read_use_case,
    require_run,
    say,
    state_of,
)
from ml_assets.cli.operate.extract import commands
from ml_assets.cli.options import AsJson, UseCaseName
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.stats.tasks import task_of


@commands.command()
def expected(
    use_case: UseCaseName,
    first: Annotated[str, typer.Option("--from", help="First drop; by default sixty before the last.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last drop; by default the newest that was run.")] = "",
    as_json: AsJson = False,
) -> None:
    """Estimate quality before labels are there, with a band.

    Each drop is estimated by what was known at its batch, and held against what came true; the newest also under a
    change of its examples.
    """
    from ml_assets.pipeline.features.closed_drops import closed_drops
    from ml_assets.pipeline.monitoring.expected_quality import (
        REFERENCE_DROPS,
        coverage,
        expected_quality,
        expected_under_shift,
    )

    spec = read_use_case(use_case)
    state = state_of(spec).pinned()
    require_run(spec, "--to")
    until = read_run_drop(spec, last, "--to") if last else max(closed_drops(state))
    default = max(spec.calendar.first_drop, spec.calendar.shift(until, -REFERENCE_DROPS))
    begin = read_run_drop(spec, first, "--from") if first else default
    if begin > until:
        raise fail(f"--from {begin} is after --to {until}")
    with explained_errors():
        try:
            found = expected_quality(spec, state, begin, until)
        except ValueError as error:
            raise fail(str(error)) from error
        if not found:
            raise fail(f"no predictions from {begin} to {until}: no champion served; `ml-assets champion {use_case}`")
        shifted, share = expected_under_shift(spec, state, found[-1].drop)
    shares = {name: (None if math.isnan(part) else part, n) for name, (part, n) in coverage(found).items()}
    if as_json:
        print_json(_plain({"drops": [asdict(each) for each in found], "under_shift": asdict(shifted),
                           "effective_share": share, "coverage": shares}))  # fmt: skip
        return
    _show(use_case, spec.task, found, shifted, share, shares)


def _show(use_case: str, task_name: str, found: list[Any], shifted: Any, share: float, shares: dict[str, Any]) -> None:
    from ml_assets.pipeline.monitoring.expected_quality import BLIND

    task = task_of(task_name)
    names = {"loss": str(task.loss_metric), "ranking": str(task.headline), "cost": "cost"}
    columns = [TableColumn("drop", 0), *(TableColumn(f"{name} {what}", rank) for rank, name in enumerate(names.values())
                                         for what in ("expected", "came true"))]  # fmt: skip
    rows = [[str(each.drop), *(cell for name in names for cell in (_cell(each, name), _came(each, name)))]
            for each in found[-14:]]  # fmt: skip
    print_table("quality before labels, the newest drops", columns, rows, see="--json")
    for name, (part, n) in shares.items():
        if part is not None:
            say(f"{names[name]}: the band held what came true in {part:.0%} of {n} matured drops")
    newest = found[-1]
    if newest.why_not:
        say(f"drop {newest.drop}: {newest.why_not}")
    elif shifted.why_not:
        say(f"under a change of the examples: {shifted.why_not}")
    else:
        say(
            f"drop {shifted.drop} by rows that look like its window (worth {share:.0%} of all): {names['loss']} "
            f"{_cell(shifted, 'loss')}"
        )
    say(BLIND)
    console.print()
    next_steps({f"ml-assets performance {use_case}": "quality of what has matured"})


def _cell(each: Any, name: str) -> str:
    band = getattr(each, name)
    if band is None:
        return "cannot tell"
    bounds = "" if math.isnan(band.lower) else f" ({band.lower:.3f} to {band.upper:.3f})"
    return f"{band.estimate:.3f}{bounds}"


def _came(each: Any, name: str) -> str:
    value = getattr(each, f"realised_{name}")
    return "" if value is None else f"{value:.3f}"


def _plain(value: Any) -> Any:
    """Give what JSON can hold: no number that is none."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return None if isinstance(value, float) and not math.isfinite(value) else value
