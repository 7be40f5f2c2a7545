"""Values that a landed file may hold and that must be shown as text, whatever page or table they come to."""

from __future__ import annotations

# What runs code where a value is not shown as text; each marks the document, for a browser to find.
_MARK = "document.documentElement.dataset.ran=1"
RUNS_CODE = (
    f"</script><script>{_MARK}</script>",
    f'"><svg onload={_MARK}>',
    f"'><img src=x onerror='{_MARK}'>",
    f"</style><script>{_MARK}</script>",
    f"--><script>{_MARK}</script>",
    f"javascript:{_MARK}",
    f"<a href='javascript:{_MARK}' autofocus onfocus='{_MARK}'>a</a>",
    f'";{_MARK};//',
    f"';{_MARK};//",
    f"`${{{_MARK}}}`",
    f"\u2028{_MARK}//",
    f'<iframe srcdoc="<script>parent.{_MARK}</script>">',
)
HOSTILE = (
    *RUNS_CODE,
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
