"""Declarations as people get them wrong: all mistakes of each, in one pass, in the right line, with the nearest name.

`malformed/parcels` is a sound use case. Each document of the YAML files beside it is a case: `change`
lists texts of its defs.yaml and what stands there instead, `files` whole files by name (empty: not
there), `encoding` how they are written. `mistakes` are all that must be found: `at` is a text of the
line it stands in (the `nth` such line, `in` a file, defs.yaml unless said), then key, what is found,
and the nearest name.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.spec.declaration import DeclarationError, load_use_case
from ml_assets_tests.conftest import drawn

CORPUS = Path(__file__).parent / "malformed"
BASE = CORPUS / "parcels"
CASES: list[tuple[str, dict[str, Any]]] = [
    (f"{file.stem}: {case['case']}", case)
    for file in sorted(CORPUS.glob("*.yaml"))
    for case in yaml.safe_load_all(file.read_text(encoding="utf-8"))
]


def write_case(case: dict[str, Any], folder: Path) -> Path:
    """Write the use case as the case has it."""
    shutil.copytree(BASE, folder)
    text = (folder / "defs.yaml").read_text(encoding="utf-8")
    for old, new in case.get("change", []):
        assert text.count(old) >= 1, f"{case['case']}: {old!r} is not in the declaration"
        text = text.replace(old, new, 1)
    encoding = case.get("encoding", "utf-8")
    for name, content in {"defs.yaml": text, **case.get("files", {})}.items():
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content.encode(encoding))
    return folder


def found_in(folder: Path) -> list[dict[str, Any]]:
    """Give each mistake as a script gets it."""
    with pytest.raises(DeclarationError) as refused:
        load_use_case(folder)
    return [mistake.as_row() for mistake in refused.value.mistakes]


def expected_of(case: dict[str, Any], folder: Path) -> list[tuple[Any, ...]]:
    """Give what the case says must be found."""
    expected: list[tuple[Any, ...]] = []
    for mistake in case["mistakes"]:
        file = mistake.get("in", "defs.yaml")
        lines = (folder / file).read_bytes().decode(case.get("encoding", "utf-8")).splitlines() or [""]
        having = [number for number, text in enumerate(lines, 1) if mistake["at"] in text]
        assert having, f"no line of {file} has {mistake['at']!r}"
        line = having[mistake.get("nth", 1) - 1]
        expected.append((file, line, mistake.get("key", ""), mistake["found"], mistake.get("nearest")))
    return sorted(expected, key=str)


def test_corpus_has_forty_cases_and_many_with_several_mistakes() -> None:
    assert len(CASES) >= 40
    assert len({name for name, _ in CASES}) == len(CASES)
    assert sum(len(case["mistakes"]) >= 3 for _, case in CASES) >= 12


def test_what_the_cases_break_is_sound(tmp_path: Path) -> None:
    assert len(load_use_case(write_case({"case": "none"}, tmp_path / "parcels")).features.feature_names()) == 9


@pytest.mark.parametrize(("name", "case"), CASES, ids=[name for name, _ in CASES])
def test_case_gives_all_its_mistakes_and_no_other(name: str, case: dict[str, Any], tmp_path: Path) -> None:
    folder = write_case(case, tmp_path / "parcels")

    found = found_in(folder)

    told = [(each["file"], each["line"], each["key"], each["found"], each["nearest"]) for each in found]
    assert sorted(told, key=str) == expected_of(case, folder), name
    unsaid = [each for each in found if each["allowed"] is None and "missing" not in str(each["found"])]
    assert [each for each in unsaid if "YAML" not in str(each["found"])] == []


ODD = (None, 5, -1.5, True, "", "x y'\"", [], {}, [[1]], {"": None}, {"a": {"b": 1}}, [None], "9" * 50, "a\x00b",
       '"; DROP TABLE x', "sql/../sql/labels.sql", ".")  # fmt: skip


def places_in(part: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List the place of every part of a declaration."""
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [path, *(place for key, value in inner for place in places_in(value, (*path, key)))]


SOUND = yaml.safe_load((BASE / "defs.yaml").read_text(encoding="utf-8"))
PLACES = [place for place in places_in(SOUND) if place]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case({"case": "none"}, tmp_path_factory.mktemp("odd") / "parcels")


@drawn(50)
@given(place=st.sampled_from(PLACES), odd=st.sampled_from(ODD))
def test_whatever_stands_in_a_place_is_a_use_case_or_its_mistakes(
    scratch: Path, place: tuple[str | int, ...], odd: Any
) -> None:
    declared: Any = yaml.safe_load((BASE / "defs.yaml").read_text(encoding="utf-8"))
    part = declared
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = odd
    (scratch / "defs.yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")
    lines = (scratch / "defs.yaml").read_text(encoding="utf-8").count("\n")

    try:
        mistakes = [] if load_use_case(scratch).name == "parcels" else None
    except DeclarationError as refused:
        mistakes = refused.mistakes

    assert mistakes is not None
    assert [each for each in mistakes if not 1 <= each.line <= lines] == []
