"""The schema of a declaration for editors, and the reference of its keys."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import typer

from ml_assets.cli.console import say
from ml_assets.reports.reference_page import reference_page
from ml_assets.spec.json_schema import SCHEMA_FILE, schema_text
from ml_assets.spec.marked_yaml import read_marked
from ml_assets.spec.raw_yaml import mapping_of
from ml_assets.stores.first_declaration import write_schema


def print_schema() -> None:
    """Print the JSON schema."""
    typer.echo(schema_text(), nl=False)


def print_reference() -> None:
    """Print the reference, with values of the flight delays that come with the package as examples."""
    shipped = files("ml_assets") / "defs" / "flight_delays" / "defs.yaml"
    content = mapping_of(read_marked(shipped.read_bytes()).content) if shipped.is_file() else {}
    typer.echo(reference_page(mapping_of(content.get("attributes"))), nl=False)


def put_schema(use_cases: Path) -> None:
    """Write the schema beside the folders of the use cases, and say how an editor finds it."""
    file = write_schema(use_cases)
    say(f"{file}: editors find it by the line `# yaml-language-server: $schema=../{SCHEMA_FILE}` in defs.yaml")
