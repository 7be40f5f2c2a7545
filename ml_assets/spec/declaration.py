"""From a folder with defs.yaml and SQL to a use case, or to every mistake with its line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ml_assets.spec.deliveries import DeliveryRoots, misplaced_folders
from ml_assets.spec.former_names import FormerName, former_names
from ml_assets.spec.marked_yaml import MarkedYaml, UnreadableYamlError, YamlFault, read_marked
from ml_assets.spec.names import DECIDE, KeyPath, did_you_mean, listed, not_among, spell_path, undecided_lines
from ml_assets.spec.places import Place, asset_places
from ml_assets.spec.raw_yaml import mapping_of
from ml_assets.spec.rule_catalog import unknown_rules
from ml_assets.spec.shared_parts import SharedParts
from ml_assets.spec.sql_checks import sql_faults
from ml_assets.spec.text_features import with_text_features
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.spec.validation_messages import faults_of, shown

DECLARATION_FILE = "defs.yaml"
COMPONENT_TYPE = "ml_assets.UseCase"
_TOP_KEYS = ("type", "attributes")


@dataclass(frozen=True)
class Mistake:
    """One fault of a declaration: where it stands and what is wrong.

    `file` is relative to the folder of the use case, `key` the place in defs.yaml it belongs to.
    """

    file: Path
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        """Render as file:line key: message."""
        return f"{self.file.as_posix()}:{self.line} {self.key + ': ' if self.key else ''}{self.message}"

    def as_row(self) -> dict[str, str | int | None]:
        """Give its parts as plain values, for a script.

        Examples
        --------
        >>> Mistake(Path("defs.yaml"), 3, "clok", "found 'clok'; allowed: name, clock; nearest: clock").as_row()
        {'file': 'defs.yaml', 'line': 3, 'key': 'clok', 'found': "found 'clok'", 'allowed': 'name, clock',
         'nearest': 'clock'}
        """
        said, _, nearest = self.message.partition("; nearest: ")
        found, _, allowed = said.partition("; allowed: ")
        return {"file": self.file.as_posix(), "line": self.line, "key": self.key, "found": found,
                "allowed": allowed or None, "nearest": nearest or None}  # fmt: skip


class DeclarationError(ValueError):
    """A declaration that cannot be used, with all that is wrong with it."""

    def __init__(self, folder: Path, mistakes: list[Mistake]) -> None:
        self.folder = folder
        self.mistakes = mistakes
        super().__init__("\n".join(str(mistake) for mistake in mistakes))


@dataclass(frozen=True)
class Located:
    """A use case, where each of its assets is declared, by `layer/name`, and which names are of an earlier release."""

    spec: UseCaseSpec
    places: Mapping[str, tuple[Place, ...]]
    former_names: tuple[Mistake, ...] = ()


def load_use_case(folder: Path, roots: DeliveryRoots | None = None) -> UseCaseSpec:
    """Read the declaration in `folder`, as `locate_use_case` does."""
    return locate_use_case(folder, roots).spec


def locate_use_case(folder: Path, roots: DeliveryRoots | None = None) -> Located:
    """Read the declaration in `folder`; what it delivers must lie where `roots` allow it, where they are known.

    Raises
    ------
    DeclarationError
        With every mistake found: YAML that does not read, unknown or missing keys, values out of
        range, references to names that do not exist, SQL that is not there or does not fit the
        columns it reads. Only YAML that does not read at all, and `like` that leads nowhere, hide what
        else is wrong. Should reading fail otherwise,
        that is the mistake: one use case never takes others with it.
    """
    try:
        return _locate(folder, roots)
    except DeclarationError:
        raise
    except Exception as error:
        raise DeclarationError(folder, [_of_text(YamlFault(1, "", unexpected("cannot be read", error)))]) from error


def unexpected(said: str, error: Exception) -> str:
    """Say what failed and how, on one line.

    >>> unexpected("cannot be read", KeyError("a"))
    "cannot be read: KeyError: 'a'"
    """
    return f"{said}: {type(error).__name__}: {' '.join(str(error).split())}"


def _locate(folder: Path, roots: DeliveryRoots | None) -> Located:
    try:
        read = read_marked((folder / DECLARATION_FILE).read_bytes())
    except OSError as error:
        found = YamlFault(1, "", f"cannot be read: {error.strerror}; allowed: a file {DECLARATION_FILE}")
        raise DeclarationError(folder, [_of_text(found)]) from error
    except UnreadableYamlError as error:
        raise DeclarationError(folder, [_of_text(error.fault)]) from error
    declaration = _Declaration(folder, read, roots)
    spec = declaration.check()
    if spec is None or declaration.mistakes:
        mistakes = dict.fromkeys(declaration.mistakes)
        raise DeclarationError(
            folder, sorted(mistakes, key=lambda each: (each.file, each.line))
        )  # defs.yaml, then sql/
    return Located(spec, declaration.places(spec), declaration.former_names())


def is_readable(folder: Path) -> bool:
    """Say whether the YAML of a declaration reads at all, whatever it declares."""
    try:
        read_marked((folder / DECLARATION_FILE).read_bytes())
    except (OSError, UnreadableYamlError):
        return False
    return True


def is_broken(folder: Path, roots: DeliveryRoots | None = None) -> bool:
    """Say whether a declaration has a mistake."""
    try:
        locate_use_case(folder, roots)
    except DeclarationError:
        return True
    return False


def find_use_cases(defs_folder: Path) -> list[Path]:
    """List the folders under `defs_folder` that declare a use case, by name."""
    return sorted(file.parent for file in defs_folder.glob(f"*/{DECLARATION_FILE}"))


def _of_text(fault: YamlFault) -> Mistake:
    return Mistake(Path(DECLARATION_FILE), fault.line, fault.key.removeprefix("attributes."), fault.message)


@dataclass(frozen=True)
class _SqlFile:
    path: Path
    text: str


class _Declaration:
    """A declaration that was read, and the mistakes found in it so far."""

    def __init__(self, folder: Path, read: MarkedYaml, roots: DeliveryRoots | None) -> None:
        self._folder = folder
        self._roots = roots
        self._read = read
        self.mistakes = [_of_text(fault) for fault in read.faults]
        self.former: list[FormerName] = []
        self._text_places: dict[int, int] = {}

    def check(self) -> UseCaseSpec | None:
        """Find all that is wrong, and give the use case where nothing is."""
        declared = self._attributes()
        if declared is None:
            return None
        self.former = list(former_names(declared))
        declared, self._text_places = with_text_features(declared)
        files = dict(self._sql_files(declared))
        texts = {part: file.text for part, file in files.items()}
        whole = {**declared, **{part: {**mapping_of(declared[part]), "sql": text} for part, text in texts.items()}}
        spec: UseCaseSpec | None = None
        try:
            spec = UseCaseSpec.model_validate(whole)
        except ValidationError as error:
            for path, message in faults_of(error, UseCaseSpec):
                self._note(path, message)
        for path, message in unknown_rules(declared):
            self._note(path, message)
        for placed in sql_faults(declared, texts):
            file = files.get(str(placed.path[0])) if placed.path[1:] == ("sql",) else None
            if file is None:
                self._note(placed.path, placed.fault.message, placed.fault.line)
            else:
                said = (spell_path(placed.path), placed.fault.message)
                self.mistakes.append(Mistake(file.path, placed.fault.line, *said))
        for path, message in misplaced_folders(declared, self._roots) if self._roots else ():
            self._note(path, message)
        name = declared.get("name")
        if isinstance(name, str) and name != self._folder.name:
            self._note(("name",), f"found {name!r}; allowed: the folder's name, {self._folder.name!r}")
        return spec

    def places(self, spec: UseCaseSpec) -> dict[str, tuple[Place, ...]]:
        """Say where each asset is declared."""
        folder, named = self._folder.resolve(), mapping_of(self._read.content).get("attributes")
        parts = {part: mapping_of(mapping_of(named).get(part)).get("sql") for part in ("examples", "labels")}
        files = {part: folder / name for part, name in parts.items() if isinstance(name, str)}
        line_of = self._read.line_of
        return asset_places(spec, folder / DECLARATION_FILE, lambda key: line_of(("attributes", *key)), files)

    def former_names(self) -> tuple[Mistake, ...]:
        """Say which keys and values are those of an earlier release, and what they are called now."""
        file, line_of = Path(DECLARATION_FILE), self._read.line_of
        return tuple(
            Mistake(file, line_of(("attributes", *each.path)), spell_path(each.path), each.message)
            for each in self.former
        )

    def _note(self, path: KeyPath, message: str, line: int = 1) -> None:
        if path[:2] == ("features", "expressions") and path[2:3] and path[2] in self._text_places:
            path = ("features", "text", self._text_places[int(path[2])])  # what was written, not what it became
        for former in self.former:  # the line and the name are those that were written
            if path[: len(former.now)] == former.now:
                path = (*former.path, *path[len(former.now) :])
        place = self._read.line_in(("attributes", *path), line)
        self.mistakes.append(Mistake(Path(DECLARATION_FILE), place, spell_path(path), message))

    def _attributes(self) -> dict[str, Any] | None:
        content = self._read.content
        if not isinstance(content, dict):
            self._outside("", f"found {shown(content)}; allowed: a mapping of type and attributes")
            return None
        top = mapping_of(content)  # pyright: ignore[reportUnknownArgumentType]
        for key in top:
            if key not in _TOP_KEYS:
                self._outside(key, not_among(key, _TOP_KEYS))
        if top.get("type") != COMPONENT_TYPE:
            kind = top.get("type")
            nearest = did_you_mean(str(kind), [COMPONENT_TYPE])
            self._outside("type", f"found {kind!r}; allowed: {COMPONENT_TYPE}{nearest}")
        declared = top.get("attributes")
        if not isinstance(declared, dict) or not declared:
            self._outside("attributes", f"found {shown(top.get('attributes'))}; allowed: a mapping with the use case")
            return None
        return self._with_shared_parts(mapping_of(declared))  # pyright: ignore[reportUnknownArgumentType]

    def _with_shared_parts(self, declared: Mapping[str, Any]) -> dict[str, Any] | None:
        """Write out what is taken from other use cases; None where a part is not there: nobody knows what it holds."""
        shared = SharedParts(self._folder, DECLARATION_FILE)
        found = shared.write_out(declared)
        for path, message in shared.faults:
            self._note(path, message)
        return None if shared.faults else found

    def _outside(self, key: str, message: str) -> None:
        line = self._read.line_of((key,) if key else ())
        self.mistakes.append(Mistake(Path(DECLARATION_FILE), line, key, message))

    def _sql_files(self, declared: Mapping[str, Any]) -> Iterator[tuple[str, _SqlFile]]:
        """Read the SQL files that can be read, and note those that cannot."""
        for part in ("examples", "labels"):
            name = mapping_of(declared.get(part)).get("sql")
            if not isinstance(name, str):
                continue
            path = self._shared_file(name)
            if path is None:
                there = sorted(file.relative_to(self._folder).as_posix() for file in self._folder.glob("sql/*.sql"))
                other = ", or ../USE_CASE/FILE of another use case" if name.startswith("..") else ""
                said = (
                    f"found {name!r}; allowed: a file of this folder: {listed(there)}{other}{did_you_mean(name, there)}"
                )
                self._note((part, "sql"), said)
                continue
            data, relative = path.read_bytes(), Path(os.path.relpath(path, self._folder.resolve()))
            try:
                text = data.decode("utf-8-sig").replace("\r\n", "\n")
            except UnicodeDecodeError as error:
                line = data[: error.start].count(b"\n") + 1
                said = f"found byte 0x{data[error.start]:02x}; allowed: UTF-8"
                self.mistakes.append(Mistake(relative, line, f"{part}.sql", said))
                continue
            undecided = undecided_lines(text)
            said = f"found {DECIDE!r}; allowed: SQL"
            self.mistakes += [Mistake(relative, line, f"{part}.sql", said) for line in undecided]
            if not undecided:
                yield part, _SqlFile(relative, text)

    def _shared_file(self, name: str) -> Path | None:
        """Find a file of this folder, or of the folder of another use case; None where there is none."""
        own = self._folder.absolute()
        try:
            named = Path(os.path.normpath(own / name))
            other = named.relative_to(own.parent).parts[0] if named.is_relative_to(own.parent) else own.name
            folder = (own.parent / other).resolve()
            path = named.resolve()
            is_declared = other == own.name or (folder / DECLARATION_FILE).is_file()
            return path if is_declared and path.is_relative_to(folder) and path.is_file() else None
        except (ValueError, OSError, IndexError):  # a name that no file can have
            return None
