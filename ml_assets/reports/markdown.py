"""Markdown made of data: whatever a value holds, it is shown as text and breaks neither a table nor a list.

Values are escaped unless they are `Formatted`, which is Markdown that this package wrote itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ml_assets.reports.plain_text import printable

_SPECIAL = "\\`*[]|"  # these start code, emphasis, a link or a cell


class Formatted(str):
    """Markdown that was written on purpose, such as code or bold; it is not escaped again."""

    __slots__ = ()


def markdown_text(value: object) -> str:
    r"""Escape a value for a sentence, a list item or a cell; line breaks become spaces.

    >>> print(markdown_text("a|b <script>"))
    a\|b &lt;script&gt;
    >>> markdown_text(None)
    ''
    """
    if isinstance(value, Formatted):
        return value
    words = " ".join(printable("" if value is None else value).split())
    return escape("".join(f"\\{each}" if each in _SPECIAL else each for each in words), quote=False)


def markdown_code(value: object) -> Formatted:
    """Show a value as code; a backtick in it would end the code, so it becomes an apostrophe.

    >>> markdown_code("mean(delay > 15)")
    '`mean(delay > 15)`'
    """
    words = " ".join(printable(value).split())
    return Formatted("`" + words.replace("`", "'") + "`")


def markdown_table(heads: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    r"""Lay out rows of data as a table.

    >>> print(markdown_table(["origin", "rows"], [["EWR|LGA", 12]]))
    | origin | rows |
    |---|---|
    | EWR\|LGA | 12 |
    """
    lines = [_row(heads), "|---" * len(heads) + "|", *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(_cell(each) for each in cells) + " |"


def _cell(value: object) -> str:
    # inside code only the bar has to be escaped: a table is split into cells before code is read
    return " ".join(value.split()).replace("|", "\\|") if isinstance(value, Formatted) else markdown_text(value)
