"""The command that writes the page of four layers, for people who do not live in a terminal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ml_assets.cli.console import (
    console,
    explained_errors,
    fail,
    next_steps,
    print_json,
    read_drops,
    read_use_case,
    say,
    state_of,
)
from ml_assets.cli.operate.incident import commands
from ml_assets.cli.options import AsJson, UseCaseName

_STYLES = {"bad": "red", "good": "green", "": ""}


@commands.command()
def report(
    use_case: UseCaseName,
    first: Annotated[str, typer.Option("--from", help="First drop; by default the first of all.")] = "",
    last: Annotated[str, typer.Option("--to", help="As known in this drop; by default the newest that was run.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write one page: operations, data, model and its worth.

    It answers whether it is running, whether the data are whole, whether the world is as the model knows it, whether
    the model earns its keep, and what each version of it was worth beside the baseline. Changes no table.
    """
    from ml_assets.pipeline.monitoring.four_layers import read_four_layers
    from ml_assets.reports.layers_page import answers, layers_page
    from ml_assets.stores.landing import write_whole

    spec = read_use_case(use_case)
    begins = read_drops(spec, first, first, "--from")[0] if first else None
    ends = read_drops(spec, last, last, "--to")[0] if last else None
    if begins and ends and begins > ends:
        raise fail(f"--from {begins} is after --to {ends}")
    with explained_errors():
        state = state_of(spec).pinned()
        found = read_four_layers(spec, state, begins, ends)
        page = state.paths.reports / spec.name / "four_layers.html"
        write_whole(page, layers_page(spec, found).encode())
    said = answers(spec, found)
    if as_json:
        print_json({"use_case": spec.name, "first": found.first, "last": found.last,
                    "answers": [asdict(each) for each in said], "by_model": found.by_model,
                    "incidents": found.incidents, "page": page})  # fmt: skip
        return
    for each in said:
        say(f"{each.question} {each.said}", style=_STYLES[each.colour], hanging=2)
    console.print(f"page: {page}", highlight=False, soft_wrap=True)
    next_steps({f"ml-assets performance {spec.name}": "quality by week in the terminal",
                f"ml-assets alerts {spec.name}": "what is open, with its id"})  # fmt: skip
