"""What a file of data looks like to a contract: types, nulls, ranges, categories, and what names a row.

Types are judged by the very SQL that reads landed files, so that what is proposed reads every value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ml_assets.ingestion.written_values import typed_value
from ml_assets.spec.contract import PLAUSIBLE_YEARS, POSSIBLE_YEARS, Column, ColumnType

if TYPE_CHECKING:
    import duckdb

_NULLISH = ("NA", "N/A", "n/a", "NULL", "null", "None", "none", "nan", "NaN", "NAN", "-", "?", "#N/A", "missing")
# dates by which a program says that it has none: .NET's and SQL's empty date, and "until further notice"
_NO_DATES = tuple(
    f"{day}{clock}"
    for day in ("0001-01-01", "0000-00-00", "9999-12-31")
    for clock in ("", " 00:00:00", "T00:00:00", " 00:00:00Z", "T00:00:00Z", " 23:59:59", "T23:59:59")
)
_CANDIDATES: tuple[ColumnType, ...] = ("integer", "float", "date", "timestamp", "boolean")
_OFFSET = r"\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"
_OTHER_DATE = r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}.*"
# 00123, an E and no point as in 12E3, and more digits than 64 bits hold: names and not numbers
_NAME_OF_DIGITS = r"[+-]?0[0-9]+|[0-9]+[eE][0-9]+|[+-]?[0-9]{19,}"
_SENTINELS = r"-9{2,5}(\.0+)?"  # -99 to -99999: numbers by which an export says that it has none
MOST_CATEGORIES = 20


@dataclass(frozen=True)
class ColumnProfile:
    """One column of a file.

    Attributes
    ----------
    is_zoned
        Of timestamps: every value says its offset. Otherwise its clock is somebody's to name.
    lowest, highest
        Of numbers, dates and timestamps (in UTC, as if without an offset they were UTC): as read, else None.
    categories
        Value and count, the most frequent first, where there are at most MOST_CATEGORIES that repeat.
    length
        Of strings: the length they all have, else None.
    note
        What a person should know, such as dates that are written another way.
    null_values
        Texts that mean null here and are values of another column.
    written, written_reason
        Keys of its contract that say how its moments are written, `date_order` or `epoch`, and why.
    """

    name: str
    type: ColumnType
    rows: int
    nulls: int
    distinct: int
    is_zoned: bool = True
    lowest: Any = None
    highest: Any = None
    categories: tuple[tuple[str, int], ...] = ()
    length: int | None = None
    note: str = ""
    null_values: tuple[str, ...] = ()
    written: tuple[tuple[str, str], ...] = ()
    written_reason: str = ""

    @property
    def is_moment(self) -> bool:
        """Say whether it is a date or a timestamp."""
        return self.type in ("date", "timestamp")

    @property
    def unusual_years(self) -> tuple[int, int] | None:
        """Give the years that its contract has to name: those of moments outside the years plausible by default."""
        if not self.is_moment or self.lowest is None:
            return None
        first, last = PLAUSIBLE_YEARS
        found = min(first, self.lowest.year), max(last, self.highest.year)
        return None if found == PLAUSIBLE_YEARS else found

    @property
    def is_number(self) -> bool:
        """Say whether it can be summed."""
        return self.type in ("integer", "float")


@dataclass(frozen=True)
class Sentinel:
    """A number that seems to stand for null: how it is written, in which column, how often."""

    value: str
    column: str
    count: int


@dataclass(frozen=True)
class FileProfile:
    """One file: its columns in order, its null set, the key proposed (empty: none found) and what speaks for it.

    `in_order` holds pairs of timestamps, the first never after the second. `filled_later` names a timestamp that is
    the second of such a pair and empty in some rows, and the columns that are empty in the same rows: what is known
    of a thing only when it is over. `null_values` mean null in every column; what is a value of another column does so
    in its own alone. `sentinels` are among both. `written` says how the file is written where it is no plain
    CSV: key and value of the contract's `file`, as YAML, and why; its files land as `file_name`.
    """

    name: str
    rows: int
    malformed: int
    columns: tuple[ColumnProfile, ...]
    null_values: tuple[str, ...]
    key: tuple[str, ...] = ()
    key_reason: str = ""
    in_order: tuple[tuple[str, str], ...] = ()
    filled_later: tuple[str, ...] = ()
    sentinels: tuple[Sentinel, ...] = ()
    written: tuple[tuple[str, str, str], ...] = ()
    file_name: str = ""

    def column(self, name: str) -> ColumnProfile:
        """Find a column by its name."""
        return next(column for column in self.columns if column.name == name)

    def has(self, name: str) -> bool:
        """Say whether there is such a column."""
        return any(column.name == name for column in self.columns)

    @property
    def moments(self) -> tuple[ColumnProfile, ...]:
        """List the dates and timestamps that are not all null."""
        return tuple(column for column in self.columns if column.is_moment and column.nulls < column.rows)


def profile_rows(connection: duckdb.DuckDBPyConnection, name: str, texts: Sequence[str]) -> FileProfile:
    """Profile table `_landed_text`, every cell of it text, as `read_landed` leaves it.

    `texts` are columns that are strings by declaration of the file, however they read.
    """
    names = [
        column
        for column in connection.table("_landed_text").columns
        if not column.startswith("_") and column != "batch_date"
    ]
    rows, malformed = connection.execute(
        "SELECT count(*) FILTER (_text IS NULL), count(_text) FROM _landed_text"
    ).fetchall()[0]
    kinds, nulls = {}, dict[str, list[str]]()
    for column in names:
        kinds[column], nulls[column] = _kind_of(connection, column, is_text=column in texts)
    sentinels = _sentinels(connection, kinds)
    for each in sentinels:
        nulls[each.column].append(each.value)
    own = _values_elsewhere(connection, nulls)
    found = dict.fromkeys(value for column in names for value in nulls[column] if value not in own)
    null_values, own_nulls = ["", *found], {column: [each for each in nulls[column] if each in own] for column in names}
    shown = ", ".join(
        f'{typed_value(_cell(column, [*null_values, *own_nulls[column]]), _any_column(kind))} AS "{column}"'
        for column, kind in kinds.items()
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _typed AS SELECT {shown} FROM _landed_text WHERE _text IS NULL")
    columns = tuple(
        replace(_profile(connection, column, kind, rows), null_values=tuple(own_nulls[column]))
        for column, kind in kinds.items()
    )
    profile = FileProfile(name, rows, malformed, columns, tuple(null_values))
    key, reason = find_key(connection, profile)
    in_order = _pairs_in_order(connection, profile)
    later = _filled_later(connection, profile, in_order)
    return replace(profile, key=key, key_reason=reason, in_order=in_order, filled_later=later, sentinels=sentinels)


def _values_elsewhere(connection: duckdb.DuckDBPyConnection, nulls: Mapping[str, Sequence[str]]) -> set[str]:
    """Give the texts that mean null in one column and are values of another, as NA is a country."""
    words = sorted({value for values in nulls.values() for value in values})
    others = {word: [column for column, values in nulls.items() if word not in values] for word in words}
    found: set[str] = set()
    for word, columns in others.items():
        listed = ", ".join(f'"{column}"' for column in columns)
        query = f"SELECT count(*) FROM _landed_text WHERE _text IS NULL AND ? IN ({listed})"
        if columns and connection.execute(query, [word]).fetchall()[0][0]:
            found.add(word)
    return found


def _any_column(kind: ColumnType) -> Column:
    """Give a column of a type whose moments may lie in any year that can be computed with."""
    return Column(type=kind, years=POSSIBLE_YEARS if kind in ("date", "timestamp") else None)


def _cell(column: str, nulls: Sequence[str]) -> str:
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in nulls)
    return f'CASE WHEN coalesce("{column}", \'\') NOT IN ({listed}) THEN "{column}" END'


def _kind_of(connection: duckdb.DuckDBPyConnection, column: str, *, is_text: bool) -> tuple[ColumnType, list[str]]:
    """Give the narrowest type that reads every value, and the words for null that have to be left out for it."""
    text, bare = _cell(column, ("",)), _cell(column, ("", *_NULLISH, *_NO_DATES))
    readable = ", ".join(
        f"count(*) FILTER (({bare}) IS NOT NULL AND ({typed_value(bare, _any_column(kind))}) IS NULL)"
        for kind in _CANDIDATES
    )
    words = ", ".join(f"'{word}'" for word in (*_NULLISH, *_NO_DATES))
    *unreadable, values, names, truths, nullish = connection.execute(
        f"SELECT {readable}, count({bare}), count(*) FILTER (regexp_full_match({bare}, '{_NAME_OF_DIGITS}')), "
        f"count(*) FILTER (lower({bare}) IN ('true', 'false')), list(DISTINCT {text}) FILTER ({text} IN ({words})) "
        "FROM _landed_text WHERE _text IS NULL"
    ).fetchall()[0]
    if not values:
        return "string", []
    fits = dict(zip(_CANDIDATES, (not count for count in unreadable), strict=True))
    if names:  # made of digits, and no numbers
        fits["integer"] = fits["float"] = False
    fits["boolean"] &= truths == values  # 0 and 1 stay numbers
    kind: ColumnType | None = next((kind for kind in _CANDIDATES if fits[kind]), None)
    if kind is None or (is_text and kind in ("integer", "float", "boolean")):
        return "string", []
    return kind, sorted(nullish or [])


def _sentinels(connection: duckdb.DuckDBPyConnection, kinds: Mapping[str, ColumnType]) -> tuple[Sentinel, ...]:
    """Find numbers such as -999 that repeat where nothing else is below zero."""
    found: list[Sentinel] = []
    for column, kind in kinds.items():
        counts = connection.execute(
            f'SELECT "{column}", count(*) FROM _landed_text WHERE _text IS NULL AND regexp_full_match("{column}", ?) '
            "GROUP BY 1 ORDER BY 1",
            [_SENTINELS],
        ).fetchall()
        if not counts:
            continue
        is_alone = False
        if kind in ("integer", "float"):
            is_alone = connection.execute(
                f'SELECT coalesce(min(TRY_CAST("{column}" AS DOUBLE)) >= 0, false) FROM _landed_text '
                f"WHERE _text IS NULL AND NOT regexp_full_match(coalesce(\"{column}\", ''), ?)",
                [_SENTINELS],
            ).fetchall()[0][0]
        found += [Sentinel(value, column, count) for value, count in counts if is_alone and count > 1]
    return tuple(found)


def _profile(connection: duckdb.DuckDBPyConnection, column: str, kind: ColumnType, rows: int) -> ColumnProfile:
    name = f'"{column}"'
    present, distinct, low, high, shortest, longest = connection.execute(
        f"SELECT count({name}), count(DISTINCT {name}), min({name}), max({name}), "
        f"min(length(CAST({name} AS VARCHAR))), max(length(CAST({name} AS VARCHAR))) FROM _typed"
    ).fetchall()[0]
    is_text = kind in ("string", "boolean")
    categories: list[tuple[str, int]] = []
    if kind == "string" and 0 < distinct <= MOST_CATEGORIES and present >= 10 * distinct:
        categories = connection.execute(
            f"SELECT {name}, count(*) FROM _typed WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        ).fetchall()
    is_zoned = True
    if kind == "timestamp":
        is_zoned = connection.execute(
            f"SELECT count(*) = 0 FROM _landed_text WHERE {name} <> '' AND regexp_matches({name}, '[0-9]') "
            f"AND NOT regexp_matches(trim({name}), '{_OFFSET}')"
        ).fetchall()[0][0]
    note = ""
    if not present:
        note = "no value at all"
    elif (
        kind == "string"
        and connection.execute(
            f"SELECT count(*) FILTER (NOT regexp_full_match({name}, '{_OTHER_DATE}')) = 0 FROM _typed"
        ).fetchall()[0][0]
    ):
        note = "looks like dates in another form: contracts read YYYY-MM-DD"
    return ColumnProfile(
        column, kind, rows, rows - present, distinct, is_zoned, None if is_text else low, None if is_text else high,
        tuple(categories), shortest if kind == "string" and shortest == longest else None, note,
    )  # fmt: skip


def find_key(connection: duckdb.DuckDBPyConnection, profile: FileProfile) -> tuple[tuple[str, ...], str]:
    """Find the fewest columns that name a row of table `_typed`, and say what speaks for them.

    Columns of amounts are no names. Of several, those that are called an id or code come first, then
    moments, then the order of the file.
    """
    rows = profile.rows
    usable = sorted(
        (
            column
            for column in profile.columns
            if column.type not in ("float", "boolean") and column.nulls == 0 and rows
        ),
        key=lambda column: (not is_named_as_key(column.name), not column.is_moment, profile.columns.index(column)),
    )
    for column in usable:
        if column.distinct == rows and (not column.is_moment or len(usable) == 1):
            return (column.name,), f"{rows:,} rows, {rows:,} values"
    pool = [column for column in usable if column.distinct > 1][:8]
    pairs = [(a.name, b.name) for n, a in enumerate(pool) for b in pool[n + 1 :] if a.distinct * b.distinct >= rows]
    triples = [(a.name, b.name, c.name) for n, a in enumerate(pool[:6]) for m, b in enumerate(pool[n + 1 : 6], n + 1)
               for c in pool[m + 1 : 6]]  # fmt: skip
    for names in [*pairs, *triples]:
        listed = ", ".join(f'"{name}"' for name in names)
        for part in ("(SELECT * FROM _typed LIMIT 20000)", "_typed"):
            if not connection.execute(f"SELECT count(*) = count(DISTINCT ({listed})) FROM {part}").fetchall()[0][0]:
                break
        else:
            return names, f"no column alone names a row; together {rows:,} rows, {rows:,} values"
    if rows > connection.execute("SELECT count(*) FROM (SELECT DISTINCT * FROM _typed)").fetchall()[0][0]:
        return (), "no columns name a row, and some rows repeat whole"
    return (), "no two or three columns name a row"


def is_named_as_key(name: str) -> bool:
    """Say whether a name sounds like that of something with an identity.

    Examples
    --------
    >>> [is_named_as_key(name) for name in ("loan_id", "order_no", "amount")]
    [True, True, False]
    """
    return name.rsplit("_", 1)[-1] in ("id", "key", "code", "uuid", "no", "number", "ref")


def _pairs_in_order(connection: duckdb.DuckDBPyConnection, profile: FileProfile) -> tuple[tuple[str, str], ...]:
    moments = [column.name for column in profile.moments if column.type == "timestamp"][:4]
    found = []
    for first in moments:
        for second in moments:
            if first == second:
                continue
            both, wrong = connection.execute(
                f'SELECT count(*) FILTER ("{first}" < "{second}"), count(*) FILTER ("{first}" > "{second}") FROM _typed'
            ).fetchall()[0]
            if both and not wrong:
                found.append((first, second))
    return tuple(found)


def _filled_later(
    connection: duckdb.DuckDBPyConnection, profile: FileProfile, in_order: Sequence[tuple[str, str]]
) -> tuple[str, ...]:
    found: set[str] = set()
    holed = [column.name for column in profile.columns if 0 < column.nulls < column.rows]
    for late in {second for _, second in in_order} & set(holed):
        found |= {
            name
            for name in holed
            if connection.execute(
                f'SELECT count(*) FILTER (("{name}" IS NULL) <> ("{late}" IS NULL)) = 0 FROM _typed'
            ).fetchall()[0][0]
        }
    return tuple(column.name for column in profile.columns if column.name in found)
