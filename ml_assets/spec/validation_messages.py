"""What pydantic found, in the words of a declaration: what was found, what is allowed, the nearest name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.names import KeyPath, not_among

_WANTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "date": "a date, as in 2013-01-31",
    "time": 'a time of day, as in "04:00"',
    "tuple": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}
_BOUNDS = {"greater_than_equal": "{ge:g} or more", "greater_than": "more than {gt:g}",
           "less_than_equal": "{le:g} or less", "less_than": "less than {lt:g}"}  # fmt: skip
_UNION = (("int",), ("float",), ("str",))  # pydantic names each kind that a value could have been
_SHOWN = 80


def faults_of(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """List the faults of a part that is no `model`, each with its place.

    Examples
    --------
    >>> from ml_assets.spec.use_case import Worklist
    >>> try:
    ...     Worklist.model_validate({"capacity": "many", "column": []})
    ... except ValidationError as error:
    ...     faults_of(error, Worklist)
    [(('capacity',), "found 'many'; allowed: a whole number"),
     (('column',), "found 'column'; allowed: capacity, rank_by, columns, routes; nearest: columns")]
    """
    found: list[Fault] = []
    for detail in error.errors(include_url=False):
        path: KeyPath = tuple(part for part in detail["loc"] if part != "[key]")
        if detail["type"] == "too_short" and len(detail["input"]) >= detail.get("ctx", {}).get("min_length", 0):
            continue  # pydantic counts only the sound members of a list; each other one is named by itself
        if path[-1:] in _UNION:
            found.append((path[:-1], f"found {shown(detail['input'])}; allowed: a number or text"))
            continue
        found.append((path, _said(detail, path, model)))
    return list(dict.fromkeys(found))


def _said(detail: ErrorDetails, path: KeyPath, model: type[BaseModel]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    message = detail["msg"].removeprefix("Value error, ")
    if "found" in message or message.startswith("is "):  # a part's own words: what it found, or is missing
        return message
    if kind == "extra_forbidden":
        inner, key = _model_at(path[:-1], model), str(path[-1])
        now = inner.renamed.get(key) if inner is not None and issubclass(inner, Declared) else None
        return f"found {key!r}; it is called {now} now" if now else not_among(key, _fields_of(inner))
    if kind == "missing":
        return "is required and missing"
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return not_among(value, allowed)
    return f"found {shown(value)}; allowed: {_allowed(kind, context, message)}"


def _allowed(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    if kind == "string_pattern_mismatch":
        is_identifier = str(context.get("pattern", "")).startswith("^[a-z]")
        letters = "lower-case letters, digits and _, beginning with a letter"
        return f"a name of {letters if is_identifier else 'letters, digits, _ and -'}"
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters"
    if kind in ("too_short", "string_too_short"):
        return f"at least {context['min_length']}{' characters' if kind.startswith('string') else ''}"
    wanted = [words for name, words in _WANTED.items() if kind.startswith(f"{name}_")]
    return wanted[0] if wanted else message[:1].lower() + message[1:]


def shown(value: object) -> str:
    """Write a value as a declaration has it, in few words.

    Examples
    --------
    >>> shown(["a", "b"]), shown({"a": 1}), shown(None), shown("x")
    ('a list of 2', 'a mapping of 1', 'nothing', "'x'")
    """
    if value is None:
        return "nothing"
    if isinstance(value, Mapping | list | tuple):
        kind = "a mapping" if isinstance(value, Mapping) else "a list"
        return f"{kind} of {len(value)}"  # pyright: ignore[reportUnknownArgumentType]
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _model_at(path: KeyPath, model: type[BaseModel]) -> type[BaseModel] | None:
    inner: type[BaseModel] | None = model
    for part in path:
        if inner is None or isinstance(part, int):
            continue
        fields = {info.alias or name: info.annotation for name, info in inner.model_fields.items()}
        if part in fields:
            inner = _model_in(fields[part])
    return inner


def _fields_of(model: type[BaseModel] | None) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()] if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
