"""How things are named, so that a name can stand in a path, in SQL and in an asset key alike."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]

# What stands in a declaration where a person still has to decide. It is no allowed value anywhere.
DECIDE = "decide"


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
