"""Tables for a terminal of any width: a word, number, date or identifier is never broken.

Where not all columns fit beside each other, long texts go on lines under their row. Where that is not enough, the
least important columns are left out and named below the table. Where even the important ones do not fit, or where the
table has few rows, each row becomes a record: a line for each column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import zip_longest

from rich.box import HEAVY_HEAD
from rich.cells import cell_len
from rich.text import Text

from ml_assets.cli.console import console, printable, shown, wrapped

_FEW_ROWS = 3  # of so few rows every column is worth a line of its own
_LONGEST_LABEL = 24
_UNDER = "    "
_NUMBER = re.compile(r"[+-]?[\d,]+(\.\d+%?|%)")  # a measure that was written; whole numbers may be names


@dataclass(frozen=True)
class TableColumn:
    """A column of a table.

    Attributes
    ----------
    head
        What stands above it. It may be wrapped at spaces.
    rank
        0: always shown. Of the others, those with the smallest number are kept as long as they fit.
    is_text
        Sentences: they go under the row where they do not fit beside the other columns, and are never left out.
    """

    head: str
    rank: int = 0
    is_text: bool = False


@dataclass(frozen=True)
class TableLayout:
    """Which columns stand beside each other, which go under their row, and which are left out; by position."""

    grid: tuple[int, ...]
    under: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()


def print_table(
    title: str, columns: Sequence[TableColumn | str], rows: Sequence[Sequence[object]], *, see: str = ""
) -> None:
    """Print rows so that every word stays whole at the width of the terminal; a `str` is a column always shown.

    `see` names what prints the columns that are left out, such as `--json`.
    """
    for line in table_lines(title, columns, rows, width=console.width, see=see):
        console.print(line, soft_wrap=True, highlight=False)


def print_rows(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows of which nothing is declared: the first columns are the most important, long sentences are texts."""
    columns = [
        TableColumn(head, position, is_text=position > 0 and any(_is_sentence(row[position]) for row in rows))
        for position, head in enumerate(heads)
    ]
    print_table("", columns, rows, see="--json")


def _is_sentence(value: object) -> bool:
    return len(text := shown(value)) > _LONGEST_LABEL and " " in text and not isinstance(value, date)


def table_lines(
    title: str, columns: Sequence[TableColumn | str], rows: Sequence[Sequence[object]], *, width: int, see: str = ""
) -> Iterator[Text]:
    """Give the lines of a table; none is wider than `width` unless a single word of it is."""
    named = [column if isinstance(column, TableColumn) else TableColumn(column) for column in columns]
    named = [replace(column, head=printable(column.head)) for column in named]
    cells = [[shown(value) for value in row] for row in rows]
    if title:
        yield from wrapped(Text(title, style="bold"), width)
    layout = choose_layout(named, cells, width)
    if layout is None:
        yield from _records(named, cells, width)
        return
    is_number = [_is_number([row[position] for row in rows]) for position in range(len(named))]
    yield from _grid(named, cells, layout, is_number, width)
    if layout.left_out:
        needed = _total(named, cells, [*layout.grid, *layout.left_out])
        heads = ", ".join(named[position].head for position in layout.left_out)
        also = f"{see} prints all columns, and " if see else ""
        note = f"not shown: {heads}; {also}a terminal of {needed} columns shows them"
        yield from wrapped(Text(note, style="dim"), width)


def choose_layout(columns: Sequence[TableColumn], cells: Sequence[Sequence[str]], width: int) -> TableLayout | None:
    """Choose what stands where; None where each row should become a record.

    >>> columns = [TableColumn("source"), TableColumn("rows", 1), TableColumn("why", is_text=True)]
    >>> cells = [["weather", "1,200", "arrived late"]] * 4
    >>> [choose_layout(columns, cells, width) for width in (40, 20, 12, 8)]
    [TableLayout(grid=(0, 1, 2), under=(), left_out=()), TableLayout(grid=(0, 1), under=(2,), left_out=()),
     TableLayout(grid=(0,), under=(2,), left_out=(1,)), None]
    """
    texts = sorted((i for i, column in enumerate(columns) if column.is_text), key=lambda i: (-columns[i].rank, -i))
    grid = list(range(len(columns)))
    for n_under in range(len(texts) + 1):
        under = texts[:n_under]
        grid = [position for position in range(len(columns)) if position not in under]
        if n_under and len(grid) < 2:  # a single column with all else under it reads better as records
            return None
        if _total(columns, cells, grid) <= width:
            return TableLayout(tuple(grid), tuple(sorted(under)))
    kept = [position for position in grid if columns[position].rank == 0]
    if not kept or len(cells) <= _FEW_ROWS or _total(columns, cells, kept) > width:
        return None
    for position in sorted(set(grid) - set(kept), key=lambda i: (columns[i].rank, i)):
        if _total(columns, cells, [*kept, position]) <= width:
            kept.append(position)
    left_out = tuple(position for position in grid if position not in kept)
    return TableLayout(tuple(sorted(kept)), tuple(sorted(texts)), left_out)


