"""What a column of somebody's file is called in a contract."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from ml_assets.spec.contract import RESERVED_COLUMNS
from ml_assets.spec.names import DECIDE

_TAKEN = RESERVED_COLUMNS | {"example_id", "prediction_at", "label", DECIDE}
_YAML_TRUTHS = {"yes", "no", "off"}  # on, true and false are words of SQL too


def contract_name(header: str) -> str:
    """Spell a name as a contract allows it: lower case, digits and _, beginning with a letter, no word of SQL or YAML.

    Examples
    --------
    >>> [contract_name(name) for name in ("Customer ID", "loanAmount", "2nd year %", "known_at", "größe", "Left")]
    ['customer_id', 'loan_amount', 'c_2nd_year', 'given_known_at', 'grosse', 'given_left']
    """
    text = unicodedata.normalize("NFKD", header.replace("ß", "ss")).encode("ascii", "ignore").decode()
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if not name[:1].isalpha():
        name = f"c_{name}".rstrip("_")
    return f"given_{name}"[:64] if name in _TAKEN | _YAML_TRUTHS | _sql_words() else name[:64]


@cache
def _sql_words() -> frozenset[str]:
    import duckdb

    with duckdb.connect() as connection:
        found = connection.execute(  # those of the second kind begin a call: left(, at(
            "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN ('reserved', 'type_function')"
        )
        return frozenset(row[0] for row in found.fetchall())


def contract_names(headers: Sequence[str]) -> list[str]:
    """Spell the names of a whole header, each once: a second `a b` becomes `a_b_2`.

    Examples
    --------
    >>> contract_names(["a b", "A-B", "c"])
    ['a_b', 'a_b_2', 'c']
    """
    names: list[str] = []
    for header in headers:
        name = contract_name(header)
        count = 1
        while name in names:
            count += 1
            name = f"{contract_name(header)[:60]}_{count}"
        names.append(name)
    return names
