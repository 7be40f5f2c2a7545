r"""Regular expressions that mean the same to Python and to DuckDB: translated, or refused.

Great Expectations searches with Python's `re`, DuckDB with RE2. They differ in what `\d`, `\w`, `\s`, `.` and `$` take,
in lookarounds, back references, flags and named groups. A pattern made only of the parts below is a regular expression
in the strict sense, so both find it in the same texts; everything else is left to Great Expectations.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache

_ESCAPED = r"\\[-.+*?()\[\]{}^$|/\\ :@#%&,;=~]"  # a mark that stands for itself
_IN_CLASS = rf"(?:\\[dws]|{_ESCAPED}|[A-Za-z0-9 _.,:;/@#%+*=!?<>()$'\"])"
_CLASS = rf"\[\^?(?:{_IN_CLASS}(?:-{_IN_CLASS})?)+-?\]"
_ATOM = rf"\\[dwsDWS]|{_ESCAPED}|{_CLASS}|\.|[^\\^$.|?*+()\[\]{{}}\x00-\x1f\ud800-\udfff]"
_TIMES = r"(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})\??"
_PART = re.compile(rf"(?:(?P<atom>{_ATOM})|(?P<close>\))|(?P<open>\((?:\?:)?|\|))(?(open)|(?P<times>{_TIMES})?)")
_MOST_COPIES = 60  # RE2 copies what is repeated, and has a limit
_MOST_CHARACTERS = 120


class PatternError(ValueError):
    """A pattern that may mean something else to DuckDB than to Python."""


def translate_pattern(pattern: str) -> str:
    r"""Give the pattern that finds in DuckDB what `re.search` finds with `pattern` in Python.

    Raises
    ------
    PatternError
        If the pattern has a part of which that is not known.

    Examples
    --------
    >>> translate_pattern("^[A-Z]{2}-[0-9]+$")
    '^[A-Z]{2}-[0-9]+\\n?\\z'
    >>> translate_pattern("(?<=a)b")
    Traceback (most recent call last):
    ml_assets.ingestion.portable_regex.PatternError: found '(?<=a)b'; it has parts that only Python knows
    """
    starts = "^" if pattern.startswith("^") else ""
    ends = "$" if pattern.endswith("$") and not pattern.endswith("\\$") else ""
    middle = pattern[len(starts) : len(pattern) - len(ends)]
    translated, position, copies = [], 0, 1
    for part in _PART.finditer(middle):
        if part.start() != position:
            break
        position = part.end()
        copies *= _copies(part["times"])
        translated.append(_translate_atom(part["atom"]) if part["atom"] else part["close"] or part["open"])
        translated.append(part["times"] or "")
    is_known = position == len(middle) and 0 < len(pattern) <= _MOST_CHARACTERS and copies <= _MOST_COPIES
    if not is_known or not _is_sound(pattern):
        raise PatternError(f"found {pattern!r}; it has parts that only Python knows")
    return starts + "".join(translated) + (r"\n?\z" if ends else "")


def _is_sound(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _copies(times: str | None) -> int:
    return max((int(number) for number in re.findall(r"\d+", times or "")), default=1) or 1


def _translate_atom(atom: str) -> str:
    if atom == ".":
        return r"[^\n]"
    if atom[0] == "[":
        return re.sub(r"\\.", lambda escape: _CLASSES[escape[0]]() if escape[0] in _CLASSES else escape[0], atom)
    if atom in _CLASSES:
        return f"[{_CLASSES[atom]()}]"
    return f"[^{_CLASSES[atom.lower()]()}]" if atom.lower() in _CLASSES else atom


@cache
def _characters(is_among: Callable[[str], bool]) -> str:
    """Give the inside of a class with the characters of which `is_among` is true, as this Python knows them."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if is_among(chr(code)):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in ranges)


_CLASSES: dict[str, Callable[[], str]] = {
    r"\d": lambda: _characters(str.isdecimal),
    r"\w": lambda: "_" + _characters(str.isalnum),
    r"\s": lambda: _characters(str.isspace),
}
