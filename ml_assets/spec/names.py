"""How things are named, so that a name can stand in a path, in SQL and in an asset key alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated

from pydantic import StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
KeyPath = tuple[str | int, ...]

# What stands in a declaration where a person still has to decide. It is no allowed value anywhere.
DECIDE = "decide"
_LISTED = 24  # names in a message; beyond that the nearest one says more than the list


def spell_path(path: KeyPath) -> str:
    """Write a place in a declaration as people do.

    Examples
    --------
    >>> spell_path(("features", "views", 2, "windows"))
    'features.views[2].windows'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "attributes"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known name, or nothing.

    Examples
    --------
    >>> did_you_mean("wether", ["weather", "planes"])
    '; nearest: weather'
    """
    nearest = get_close_matches(name, list(known), n=1)
    return f"; nearest: {nearest[0]}" if nearest else ""


def not_among(found: object, known: Sequence[str]) -> str:
    """Say that a name is none of those there are.

    Examples
    --------
    >>> not_among("wether", ["weather", "planes"])
    "found 'wether'; allowed: weather, planes; nearest: weather"
    """
    return f"found {found!r}; allowed: {listed(known)}{did_you_mean(str(found), known)}"


def listed(names: Sequence[str]) -> str:
    """List names, the first two dozen of many."""
    if not names:
        return "none is there"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def undecided_lines(sql: str) -> list[int]:
    r"""Number the lines of SQL on which `decide` stands, comments and texts aside.

    Examples
    --------
    >>> undecided_lines("SELECT id, -- decide\n    decide AS label,\n    'decide' AS word\nFROM t")
    [2]
    """
    bare = re.sub(
        r"--[^\n]*|'(?:[^']|'')*'|/\*.*?\*/", lambda found: re.sub(r"[^\n]", " ", found[0]), sql, flags=re.DOTALL
    )
    return [number for number, line in enumerate(bare.split("\n"), start=1) if re.search(rf"\b{DECIDE}\b", line)]
