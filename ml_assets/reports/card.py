"""A card: sections of sentences, tables and pictures, laid out as Markdown or as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ml_assets.reports.markdown import markdown_table, markdown_text
from ml_assets.reports.page import PageColumn, PageTable, render_page
from ml_assets.reports.pictures import Picture


@dataclass(frozen=True)
class Section:
    """A heading and what is under it: plain sentences, one table, PNG pictures by their captions."""

    title: str
    sentences: Sequence[str] = ()
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def captioned(self) -> list[Picture]:
        """The pictures with their captions."""
        return [Picture(png, caption) for caption, png in self.pictures.items()]


@dataclass(frozen=True)
class Card:
    """A title and the sections under it."""

    title: str
    sections: Sequence[Section]

    def to_markdown(self, *, pictures: bool = True) -> str:
        """Lay it out as Markdown, with the pictures inline."""
        lines = [f"# {markdown_text(self.title)}"]
        for section in self.sections:
            lines += ["", f"## {markdown_text(section.title)}", ""]
            lines += [line for sentence in section.sentences for line in (markdown_text(sentence), "")]
            if section.rows:
                lines.append(markdown_table(section.heads, section.rows))
            if pictures:
                lines += ["", *(picture.inline for picture in section.captioned)]
        return "\n".join(lines).rstrip() + "\n"

    def to_html(self) -> str:
        """Lay it out as a page that is one file."""
        sections = [
            {
                "title": section.title,
                "sentences": section.sentences,
                "table": PageTable([PageColumn(name) for name in section.heads], section.rows),
                "pictures": section.captioned,
            }
            for section in self.sections
        ]
        return render_page("card.html.j2", title=self.title, sections=sections)
