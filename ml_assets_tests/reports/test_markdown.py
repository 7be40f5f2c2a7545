from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from ml_assets.reports.card import Card, Section
from ml_assets.reports.markdown import Formatted, markdown_code, markdown_table, markdown_text
from ml_assets.reports.plain_text import printable
from ml_assets_tests.reports.hostile import HOSTILE


def as_shown(value: str) -> str:
    return " ".join(printable(value).split())


def cells_of(markdown: str) -> list[list[str]]:
    """Give the cells of the tables in a text as a reader sees them; what would run as HTML fails."""
    found: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        assert token.type != "html_block", token.content
        if token.type == "tr_open":
            found.append([])
        if token.type == "inline" and found:
            assert token.children is not None
            assert {each.type for each in token.children} <= {"text", "code_inline", "text_special"}
            found[-1].append("".join(each.content for each in token.children))
    return found


@pytest.mark.parametrize("value", HOSTILE)
def test_value_is_shown_in_its_cell_as_it_is(value: str) -> None:
    cells = cells_of(markdown_table(["name", value], [[value, 1], ["after", 2]]))

    shown = as_shown(value)
    assert cells == [["name", shown], [shown, "1"], ["after", "2"]]


@pytest.mark.parametrize("value", HOSTILE)
def test_value_in_a_sentence_is_text(value: str) -> None:
    tokens = MarkdownIt("commonmark").parse(f"- the note: {markdown_text(value)}")

    (inline,) = [token for token in tokens if token.type == "inline"]
    assert inline.children is not None
    assert "".join(each.content for each in inline.children) == f"the note: {as_shown(value)}"


def test_formatted_cell_keeps_its_markdown_and_breaks_no_table() -> None:
    table = markdown_table(["kept", "value"], [[Formatted("**no**"), markdown_code("a || b\n> 2")]])

    assert table.splitlines()[-1] == "| **no** | `a \\|\\| b > 2` |"


def test_nothing_known_is_an_empty_cell() -> None:
    assert markdown_table(["unit"], [[None]]).splitlines()[-1] == "|  |"


@pytest.mark.parametrize("value", HOSTILE)
def test_card_as_markdown_shows_values_as_text(value: str) -> None:
    section = Section(value, [value], ["name", value], [[value, "1"]], {value: b"png"})

    markdown = Card(value, [section]).to_markdown()

    shown = as_shown(value)
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    assert not [token for token in tokens if token.type == "html_block"]
    children = [child for token in tokens for child in token.children or []]
    assert {child.type for child in children} <= {"text", "text_special", "image"}
    assert [child.content for child in children if child.type == "image"] == [markdown_text(shown)]
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1", "h2"]
