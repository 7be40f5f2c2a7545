"""A file with a JSON object on each line, as rows of texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ml_assets.ingestion.csv_records import LONGEST_RECORD, split_lines
from ml_assets.ingestion.file_text import read_file_text
from ml_assets.ingestion.headers import contract_names
from ml_assets.ingestion.table_file import LINE, TableFile
from ml_assets.spec.file_format import FileFormat


class _Number(str):
    """The digits of a number, as the file has them."""

    __slots__ = ()


class _NoRowError(ValueError):
    """A line that is JSON and no row."""


def read_json_lines(content: bytes, declared: FileFormat, wanted: Sequence[str]) -> TableFile:
    """Read the objects of a file; a line that is none, or has a nested value in a `wanted` column, is no row.

    Raises
    ------
    RefusedFileError
        If it does not unpack, or is not of the declared encoding.
    """
    import pyarrow as pa

    text = read_file_text(content, declared).text
    lines = split_lines(text) if text else []
    decoder = json.JSONDecoder(
        parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant, object_pairs_hook=_once_each
    )
    objects: list[tuple[int, dict[str, Any]]] = []
    malformed: list[tuple[int, str]] = []
    nested: dict[str, int] = {}
    names: dict[str, None] = {}
    known = set(wanted)
    for number, line in enumerate(lines, start=1):
        if not line or line.isspace():
            continue
        found = _object_of(decoder, line)
        deep = [] if found is None else [key for key, value in found.items() if isinstance(value, dict | list)]
        if found is None or any(key in known or contract_names([key])[0] in known for key in deep):
            malformed.append((number, line))
        else:
            names.update(dict.fromkeys(found))
            objects.append((number, found))
        for key in deep:
            nested[key] = nested.get(key, 0) + 1
    columns = {name: pa.array([_json_text(row.get(name)) for _, row in objects], pa.string()) for name in names}
    rows = pa.table({**columns, LINE: pa.array([number for number, _ in objects], pa.int64())})
    notes = [f"nested_value:{name} in {count} lines" for name, count in nested.items()]
    notes += ["no_row"] if not objects and not malformed else []
    others = {name for _, row in objects for name, value in row.items() if isinstance(value, bool | _Number)}
    texts = tuple(name for name in names if name not in others)
    return TableFile(tuple(names), rows, tuple(malformed), tuple(nested), tuple(notes), texts)


def _object_of(decoder: json.JSONDecoder, line: str) -> dict[str, Any] | None:
    if len(line) > LONGEST_RECORD:
        return None
    try:
        found = decoder.decode(line)
        json.dumps(found, ensure_ascii=False).encode() if "\\ud" in line.lower() else None
    except (ValueError, RecursionError):  # half a pair of surrogates is no text
        return None
    return found if isinstance(found, dict) and "\\u0000" not in line else None


def _refuse_constant(name: str) -> Any:
    raise _NoRowError(name)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NoRowError("a key twice")
    return found


def _json_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):  # of no column of the contract
        return json.dumps(value, ensure_ascii=False)
    return value
