"""Values that a landed file may hold and that must be shown as text, whatever page or table they come to."""

from __future__ import annotations

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></tr></table><h1>",
    "a|b",
    "a\\|b",
    "two\nlines",
    "$x$",
    "$\\frac$",  # no formula: as one it ends the drawing
    "{{7*7}}",
    "{% include 'x' %}",
    "![x](https://example.com/x.png)",
    "*not* `code`",
    "a \x1b[31mred\x00 byte",
    "#010001",  # a colour that charts use as a placeholder
)
ALL_OF_THEM = " ".join(HOSTILE)
