"""YAML with the line of every key: what it says, where it says so, and what in it cannot be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import yaml
from yaml._yaml import CParser
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from ml_assets.spec.names import KeyPath, spell_path

DEEPEST = 24  # a use case nests seven deep
_TOO_DEEP = f"found nesting deeper than {DEEPEST}; allowed: as deep as a use case goes"
_KINDS = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value")
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in _KINDS}
MOST_NODES = 50_000  # aliases of aliases grow without end


@dataclass(frozen=True)
class YamlFault:
    """What is wrong with the text itself, whatever it declares."""

    line: int
    key: str
    message: str


class UnreadableYamlError(ValueError):
    """Text that is no YAML, so that nothing more can be said of it."""

    def __init__(self, fault: YamlFault) -> None:
        self.fault = fault
        super().__init__(fault.message)


@dataclass
class MarkedYaml:
    """The content of a YAML file. `lines` has the line of each key or list item, counted from 1.

    `text_lines` has, for each text, the line in which its first line stands, and whether its lines
    are lines of the file, as in a literal block.
    """

    content: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict[KeyPath, int])
    text_lines: dict[KeyPath, tuple[int, bool]] = field(default_factory=dict[KeyPath, tuple[int, bool]])
    faults: list[YamlFault] = field(default_factory=list[YamlFault])

    def line_of(self, path: KeyPath) -> int:
        """Give the line of a key, or of the nearest key around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def line_in(self, path: KeyPath, line: int) -> int:
        """Give the line of the file that holds line `line` of the text at `path`."""
        first, is_literal = self.text_lines.get(path, (self.line_of(path), False))
        return first + line - 1 if is_literal else first


def read_marked(data: bytes) -> MarkedYaml:
    r"""Read YAML 1.1, except that only true and false are booleans, and 04:00 is no number.

    Raises
    ------
    UnreadableYamlError
        If it is not UTF-8, not YAML, nested too deep, more than one document, or more values than any use case has
        once its aliases are written out.

    Examples
    --------
    >>> read = read_marked(b"a: {b: NO}\na: 04:00\n")
    >>> read.content, [(fault.line, fault.message) for fault in read.faults]
    ({'a': '04:00'}, [(2, "found 'a' again; allowed: a key once, it stands in line 1 too")])
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"found byte 0x{data[error.start]:02x}; allowed: UTF-8"
        raise UnreadableYamlError(YamlFault(line, "", found)) from error
    loader, root = _composed(text)
    builder = _Builder(loader)
    if root is not None:
        builder.read.content = builder.build(root, ())
    return builder.read


def _composed(text: str) -> tuple[_Loader, yaml.Node | None]:
    """Compose the nodes with libyaml, in a tenth of the time; what it refuses is read by PyYAML, which says why."""
    try:
        fast = _FastLoader(text)
        return fast, fast.get_single_node()
    except yaml.YAMLError:
        pass
    try:
        plain = _PlainLoader(text)
        return plain, plain.get_single_node()
    except yaml.YAMLError as error:
        raise UnreadableYamlError(_fault_of(error, text)) from error


def _fault_of(error: yaml.YAMLError, text: str) -> YamlFault:
    if isinstance(error, yaml.reader.ReaderError):
        line = text[: error.position].count("\n") + 1
        return YamlFault(line, "", f"found character U+{ord(text[error.position]):04X}; allowed: printable text")
    mark: Any = getattr(error, "problem_mark", None)
    if mark is None:
        return YamlFault(1, "", " ".join(str(error).split()))
    lines = text.splitlines()
    line: int = max(0, min(mark.line, len(lines) - 1))
    if re.match(r" *\t", lines[line] if lines else ""):
        return YamlFault(line + 1, "", "found a tab; allowed: spaces to indent by")
    said = [getattr(error, "context", None), getattr(error, "problem", None)]
    if _TOO_DEEP in said:
        return YamlFault(line + 1, "", _TOO_DEEP)
    begun: Any = getattr(error, "context_mark", None)
    since = f" (begun in line {begun.line + 1})" if begun is not None and begun.line != line else ""
    return YamlFault(line + 1, "", f"does not read as YAML: {', '.join(part for part in said if part)}{since}")


class _Loader(Composer, SafeConstructor, Resolver):
    """Composes nodes to a depth, and resolves plain text with fewer surprises than YAML 1.1."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to say it
        first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith((":bool", ":int", ":float"))]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _depth = 0

    def __init__(self) -> None:
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, unless it lies too deep."""
        self._depth += 1
        if self._depth > DEEPEST:
            event: Any = cast("Any", self).peek_event()
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _PlainLoader(_Loader, Reader, Scanner, Parser):
    """Reads with PyYAML itself, whose errors name the place."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        _Loader.__init__(self)


