"""Pages from templates: each is one file that opens offline, runs nothing and fetches nothing.

The templates escape every value. What goes in unescaped has a method `__html__`: charts, drawn by matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class PageColumn:
    """A column of a table: its name, and whether it holds numbers, days or sentences."""

    name: str
    style: Literal["", "number", "day", "sentence"] = ""


@dataclass(frozen=True)
class ColouredCell:
    """A cell in the colour of good or bad news."""

    text: str
    colour: Literal["", "good", "bad"]


@dataclass(frozen=True)
class PageTable:
    """A table of a page; a cell is a value that is shown as text, or a `ColouredCell`."""

    columns: Sequence[PageColumn]
    rows: Sequence[Sequence[Any]]


def render_page(template: str, **values: Any) -> str:
    """Fill a template of this package; a name that the template uses and `values` lacks raises."""
    return _environment().get_template(template).render(**values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("ml_assets.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
