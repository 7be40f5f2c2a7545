"""docs/security.md names a test for each attack; each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "security.md"


def test_each_attack_names_a_test_that_is_there() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| (?!attack|lack)[^-]", line)]

    named = [re.search(r"`([\w/]+\.py)::(\w+)` \|$", row) for row in rows]

    assert len(rows) > 25
    assert [row for row, found in zip(rows, named, strict=True) if found is None] == []
    missing = [found[0] for found in named if found and found[2] not in functions_in(ROOT / found[1])]
    assert missing == []


def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