def _total(columns: Sequence[TableColumn], cells: Sequence[Sequence[str]], grid: Sequence[int]) -> int:
    """Measure the narrowest grid of some columns: heads wrapped, borders included."""
    return sum(_narrowest(columns, cells, position) + 3 for position in grid) + 1


def _narrowest(columns: Sequence[TableColumn], cells: Sequence[Sequence[str]], position: int) -> int:
    words = [*columns[position].head.split(), *(row[position] for row in cells)]
    return max(map(cell_len, words), default=0)


def _widths(
    columns: Sequence[TableColumn], cells: Sequence[Sequence[str]], grid: Sequence[int], width: int
) -> dict[int, int]:
    """Give each column of the grid its width: heads stay on one line as long as there is room for it."""
    found = {position: _narrowest(columns, cells, position) for position in grid}
    spare = width - sum(found.values()) - 3 * len(grid) - 1
    for position in grid:
        wanted = cell_len(columns[position].head) - found[position]
        if 0 < wanted <= spare:
            found[position] += wanted
            spare -= wanted
    return found


def _grid(
    columns: Sequence[TableColumn],
    cells: Sequence[Sequence[str]],
    layout: TableLayout,
    is_number: Sequence[bool],
    width: int,
) -> Iterator[Text]:
    box = HEAVY_HEAD.substitute(console.options)
    widths = _widths(columns, cells, layout.grid, width)
    outer = [widths[position] + 2 for position in layout.grid]

    def line(texts: dict[int, str], borders: tuple[str, str, str], style: str = "") -> Text:
        left, between, right = borders
        padded = [_padded(texts[i], widths[i], to_right=is_number[i]) for i in layout.grid]
        found = Text(left)
        for number, each in enumerate(padded):
            found.append(between * bool(number)).append(f" {each} ", style)
        return found.append(right)

    heads = [[each.plain for each in wrapped(Text(columns[i].head), widths[i])] for i in layout.grid]
    yield Text(box.get_top(outer))
    for parts in zip_longest(*heads, fillvalue=""):
        texts = dict(zip(layout.grid, parts, strict=True))
        yield line(texts, (box.head_left, box.head_vertical, box.head_right), "bold")
    yield Text(box.get_row(outer, "head"))
    for row in cells:
        yield line(dict(enumerate(row)), (box.mid_left, box.mid_vertical, box.mid_right))
        for text in _texts_under(columns, row, layout.under, width - len(_UNDER)):
            yield Text.assemble(box.mid_left, _UNDER[1:], text)
    yield Text(box.get_bottom(outer))


def _texts_under(
    columns: Sequence[TableColumn], row: Sequence[str], under: Sequence[int], width: int
) -> Iterator[Text]:
    for position in under:
        if row[position]:
            label = f"{columns[position].head}: " if columns[position].head else ""
            yield from wrapped(Text(label + row[position]), width)


def _padded(text: str, width: int, *, to_right: bool) -> str:
    spaces = " " * max(0, width - cell_len(text))
    return spaces + text if to_right else text + spaces


def _is_number(values: Sequence[object]) -> bool:
    given = [value for value in values if value not in (None, "")]
    return bool(given) and all(
        bool(_NUMBER.fullmatch(value))
        if isinstance(value, str)
        else isinstance(value, int | float) and not isinstance(value, bool)
        for value in given
    )


def _records(columns: Sequence[TableColumn], cells: Sequence[Sequence[str]], width: int) -> Iterator[Text]:
    """Give each row as lines of a label and a value; records are separated by an empty line."""
    labels = [column.head for column in columns]
    label_width = min(_LONGEST_LABEL, max(map(cell_len, labels)))
    for number, row in enumerate(cells):
        if number:
            yield Text()
        for label, value in zip(labels, row, strict=True):
            beside = width - label_width - 2
            if cell_len(label) > label_width or any(cell_len(word) > beside for word in value.split()):
                yield from wrapped(Text(label, style="bold"), width)
                yield from (Text.assemble(_UNDER, line) for line in wrapped(Text(value), width - len(_UNDER)))
                continue
            lines = wrapped(Text(value), beside)
            for position, line in enumerate(lines):
                named = _padded("" if position else label, label_width, to_right=False)
                yield Text.assemble((named, "bold"), "  ", line)
