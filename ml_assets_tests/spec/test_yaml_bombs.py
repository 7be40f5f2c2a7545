"""YAML that is small as a file and large once its aliases are written out: a mistake with its line, at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_assets.cli import app
from ml_assets.spec.declaration import DeclarationError, load_use_case
from ml_assets.spec.marked_yaml import MOST_NODES, UnreadableYamlError, read_marked
from ml_assets_tests.spec.test_malformed import BASE

FANS = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [*a%d, *a%d, *a%d]\n" % (i, i, i - 1, i - 1, i - 1) for i in range(1, 20)
)
NESTED = b"a0: &a0 {x: 1}\n" + b"".join(
    b"a%d: &a%d {<<: [*a%d, *a%d, *a%d], y%d: 1}\n" % (i, i, i - 1, i - 1, i - 1, i) for i in range(1, 20)
)
WIDE = b"a: &a {" + b", ".join(b"k%d: 1" % i for i in range(2_000)) + b"}\n"
BOMBS = {
    "25,000 merges": (b"a: &a {x: 1}\nb:\n  <<: [" + b", ".join([b"*a"] * 25_000) + b"]\n", 2),
    "merges of a wide mapping": (WIDE + b"b:\n  <<: [" + b", ".join([b"*a"] * 25_000) + b"]\n", 1),
    "merges of merges": (NESTED, 1),
    "lists of lists": (FANS, 1),
    "a list inside itself": (b"x: 1\na: &a [*a]\n", 2),
    "a merge of itself": (b"x: 1\na: &a {<<: *a}\n", 2),
    "aliases that hold one another": (b"a: &a {b: &b {a: *a}}\n", 1),
    "many values": (b"a: [" + b", ".join([b"1"] * (MOST_NODES + 1)) + b"]\n", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_a_mistake_with_its_line_that_says_what_to_do(name: str) -> None:
    text, line = BOMBS[name]

    with pytest.raises(UnreadableYamlError) as refused:
        read_marked(text)

    fault = refused.value.fault
    assert fault.line >= line
    assert fault.key
    assert "alias" in fault.message
    assert "; allowed: " in fault.message


def test_merges_and_aliases_of_a_common_size_are_read() -> None:
    text = b"a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [*a, {z: 4}]}\nd: [*a, *a]\n"

    read = read_marked(text)

    a = {"x": 1, "y": 2}
    assert read.content == {"a": a, "b": {"x": 1, "y": 3}, "c": {**a, "z": 4}, "d": [a, a]}
    assert read.faults == []


@pytest.mark.parametrize("merged", [b"3", b"[3]", b"text", b"!odd {a: 1}"])
def test_merge_of_what_is_no_mapping_is_a_mistake(merged: bytes) -> None:
    (fault,) = read_marked(b"a:\n  x: 1\n  <<: " + merged + b"\n").faults

    assert fault.line == 3
    assert "allowed" in fault.message


def test_bomb_removes_its_use_case_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_PROJECT", str(tmp_path))
    (tmp_path / "ml_assets.toml").write_text('use_cases = "."')
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "data"))
    shutil.copytree(BASE, tmp_path / "parcels")
    (tmp_path / "bomb").mkdir()
    bomb = BOMBS["25,000 merges"][0].replace(b"\n", b"\n  ")
    (tmp_path / "bomb" / "defs.yaml").write_bytes(b"type: ml_assets.UseCase\nattributes:\n  " + bomb)

    status = CliRunner().invoke(app, ["status"], terminal_width=200)
    validated = CliRunner().invoke(app, ["validate"], terminal_width=200)

    assert status.exit_code == 0, status.output
    assert "parcels" in status.output
    assert "defs.yaml:4 b: " in status.output
    assert "found more than 50,000 values" in " ".join(status.output.split())
    assert validated.exit_code == 1
    assert "found more than 50,000 values" in " ".join(validated.output.split())


def test_failure_that_nobody_foresaw_is_a_mistake_of_that_use_case(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_data: bytes) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr("ml_assets.spec.declaration.read_marked", fail)

    with pytest.raises(DeclarationError, match=r"defs\.yaml:1 cannot be read: RecursionError: maximum"):
        load_use_case(BASE)