class _FastLoader(_Loader, CParser):
    """Takes the events of libyaml."""

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        _Loader.__init__(self)


_PLAIN = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    (
        "float",
        r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|nan)$",
        "-+0123456789.",
    ),
)
for _tag, _pattern, _first in _PLAIN:
    cast("Any", _Loader).add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


class _Builder:
    """Makes values of nodes, and notes where each stood and what cannot be meant."""

    def __init__(self, loader: _Loader) -> None:
        self.read = MarkedYaml()
        self._loader = loader
        self._nodes = 0
        self._open: set[int] = set()  # the mappings and lists that are being built: none may hold itself

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self.read.lines.setdefault(path, line)
        if node.tag not in _TAGS:
            self._note(line, path, f"found the tag {node.tag}; allowed: values without a tag")
            return None
        self._bound(node, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.add(id(node))
        if isinstance(node, yaml.MappingNode):
            found: Any = self._mapping(node, path)
        else:
            found = [self.build(child, (*path, place)) for place, child in enumerate(node.value)]
        self._open.remove(id(node))
        return found

    def _bound(self, node: yaml.Node, path: KeyPath) -> None:
        """Stop where aliases would make more of a small file than memory holds."""
        self._nodes += 1
        line, key = self.read.line_of(path), spell_path(path[:3]) if path else ""
        if id(node) in self._open:
            found = "found an alias inside of what it stands for; allowed: aliases that end. Write the values out"
            raise UnreadableYamlError(YamlFault(line, key, found))
        if self._nodes > MOST_NODES or len(path) > DEEPEST:
            found = f"found more than {MOST_NODES:,} values, or deeper than {DEEPEST}, once its aliases are written out"
            said = f"{found}; allowed: fewer. Use fewer `*alias` and `<<`, or another use case"
            raise UnreadableYamlError(YamlFault(line, key, said))

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        style: str | None = getattr(node, "style", None)
        first = node.start_mark.line + (2 if style in ("|", ">") else 1)
        self.read.text_lines[path] = (first, style == "|")
        try:
            return cast("Any", self._loader).construct_object(node)
        except (
            ValueError,
            yaml.constructor.ConstructorError,
        ):  # 2013-02-30 looks like a date and is none: who reads it says so
            return node.value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._note(line, path, "found a list or mapping as a key; allowed: text")
                continue
            if key.tag == "tag:yaml.org,2002:merge":
                for part in self._merged(value, path):
                    merged = {**part, **merged}
                continue
            name = str(key.value)
            if name in found:
                first = self.read.lines[(*path, name)]
                self._note(
                    line, (*path, name), f"found {name!r} again; allowed: a key once, it stands in line {first} too"
                )
            self.read.lines.setdefault((*path, name), line)
            found[name] = self.build(value, (*path, name))
        return {**merged, **found}

    def _merged(self, node: yaml.Node, path: KeyPath) -> Iterator[dict[str, Any]]:
        parts: list[yaml.Node] = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for part in parts:
            found = self.build(part, path)
            if isinstance(found, dict):
                yield cast("dict[str, Any]", found)
            elif part.tag in _TAGS:
                said = "found `<<` of what is no mapping; allowed: `<<: *name` of a mapping, or a list of such"
                self._note(part.start_mark.line + 1, path, said)

    def _note(self, line: int, path: KeyPath, message: str) -> None:
        self.read.faults.append(YamlFault(line, spell_path(path) if path else "", message))
