"""How things are named, so that a name can stand in a path, in SQL and in an asset key alike."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]

# What stands in a declaration where a person still has to decide. It is no allowed value anywhere.
DECIDE = "decide"
