"""The shape of the code, measured: lines a room, lines of the body of an asset, lengths of files, who imports Dagster.

`pytest -s` prints the numbers. A bound that is in the way is a reason to move code, or to say why the bound is wrong.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import ml_assets

PACKAGE = Path(ml_assets.__file__).parent
ASSET_DECORATORS = {"asset", "multi_asset"}
MAX_GRAPH_LINES, MAX_FILE_LINES = 2916, 400  # 2,750 without the layers of labels (113) and experiments (53)
MAX_MEDIAN_BODY, MAX_BODY = 12, 25


@cache
def line_counts() -> dict[Path, int]:
    """Count the lines of each module, by its path inside the package."""
    return {
        path.relative_to(PACKAGE): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def asset_bodies() -> dict[str, int]:
    """Count the lines of the body of each function that Dagster calls to make assets: no signature, no docstring."""
    return {
        f"{path.name}:{function.name}": _body_lines(function)
        for path in sorted((PACKAGE / "graph" / "assets").rglob("*.py"))
        for function in _functions(path)
        if any(_is_asset(decorator) for decorator in function.decorator_list)
    }


def _functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def _is_asset(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (
        isinstance(called, ast.Attribute)
        and called.attr in ASSET_DECORATORS
        and isinstance(called.value, ast.Name)
        and called.value.id == "dg"
    )


def _body_lines(function: ast.FunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    last = body[-1].end_lineno if body else None
    return 0 if last is None else last - body[0].lineno + 1


def imported_packages(path: Path) -> set[str]:
    """Name the packages that a module imports anywhere in it, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_graph_stays_small_beside_the_rooms_it_calls() -> None:
    rooms: Counter[str] = Counter()
    for path, lines in line_counts().items():
        rooms[path.parts[0] if len(path.parts) > 1 else "."] += lines

    shown = "\n".join(f"{room:<12} {lines:>6,}" for room, lines in rooms.most_common())
    sys.stdout.write(f"\nlines by room\n{shown}\n{'all':<12} {rooms.total():>6,}\n")
    assert rooms["graph"] <= MAX_GRAPH_LINES, shown


def test_no_module_is_longer_than_a_reader_bears() -> None:
    counts = line_counts()

    too_long = {str(path): lines for path, lines in counts.items() if lines > MAX_FILE_LINES}

    longest = max(counts, key=lambda path: counts[path])
    sys.stdout.write(f"\n{len(counts)} modules; the longest is {longest} with {counts[longest]} lines\n")
    assert too_long == {}


def test_body_of_an_asset_calls_a_step_and_describes_its_result() -> None:
    bodies = asset_bodies()

    median = statistics.median(bodies.values())
    shown = "\n".join(f"{name:<40} {lines:>3}" for name, lines in sorted(bodies.items(), key=lambda item: -item[1]))
    sys.stdout.write(f"\nlines of asset bodies, median {median:g}\n{shown}\n")
    assert len(bodies) >= 18  # or the decorator is written otherwise than this test knows
    assert median <= MAX_MEDIAN_BODY
    assert {name: lines for name, lines in bodies.items() if lines > MAX_BODY} == {}


def test_steps_and_pages_know_no_dagster() -> None:
    modules = [path for room in ("pipeline", "reports") for path in sorted((PACKAGE / room).rglob("*.py"))]

    importing = [
        str(path.relative_to(PACKAGE))
        for path in modules
        if any(name.startswith("dagster") for name in imported_packages(path))
    ]

    assert len(modules) > 50
    assert importing == []


def test_no_class_name_stands_twice() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))

    assert len(places) > 200
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
