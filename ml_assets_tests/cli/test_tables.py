from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from ml_assets.cli.console import console, printable, say, shown
from ml_assets.cli.tables import TableColumn, print_table, table_lines

WIDTH = 80

identifiers = st.from_regex(r"[a-z][a-z0-9_]{0,90}(/[a-z0-9_]{1,30})?", fullmatch=True)
sentences = st.lists(st.text(max_size=12) | identifiers, max_size=30).map(" ".join)
values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.datetimes(timezones=st.just(UTC)),
    identifiers, sentences, st.text(max_size=40),
    st.sampled_from(["[bold]", "[/]", "[red]late[/red]", "│", ":smile:", "日本語", "\u202e", "a\tb", "two\nlines"]),
)  # fmt: skip
heads = st.sampled_from(["", "rows", "log loss ahead", "model_version", "two\nlines", "[bold]x[/]"]) | identifiers
columns = st.builds(TableColumn, heads, st.integers(0, 3), st.booleans())


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[TableColumn], list[list[Any]]]:
    named = draw(st.lists(columns, min_size=1, max_size=9, unique_by=lambda column: column.head))
    return named, draw(st.lists(st.lists(values, min_size=len(named), max_size=len(named)), max_size=6))


def words_of(line: str) -> list[str]:
    return [word for part in re.split("[│┃]", line) for word in part.split(" ") if word]


@given(tables())
@example(
    ([TableColumn("id"), *(TableColumn(f"n{i}", i) for i in range(1, 30))], [["x", *range(10**6, 10**6 + 29)]] * 5)
)
def test_every_word_is_whole_on_one_line_and_columns_that_are_left_out_are_named(
    table: tuple[list[TableColumn], list[list[Any]]],
) -> None:
    named, rows = table

    lines = [line.plain for line in table_lines("a title", named, rows, width=WIDTH, see="--json")]

    printed = [word for line in lines for word in words_of(line)]
    notes = " ".join(lines).partition("not shown: ")[2]
    expected: list[str] = []
    for position, column in enumerate(named):
        head = printable(column.head)
        cells = [word for row in rows for word in words_of(shown(row[position]))]
        is_left_out = column.rank > 0 and not column.is_text and bool(notes) and head in notes.partition("; ")[0]
        if is_left_out:
            assert "--json prints all columns" in notes
        else:
            expected += cells
    for word in set(expected):
        assert printed.count(word) >= expected.count(word), word


@given(tables())
def test_no_line_is_wider_than_the_terminal_unless_one_word_of_it_is(
    table: tuple[list[TableColumn], list[list[Any]]],
) -> None:
    named, rows = table
    longest = max(
        (cell_len(word) for row in [[c.head for c in named], *rows] for cell in row for word in shown(cell).split(" ")),
        default=0,
    )

    lines = [line.plain for line in table_lines("a title", named, rows, width=WIDTH)]

    assert all(cell_len(line) <= max(WIDTH, longest + 4) for line in lines)


def test_long_texts_go_under_their_row_before_any_column_is_left_out() -> None:
    rows = [["drift/temp_f", date(2013, 7, 1), "has moved away from what the training window held " * 2]] * 4

    lines = [
        line.plain for line in table_lines("", ["monitor", "since", TableColumn("why", is_text=True)], rows, width=40)
    ]

    assert lines[:7] == [
        "┏━━━━━━━━━━━━━━┳━━━━━━━━━━━━┓",
        "┃ monitor      ┃ since      ┃",
        "┡━━━━━━━━━━━━━━╇━━━━━━━━━━━━┩",
        "│ drift/temp_f │ 2013-07-01 │",
        "│   why: has moved away from what the",
        "│   training window held has moved away",
        "│   from what the training window held",
    ]


def test_least_important_columns_are_left_out_first_and_named_with_how_to_see_them() -> None:
    named = [TableColumn("source"), TableColumn("landed", 2), TableColumn("rows", 1), TableColumn("quarantined", 1)]
    rows = [["weather", 1200, 1100, 100]] * 4

    lines = [line.plain for line in table_lines("", named, rows, width=40, see="--json")]

    assert lines[1] == "┃ source  ┃  rows ┃ quarantined ┃"
    assert lines[-3:] == [
        "not shown: landed; --json prints all",
        "columns, and a terminal of 42 columns",
        "shows them",
    ]


def test_few_rows_become_records_rather_than_lose_a_column() -> None:
    named = ["example_id", TableColumn("score", 1), TableColumn("prediction_at", 2), TableColumn("model_version", 3)]
    at = datetime(2013, 6, 16, 9, tzinfo=UTC)

    lines = [
        line.plain
        for line in table_lines("", named, [["EWR-1", 0.5, at, "m" * 50], ["EWR-2", None, at, "x"]], width=60)
    ]

    assert [line.rstrip() for line in lines] == [
        "example_id     EWR-1",
        "score          0.5000",
        "prediction_at  2013-06-16 09:00:00+00:00",
        "model_version",
        "    " + "m" * 50,
        "",
        "example_id     EWR-2",
        "score",
        "prediction_at  2013-06-16 09:00:00+00:00",
        "model_version  x",
    ]


def test_markup_in_data_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("rows [of] data", ["name"], [["[bold]x[/]"]])
    say("[red]late[/] by\n2 h", indent=2)

    printed = capsys.readouterr().out
    assert "rows [of] data" in printed
    assert "│ [bold]x[/] │" in printed
    assert "  [red]late[/] by\n  2 h\n" in printed


def test_sentence_is_broken_at_spaces_and_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_width", 30)
    with console.capture() as captured:
        say("kept auc_enough: AUC of the candidate: 0.8, at least 0.6 is asked", indent=2)

    assert captured.get().splitlines() == [
        "  kept auc_enough: AUC of the",
        "    candidate: 0.8, at least",
        "    0.6 is asked",
    ]


@given(st.text())
def test_what_is_printed_holds_no_character_that_moves_the_cursor(text: str) -> None:
    assert printable(text).isprintable()
