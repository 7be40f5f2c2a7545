"""The project a command works in: where its use cases, its state and its settings of Dagster are."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_assets.spec.names import did_you_mean

PROJECT_VARIABLE = "ML_ASSETS_PROJECT"
PROJECT_FILE = "ml_assets.toml"
_DEFAULTS = {"use_cases": "defs", "state": "data", "dagster_settings": "dagster.yaml", "workspace": "workspace.yaml"}
_PACKAGE = Path(__file__).resolve().parent.parent


class ProjectError(ValueError):
    """There is no project, or its file cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Project:
    """The places of a project.

    Attributes
    ----------
    root
        The folder of the file that declares it; a relative path in that file begins here.
    use_cases
        The folder with one folder a use case.
    state
        The folder of all state, unless $ML_ASSETS_DATA names another.
    dagster_settings
        What Dagster's instance is set to: the project's own file, or the one that comes with the package.
    workspace
        The code locations that the UI shows, None where the project has no such file: then its use cases alone.
    """

    root: Path
    use_cases: Path
    state: Path
    dagster_settings: Path
    workspace: Path | None


def find_project(start: Path | None = None) -> Project:
    """Find the project of a folder, by default of the working folder.

    It is the nearest folder upwards with an `ml_assets.toml`, or with a `pyproject.toml` that has `[tool.ml_assets]`;
    $ML_ASSETS_PROJECT names a folder instead, which needs no file. Outside of any, a checkout of this package is one.

    Raises
    ------
    ProjectError
        When there is none, or its file is no TOML, has an unknown key or a value that is no path.
    """
    named = os.environ.get(PROJECT_VARIABLE)
    if named:
        root = Path(named).expanduser().resolve()
        if not root.is_dir():
            raise ProjectError(f"${PROJECT_VARIABLE}: found {named!r}; allowed: the folder of a project")
        return _project(root, _declared_in(root) or {})
    begin = (start or Path.cwd()).resolve()
    for folder in (begin, *begin.parents, _PACKAGE.parent):
        declared = _declared_in(folder)
        if declared is not None:
            return _project(folder, declared)
    raise ProjectError(
        f"there is no project in {begin} or above it; make a file {PROJECT_FILE} in the folder that shall hold the use "
        f"cases (it may be empty), or set {PROJECT_VARIABLE} to a project's folder"
    )


def _declared_in(folder: Path) -> Mapping[str, Any] | None:
    """Give what a folder says of the project in it, None where it says nothing."""
    own, shared = folder / PROJECT_FILE, folder / "pyproject.toml"
    if own.is_file():
        return _checked(own, _read(own), "")
    declared = _read(shared).get("tool", {}).get("ml_assets") if shared.is_file() else None
    return None if declared is None else _checked(shared, declared, "[tool.ml_assets] ")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file} is no TOML: {error}") from None


def _checked(file: Path, declared: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(declared, dict):
        raise ProjectError(f"{file}: {place}found {declared!r}; allowed: a table")
    for key, value in declared.items():
        if key not in _DEFAULTS:
            near = did_you_mean(key, list(_DEFAULTS))
            raise ProjectError(f"{file}: {place}{key}: unknown; allowed: {', '.join(_DEFAULTS)}{near}")
        if not isinstance(value, str) or not value.strip():
            raise ProjectError(f"{file}: {place}{key}: found {value!r}; allowed: a path, absolute or from there")
    return declared


def _project(root: Path, declared: Mapping[str, Any]) -> Project:
    places = {key: root / Path(declared.get(key, default)).expanduser() for key, default in _DEFAULTS.items()}
    for key in ("dagster_settings", "workspace"):
        if key in declared and not places[key].is_file():
            raise ProjectError(f"{root}: {key}: there is no file {places[key]}")
    own = places["dagster_settings"]
    workspace = places["workspace"] if places["workspace"].is_file() else None
    settings = own if own.is_file() else _PACKAGE / "stores" / "templates" / "dagster.yaml"
    return Project(root, places["use_cases"], places["state"], settings, workspace)
