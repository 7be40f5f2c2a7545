"""What the key of a drop is, only the calendar knows: nobody else computes with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ml_assets

PACKAGE = Path(ml_assets.__file__).parent

# Where days are counted that are no drops, or where a calendar is not there yet.
EXCEPTIONS = {
    "spec/calendar.py": "the calendar itself",
    "spec/reachable_bars.py": "reads declarations before there is a calendar",
    "spec/prior_correction.py": "reads declarations before there is a calendar",
    "cli/declare/new_facts.py": "proposes a calendar",
    "cli/declare/new_sizes.py": "proposes a calendar",
}
# names that hold keys of drops; and what makes a number or a length of time of them
KEYS = {"drop", "drops", "batch_date", "as_of", "first_drop", "last_drop", "newest_drop"}
ARITHMETIC = (ast.Add, ast.Sub, ast.FloorDiv, ast.Mod)


def _modules() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if name not in EXCEPTIONS and not name.startswith("demo/"):
            yield name, ast.parse(path.read_text())


def _is_key(node: ast.expr) -> bool:
    """Say whether an expression is a key by its name: `drop`, `row.as_of`, `drops[0]`."""
    match node:
        case ast.Name(id=name) if name in KEYS - {"drops"}:
            return True
        case ast.Attribute(attr=name) if name in KEYS - {"drops"}:
            return True
        case ast.Subscript(value=ast.Name(id=name), slice=place) if name in KEYS:
            return not isinstance(place, ast.Slice)
    return False


def key_arithmetic(tree: ast.AST) -> list[int]:
    """List the lines that add to a key of a drop, take from it, divide it, or ask it for a day's number."""
    found: list[int] = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ARITHMETIC)
            and any(map(_is_key, (node.left, node.right)))
        ):
            found.append(node.lineno)
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ARITHMETIC) and _is_key(node.target):
            found.append(node.lineno)
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("toordinal", "weekday", "isoweekday")
            and _is_key(node.value)
        ):
            found.append(node.lineno)
    return found


def _reckons(node: ast.BinOp) -> bool:
    return any(isinstance(side, ast.Attribute) and ast.unparse(side).endswith("calendar.every") for side in
               (node.left, node.right))  # fmt: skip


def test_nobody_but_the_calendar_computes_with_keys_of_drops() -> None:
    assert {name: lines for name, tree in _modules() if (lines := key_arithmetic(tree))} == {}


def test_nobody_but_the_calendar_computes_with_the_length_of_a_drop() -> None:
    """`calendar.every` may be told, not reckoned with: months and cron expressions have no one length."""
    found = {
        name: [node.lineno for node in ast.walk(tree) if isinstance(node, ast.BinOp) and _reckons(node)]
        for name, tree in _modules()
    }

    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    ["x = drop - window", "x = drops[-1] + every", "drop += day", "x = row.as_of.toordinal()", "(a - drop) // b"],
)
def test_arithmetic_with_a_key_is_seen(line: str) -> None:
    assert key_arithmetic(ast.parse(line)) == [1]


@pytest.mark.parametrize("line", ["x = drops + more", "x = drops[1:] + more", "x = n - len(drops)", "x = drop < other"])
def test_what_is_no_arithmetic_with_a_key_is_left_alone(line: str) -> None:
    assert key_arithmetic(ast.parse(line)) == []


def test_every_exception_is_needed() -> None:
    for name in EXCEPTIONS:
        text = (PACKAGE / name).read_text()
        assert key_arithmetic(ast.parse(text)) or "every" in text, name
