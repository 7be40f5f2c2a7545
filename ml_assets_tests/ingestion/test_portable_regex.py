from __future__ import annotations

import re
import sys

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.ingestion.portable_regex import PatternError, translate_pattern

PARTS = st.sampled_from(
    [
        r"\d",
        r"\w",
        r"\s",
        r"\D",
        r"\W",
        r"\S",
        ".",
        "a",
        "b",
        "1",
        "é",
        r"\.",
        "-",
        "[a-b]",
        r"[^\d]",
        r"[\w.]",
        "(a|b)",
        "(?:a1)",
    ]
)
TIMES = st.sampled_from(["", "", "?", "*", "+", "{2}", "{1,2}", "{0,}", "+?"])
TEXTS = st.text(st.sampled_from("ab1é.- \n٣"), max_size=6)


@pytest.fixture(scope="module")
def every_character() -> pa.Table:
    return pa.table({"x": [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]})


@pytest.mark.parametrize("pattern", [r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", ".", "[^a]", "a", "^$", r"[\d\s]"])
def test_every_character_of_unicode_is_found_or_not_as_in_python(every_character: pa.Table, pattern: str) -> None:
    with duckdb.connect() as connection:
        connection.register("characters", every_character)
        found = connection.execute(
            "SELECT x FROM characters WHERE regexp_matches(x, ?)", [translate_pattern(pattern)]
        ).fetchall()
    compiled = re.compile(pattern)
    assert {x for (x,) in found} == {x for x in every_character["x"].to_pylist() if compiled.search(x)}


@settings(max_examples=200, deadline=None)
@given(
    parts=st.lists(st.tuples(PARTS, TIMES), min_size=1, max_size=4),
    ends=st.tuples(st.sampled_from(["", "^"]), st.sampled_from(["", "$"])),
    texts=st.lists(TEXTS, min_size=1, max_size=20),
)
def test_pattern_of_known_parts_finds_what_python_finds(
    parts: list[tuple[str, str]], ends: tuple[str, str], texts: list[str]
) -> None:
    pattern = ends[0] + "".join(part + times for part, times in parts) + ends[1]
    found = duckdb.execute(
        "SELECT list_transform(?::VARCHAR[], lambda x: regexp_matches(x, ?))", [texts, translate_pattern(pattern)]
    ).fetchall()[0][0]
    assert found == [re.search(pattern, text) is not None for text in texts]


@pytest.mark.parametrize(
    "pattern",
    ["", "(", "(?i)a", "(?P<a>b)", r"(a)\1", "(?=a)", "(?<!a)b", r"\bword", r"a\Z", "a++", "a{,3}", "a^b", "a$b",
     r"\x41", "[[:alpha:]]", "[a&&b]", "a{100}", "(a{20}){20}", "a" * 200, "\n", "*a", "a**", r"\p{L}"],
)  # fmt: skip
def test_pattern_with_a_part_that_only_python_knows_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="found"):
        translate_pattern(pattern)


def test_longest_pattern_that_is_taken_compiles_in_duckdb() -> None:
    for pattern in (r"\w{60}", r"\W" * 60, r"[\w-]{3}" * 2):
        assert duckdb.execute("SELECT regexp_matches('a', ?)", [translate_pattern(pattern)]).fetchall() == [(False,)]
