"""A page that is one file: style inline, no script, nothing fetched; it opens offline and under a strict policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from html import escape
from typing import Any

# whatever stands in the data, nothing runs or is fetched; pictures stand in the page
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
:root { color-scheme: light dark; --text: #1f2328; --dim: #59636e; --back: #fff; --rule: #d1d9e0; --grid: #eaeef2;
  --c0: #0b62d6; --c1: #c2530a; --c2: #8250df; --good: #1a7f37; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --dim: #9198a1; --back: #0d1117; --rule: #3d444d;
  --grid: #21262d; --c0: #58a6ff; --c1: #f0883e; --c2: #bc8cff; --good: #3fb950; --bad: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 1120px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .3rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
p { margin: .4rem 0; } .dim, .empty { color: var(--dim); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: 600; } .number { text-align: right; } td.number { white-space: nowrap; }
.text { min-width: 13rem; }
.day { white-space: nowrap; }
.promoted { color: var(--good); font-weight: 600; } .refused, .error { color: var(--bad); font-weight: 600; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: var(--dim); }
svg line { stroke-width: 1; } svg polyline { fill: none; stroke-width: 1.8; }
.grid { stroke: var(--grid); } .mark { stroke: var(--text); stroke-width: 1.4 !important; }
.level { stroke: var(--bad); stroke-width: 1.4 !important; } svg .beyond { font-size: 10px; fill: var(--text); }
.line-0 { stroke: var(--c0); } .line-1 { stroke: var(--c1); } .line-2 { stroke: var(--c2); }
.line-1 { stroke-dasharray: 6 4; }
.dot-0 { fill: var(--c0); } .dot-1 { fill: var(--c1); } .dot-2 { fill: var(--c2); }
.legend { margin: .3rem 0 1rem; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .85rem;
  color: var(--dim); }
.legend i { display: inline-block; width: 1.3rem; height: 0; border-top: 3px solid; margin-right: .4rem;
  vertical-align: middle; }
.k0 { border-color: var(--c0) !important; }
.k1 { border-color: var(--c1) !important; border-top-style: dashed !important; }
.k2 { border-color: var(--c2) !important; } .kl { border-color: var(--bad) !important; border-width: 2px !important; }
.kp, .kd { border-top: 0 !important; border-left: 2px solid var(--text); width: 0 !important; height: 1em !important; }
.kd { border-left-style: dashed; }
.bar-0 { fill: var(--c0); } .bar-1 { fill: var(--c1); } .bar-2 { fill: var(--bad); }
.b0 { border-color: var(--c0) !important; } .b1 { border-color: var(--c1) !important; }
.b2 { border-color: var(--bad) !important; } svg .row { fill: var(--text); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; font-size: .9rem; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
figure { display: inline-block; margin: 1rem 1.2rem 0 0; vertical-align: top; }
code { font: .84rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
"""


def html_page(title: str, body: str) -> str:
    """Give the page around a body; the title is escaped, the body is HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    numbers: Set[int] = frozenset(),
    days: Set[int] = frozenset(),
    classes: Mapping[int, Sequence[str]] | None = None,
) -> str:
    """Lay out rows as an HTML table; every cell is escaped.

    Parameters
    ----------
    numbers, days
        The columns that hold numbers, and those that hold days.
    classes
        Of a column, the class of the cell in each row.
    """

    def styled(place: int, row: int | None = None) -> str:
        names = ["number"] * (place in numbers) + ["day"] * (place in days)
        if row is not None and classes and place in classes:
            names.append(classes[place][row])
        return f' class="{escape(" ".join(names))}"' if names else ""

    head = "".join(f"<th{styled(place)}>{escape(name)}</th>" for place, name in enumerate(heads))
    body = "\n".join(
        "<tr>" + "".join(f"<td{styled(place, number)}>{escape(str(value))}</td>" for place, value in enumerate(row))
        + "</tr>"
        for number, row in enumerate(rows)
    )  # fmt: skip
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
