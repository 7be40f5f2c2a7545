"""SQL that reads the text of a cell as the type of its column, by the way it is written."""

from __future__ import annotations

from ml_assets.spec.contract import SQL_TYPES, Column
from ml_assets.spec.file_format import FileFormat

MOMENTS = ("date", "timestamp")
_SET_BACK_MIN = (60, 30, 120)  # by how much clocks are set back: nearly everywhere, on Lord Howe, at Troll
_FLOAT = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_FULL_YEAR = r"^-?\d{4,}\D"  # of fewer digits it could be any part of a date
_HAS_OFFSET = r"\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"
# 31.12.2024, 31/12/2024, 31-12-2024, perhaps with a comma before the time; marks of one kind
_DAY_AND_MONTH = r"^(\d{1,2})(?:\.(\d{1,2})\.|/(\d{1,2})/|-(\d{1,2})-)(\d{4}),?"
_REORDERED = {"day_first": r"\5-\2\3\4-\1", "month_first": r"\5-\1-\2\3\4"}
_HALF_DAY = r"^(\d{4}-\d{1,2}-\d{1,2} +\d{1,2}:\d{2}(?::\d{2})?) *([AaPp])\.?[Mm]\.?$"
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_SPACES = " \u00a0\u202f\u2009"  # what stands between thousands where a space is declared


def plain_text(text: str, column: Column, declared: FileFormat) -> str:
    """Give SQL of a cell as it would be without declared marks: 1234.5, 2024-12-31 09:30; of `text`, SQL of the cell.

    A number that is not written by the declared marks is null, as is one that is no count since 1970 where `epoch` is
    declared: with a point between thousands `1.234` is 1234, and `12.34` is none. A date that is not in the declared
    order stays as it is.
    """
    if column.epoch is not None:
        return _since_epoch(text, column.epoch)
    if column.type in MOMENTS and column.date_order != "iso":
        return _iso_moment(text, column)
    if column.type in ("integer", "float") and (declared.decimal != "." or declared.thousands):
        return _plain_number(text, declared)
    return text


def has_plain_text(column: Column, declared: FileFormat) -> bool:
    """Say whether the cells of a column are written as without any declared mark."""
    return plain_text("text", column, declared) == "text"


def _plain_number(text: str, declared: FileFormat) -> str:
    point, whole, bare = _any_of(declared.decimal), r"\d+", f"trim({text})"
    if declared.thousands:
        group = _any_of(_SPACES if declared.thousands == " " else declared.thousands)
        whole = rf"(\d+|\d{{1,3}}({group}\d{{2,3}})*{group}\d{{3}})"  # lakhs stand in pairs
        bare = f"regexp_replace({bare}, {_quoted(group)}, '', 'g')"
    number = rf"[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
    return (
        f"CASE WHEN regexp_full_match(trim({text}), {_quoted(number)}) "
        f"THEN replace({bare}, {_quoted(declared.decimal)}, '.') END"
    )


def _any_of(marks: str) -> str:
    """Give a regular expression of one of some characters."""
    return "[" + "".join(rf"\x{{{ord(mark):x}}}" for mark in marks) + "]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _iso_moment(text: str, column: Column) -> str:
    iso = f"regexp_replace(trim({text}), {_quoted(_DAY_AND_MONTH)}, {_quoted(_REORDERED[column.date_order])})"
    if column.type == "date":
        return iso
    half = f"regexp_replace({iso}, {_quoted(_HALF_DAY)}, '\\1 \\2M')"
    moment = f"try_strptime({half}, ['%Y-%m-%d %I:%M:%S %p', '%Y-%m-%d %I:%M %p'])"
    return f"coalesce(strftime({moment}, '%Y-%m-%d %H:%M:%S'), {iso})"


def _since_epoch(text: str, unit: str) -> str:
    number = rf"CASE WHEN regexp_full_match(trim({text}), '-?\d{{1,18}}(\.\d{{1,9}})?') THEN trim({text}) END"
    micros = f"TRY_CAST(floor(TRY_CAST({number} AS DECIMAL(38, 9)) * {_MICROSECONDS[unit]}) AS BIGINT)"
    return f"strftime(TRY(make_timestamp({micros})), '%Y-%m-%d %H:%M:%S.%f') || '+00'"


def typed_value(text: str, column: Column) -> str:
    """Give SQL that reads `text`, SQL of a plain text, as the type of `column`; null where it does not read as that.

    A moment outside the plausible years of the column does not.
    """
    value = _any_value(text, column)
    if column.type not in MOMENTS:
        return value
    first, last = column.plausible_years
    kind, zone = ("DATE", "") if column.type == "date" else ("TIMESTAMPTZ", " 00:00:00+00")
    return (
        f"CASE WHEN ({value}) >= {kind} '{first}-01-01{zone}' AND ({value}) < {kind} '{last + 1}-01-01{zone}' "
        f"THEN {value} END"
    )


def is_implausible_moment(text: str, column: Column) -> str:
    """Give SQL that says whether `text`, SQL of a text, is a moment outside the plausible years of `column`."""
    if column.type not in MOMENTS:
        return "false"
    text = plain_text(text, column, FileFormat())
    return f"(({_any_value(text, column)}) IS NOT NULL AND ({typed_value(text, column)}) IS NULL)"


def _local_moment(local: str, column: Column) -> str:
    """Give SQL for the moment of `local`, a local time of a column's zone. DuckDB takes the later one of two."""
    latest = f"timezone('{column.zone}', {local})"
    if column.zone == "UTC" or column.ambiguous == "latest":
        return latest
    earlier = [f"{latest} - INTERVAL {minutes} MINUTE" for minutes in _SET_BACK_MIN]
    cases = " ".join(f"WHEN timezone('{column.zone}', {each}) = {local} THEN {each}" for each in earlier)
    return f"CASE {cases} ELSE {latest} END"


def _any_value(text: str, column: Column) -> str:
    if column.type == "string":
        return f"({text})"
    if column.type == "integer":  # a cast would round 12.7 to 13, and pass over the _ in 1_000
        return (
            f"CASE WHEN regexp_full_match(trim({text}), '[+-]?\\d+(\\.0+)?') "
            f"THEN TRY_CAST(split_part(trim({text}), '.', 1) AS BIGINT) END"
        )
    if column.type == "float":  # a sum never holds an infinity or a NaN
        number = f"CASE WHEN regexp_full_match(trim({text}), '{_FLOAT}') THEN TRY_CAST({text} AS DOUBLE) END"
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    if column.type == "timestamp":  # a cast would pass over a zone that is named, and take infinity or the year 24
        return (
            f"CASE WHEN NOT regexp_matches(trim({text}), '{_FULL_YEAR}') THEN NULL "
            f"WHEN regexp_matches(trim({text}), '{_HAS_OFFSET}') THEN TRY_CAST({text} AS TIMESTAMPTZ) "
            f"WHEN regexp_full_match(trim({text}), '[-0-9T:. ]+') "
            f"THEN {_local_moment(f'TRY_CAST({text} AS TIMESTAMP)', column)} END"
        )
    if column.type == "date":  # a cast would cut off a time of day
        return f"CASE WHEN regexp_full_match(trim({text}), '-?\\d{{4,}}-\\d+-\\d+') THEN TRY_CAST({text} AS DATE) END"
    return f"TRY_CAST({text} AS {SQL_TYPES[column.type]})"
