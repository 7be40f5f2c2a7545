"""The command that lands what is new in databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from ml_assets.cli.console import console, fail, next_steps, print_json, read_drops, read_use_case
from ml_assets.cli.operate.commands import commands
from ml_assets.cli.options import AsJson, UseCaseName
from ml_assets.cli.tables import TableColumn, print_table


@commands.command()
def extract(
    use_case: UseCaseName,
    source: Annotated[str, typer.Option(help="One source; by default all that declare `extract`.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last drop; by default the newest whose batch is past.")] = "",
    as_json: AsJson = False,
) -> None:
    """Land what is new in the databases of sources, as files.

    Each drop since the last time gets a file a source. What was extracted stays: a connection that breaks loses nothing
    and takes nothing twice; run the command again.
    """
    from ml_assets.stores.extracting import extract_source, without_hashes
    from ml_assets.stores.paths import state_paths

    spec = read_use_case(use_case)
    asked = [each for each in spec.sources if each.extract is not None and source in ("", each.name)]
    if not asked:
        named = [each.name for each in spec.sources if each.extract is not None]
        allowed = ", ".join(named) or f"a source with `extract` in defs.yaml of {use_case}, which none declares"
        raise fail(f"--source: found {source or 'no source'!r}; allowed: {allowed}")
    until = read_drops(spec, last, last, "--to")[0] if last else None
    found = []
    for each in asked:
        with _explained():
            found += extract_source(spec, state_paths(), each, datetime.now(UTC), until)
    if as_json:
        print_json([without_hashes(each) for each in found])
        return
    if not found:
        console.print("nothing to extract: every drop whose batch is past was extracted")
        return
    columns = ["source", "drop", "rows", "deleted", TableColumn("up to", is_text=True)]
    print_table("extracted", columns, [[e.source, e.drop, e.rows, e.deleted, e.high] for e in found])
    for name, count in {each.source: each.unmarked for each in found if each.unmarked}.items():
        console.print(f"{name}: {count:,} rows have no watermark and are never taken", highlight=False)
    next_steps({f"ml-assets batch {use_case} --from {found[0].drop} --to {found[-1].drop}": "run these drops"})


@contextmanager
def _explained() -> Iterator[None]:
    from ml_assets.stores.databases import DatabaseError

    try:
        yield
    except DatabaseError as error:
        raise fail(f"{error}; what was extracted before stays, and the same command goes on") from error
