"""Begins a project: a folder with a package for use cases, its settings, and what continuous integration runs."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ml_assets.cli.console import console, fail, next_steps
from ml_assets.ingestion.headers import contract_name
from ml_assets.stores.first_declaration import write_schema
from ml_assets.stores.landing import write_whole

_TEMPLATES = Path(__file__).parent / "templates" / "project"
_PACKAGE = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = {"ml_assets", "dagster", "defs", "data", "definitions", "test", "tests"}


def begin_project(folder: Path, name: str) -> None:
    """Write the files of a project into a folder that is empty or not there, and say what comes next."""
    folder = folder.expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise fail(f"{folder} is there already and is not empty; allowed: a folder that is empty or not there yet")
    name = name or folder.resolve().name
    package = name.replace("-", "_")
    if not _PACKAGE.fullmatch(package) or package in _TAKEN:
        hint = contract_name(name) if name.strip() else "credit"
        allowed = "lower case letters, digits, - and _, beginning with a letter"
        raise fail(f"--name: found {name!r}; allowed: {allowed}, and none of {', '.join(sorted(_TAKEN))}; as {hint}")
    files = _files(name, package)
    for path, text in files.items():
        write_whole(folder / path, text.encode())
    write_schema(folder / package / "defs")
    console.print(f"wrote {folder}: {', '.join(files)}", markup=False, highlight=False, soft_wrap=True)
    next_steps(
        {
            f"cd {folder}": "every command run there works on this project",
            "ml-assets new NAME --from FILE": "a first declaration, from your files",
            "ml-assets ui": "the graph of its use cases",
        }
    )


def _files(name: str, package: str) -> dict[str, str]:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - names are checked, and no page is made
        keep_trailing_newline=True,
    )
    places = {
        "pyproject.toml.j2": "pyproject.toml",
        "ml_assets.toml.j2": "ml_assets.toml",
        "workspace.yaml.j2": "workspace.yaml",
        "init.py.j2": f"{package}/__init__.py",
        "definitions.py.j2": f"{package}/definitions.py",
        "env.example.j2": ".env.example",
        "ci.yml.j2": ".github/workflows/ci.yml",
        "gitignore.j2": ".gitignore",
        "README.md.j2": "README.md",
    }
    facts = {"name": name, "package": package, "version": _own_version()}
    return {path: environment.get_template(template).render(facts) for template, path in places.items()}


def _own_version() -> str:
    try:
        return version("ml_assets")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0.1.0"
