"""Values as plain text: counts in words, and what cannot be printed left out."""

from __future__ import annotations

_LONGEST_LABEL = 34


def counted(n: int, noun: str) -> str:
    """Count things in words.

    >>> counted(1, "step"), counted(3, "step")
    ('1 step', '3 steps')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def printable(value: object) -> str:
    r"""Give a value as text of one line; line breaks and control characters become spaces.

    >>> printable("two\nlines \x1b[31m")
    'two lines  [31m'
    """
    return "".join(each if each.isprintable() else " " for each in str(value))


def label_text(value: object, longest: int = _LONGEST_LABEL) -> str:
    """Give a value as the label of a figure, cut to so many characters: a longer one leaves no room to draw.

    >>> label_text("departure_hour 17 to 23", longest=16)
    'departure_hour …'
    """
    text = printable(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
