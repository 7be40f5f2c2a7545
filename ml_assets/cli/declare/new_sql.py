"""The texts of first SQL files, and of first tests of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from ml_assets.cli.declare.new_declaration import Draft
from ml_assets.ingestion.profiling import ColumnProfile, FileProfile
from ml_assets.spec.names import DECIDE

_SEES = (
    "-- Sees the rows of one drop of the sources in `from`, with event_at and known_at, and `batch`, one row:\n"
    "-- batch_date, batch_at, previous_batch_at. One SELECT; the same rows give the same result whenever it runs.\n"
)


def write_examples_sql(draft: Draft) -> str:
    """Write sql/examples.sql: all columns of the file that seems to hold what is predicted."""
    source = draft.parts.examples
    name = " || '|' || ".join(source.key) or DECIDE
    todo = "" if source.key else " -- TODO what names one thing to predict?"
    others = [column for column in source.columns if column.name not in (*source.key, *source.filled_later)]
    columns = [f"    {column.name},{_said(column)}" for column in others]
    kept = [f"    {column},{_said(source.column(column))}" for column in source.key]
    check = (
        f"    {DECIDE}, -- TODO take out columns that are filled after the prediction: each is a leak; then this line"
    )
    *body, last = [f"    {name} AS example_id,{todo}", check, *kept, *columns]
    return (
        "-- The rows to predict: one row an example, predicted at the batch of the drop that brings it, or at a\n"
        "-- moment of (previous batch, batch] that this SELECT gives as prediction_at.\n"
        "-- TODO which rows are to be predicted? A WHERE, where it is not all. Then name this file in defs.yaml,\n"
        "-- examples.sql.\n"
        f"{_SEES}SELECT\n" + "\n".join([*body, last.replace(",", "", 1)]) + f"\nFROM {source.name}\n"
    )


def write_labels_sql(draft: Draft) -> str:
    """Write sql/labels.sql: the label itself is for a person to say."""
    examples, labels = draft.parts.examples, draft.parts.labels
    name = " || '|' || ".join(examples.key) or DECIDE
    about = [column for column in labels.columns if column.name not in (*examples.key, *labels.key)]
    listed = "\n".join(f"--   {column.name}{_said(column)}" for column in about if not column.is_moment)
    return (
        "-- What became known about outcomes: one row an example, in the drop that brings it.\n"
        "-- TODO what is a positive? Put 1 or 0 in place of `decide`, as CAST(days_late > 7 AS INTEGER), out of:\n"
        f"{listed}\n"
        "-- Leave a row out (WHERE) whose outcome is not decided yet: unknown is not negative. Then name this file in\n"
        f"-- defs.yaml, labels.sql.\n{_SEES}SELECT\n"
        f"    {name} AS example_id,\n    {DECIDE} AS label,\n    known_at\nFROM {labels.name}\n"
    )


def _said(column: ColumnProfile) -> str:
    parts = [column.type]
    if column.lowest is not None:
        parts.append(f"{column.lowest} to {column.highest}")
    elif column.categories:
        parts.append(", ".join(value for value, _ in column.categories[:4]))
    return f" -- {'; '.join(parts)}"


def write_examples_test(draft: Draft, rows: Mapping[str, list[dict[str, str]]]) -> str:
    """Write sql_tests/examples.yaml with the first rows of the file."""
    source = draft.parts.examples
    given = _without(rows[source.name], source.filled_later if source.name in draft.of_one_file else ())
    expected = [f"      - {{example_id: {_text('|'.join(row.get(name, '') for name in source.key))}}}" for row in given]
    return (
        f"# Rows given and the rows sql/examples.sql makes of them: `ml-assets test {draft.name}`. Columns that are\n"
        "# not named in expect are not compared. These are the first rows of the file: replace what is private.\n"
        "table: examples\ntests:\n  - name: a row is an example\n"
        f"{_given(source, given)}    expect:\n" + "\n".join(expected) + "\n"
    )


def write_labels_test(draft: Draft, rows: Mapping[str, list[dict[str, str]]]) -> str:
    """Write sql_tests/labels.yaml with the first rows of the file; the labels are for a person to say."""
    examples, labels = draft.parts.examples, draft.parts.labels
    given = rows[labels.name]
    expected = [
        f"      - {{example_id: {_text('|'.join(row.get(name, '') for name in examples.key))}, label: {DECIDE}}}"
        " # TODO 1 or 0"
        for row in given
    ]
    return (
        "# What sql/labels.sql makes of outcomes. Add the cases that are easily got wrong: no outcome yet, cancelled,\n"
        "# exactly on the limit.\n"
        "table: labels\ntests:\n  - name: an outcome becomes a label\n"
        f"{_given(labels, given)}    expect:\n" + "\n".join(expected) + "\n"
    )


def _without(rows: list[dict[str, str]], names: Collection[str]) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def _given(source: FileProfile, rows: list[dict[str, str]]) -> str:
    lines = [f"        - {{{', '.join(f'{name}: {_text(value)}' for name, value in row.items())}}}" for row in rows]
    return f"    given:\n      {source.name}:\n" + "\n".join(lines) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
