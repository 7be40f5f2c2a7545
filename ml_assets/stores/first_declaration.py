"""The first files of a use case that somebody begins without data: a declaration and its SQL, with open decisions."""

from __future__ import annotations

from pathlib import Path

from ml_assets.spec.json_schema import SCHEMA_FILE, schema_text
from ml_assets.stores.landing import write_whole

_TEMPLATES = Path(__file__).parent / "templates" / "scaffold"


def write_first_declaration(folder: Path) -> None:
    """Write defs.yaml and sql/ into a folder, and the schema for editors beside it.

    Raises
    ------
    FileExistsError
        If the folder has a declaration already.
    """
    declaration = folder / "defs.yaml"
    if declaration.exists():
        raise FileExistsError(f"{declaration} is there already, and is never overwritten")
    for name in ("examples.sql", "labels.sql"):
        write_whole(folder / "sql" / name, (_TEMPLATES / name).read_bytes())
    text = (_TEMPLATES / "defs.yaml").read_text(encoding="utf-8").replace("NAME", folder.name)
    write_schema(folder.parent)
    write_whole(declaration, text.encode())  # last: with it the use case is there


def write_schema(use_cases: Path) -> Path:
    """Write the schema beside the folders of the use cases, where the first line of each defs.yaml looks for it."""
    file, content = use_cases / SCHEMA_FILE, schema_text().encode()
    if not file.is_file() or file.read_bytes() != content:
        write_whole(file, content)
    return file
