"""Mistakes in the declaration of a sampling, each with its line and what is allowed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ml_assets.spec.declaration import DeclarationError, load_use_case
from ml_assets_tests.comment_spam.state import FOLDER


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("{rows: 100}", "sampling.method: found neither a method nor groups; allowed: one of them or both"),
        ("{method: stratified, rows: 9}", "sampling.method: found stratified without by; allowed: with by"),
        ("{method: time_weighted}", "sampling.method: found time_weighted without half_life; allowed: with half_life"),
        ("{method: reservoir}", "sampling.rows: found reservoir without rows; allowed: with how many rows are drawn"),
        ("{method: reservoir, rows: 9, by: [words]}",
         "sampling.by: found by with the method reservoir; allowed: with stratified"),
        ("{method: stratified, rows: 9, by: [word]}",
         "sampling.by[0]: found 'word'; allowed: a feature; nearest: words"),
        ("{method: importance_weighted, rows: 9, importance: charcters}",
         "sampling.importance: found 'charcters'; allowed: a feature; nearest: characters"),
        ("{groups: [auther]}", "sampling.groups[0]: found 'auther'; allowed: example_id, author, posted_at, text"),
        ("{method: random, rows: 9}", "sampling.method: found 'random'; allowed: "),
    ],
)  # fmt: skip
def test_mistake_is_named_with_its_line(tmp_path: Path, declared: str, said: str) -> None:
    file = Path(shutil.copytree(FOLDER, tmp_path / "comment_spam")) / "defs.yaml"
    text = file.read_text().replace("\n  features:\n", f"\n  sampling: {declared}\n\n  features:\n", 1)
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "sampling:" in each)
    file.write_text(text)

    with pytest.raises(DeclarationError) as refused:
        load_use_case(file.parent)

    assert any(str(each).startswith(f"defs.yaml:{line} {said}") for each in refused.value.mistakes), refused.value


def test_strata_may_be_of_the_label(tmp_path: Path) -> None:
    file = Path(shutil.copytree(FOLDER, tmp_path / "comment_spam")) / "defs.yaml"
    declared = "{method: stratified, rows: 9, by: [label, has_my], groups: [author]}"
    file.write_text(file.read_text().replace("\n  features:\n", f"\n  sampling: {declared}\n\n  features:\n", 1))

    spec = load_use_case(file.parent)

    assert spec.sampling is not None
    assert (spec.sampling.by, spec.sampling.groups) == (("label", "has_my"), ("author",))
