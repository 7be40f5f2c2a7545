"""What other installed packages add, found by their entry points.

A package names what it adds in its `pyproject.toml`, here a kind of model:

    [project.entry-points."ml_assets.model_kinds"]
    lightgbm = "our_package.lightgbm_kind:KIND"

Names are read from the packages' metadata, so that looking costs no import. The object behind a name is loaded when
something needs it; one that cannot be loaded stops only that.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

Kind = TypeVar("Kind")
MODEL_KINDS = "ml_assets.model_kinds"
AGGREGATES = "ml_assets.aggregates"
METRICS = "ml_assets.metrics"
BEHAVIOURS = "ml_assets.behaviours"


class ExtensionError(ValueError):
    """Something that a package adds cannot be used; the message names it, the package and the cause."""


@cache
def extensions(group: str) -> Mapping[str, EntryPoint]:
    """Give what is added to a group, by name; the first of several packages that use one name is taken."""
    found: dict[str, EntryPoint] = {}
    for each in sorted(entry_points(group=group), key=_origin):
        found.setdefault(each.name, each)
    return found


@cache
def load_extension(group: str, name: str) -> Any:
    """Load what is added under a name.

    Raises
    ------
    ExtensionError
        When no package adds it, two packages do, or it cannot be imported.
    """
    offered = [each for each in entry_points(group=group) if each.name == name]
    if not offered:
        raise ExtensionError(f"{group}: no installed package adds {name!r}")
    places = sorted({_origin(each) for each in offered})
    if len(places) > 1:
        raise ExtensionError(f"{group}: {name!r} is added by {' and '.join(places)}; allowed: by one package")
    try:
        return offered[0].load()
    except Exception as error:  # whatever an import may raise
        raise ExtensionError(
            f"{group}: {name!r} of {places[0]} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def load_value(group: str, name: str, kind: type[Kind]) -> Kind:
    """Load what is added under a name, and ask that it is a `kind` of that name.

    Raises
    ------
    ExtensionError
        When it cannot be loaded, or is something else.
    """
    found = load_extension(group, name)
    if not isinstance(found, kind) or getattr(found, "name", None) != name:
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise ExtensionError(f"{group}: {name!r} is {found!r}; allowed: {article} {kind.__name__} of that name")
    return found


def _origin(each: EntryPoint) -> str:
    package = each.dist.name if each.dist is not None else "a package without a name"
    return f"{package} ({each.value})"
