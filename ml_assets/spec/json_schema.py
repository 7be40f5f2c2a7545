"""The JSON schema of a defs.yaml, for editors: completion, hovers, and mistakes as one types.

It says less than `ml-assets validate`, which also knows what holds between keys, and never more: what it refuses,
`validate` refuses too, but for keys of earlier releases and what is left `decide`.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from ml_assets.spec.declaration import COMPONENT_TYPE
from ml_assets.spec.key_meanings import meaning_of
from ml_assets.spec.key_reference import shown_default
from ml_assets.spec.names import DECIDE
from ml_assets.spec.raw_yaml import mapping_of
from ml_assets.spec.shared_parts import LIKE
from ml_assets.spec.use_case import UseCaseSpec

SCHEMA_FILE = "use_case.schema.json"  # beside the folders of the use cases
_DURATION = r"^\d+ *(s|min|h|d|w)$"


def schema_text() -> str:
    """Give the schema as the text of a file."""
    return json.dumps(declaration_schema(), indent=1, ensure_ascii=False) + "\n"


def declaration_schema() -> dict[str, Any]:
    """Give the schema of a whole defs.yaml."""
    schema = UseCaseSpec.model_json_schema(by_alias=True)
    parts = mapping_of(schema.pop("$defs"))
    attributes = _plain(schema, UseCaseSpec)
    models = {model.__name__: model for model in models_of(UseCaseSpec)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A use case of ml_assets",
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "attributes"],
        "properties": {
            "type": {"const": COMPONENT_TYPE, "description": "the component that reads this file"},
            "attributes": attributes,
        },
        "$defs": {name: _plain(mapping_of(part), models[name]) for name, part in parts.items()},
    }


def models_of(model: type[BaseModel], known: set[type[BaseModel]] | None = None) -> set[type[BaseModel]]:
    """Give a class of the spec with all that it holds."""
    known = set() if known is None else known
    known.add(model)
    open_annotations: list[Any] = [field.annotation for field in model.model_fields.values()]
    while open_annotations:
        each = open_annotations.pop()
        if isinstance(each, type) and issubclass(each, BaseModel):
            if each not in known:
                models_of(each, known)
        else:
            open_annotations += typing.get_args(each)
    return known


def _plain(part: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Give the schema of one part, with the meaning of each key and without what says nothing to a reader."""
    names = {info.alias or name: name for name, info in model.model_fields.items()}
    properties = {
        key: {**_loosened(value), "description": _said(model, names[key])}
        for key, value in mapping_of(part.get("properties")).items()
    }
    first = (model.__doc__ or "").strip().partition("\n\n")[0]
    kept = {name: part[name] for name in ("type", "additionalProperties", "required") if name in part}
    if LIKE in names:  # what is taken from another use case need not be written
        kept["anyOf"] = [{"required": kept.pop("required")}, {"required": [LIKE]}]
    return {**kept, "description": " ".join(first.split()), "properties": properties}


def _said(model: type[BaseModel], name: str) -> str:
    info, meaning = model.model_fields[name], meaning_of(model, name)
    return meaning if info.is_required() else f"{meaning.rstrip('.')}. Default: {shown_default(info)}"


def _loosened(value: object) -> dict[str, Any]:
    """Rewrite what YAML writes otherwise than JSON: durations as 7d, a time of day, and `decide` in any place."""
    found = cast("dict[str, Any]", _rewritten(value))
    found.pop("title", None)
    return found


def _rewritten(value: object) -> object:
    if isinstance(value, list):
        return [_rewritten(each) for each in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    part = {name: _rewritten(each) for name, each in cast("dict[str, object]", value).items() if name != "title"}
    if part.get("format") == "duration":
        part = {"type": "string", "pattern": _DURATION, "examples": ["7d"]}
    if part.get("format") in ("date", "time"):
        return {"type": "string"}
    if "enum" in part or "pattern" in part:
        return {"anyOf": [part, {"const": DECIDE}]}
    part.pop("default", None)  # as Python has it: the meaning says it in words
    return part
