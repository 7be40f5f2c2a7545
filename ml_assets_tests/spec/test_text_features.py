"""Texts as counts of hashed words: what is computed, and what is said of a declaration that is wrong."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from ml_assets.spec.column_lineage import FEATURES, column_lineage
from ml_assets.spec.declaration import DeclarationError, load_use_case
from ml_assets.spec.feature_versions import feature_definitions
from ml_assets.spec.text_features import TextFeature
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets_tests.comment_spam.state import FOLDER

TEXTS = [
    "Check, check THIS http://a.b/c?d=1",
    "",
    "!!",
    "später öfter Straße",
    "日本 日本 🎵 x",
    "a" * 10_000,
    None,
    "it's 3.5%",
]
DECLARED = "    text:\n      - {name: said, column: text, dimensions: 16}\n"


def declared(folder: Path, text: str = DECLARED) -> Path:
    """Put text features before the expressions of the use case of comments."""
    file = Path(shutil.copytree(FOLDER, folder / "comment_spam")) / "defs.yaml"
    file.write_text(file.read_text().replace("  features:\n", f"  features:\n{text}", 1))
    return file


def code_of(token: str, dimensions: int) -> int:
    """Give the hash that DuckDB's md5_number_lower is: the last eight bytes of MD5, the lowest first."""
    return int.from_bytes(hashlib.md5(token.encode()).digest()[8:], "little") % dimensions  # noqa: S324 - no secret


def computed(encoder: TextFeature, texts: list[str | None]) -> list[list[int | None]]:
    listed = ", ".join(each["sql"] for each in encoder.expressions())
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (place INTEGER, text VARCHAR)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(texts)))
        return [list(row) for row in connection.sql(f"SELECT {listed} FROM t ORDER BY place").fetchall()]


@pytest.mark.parametrize("dimensions", [2, 16, 100])
def test_words_are_counted_by_a_hash_that_any_program_can_compute(dimensions: int) -> None:
    rows = computed(TextFeature(name="w", column="text", dimensions=dimensions), list(TEXTS))

    for text, row in zip(TEXTS, rows, strict=True):
        if text is None:
            assert row == [None] * dimensions
            continue
        words = re.findall(r"[^\W_]+", text.lower())
        counts = Counter(code_of(word, dimensions) for word in words)
        assert row == [counts[place] for place in range(dimensions)], text


def test_three_characters_in_a_row_are_counted_in_any_script() -> None:
    rows = computed(TextFeature(name="w", column="text", tokens="trigrams", dimensions=8), ["Straße", "ab", "", None])

    expected = Counter(code_of(token, 8) for token in ("str", "tra", "raß", "aße"))
    assert rows[0] == [expected[place] for place in range(8)]
    assert [sum(each or 0 for each in row) for row in rows] == [4, 1, 0, 0]
    assert rows[3] == [None] * 8


def test_encoder_is_versioned_and_traced_like_any_feature(tmp_path: Path) -> None:
    spec = load_use_case(declared(tmp_path).parent)
    other = load_use_case(declared(tmp_path / "other", DECLARED.replace("16", "17")).parent)

    assert [name for name in spec.features.feature_names() if name.startswith("said_")] == [
        f"said_{place:03}" for place in range(16)
    ]
    assert spec.features.expressions[0].name == "characters"  # what was written comes first
    assert feature_definitions(spec)["said_003"] != feature_definitions(other)["said_003"]
    made = column_lineage(spec)[FEATURES]["said_003"]
    assert [str(each) for each in made] == ["features/examples.text"]
    assert UseCaseSpec.model_validate(spec.model_dump(by_alias=True)) == spec  # what was read is not encoded twice


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DECLARED.replace("column: text", "column: txt"),
         "features.text[0]: reads column 'txt'; allowed: example_id, author, posted_at, text"),
        (DECLARED.replace("16", "1000"), "features.text[0].dimensions: found 1000; allowed: 256 or less"),
        (DECLARED.replace("dimensions", "dimension"), "features.text[0].dimension: found 'dimension'; allowed: name, "
         "column, tokens, dimensions; nearest: dimensions"),
        (DECLARED.replace("16}", "16, tokens: letters}"), "features.text[0].tokens: found 'letters'; allowed: "),
        (DECLARED + DECLARED.splitlines()[1] + "\n",
         "features.text[1]: feature names must be unique; found twice: said_000"),
    ],
)  # fmt: skip
def test_mistake_is_named_where_it_was_written(tmp_path: Path, text: str, said: str) -> None:
    file = declared(tmp_path, text)
    lines = [number for number, line in enumerate(file.read_text().splitlines(), 1) if "name: said" in line]

    with pytest.raises(DeclarationError) as refused:
        load_use_case(file.parent)

    found = list(map(str, refused.value.mistakes))
    assert any(each.startswith(f"defs.yaml:{line} {said}") for each in found for line in lines), found
