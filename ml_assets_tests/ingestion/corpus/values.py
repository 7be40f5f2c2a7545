"""Files whose lines are rows, and whose values are not what the contract says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from ml_assets_tests.ingestion.corpus.case import AT, HEADER, Case, case, row

_NUMBERS, _MOMENTS, _KEYS = "Numbers", "Moments", "Keys, claims and rules"


def _number(about: str, kind: str, text: str, value: object = None) -> Case:
    """Give a file with one number: it is read as `value`, or unreadable."""
    columns = {"id": "string", "value": kind}
    content = f'id,value\na,"{text}"\n'
    if value is None:
        return case(_NUMBERS, about, content, 0, columns=columns, quarantined={"unreadable:value": 1})
    return case(_NUMBERS, about, content, 1, columns=columns, values=("value", (value,)))


def _moment(about: str, text: str, found: object, *, kind: str = "timestamp", **column: Any) -> Case:
    """Give a file with one moment: it is read as `found`, or that is the reason it is not."""
    columns: dict[str, Any] = {"id": "string", "value": {"type": kind, **column}}
    content = f'id,value\na,"{text}"\n'
    if isinstance(found, str):
        return case(_MOMENTS, about, content, 0, columns=columns, quarantined={f"{found}:value": 1})
    return case(_MOMENTS, about, content, 1, columns=columns, values=("value", (found,)))


NUMBERS: tuple[Case, ...] = (
    _number("1_000 as float", "float", "1_000"),
    _number("1_000 as integer", "integer", "1_000"),
    _number("1e3 as float", "float", "1e3", 1000.0),
    _number("1e3 as integer", "integer", "1e3"),
    _number("12.0 as integer", "integer", "12.0", 12),
    _number("12.7 as integer", "integer", "12.7"),
    _number("20 digits as integer", "integer", "12345678901234567890"),
    _number("a thousands separator: 1,000", "integer", "1,000"),
    _number("a decimal comma: 1,5", "float", "1,5"),
    _number("0x1F", "integer", "0x1F"),
    _number("full-width digits", "integer", "\uff11\uff12"),
    _number("blanks around it", "integer", " 12 ", 12),
    _number("NaN", "float", "NaN"),
    _number("-inf", "float", "-inf"),
    _number("1e999, beyond what a float holds", "float", "1e999"),
    _number("a currency: $5", "float", "$5"),
    _number("a share: 5%", "float", "5%"),
    _number("the error of a spreadsheet: #DIV/0!", "float", "#DIV/0!"),
    _number("maybe as boolean", "boolean", "maybe"),
    case(_NUMBERS, "an empty cell is null", HEADER + row(kg="", n=""), 1, values=("n", (None,))),
    case(_NUMBERS, "NA where the contract says that it is null", HEADER + row(kg="NA"), 1, values=("kg", (None,)),
         source={"null_values": ["", "NA"]}),
    case(_NUMBERS, "NA where the contract does not", HEADER + row(kg="NA"), 0, quarantined={"unreadable:kg": 1}),
)  # fmt: skip

MOMENTS: tuple[Case, ...] = (
    _moment(".NET's empty date: 0001-01-01 00:00:00", "0001-01-01 00:00:00", "implausible_year"),
    _moment("until further notice: 9999-12-31", "9999-12-31", "implausible_year", kind="date"),
    _moment("year 10000", "10000-01-01 00:00:00", "implausible_year"),
    _moment("year -290308, the first that the engine holds", "-290308-12-22 00:00:00", "implausible_year"),
    _moment("two digits of a year: 24-02-29", "24-02-29 09:55:00", "unreadable"),
    _moment("two digits of a year as date", "24-02-29", "unreadable", kind="date"),
    _moment("a birth in 1900", "1900-01-01", date(1900, 1, 1), kind="date"),
    _moment("a birth in 1899", "1899-12-31", "implausible_year", kind="date"),
    _moment("a birth in 1899, where years are declared", "1899-12-31", date(1899, 12, 31), kind="date",
            years=[1850, 2100]),
    _moment("a year after the declared ones", "2101-01-01", "implausible_year", kind="date", years=[1850, 2100]),
    _moment("year 2201", "2201-01-01T00:00:00Z", "implausible_year"),
    _moment("30 February", "2013-02-30 10:00:00", "unreadable"),
    _moment("29 February of no leap year", "2013-02-29", "unreadable", kind="date"),
    _moment("month 13", "2013-13-01", "unreadable", kind="date"),
    _moment("24:00:00 is the next midnight", "2013-01-01 24:00:00", datetime(2013, 1, 2, tzinfo=UTC)),
    _moment("a date alone is its midnight", "2013-01-01", datetime(2013, 1, 1, tzinfo=UTC)),
    _moment("a time of day in a date", "2013-01-01 10:00", "unreadable", kind="date"),
    _moment("an offset", "2013-01-01T10:00:00+05:30", datetime(2013, 1, 1, 4, 30, tzinfo=UTC)),
    _moment("a zone by its name", "2013-01-01 10:00:00 CET", "unreadable"),
    _moment("seconds since 1970", "1357034400", "unreadable"),
    _moment("the number of a spreadsheet: 41275.4", "41275.4", "unreadable"),
    _moment("day first: 01/02/2013", "01/02/2013", "unreadable"),
    _moment("month by name: 1 Feb 2013", "1 Feb 2013", "unreadable"),
    _moment("infinity", "infinity", "unreadable"),
    _moment("0000-00-00, as MySQL writes none", "0000-00-00", "unreadable", kind="date"),
    case(_MOMENTS, "an empty date that the contract takes for null", "id,value\na,0001-01-01\n", 1,
         columns={"id": "string", "value": "date"}, source={"null_values": ["", "0001-01-01"]},
         values=("value", (None,))),
)  # fmt: skip

_CLAIM = {"known_at": "seen_at"}
_RULE = {"reason": "too_heavy", "breaks": "kg > 10"}

KEYS: tuple[Case, ...] = (
    case(_KEYS, "a key is missing", HEADER + row("") + row("b"), 1, quarantined={"missing:id": 1}),
    case(_KEYS, "a key comes twice: the last row counts", HEADER + row(n="1") + row(n="2"), 1,
         quarantined={"duplicate_key": 1}, values=("n", (2,))),
    case(_KEYS, "a broken row does not displace a sound one of its key", HEADER + row(n="1") + row(n="x"), 1,
         quarantined={"unreadable:n": 1}, values=("n", (1,))),
    case(_KEYS, "known after the batch", HEADER + row(at="2013-06-01T00:00:00Z"), 0,
         quarantined={"known_after_batch": 1}, source=_CLAIM),
    case(_KEYS, "no claim when it was known", HEADER + row(at=""), 0, quarantined={"known_at_missing": 1},
         source=_CLAIM),
    case(_KEYS, "an unreadable claim: the cause comes first", HEADER + row(at="yesterday"), 0,
         quarantined={"unreadable:seen_at": 1}, source=_CLAIM),
    case(_KEYS, "an empty date as claim: the cause comes first", HEADER + row(at="0001-01-01 00:00:00"), 0,
         quarantined={"implausible_year:seen_at": 1}, source=_CLAIM),
    case(_KEYS, "a claim that overflows", HEADER + row(n="300000000") + row("b"), 1,
         quarantined={"unreadable:known_at": 1}, source={"known_at": "seen_at + INTERVAL (n - 1) YEAR"}),
    case(_KEYS, "an event that overflows", HEADER + row(n="300000000") + row("b"), 1,
         quarantined={"unreadable:event_at": 1}, source={"event_at": "seen_at + INTERVAL (n - 1) YEAR"}),
    case(_KEYS, "an event in a year that nothing can hold", HEADER + row(n="5000") + row("b"), 1,
         quarantined={"implausible_year:event_at": 1}, source={"event_at": "seen_at + INTERVAL (n - 1) YEAR"}),
    case(_KEYS, "a row that breaks a rule", HEADER + row(kg="11") + row("b"), 1, quarantined={"too_heavy": 1},
         source={"rules": [_RULE]}),
    case(_KEYS, "a row that breaks a rule and repeats a key", HEADER + row(kg="11") + row("a"), 1,
         quarantined={"too_heavy": 1}, source={"rules": [_RULE]}),
    case(_KEYS, "a required value is missing", HEADER + f"a,{AT},,1\n", 0, quarantined={"missing:kg": 1},
         columns={"id": "string", "seen_at": "timestamp", "kg": {"type": "float", "required": True}, "n": "integer"}),
    case(_KEYS, "a rule that one row makes fail refuses the drop", HEADER + row(n="0") + row("b"), 0,
         quarantined={"drop_refused:odd": 2},
         source={"rules": [{"reason": "odd", "breaks": "error('no') > n::VARCHAR"}]}),
)  # fmt: skip
