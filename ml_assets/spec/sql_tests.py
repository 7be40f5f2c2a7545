"""Tests of a use case's SQL, as YAML: rows given per source, rows expected; every mistake with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import yaml

from ml_assets.spec.declaration import Mistake
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.names import DECIDE
from ml_assets.spec.use_case import UseCaseSpec, did_you_mean

TESTED = ("examples", "labels", "features")
Tested = Literal["examples", "labels", "features"]


@dataclass(frozen=True)
class Cell:
    """A value as it is written, None for null, and where it stands."""

    text: str | None
    line: int
    key: str


@dataclass(frozen=True)
class Row:
    """One row, given or expected: its cells by column, and where it stands."""

    cells: Mapping[str, Cell]
    line: int
    key: str


@dataclass(frozen=True)
class SqlTest:
    """One test: what was received, and the rows of `table` that come of it.

    `drop` is the one in which rows were received whose source makes no claim about when they were known; the others
    are in the drop that holds their moment.
    """

    file: Path
    line: int
    table: Tested
    name: str
    drop: DropKey
    given: Mapping[str, Sequence[Row]]
    expected: Sequence[Row]


@dataclass
class SqlTests:
    """What the files of a folder hold: tests that can be run, and mistakes in those that cannot."""

    tests: list[SqlTest] = field(default_factory=list["SqlTest"])
    mistakes: list[Mistake] = field(default_factory=list["Mistake"])


def load_sql_tests(folder: Path, spec: UseCaseSpec) -> SqlTests:
    """Read `sql_tests/*.yaml` in the folder of a use case."""
    found = SqlTests()
    for file in sorted(folder.glob("sql_tests/*.yaml")):
        _File(folder, file.relative_to(folder), spec, found).read()
    return found


class _File:
    """Reads one file, noting tests and mistakes in `found`."""

    def __init__(self, folder: Path, file: Path, spec: UseCaseSpec, found: SqlTests) -> None:
        self.folder = folder
        self.file = file
        self.spec = spec
        self.found = found

    def read(self) -> None:
        try:
            root = yaml.compose((self.folder / self.file).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            mark = getattr(error, "problem_mark", None)
            self.note(mark.line + 1 if mark is not None else 1, "", " ".join(str(error).split()))
            return
        parts = self.mapping(root, "", ("table", "tests"), required=("table", "tests"))
        table = self.scalar(parts.get("table"), "table")
        if table is not None and table.text not in TESTED:
            text = table.text or "null"
            message = f"found {text!r}; allowed: {', '.join(TESTED)}{did_you_mean(text, TESTED)}"
            self.note(table.line, "table", message)
            return
        for place, node in enumerate(self.items(parts.get("tests"), "tests")):
            if table is not None:
                self.test(node, f"tests[{place}]", cast("Tested", table.text))

    def test(self, node: yaml.Node, key: str, table: Tested) -> None:
        before = len(self.found.mistakes)
        parts = self.mapping(node, key, ("name", "drop", "given", "expect"), required=("name", "given", "expect"))
        name = self.scalar(parts.get("name"), f"{key}.name")
        drop = self.drop(parts.get("drop"), f"{key}.drop")
        sources = tuple(source.name for source in self.spec.sources)
        given = {
            source: [
                self.row(row, f"{key}.given.{source}[{place}]", tuple(self.spec.source(source).columns))
                for place, row in enumerate(self.items(rows, f"{key}.given.{source}"))
            ]
            for source, rows in self.mapping(parts.get("given"), f"{key}.given", sources).items()
        }
        expected = [
            self.row(row, f"{key}.expect[{place}]", None)
            for place, row in enumerate(self.items(parts.get("expect"), f"{key}.expect"))
        ]
        for row in expected:
            if "example_id" not in row.cells:
                self.note(row.line, row.key, "example_id: is required and missing")
        if len(self.found.mistakes) == before and name is not None:
            line = node.start_mark.line + 1
            self.found.tests.append(SqlTest(self.file, line, table, name.text or "", drop, given, expected))

    def drop(self, node: yaml.Node | None, key: str) -> DropKey:
        calendar = self.spec.calendar
        cell = self.scalar(node, key)
        if cell is None:
            return calendar.first_drop
        try:
            drop = read_key(cell.text or "")
        except ValueError:
            drop = None
        if drop is None or not calendar.is_drop(drop):
            until = f" to {calendar.last_drop}" if calendar.last_drop else " on"
            self.note(
                cell.line, key, f"found {cell.text!r}; allowed: a drop of the calendar, {calendar.first_drop}{until}"
            )
            return calendar.first_drop
        return drop

    def row(self, node: yaml.Node, key: str, columns: Sequence[str] | None) -> Row:
        cells: dict[str, Cell] = {}
        for name, value in self.mapping(node, key, columns).items():
            cell = self.scalar(value, f"{key}.{name}")
            if cell is None:
                continue
            cells[name] = cell
            if cell.text == DECIDE:
                self.note(cell.line, cell.key, f"found {DECIDE!r}; allowed: the value that is right here")
        return Row(cells, node.start_mark.line + 1, key)

    def mapping(
        self, node: yaml.Node | None, key: str, allowed: Sequence[str] | None, required: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        if node is None:
            if required:
                self.note(1, key, f"found nothing; allowed: a mapping of {', '.join(required)}")
            return {}
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            self.note(line, key, f"found {_shown(node)}; allowed: a mapping")
            return {}
        parts: dict[str, yaml.Node] = {}
        for name_node, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            name = str(name_node.value)
            place = f"{key}.{name}".removeprefix(".")
            if allowed is not None and name not in allowed:
                nearest = did_you_mean(name, tuple(allowed))
                message = f"found {name!r}; allowed: {', '.join(allowed)}{nearest}"
                self.note(name_node.start_mark.line + 1, place, message)
            elif name in parts:
                self.note(name_node.start_mark.line + 1, place, f"found {name!r} again; allowed: once")
            else:
                parts[name] = value
        for name in required:
            if name not in parts:
                self.note(line, f"{key}.{name}".removeprefix("."), "is required and missing")
        return parts

    def items(self, node: yaml.Node | None, key: str) -> Iterator[yaml.Node]:
        if node is None:
            return
        if isinstance(node, yaml.SequenceNode):
            yield from cast("list[yaml.Node]", node.value)
        else:
            self.note(node.start_mark.line + 1, key, f"found {_shown(node)}; allowed: a list")

    def scalar(self, node: yaml.Node | None, key: str) -> Cell | None:
        if node is None:
            return None
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode):
            self.note(line, key, f"found {_shown(node)}; allowed: one value")
            return None
        return Cell(None if node.tag == "tag:yaml.org,2002:null" else str(node.value), line, key)

    def note(self, line: int, key: str, message: str) -> None:
        self.found.mistakes.append(Mistake(self.file, line, key, message))


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(str(node.value))
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"
