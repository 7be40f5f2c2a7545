"""How a source is read from a database, and how a database or a web address is named without its password."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ml_assets.spec.declared import Declared, Fault
from ml_assets.spec.duration import Duration
from ml_assets.spec.names import Identifier, not_among
from ml_assets.spec.raw_yaml import mapping_of

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TABLE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$"


def check_address(text: str) -> str:
    """Check that an address is a variable of the environment, and give it back.

    Who may edit a declaration cannot thereby reach whatever this machine reaches, and no password stands in a file that
    is shared.

    Raises
    ------
    ValueError
        If it is anything else; what was found is not repeated, since it may hold a password.

    Examples
    --------
    >>> check_address("${ORDERS_DATABASE}")
    '${ORDERS_DATABASE}'
    >>> check_address("postgresql://reader:secret@db/shop")
    Traceback (most recent call last):
    ValueError: found an address itself; allowed: the variable of the environment that holds it, as ${ORDERS_DATABASE}
    """
    if not VARIABLE.fullmatch(text):
        raise ValueError(
            "found an address itself; allowed: the variable of the environment that holds it, as ${ORDERS_DATABASE}"
        )
    return text


Address = Annotated[str, AfterValidator(check_address)]


class Extract(Declared):
    """Rows of a database that `ml-assets extract` lands as files: those that are new or changed since it last did.

    What was extracted stays as it is: everything behind it reads the files, and never the database.
    """

    url: Address = Field(
        description="the variable of the environment that holds the address of the database, as SQLAlchemy has it: "
        "`postgresql+psycopg://reader@db/shop`",
        examples=["${ORDERS_DATABASE}"],
    )
    table: str = Field(
        default="", pattern=rf"{_TABLE}|^$", description="the table or view that is read", examples=["shop.orders"]
    )
    query: str = Field(
        default="",
        description="a SELECT in the SQL of the database, in place of a table",
        examples=["SELECT id, total, updated_at FROM orders WHERE country = 'DE'"],
    )
    watermark: Identifier = Field(
        description="a column of the contract that only grows as rows are written, such as `updated_at` or a number of "
        "a sequence: rows above the last one are taken",
        examples=["updated_at"],
    )
    overlap: Duration | None = Field(
        default=None,
        description="how far below the last watermark rows are looked at again, for writers that commit late; a row "
        "that was taken is not taken twice",
        examples=["10min"],
    )
    deleted: Identifier | None = Field(
        default=None,
        description="a boolean column of the contract that becomes true when a row is gone from the database: all keys "
        "are then compared at each extraction. Without it nobody notices",
        examples=["is_deleted"],
    )

    @classmethod
    def faults(cls, declared: Mapping[str, Any]) -> Iterator[Fault]:
        """Find neither or both of a table and a query.

        >>> list(Extract.faults({"table": "orders", "query": "SELECT 1"}))
        [(('query',), 'found together with table; allowed: one of both')]
        """
        table, query = declared.get("table"), declared.get("query")
        if table and query:
            yield ("query",), "found together with table; allowed: one of both"
        if not table and not query:
            yield ("table",), "is required and missing, or a query in its place"
        if isinstance(query, str) and query.strip() and not re.match(r"(?is)\s*(select|with)\b", query):
            yield ("query",), f"found {query.strip()[:40]!r}; allowed: a SELECT"
        if isinstance(query, str) and ";" in query.rstrip().rstrip(";"):
            yield ("query",), "found more than one statement; allowed: one SELECT"


def extract_faults(source: Mapping[str, Any]) -> Iterator[Fault]:
    """Find what does not fit between the extract of a source and its contract, in one that may not be sound.

    >>> columns = {"id": {"type": "string"}, "n": {"type": "float"}}
    >>> source = {"columns": columns, "extract": {"watermark": "n"}, "file": {"format": "parquet"}}
    >>> list(extract_faults(source))
    [(('extract', 'watermark'), "found 'n' of type 'float'; allowed: a column of type timestamp or integer")]
    """
    extract, columns = mapping_of(source.get("extract")), mapping_of(source.get("columns"))
    if not extract:
        return
    file = mapping_of(source.get("file"))
    if file.get("format") != "parquet" or file.get("names"):
        yield (
            ("extract",),
            "found without `file: {format: parquet}`; allowed: beside it and no names, since that is how rows land",
        )
    watermark, deleted = extract.get("watermark"), extract.get("deleted")
    for key, name, kinds in (("watermark", watermark, ("timestamp", "integer")), ("deleted", deleted, ("boolean",))):
        if not isinstance(name, str):
            continue
        if name not in columns:
            yield ("extract", key), not_among(name, list(columns))
        elif (kind := mapping_of(columns[name]).get("type")) not in kinds:
            yield ("extract", key), f"found {name!r} of type {kind!r}; allowed: a column of type {' or '.join(kinds)}"
    kind = mapping_of(columns.get(watermark)).get("type") if isinstance(watermark, str) else None
    if extract.get("overlap") is not None and kind == "integer":
        yield ("extract", "overlap"), "found with a watermark of numbers; allowed: with one of type timestamp"
