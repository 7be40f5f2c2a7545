"""What each source sent in each drop, in a few numbers a column: the series on which a broken feed shows.

Profiles are taken of what was read, before the contract: a row in quarantine is part of what the feed sent.
They hold no judgement; whether a number is unusual is asked in `feed_health`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ml_assets.spec.contract import Source
from ml_assets.spec.drop import MOMENT_OF_KEY, DropKey, day_of_key, key_type

if TYPE_CHECKING:
    import duckdb

_WHOLE = (
    ("", "rows", "ln(count(*))"),
    ("", "duplicate_share", "avg((copy > 1)::INTEGER)"),
    ("", "repeated_share", "avg((before.content IS NOT NULL)::INTEGER)"),
    ("", "quarantined_share", "coalesce(any_value(quarantined), 0) / count(*)"),
)
NO_ROWS = math.log(0.5)  # the logarithm of half a row stands for none
_FLAG_VALUES = 2
MAX_CATEGORIES = 200  # a text column with more values in the first drops, or hardly any twice, is a name


@dataclass(frozen=True)
class Series:
    """One number a drop.

    Attributes
    ----------
    column
        The column it describes; empty for the source as a whole.
    statistic
        `rows` (natural logarithm of their number), `duplicate_share` (rows whose key came before in
        the drop), `repeated_share` (rows equal to one of the drop before in all but key and
        moments), `quarantined_share`, `null_share`, `null_alone_share` (null where at most one other
        column is: what is missing for a reason, such as the outcome of a cancelled flight, is missing
        in several), `center` (median), `spread` (natural logarithm of the distance of the 10 % and
        90 % quantiles).
    values
        By drop; a drop without the number (nothing received, a spread of zero) is left out.
    details
        By drop, what stands behind it: the reason codes of most quarantined rows, the value
        that `other_share` does not count.
    """

    source: str
    column: str
    statistic: str
    values: dict[DropKey, float]
    details: dict[DropKey, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CategoryCounts:
    """Rows by category of a text column, by drop."""

    source: str
    column: str
    counts: dict[DropKey, dict[str, int]]


def profile_source(
    connection: duckdb.DuckDBPyConnection, source: Source, drops: Sequence[DropKey]
) -> tuple[list[Series], list[CategoryCounts]]:
    """Profile a source over `drops`, by views `raw_<source>` and `quarantine_<source>` of `connection`.

    View `first_<source>` holds its rows of the first drops of all: they decide which text columns are categories and
    which numbers are flags, so that it does not depend on which drops are asked for.
    """
    name = source.name
    flags = _flags(connection, source)
    selected = [*_WHOLE, *_columns(source, flags)]
    columns = ", ".join(f'{sql} AS "{position}"' for position, (_, _, sql) in enumerate(selected))
    kind = key_type(drops[0])
    rows = connection.execute(
        f"""
        WITH kept AS (SELECT * FROM raw_{name} WHERE batch_date BETWEEN ? AND ?),
            keyed AS (SELECT *, row_number() OVER (PARTITION BY batch_date, {_listed(source.key)}) AS copy,
                {_content_hash(source)} AS content, {_null_count(source)} AS nulls, {_age_h(source)} AS age_h
                FROM kept),
            contents AS (SELECT DISTINCT batch_date, content FROM keyed),
            steps AS (SELECT unnest(CAST(? AS {kind}[])) AS batch_date, unnest(CAST(? AS {kind}[])) AS earlier),
            refused AS (SELECT batch_date, count(*) AS quarantined FROM quarantine_{name} GROUP BY batch_date)
        SELECT keyed.batch_date, {columns}
        FROM keyed LEFT JOIN steps ON steps.batch_date = keyed.batch_date
            LEFT JOIN contents AS before ON before.batch_date = steps.earlier AND before.content = keyed.content
            LEFT JOIN refused ON refused.batch_date = keyed.batch_date
        GROUP BY keyed.batch_date
        """,
        [drops[0], drops[-1], list(drops[1:]), list(drops[:-1])],
    ).fetchall()
    told = _quarantine_reasons(connection, name, drops)
    silent = _silent_drops(source, drops, [row[0] for row in rows])
    series = [
        Series(
            name,
            column,
            statistic,
            {row[0]: row[1 + position] for row in rows if row[1 + position] is not None}
            | (dict.fromkeys(silent, NO_ROWS) if statistic == "rows" else {}),
            told
            if statistic == "quarantined_share"
            else dict.fromkeys(drops, f"other than {flags[column]:g}")
            if statistic == "other_share"
            else {},
        )
        for position, (column, statistic, _) in enumerate(selected)
    ]
    return series, list(_categories(connection, source, drops))


def _silent_drops(source: Source, drops: Sequence[DropKey], with_rows: Sequence[DropKey]) -> list[DropKey]:
    """List the drops in which rows were due and none came, from the first on that had some."""
    if not with_rows or source.arrives != "every_drop":
        return []
    first, there = min(with_rows), set(with_rows)
    return [
        d for d in drops if d > first and d not in there and (source.until is None or day_of_key(d) <= source.until)
    ]


def monitor_count(source: Source) -> int:
    """Count the monitors of a source, by its declaration alone; a number that proves a flag has one less."""
    texts = sum(column.type == "string" for column in source.columns.values())
    booleans = dict.fromkeys((name for name, column in source.columns.items() if column.type == "boolean"), 0.0)
    return len(_WHOLE) + len(list(_columns(source, booleans))) + 2 * texts


def _columns(source: Source, flags: Mapping[str, float]) -> Iterator[tuple[str, str, str]]:
    if source.event_at is not None:
        yield "", "age_h", "median(keyed.age_h)"
    for name, column in source.columns.items():
        yield name, "null_share", f'avg((keyed."{name}" IS NULL)::INTEGER)'
        yield name, "null_alone_share", f'avg((keyed."{name}" IS NULL AND keyed.nulls <= 2)::INTEGER)'
        number = f'keyed."{name}"::DOUBLE'
        finite = f"CASE WHEN isfinite({number}) THEN {number} END"
        if name in flags:
            yield name, "other_share", f"avg(({finite} <> {flags[name]!r})::INTEGER)"
        elif column.type in ("integer", "float") and name not in source.key:
            cuts = f"quantile_cont({finite}"
            yield name, "center", f"{cuts}, 0.5)"
            yield name, "spread", f"ln(nullif({cuts}, 0.9) - {cuts}, 0.1), 0))"


def _flags(connection: duckdb.DuckDBPyConnection, source: Source) -> dict[str, float]:
    """Give the columns of one or two values in the first drops, with the lower one: a median says nothing of them."""
    found: dict[str, float] = {}
    for name, column in source.columns.items():
        if column.type == "boolean":
            found[name] = 0.0
        elif column.type in ("integer", "float") and name not in source.key:
            query = (
                f'SELECT min(v), count(v), count(DISTINCT v) FROM (SELECT "{name}"::DOUBLE AS v FROM '
                f"first_{source.name}) WHERE isfinite(v)"
            )
            lowest, n, n_values = connection.execute(query).fetchall()[0]
            if 1 <= n_values <= _FLAG_VALUES and n >= 2 * n_values:
                found[name] = lowest
    return found


def _quarantine_reasons(
    connection: duckdb.DuckDBPyConnection, source: str, drops: Sequence[DropKey]
) -> dict[DropKey, str]:
    counted = connection.execute(
        f"SELECT batch_date, reason, count(*) AS n FROM quarantine_{source} WHERE batch_date BETWEEN ? AND ? "
        "GROUP BY ALL ORDER BY batch_date, n DESC, reason",
        [drops[0], drops[-1]],
    ).fetchall()
    found: dict[DropKey, list[str]] = {}
    for drop, reason, number in counted:
        found.setdefault(drop, []).append(f"{reason} x{number}")
    return {drop: ", ".join(reasons[:3]) for drop, reasons in found.items()}


def _categories(
    connection: duckdb.DuckDBPyConnection, source: Source, drops: Sequence[DropKey]
) -> Iterator[CategoryCounts]:
    for name, column in source.columns.items():
        if column.type != "string":
            continue
        found = connection.execute(
            f'SELECT batch_date, "{name}", count(*) FROM raw_{source.name} WHERE "{name}" IS NOT NULL AND batch_date '
            f'BETWEEN ? AND ? AND (SELECT count(DISTINCT "{name}") <= {MAX_CATEGORIES} AND count(DISTINCT "{name}") '
            f'<= count("{name}") / 2 FROM first_{source.name}) GROUP BY ALL',
            [drops[0], drops[-1]],
        ).fetchall()
        counts: dict[DropKey, dict[str, int]] = {}
        for drop, category, number in found:
            counts.setdefault(drop, {})[category] = number
        if counts:
            yield CategoryCounts(source.name, name, counts)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _null_count(source: Source) -> str:
    return " + ".join(f'("{name}" IS NULL)::INTEGER' for name in source.columns)


def _age_h(source: Source) -> str:
    if source.event_at is None:
        return "NULL"
    return f"(epoch({MOMENT_OF_KEY}) - epoch(CAST(({source.event_at}) AS TIMESTAMPTZ))) / 3600"


def _content_hash(source: Source) -> str:
    told = [name for name, column in source.columns.items() if column.type != "timestamp" and name not in source.key]
    return f"hash({_listed(told)})" if told else "NULL"
