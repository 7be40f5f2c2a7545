"""The reference of every key of a declaration as a page of Markdown, from the spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml_assets.reports.markdown import Formatted, markdown_code, markdown_table
from ml_assets.spec.key_reference import Key, KeySection, as_yaml, key_reference

_HEAD = """\
# Every key of a declaration

Written by `ml-assets schema --markdown` from the spec; a test holds this page to it. `defs.yaml` has two keys: `type:
ml_assets.UseCase`, and `attributes` with the keys below. A key without a default is required. Durations are a whole
number and a unit: `s`, `min`, `h`, `d`, `w`. Examples are those of the flight delays that come with the package, where
they declare the key. `ml-assets validate` also checks what holds between keys, and names each mistake with its line.

An editor knows the same: `ml-assets schema --write` puts `use_case.schema.json` beside the folders of the use cases,
and a first line `# yaml-language-server: $schema=../use_case.schema.json` in defs.yaml names it; `ml-assets new` does
both. With the YAML extension of VS Code, or any editor with yaml-language-server, keys complete and explain themselves.
"""
_LONGEST = 70  # characters of an example


def reference_page(declared: Mapping[str, Any]) -> str:
    """Write the page; `declared` are the attributes of a declaration that lends its values."""
    sections = key_reference(declared)
    anchors = {section.name: _title(section) for section in sections}
    return "\n".join([_HEAD, *(_section(each, anchors) for each in sections)])


def _title(section: KeySection) -> str:
    return section.places[0] or "attributes"


def _section(section: KeySection, anchors: Mapping[str, str]) -> str:
    rows = [_row(key, anchors) for key in section.keys]
    more = f"Also at {', '.join(f'`{place}`' for place in section.places[1:])}.\n\n" if section.places[1:] else ""
    table = markdown_table(["key", "type", "default", "meaning", "example"], rows)
    return f"## `{_title(section)}`\n\n{more}{table}\n"


def _row(key: Key, anchors: Mapping[str, str]) -> list[str]:
    kind = f"{key.type}: [{anchors[key.inner]}](#{_anchor(anchors[key.inner])})" if key.inner else key.type
    default = "required" if key.default is None else markdown_code(key.default)
    example = "" if key.inner or key.example is None else _shortened(as_yaml(key.example))
    return [
        markdown_code(key.name),
        Formatted(kind),
        default,
        Formatted(key.meaning),
        markdown_code(example) if example else "",
    ]


def _anchor(title: str) -> str:
    """Give the anchor of a heading, as GitHub and the site make it.

    >>> _anchor("sources[].columns.NAME")
    'sourcescolumnsname'
    """
    return "".join(letter for letter in title.lower() if letter.isalnum() or letter in "-_")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
