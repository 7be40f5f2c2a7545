"""skops archives whose bytes depend on the model alone, and which load only what is on a list.

skops names members and numbers nodes by `id()`, and stamps members with the clock: one fit gives other bytes in every
process. Here ids are renumbered in order of appearance, timestamps are fixed, members sorted and deflated at one level,
so that a sha256 tells whether two models are the same. What is rewritten is still an ordinary skops archive.
"""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

SCHEMA_MEMBER = "schema.json"
# Immutable leaves: whether two equal ones are one object is an accident of interning, so each gets its own number.
LEAF_LOADERS = frozenset({"JsonNode", "TypeNode"})
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest moment a zip archive can hold
LEVEL = 9  # of deflation: a schema names each type at full length, so nine tenths of it are said before


def dump_canonical(model: object) -> bytes:
    """Save a scikit-learn object as a skops archive in canonical form."""
    from skops.io import dumps

    return canonical_archive(dumps(model))


def canonical_archive(archive: bytes) -> bytes:
    """Rewrite a skops archive so that equal models give equal bytes; canonical input comes back unchanged.

    Raises
    ------
    zipfile.BadZipFile, KeyError
        When the bytes are no skops archive.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(members.pop(SCHEMA_MEMBER))
    new_names = _renumber(schema, members)
    rewritten = {new_names.get(name, name): content for name, content in members.items()}
    rewritten[SCHEMA_MEMBER] = json.dumps(schema, separators=(",", ":")).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name in sorted(rewritten):
            member = zipfile.ZipInfo(name, date_time=ZIP_EPOCH)
            member.create_system = 3  # Unix, whatever wrote it
            member.external_attr = 0o600 << 16
            target.writestr(member, rewritten[name], compress_type=zipfile.ZIP_DEFLATED, compresslevel=LEVEL)
    return buffer.getvalue()


def load_allowed(archive: bytes, allowed_types: Collection[str]) -> Any:
    """Load a skops archive if every type it names is in `allowed_types`, such as `sklearn.pipeline.Pipeline`.

    skops trusts on its own several hundred types of scikit-learn, numpy and scipy; here only the list counts. Nothing
    is imported or constructed before the list was checked.

    Raises
    ------
    ValueError
        Naming the types that are not on the list.
    """
    from skops.io import loads

    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        schema = json.loads(source.read(SCHEMA_MEMBER))
    refused = sorted({name for name in _type_names(schema) if name not in allowed_types})
    if refused:
        raise ValueError(f"the model archive holds types that are not allowed: {', '.join(refused)}")
    return loads(archive, trusted=sorted(allowed_types))


def _nodes(value: object) -> Iterator[dict[str, Any]]:
    """All JSON objects inside, parents first, in the order written."""
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from _nodes(child)


def _type_names(schema: object) -> Iterator[str]:
    for node in _nodes(schema):
        if "__loader__" in node:
            yield f"{node.get('__module__')}.{node.get('__class__')}"


def _renumber(schema: object, members: Mapping[str, bytes]) -> dict[str, str]:
    """Number the nodes of the schema in place; returns the new name of each member that a node refers to."""
    numbers = itertools.count(1)
    number_of: dict[int, int] = {}
    new_names: dict[str, str] = {}
    for node in _nodes(schema):
        old = node.get("__id__")
        if isinstance(old, int):
            is_leaf = node.get("__loader__") in LEAF_LOADERS
            if is_leaf or old not in number_of:
                number_of[old] = next(numbers)
            node["__id__"] = number_of[old]
        file = node.get("file")
        if isinstance(file, str) and file in members:
            if file not in new_names:
                new_names[file] = f"member_{len(new_names) + 1:05d}{PurePosixPath(file).suffix}"
            node["file"] = new_names[file]
    return new_names
