"""The declaration of the comments with texts changed, and what is found then."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_assets.spec.declaration import DeclarationError, load_use_case
from ml_assets_tests.comment_spam.state import FOLDER


def mistakes(folder: Path, *changes: tuple[str, str]) -> list[str]:
    """Change texts of defs.yaml, and give what is found then."""
    file = folder / "defs.yaml"
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError) as refused:
        load_use_case(folder)
    return [str(each) for each in refused.value.mistakes]


def line_of(text: str) -> int:
    lines = (FOLDER / "defs.yaml").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)
