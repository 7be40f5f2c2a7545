"""The one style of all figures: small PNG pictures for the Dagster UI, and SVG charts in the colours of a page.

A chart is drawn in placeholder colours. `svg_of` replaces them by the variables of the page's stylesheet, so that the
same chart reads in light and dark.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT, DIM, GRID, BAD = "#010001", "#010002", "#010003", "#010004"
SERIES = ("#010010", "#010011", "#010012")
_VARIABLES = {TEXT: "--text", DIM: "--dim", GRID: "--grid", BAD: "--bad",
              **{colour: f"--c{number}" for number, colour in enumerate(SERIES)}}  # fmt: skip

_PICTURE_INCHES = (3.6, 2.9)  # 360 px: the dialog of the UI is about 400 px wide
_CHART_WIDTH = 900  # units of the SVG, which is drawn as wide as the page
_UNITS_PER_INCH = 72
# values are text, never formulas: "$x$" stays as it is
_EVERY_FIGURE: Mapping[Any, Any] = {"text.parse_math": False, "legend.frameon": False, "figure.dpi": 100}
_PICTURE: Mapping[Any, Any] = {
    "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7,
}  # fmt: skip
_CHART: Mapping[Any, Any] = {
    "svg.fonttype": "none", "font.size": 11, "legend.fontsize": 12, "xtick.labelsize": 11, "ytick.labelsize": 11,
    "text.color": DIM, "axes.labelcolor": DIM, "axes.edgecolor": GRID, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": GRID, "grid.linewidth": 1, "xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": DIM,
    "ytick.labelcolor": DIM, "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "ytick.major.size": 0, "lines.linewidth": 1.8, "lines.markersize": 4.5,
}  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """A chart as SVG elements, ready to stand in a page."""

    svg: str

    def __html__(self) -> str:
        """Give the SVG to a template, which puts it in as it is: matplotlib has escaped the texts in it."""
        return self.svg


@contextmanager
def picture_figure() -> Iterator[tuple[Figure, Axes]]:
    """Make the figure of a small picture and its axes; draw and save inside the `with` block."""
    with _figure(_PICTURE, _PICTURE_INCHES) as found:
        yield found


@contextmanager
def chart_figure(height: int) -> Iterator[tuple[Figure, Axes]]:
    """Make the figure of a chart of a page, so many units high, and its axes; draw and save inside the `with` block."""
    with _figure(_CHART, (_CHART_WIDTH / _UNITS_PER_INCH, height / _UNITS_PER_INCH)) as found:
        yield found


@contextmanager
def _figure(style: Mapping[Any, Any], inches: tuple[float, float]) -> Iterator[tuple[Figure, Axes]]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()  # a matplotlibrc of this machine must not change the bytes
        mpl.rcParams.update({**_EVERY_FIGURE, **style})
        figure = Figure(figsize=inches, layout="constrained")
        yield figure, figure.add_subplot()


def png_of(figure: Figure) -> bytes:
    """Give the PNG, without a date and a version: the same numbers are the same bytes."""
    buffer = io.BytesIO()
    _save(figure, buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def svg_of(figure: Figure, label: str) -> Chart:
    """Give the chart for a page; `label` says what it shows to readers who do not see it.

    The group of an artist with a gid gets the gid as its class.
    """
    import matplotlib as mpl

    buffer = io.BytesIO()
    # the ids of two charts of a page must differ, and be the same in every run
    with mpl.rc_context({"svg.hashsalt": label}):
        _save(figure, buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 (written by matplotlib, a line above)
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag.endswith(("metadata", "style"))]:
            parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = _attributes(element)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": label}
    return Chart(ET.tostring(root, encoding="unicode"))


def _attributes(element: ET.Element) -> dict[str, str]:
    """Give the attributes without namespaces, in the colours of the page."""
    found = {_local(name): value for name, value in element.attrib.items()}
    if element.tag == "g" and (name := found.pop("id", "")) and "_" not in name:  # matplotlib's own are line2d_7
        found["class"] = name
    for name in ("style", "fill", "stroke"):
        for colour, variable in _VARIABLES.items():
            if name in found:
                found[name] = found[name].replace(colour, f"var({variable})")
    return found


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _save(figure: Figure, buffer: io.BytesIO, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box for a letter is good enough
        figure.savefig(buffer, **options)
