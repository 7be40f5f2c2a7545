"""Texts as features: an encoder that counts hashed words, written as one row expression a dimension.

Being expressions, they have a version by their SQL, are computed as of each example, and are audited, explained and
watched for drift like every other feature. Nothing is learned, so that no encoder has to be fitted and none can see the
future.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from ml_assets.spec.declared import Declared
from ml_assets.spec.names import Identifier
from ml_assets.spec.raw_yaml import list_of, mapping_of, named_parts

_TOKENS = {
    "words": r"regexp_extract_all(lower({column}), '[\pL\pN]+')",
    "trigrams": "CASE WHEN {column} IS NOT NULL THEN list_transform(range(1, CASE WHEN length({column}) = 0 THEN 1 "
    "ELSE greatest(length({column}) - 1, 2) END), lambda _at: substr(lower({column}), _at, 3)) END",
}


class TextFeature(Declared):
    """A text column of the examples as counts of its words, or of three characters in a row, by their hash.

    `dimensions` is how many features there are; two words with the same hash are counted together. Null is a null text.
    """

    name: Identifier
    column: Identifier
    tokens: Literal["words", "trigrams"] = "words"
    dimensions: int = Field(default=32, ge=2, le=256)

    def feature_names(self) -> tuple[str, ...]:
        """Name the features, one a dimension.

        >>> TextFeature(name="words", column="text", dimensions=3).feature_names()
        ('words_000', 'words_001', 'words_002')
        """
        return tuple(f"{self.name}_{place:03}" for place in range(self.dimensions))

    def expressions(self) -> list[dict[str, str]]:
        """Give the row expressions, as they would be declared."""
        tokens = _TOKENS[self.tokens].format(column=f'"{self.column}"')
        # the same list in every expression: DuckDB makes it once a row
        codes = f"list_transform({tokens}, lambda _token: md5_number_lower(_token) % {self.dimensions})"
        return [
            {
                "name": name,
                "sql": f"len(list_filter({codes}, lambda _code: _code = {place}))",
                "unit": "count",
                "description": f"{self.tokens} of {self.column} with hash {place} of {self.dimensions}",
            }
            for place, name in enumerate(self.feature_names())
        ]


def with_text_features(declared: Mapping[str, Any]) -> tuple[dict[str, Any], dict[int, int]]:
    """Add the expressions of `features.text` to those declared.

    Returns
    -------
    declared, places
        The declaration, and for the position of each added expression that of its text feature. A text feature that is
        not sound adds none: its mistakes are found where it stands.

    >>> found, places = with_text_features({"features": {"text": [{"name": "w", "column": "t", "dimensions": 2}]}})
    >>> [each["name"] for each in found["features"]["expressions"]], places
    (['w_000', 'w_001'], {0: 0, 1: 0})
    """
    features = mapping_of(declared.get("features"))
    written: Sequence[Any] = list_of(features.get("expressions"))
    added: list[dict[str, str]] = []
    places: dict[int, int] = {}
    for place, _, part in named_parts(features.get("text")):
        try:
            encoder = TextFeature.model_validate(part)
        except ValueError:
            continue
        for expression in encoder.expressions():
            places[len(written) + len(added)] = place
            added.append(expression)
    if not added:
        return dict(declared), {}
    return {**declared, "features": {**features, "expressions": [*written, *added]}}, places
