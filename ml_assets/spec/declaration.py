"""From a folder with defs.yaml and SQL to a use case, or to every mistake with its line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ml_assets.spec.names import DECIDE, undecided_lines
from ml_assets.spec.use_case import KeyPath, UseCaseSpec, WrongReferencesError, did_you_mean, spell_path

DECLARATION_FILE = "defs.yaml"
COMPONENT_TYPE = "ml_assets.UseCase"


@dataclass(frozen=True)
class Mistake:
    """One fault of a declaration: where it stands and what is wrong."""

    file: Path
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        """Render as file:line key: message."""
        return f"{self.file.name}:{self.line} {self.key}: {self.message}"


class DeclarationError(ValueError):
    """A declaration that cannot be used, with all that is wrong with it."""

    def __init__(self, folder: Path, mistakes: list[Mistake]) -> None:
        self.folder = folder
        self.mistakes = mistakes
        super().__init__("\n".join(str(mistake) for mistake in mistakes))


def load_use_case(folder: Path) -> UseCaseSpec:
    """Read the declaration in `folder`.

    Raises
    ------
    DeclarationError
        With every mistake found: YAML that does not read, unknown or missing keys, values out of
        range, references to names that do not exist, SQL files that are not there.
    """
    file = folder / DECLARATION_FILE
    try:
        text = file.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise DeclarationError(folder, [Mistake(file, line, "", " ".join(str(error).split()))]) from error
    lines = _lines_of(root) if root is not None else {}
    mistakes: list[Mistake] = []
    declared = _mapping(content)
    attributes = _mapping(declared.get("attributes"))
    if not attributes:
        raise DeclarationError(
            folder, [Mistake(file, 1, "attributes", "found none; allowed: a mapping with the use case")]
        )
    kind = declared.get("type")
    if kind != COMPONENT_TYPE:
        mistakes.append(Mistake(file, lines.get(("type",), 1), "type", f"found {kind!r}; allowed: {COMPONENT_TYPE}"))
    for part in ("examples", "labels"):
        _read_sql(folder, attributes.get(part), part, lines, mistakes)
    try:
        spec = UseCaseSpec.model_validate(attributes)
    except ValidationError as error:
        mistakes.extend(_mistakes_of(error, file, lines))
        raise DeclarationError(folder, sorted(mistakes, key=lambda mistake: mistake.line)) from error
    if spec.name != folder.name:
        where = lines.get(("attributes", "name"), 1)
        mistakes.append(
            Mistake(file, where, "name", f"found {spec.name!r}; allowed: the folder's name, {folder.name!r}")
        )
    if mistakes:
        raise DeclarationError(folder, mistakes)
    return spec


def _mapping(value: object) -> dict[str, Any]:
    """Give a mapping as it is, to be changed in place, and anything else as an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def find_use_cases(defs_folder: Path) -> list[Path]:
    """List the folders under `defs_folder` that declare a use case, by name."""
    return sorted(file.parent for file in defs_folder.glob(f"*/{DECLARATION_FILE}"))


def _read_sql(folder: Path, part: Any, name: str, lines: dict[KeyPath, int], mistakes: list[Mistake]) -> None:
    declared = _mapping(part)
    sql = declared.get("sql")
    if not isinstance(sql, str):
        return
    path = (folder / sql).resolve()
    if path.is_relative_to(folder.resolve()) and path.is_file():
        declared["sql"] = path.read_text(encoding="utf-8")
        undecided = undecided_lines(declared["sql"])
        mistakes += [Mistake(path, at, f"{name}.sql", f"found {DECIDE!r}; allowed: SQL") for at in undecided]
        return
    found = sorted(str(file.relative_to(folder)) for file in folder.glob("sql/*.sql"))
    line = lines.get(("attributes", name, "sql"), 1)
    message = f"found {sql!r}; allowed: a file of this folder: {', '.join(found) or 'none is there'}"
    mistakes.append(Mistake(folder / DECLARATION_FILE, line, f"{name}.sql", message + did_you_mean(sql, found)))


def _lines_of(node: yaml.Node, path: KeyPath = ()) -> dict[KeyPath, int]:
    lines = {path: node.start_mark.line + 1}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines.update(_lines_of(value, (*path, key.value)))
            lines[(*path, key.value)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            lines.update(_lines_of(value, (*path, position)))
    return lines


def _mistakes_of(error: ValidationError, file: Path, lines: dict[KeyPath, int]) -> list[Mistake]:
    mistakes: list[Mistake] = []
    for detail in error.errors(include_url=False):
        path: KeyPath = ("attributes", *(part for part in detail["loc"] if part != "[key]"))
        raised = detail.get("ctx", {}).get("error")
        if isinstance(raised, WrongReferencesError):
            wrong = [(("attributes", *place), message) for place, message in raised.found]
            mistakes += [_mistake_at(place, message, file, lines) for place, message in wrong]
            continue
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "too_short" and detail["input"]:
            continue  # what it holds is wrong, and said so
        if detail["type"] == "extra_forbidden":
            known = _fields_at(path[1:-1])
            message = f"found {path[-1]!r}; allowed: {', '.join(known)}{did_you_mean(str(path[-1]), known)}"
        elif detail["type"] == "missing":
            message = "is required and missing"
        elif not message.startswith("found") and "found" not in message:
            message = f"found {detail['input']!r}; {message}"
        mistakes.append(_mistake_at(path, message, file, lines))
    return mistakes


def _mistake_at(path: KeyPath, message: str, file: Path, lines: dict[KeyPath, int]) -> Mistake:
    nearest = path
    while nearest not in lines and nearest:
        nearest = nearest[:-1]
    return Mistake(file, lines.get(nearest, 1), spell_path(path[1:]), message)


def _fields_at(path: KeyPath) -> list[str]:
    model: type[BaseModel] | None = UseCaseSpec
    for part in path:
        if model is None or isinstance(part, int):
            continue
        fields = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
        if part in fields:
            model = _model_in(fields[part])
    return [info.alias or name for name, info in model.model_fields.items()] if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
