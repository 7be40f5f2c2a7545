"""Every key of a declaration with its type, default, bounds and meaning, worked out from the spec itself.

In: the classes of the spec. Out: `KeySection`s, one a class, in the order in which a declaration is read. The page for
people is written in `reports/reference_page.py`, the schema for editors in `json_schema.py`.
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from typing import Any, Literal, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ml_assets.spec.duration import format_duration
from ml_assets.spec.key_meanings import example_of, meaning_of
from ml_assets.spec.raw_yaml import list_of, mapping_of
from ml_assets.spec.use_case import UseCaseSpec

_PLAIN: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    date: "date, as 2024-01-31",
    time: 'time of day, as "06:00"',
    timedelta: "duration, as 7d or 6h",
}
_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


@dataclass(frozen=True)
class Key:
    """One key: its name in YAML, what it may be, what holds without it, what it means, and a value that one has.

    `default` is None where the key is required. `inner` names the section of what it holds.
    """

    name: str
    type: str
    default: str | None
    meaning: str
    example: Any = None
    inner: str | None = None


@dataclass(frozen=True)
class KeySection:
    """The keys of one part of a declaration, and all places where it stands, as `sources[].columns.NAME`."""

    name: str
    places: tuple[str, ...]
    keys: tuple[Key, ...]


@dataclass
class _Found:
    model: type[BaseModel]
    places: list[str] = field(default_factory=list[str])
    examples: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])


def key_reference(declared: Mapping[str, Any] | None = None) -> list[KeySection]:
    """Give the sections of a whole declaration; `declared`, the attributes of one, lends its values as examples."""
    found: dict[type[BaseModel], _Found] = {}
    _collect(UseCaseSpec, "", [declared or {}], found)
    return [
        KeySection(each.model.__name__, tuple(each.places), tuple(_keys(each)))
        for each in found.values()
    ]  # fmt: skip


def _collect(
    model: type[BaseModel], place: str, examples: Sequence[Mapping[str, Any]], found: dict[type[BaseModel], _Found]
) -> None:
    known = found.setdefault(model, _Found(model))
    known.places.append(place)
    known.examples += examples
    for name, info in model.model_fields.items():
        key = info.alias or name
        for inner, suffix in _models_in(info.annotation):
            values = [each.get(key) for each in examples]
            nested = [mapping_of(part) for value in values for part in _parts(value, suffix)]
            _collect(inner, f"{place}.{key}{suffix}".lstrip("."), nested, found)


def _parts(value: object, suffix: str) -> list[Any]:
    if suffix == "[]":
        return list_of(value)
    return list(mapping_of(value).values()) if suffix == ".NAME" else [value]


def _models_in(annotation: Any, suffix: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, suffix
        return
    origin = typing.get_origin(annotation)
    for argument in typing.get_args(annotation):
        yield from _models_in(argument, {tuple: "[]", dict: ".NAME"}.get(cast("Any", origin), suffix))


def _keys(found: _Found) -> Iterator[Key]:
    for name, info in found.model.model_fields.items():
        key = info.alias or name
        examples = [each[key] for each in found.examples if each.get(key) not in (None, "", [], {})]
        inner = next((model.__name__ for model, _ in _models_in(info.annotation)), None)
        default = None if info.is_required() else shown_default(info)
        given = [*examples, *(info.examples or []), *_other_values(info)]
        example = example_of(found.model, key)
        if example is None:
            example = next((each for each in given if each != info.default), None)
        if example is None and not info.is_required():
            example = info.get_default(call_default_factory=True) or None  # pyright: ignore[reportUnknownVariableType]
        yield Key(key, type_in_words(info), default, meaning_of(found.model, name), example, inner)


def _other_values(info: FieldInfo) -> list[Any]:
    """Give values of a key that can have few."""
    if info.annotation is bool:
        return [not info.default]
    choices = [
        each for each in (info.annotation, *typing.get_args(info.annotation)) if typing.get_origin(each) is Literal
    ]
    return [value for choice in choices for value in typing.get_args(choice) if value not in (info.default, "none", "")]


def shown_default(info: FieldInfo) -> str:
    """Write the default of a field as YAML has it; of a part, that its own defaults hold."""
    value = info.get_default(call_default_factory=True)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, BaseModel):
        return "its defaults"
    return as_yaml(value)


def as_yaml(value: object) -> str:
    """Write a value on one line, as YAML reads it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(as_yaml(each) for each in cast("tuple[object, ...]", value)) + "]"
    if isinstance(value, dict):
        named = cast("dict[str, object]", value)
        return "{" + ", ".join(f"{name}: {as_yaml(each)}" for name, each in named.items()) + "}"
    text = str(value)
    return text if re.fullmatch(r"[\w./:-]+", text) else json.dumps(text, ensure_ascii=False)


def type_in_words(info: FieldInfo) -> str:
    """Say what a key may be, with its bounds.

    >>> from ml_assets.spec.use_case import UseCaseSpec, Worklist
    >>> type_in_words(Worklist.model_fields["capacity"])
    'whole number, at least 1'
    >>> type_in_words(UseCaseSpec.model_fields["clock"]), type_in_words(UseCaseSpec.model_fields["sources"])
    ('one of wall, data', 'list of mappings, at least one')
    """
    words = _words_of(info.annotation)
    bounds = [f"{said} {bound:g}" for name, said in _BOUNDS if (bound := _bound(info, name)) is not None]
    if _bound(info, "min_length") and words.startswith(("list", "mapping")):
        bounds.append("at least one")
    return ", ".join([words, *bounds])


def _bound(info: FieldInfo, name: str) -> Any:
    return next((found for each in info.metadata if (found := getattr(each, name, None)) is not None), None)


def _words_of(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return f"one of {', '.join(as_yaml(each) for each in arguments)}"
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        kinds = arguments[:1] if origin is typing.Annotated else arguments
        return " or ".join(dict.fromkeys(_words_of(each) for each in kinds if each is not type(None)))
    if origin is tuple:
        is_many = len(arguments) == 2 and arguments[1] is Ellipsis
        return f"list of {_several(arguments[0])}" if is_many else f"list of {len(arguments)} {_several(arguments[0])}"
    if origin is dict:
        return f"mapping of names to {_several(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return _PLAIN.get(annotation, "any value")


def _several(annotation: Any) -> str:
    words = _words_of(annotation)
    return {"text": "texts", "mapping": "mappings", "whole number": "whole numbers", "number": "numbers",
            "any value": "values", "duration, as 7d or 6h": "durations, as 7d or 6h"}.get(words, words)  # fmt: skip
