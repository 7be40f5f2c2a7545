"""Reading a declaration before it is known to be sound: what is there counts, what is not is empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel


def mapping_of(value: object) -> dict[str, Any]:
    """Give a mapping, or a part already typed, with text as keys; anything else is an empty one.

    Examples
    --------
    >>> mapping_of({"from": "weather"}), mapping_of(["from"])
    ({'from': 'weather'}, {})
    """
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True)
    if not isinstance(value, Mapping):
        return {}
    return {str(key): part for key, part in cast("Mapping[object, Any]", value).items()}


def list_of(value: object) -> list[Any]:
    """Give the parts of a list; anything else has none."""
    return list(cast("list[Any] | tuple[Any, ...]", value)) if isinstance(value, list | tuple) else []


def names_in(value: object) -> list[tuple[int, str]]:
    """Give the texts of a list, each with its place.

    Examples
    --------
    >>> names_in(["carrier", 7, "origin"])
    [(0, 'carrier'), (2, 'origin')]
    """
    return [(place, part) for place, part in enumerate(list_of(value)) if isinstance(part, str)]


def named_parts(value: object) -> list[tuple[int, str, dict[str, Any]]]:
    """Give the mappings of a list that have a name, each with its place."""
    parts = [(place, mapping_of(part)) for place, part in enumerate(list_of(value))]
    return [(place, part["name"], part) for place, part in parts if isinstance(part.get("name"), str) and part["name"]]
