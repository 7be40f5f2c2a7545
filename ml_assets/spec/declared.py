"""What every part of a declaration has in common: frozen, no unknown names, and all its faults at once."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from ml_assets.spec.names import KeyPath
from ml_assets.spec.raw_yaml import mapping_of

Fault = tuple[KeyPath, str]
FAULT = "fault"


class Declared(BaseModel):
    """A part of a declaration: frozen, and without room for names nobody reads.

    Pydantic looks at what holds between fields only once each field is sound. Here a part says so in
    `faults`, which reads the part as it was written, so both kinds are found in one pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    renamed: ClassVar[Mapping[str, str]] = {}  # keys of earlier releases, which are read as those of now

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:  # noqa: ARG003 - parts with faults read it
        """Find what is wrong between the fields of a part that may not be sound; places are relative to it."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _find_all(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(value, Mapping):
            return handler(value)
        declared = mapping_of(cast("object", value))
        former = {key for key, now in cls.renamed.items() if key in declared and now not in declared}
        if former:
            value = declared = {(cls.renamed[key] if key in former else key): each for key, each in declared.items()}
        loose = list(cls._loosely_typed(declared))
        found = [_as_error(fault, declared) for fault in (*loose, *cls.faults(declared))]
        try:
            sound = handler(value)
        except ValidationError as error:
            named = {path for path, _ in loose}
            found = [*(each for each in _as_raised(error) if each.get("loc") not in named), *found]
        else:
            if not found:
                return sound
        raise ValidationError.from_exception_data(cls.__name__, found)

    @classmethod
    def _loosely_typed(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Refuse what pydantic would read generously: true as 1, a number as a date or time, infinity."""
        for name, field in cls.model_fields.items():
            key = field.alias or name
            value = declared.get(key)
            kinds = {field.annotation, *typing.get_args(field.annotation)}
            if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
                yield (key,), f"found {str(value).lower()}; allowed: a number"
            elif isinstance(value, float) and not math.isfinite(value) and float in kinds:
                yield (key,), f"found {value}; allowed: a finite number"
            elif isinstance(value, int | float) and kinds & {date, time}:
                wanted = "a date, as in 2013-01-31" if date in kinds else 'a time of day, as in "04:00"'
                yield (key,), f"found {value!r}; allowed: {wanted}"


def _as_error(fault: Fault, declared: Mapping[str, Any]) -> InitErrorDetails:
    path, message = fault
    kind = PydanticCustomError(FAULT, "{message}", {"message": message})
    return InitErrorDetails(type=kind, loc=path, input=declared.get(str(path[0])) if path else None)


def _as_raised(error: ValidationError) -> list[InitErrorDetails]:
    found: list[InitErrorDetails] = []
    for detail in error.errors(include_url=False):
        context = detail.get("ctx", {})
        kind: Any = detail["type"]
        if kind == FAULT:
            kind = PydanticCustomError(FAULT, "{message}", context)
        found.append(InitErrorDetails(type=kind, loc=detail["loc"], input=detail["input"], ctx=context))
    return found
