"""Writes the first texts of a use case from templates: defs.yaml, SQL and SQL tests.

Whatever comes from a file stays what it is: names and values are quoted where YAML or SQL would read them otherwise,
and a comment never breaks its line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import yaml

from ml_assets.cli.console import printable
from ml_assets.cli.declare.new_facts import DraftFacts
from ml_assets.ingestion.profiling import ColumnProfile
from ml_assets.spec.names import DECIDE

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = {
    "defs.yaml": "defs.yaml.j2",
    "sql/examples.sql": "examples.sql.j2",
    "sql/labels.sql": "labels.sql.j2",
    "sql_tests/examples.yaml": "examples_test.yaml.j2",
    "sql_tests/labels.yaml": "labels_test.yaml.j2",
}
_TRUTHS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
_SHOWN_CATEGORIES = 4


def write_texts(facts: DraftFacts) -> dict[str, str]:
    """Write every file of the folder, by its path in there."""
    environment = _environment()
    given = {field.name: getattr(facts, field.name) for field in fields(facts)}
    texts = {path: environment.get_template(template).render(given) for path, template in TEMPLATES.items()}
    return {path: "\n".join(line.rstrip() for line in text.split("\n")) for path, text in texts.items()}


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - YAML and SQL, not HTML: what comes from files is quoted by the filters
        loader=PackageLoader("ml_assets.cli.declare"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["DECIDE"] = DECIDE
    environment.filters |= {
        "quoted": quoted, "plain": plain, "scalar": scalar, "value": value, "cells": cells, "key": joined_key,
        "column": sql_name, "about": about_column, "comment": printable,
    }  # fmt: skip
    return environment


def quoted(text: str) -> str:
    r"""Quote a text for YAML.

    >>> quoted('a "b": {{c}}\nd')
    '"a \\"b\\": {{c}}\\nd"'
    """
    return printable(json.dumps(text, ensure_ascii=False))


def plain(text: str) -> str:
    """Write a text within brackets of YAML, quoted where it would be read as something else.

    >>> [plain(text) for text in ("branch", "mean(days_late)", "no", "a: b", "it's", "x, y")]
    ['branch', 'mean(days_late)', '"no"', '"a: b"', "it's", '"x, y"']
    """
    return text if _reads(f"[{text}]") == [text] else quoted(text)


def scalar(text: str) -> str:
    """Write a text after a key of YAML, on its own line, quoted where it would be read as something else.

    >>> [scalar(text) for text in ("timezone('UTC', at)", "a # b")]
    ["timezone('UTC', at)", '"a # b"']
    """
    return text if _reads(f"key: {text}") == {"key": text} else quoted(text)


def _reads(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def value(given: object) -> str:
    """Write an argument of an expectation within brackets of YAML.

    >>> value({"column": "flag", "value_set": ["no", "Pune", "2"], "min_value": 0.5})
    '{column: flag, value_set: ["no", Pune, "2"], min_value: 0.5}'
    """
    if isinstance(given, Mapping):
        return f"{{{', '.join(f'{name}: {value(each)}' for name, each in given.items())}}}"
    if isinstance(given, list):
        return f"[{', '.join(value(each) for each in given)}]"
    if not isinstance(given, str):
        return json.dumps(given)
    is_word = given.replace("_", "").isalnum() and not given[0].isdigit() and given.lower() not in _TRUTHS
    return plain(given) if is_word else quoted(given)


def cells(row: Mapping[str, str]) -> str:
    """Write a row of a SQL test."""
    return f"{{{', '.join(f'{plain(name)}: {quoted(cell)}' for name, cell in row.items())}}}"


def joined_key(row: Mapping[str, str], names: Sequence[str]) -> str:
    """Give the example_id that the first SELECT makes of a row."""
    return "|".join(row.get(name, "") for name in names)


def sql_name(name: str) -> str:
    """Write a name in SQL, quoted where it is not a plain one.

    >>> [sql_name(name) for name in ("loan_id", "loan id")]
    ['loan_id', '"loan id"']
    """
    is_plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
    return name if is_plain else '"' + name.replace('"', '""') + '"'


def about_column(column: ColumnProfile) -> str:
    """Say in a comment what a column holds: its type, and its range or its most frequent values."""
    parts: list[str] = [column.type]
    if column.lowest is not None:
        parts.append(f"{column.lowest} to {column.highest}")
    elif column.categories:
        parts.append(", ".join(each for each, _ in column.categories[:_SHOWN_CATEGORIES]))
    return printable("; ".join(parts))
