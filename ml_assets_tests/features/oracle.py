"""The slow, obvious judge of point-in-time values. It shares no code with `ml_assets.features`.

Facts and examples are lists of dicts, values are found by asking every fact, and real data by joining all
facts with all examples. A fast answer is right when it is this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import duckdb

Row = dict[str, Any]
Condition = Callable[[Row], bool]
Value = Callable[[Row], float | None]


def always(_: Row) -> bool:
    """Let every fact through."""
    return True


def versions_in_force(facts: Sequence[Row], key: Sequence[str], moment: datetime) -> list[Row]:
    """Give of each key the newest version known by `moment`, with `counted_at`, when the key was first known."""
    found: dict[tuple[Any, ...], Row] = {}
    first_known: dict[tuple[Any, ...], datetime] = {}
    for fact in facts:
        if fact["known_at"] > moment:
            continue
        name = tuple(fact[column] for column in key)
        if name not in found or fact["known_at"] > found[name]["known_at"]:
            found[name] = fact
        first_known[name] = min(first_known.get(name, fact["known_at"]), fact["known_at"])
    return [{**fact, "counted_at": first_known[name]} for name, fact in found.items()]


def is_same_entity(fact: Row, example: Row, entity: Sequence[str]) -> bool:
    """Say whether a fact is about the example; a null is about nothing."""
    return all(fact[name] is not None and example[name] is not None and fact[name] == example[name] for name in entity)


def facts_in_window(
    facts: Sequence[Row],
    key: Sequence[str],
    example: Row,
    entity: Sequence[str],
    window: timedelta,
    value_of: Callable[[Row], Any],
    where: Condition = always,
) -> list[tuple[datetime, Any]]:
    """List when an example's facts in (prediction_at - window, prediction_at] were counted, and their values.

    Without nulls and what is not finite; in the order in which they were counted, then known, then of their keys.
    """
    moment = example["prediction_at"]
    found = []
    for fact in versions_in_force(facts, key, moment):
        if not where(fact) or not is_same_entity(fact, example, entity):
            continue
        if not moment - window < fact["counted_at"] <= moment:
            continue
        value = value_of(fact)
        if value is not None and (not isinstance(value, float) or math.isfinite(value)):
            found.append((fact["counted_at"], fact["known_at"], tuple(fact[name] for name in key), value))
    return [(counted_at, value) for counted_at, _, _, value in sorted(found, key=lambda each: each[:3])]


def reduce_facts(function: str, found: Sequence[tuple[datetime, Any]], moment: datetime) -> float | None:
    """Give the aggregate of some facts; only a count of nothing is a number."""
    values = [value for _, value in found]
    if function in ("count", "distinct"):
        return len(values if function == "count" else set(values))
    if not values:
        return None
    if function == "hours_since_last":
        return (moment - found[-1][0]) / timedelta(hours=1)
    if function in ("min", "max", "last"):
        return {"min": min, "max": max, "last": lambda all_of_them: all_of_them[-1]}[function](values)
    total = math.fsum(values)
    if function == "std":
        exact = [Fraction(value) for value in values]
        mean = sum(exact) / len(exact)
        return math.sqrt(sum((each - mean) ** 2 for each in exact) / (len(exact) - 1)) if len(exact) > 1 else None
    return total if function == "sum" else total / len(values)


def latest_fact(
    facts: Sequence[Row],
    key: Sequence[str],
    example: Row,
    entity: Sequence[str],
    max_age: timedelta | None = None,
    where: Condition = always,
) -> Row | None:
    """Give the example's newest fact by when it happened; of two at once the later known, then the greater key."""
    moment = example["prediction_at"]
    mine = [
        {**fact, "happened_at": min(fact["event_at"], fact["known_at"])}
        for fact in versions_in_force(facts, key, moment)
        if where(fact) and is_same_entity(fact, example, entity)
    ]
    if not mine:
        return None
    newest = max(mine, key=lambda fact: (fact["happened_at"], fact["known_at"], tuple(fact[name] for name in key)))
    is_young = max_age is None or newest["happened_at"] > moment - max_age
    return newest if is_young else None


def join_window(
    connection: duckdb.DuckDBPyConnection,
    facts: str,
    entity: Sequence[str],
    derive: dict[str, str],
    aggregates: dict[str, str],
    window: timedelta,
) -> list[tuple[Any, ...]]:
    """Join every fact of table `facts` with every row of `asked`: a row an asked row, a column an aggregate.

    `asked` has a column `row_number`. Facts must be uncorrected: each key comes once.
    """
    chosen = []
    for text in aggregates.values():
        function, _, rest = text.partition("(")
        expression = rest.strip().removesuffix(")")
        if expression == "*":
            chosen.append("count(f.known_at)")
        else:
            number = f"TRY_CAST(({expression}) AS DOUBLE)"
            chosen.append(f"{function}(CASE WHEN f.known_at IS NOT NULL AND isfinite({number}) THEN {number} END)")
    return connection.execute(
        f"SELECT asked.row_number, {', '.join(chosen)} FROM (SELECT row_number, prediction_at, {_columns(entity)} "
        f"FROM asked) AS asked LEFT JOIN (SELECT *{_derived(derive)} FROM {facts}) AS f ON "
        f"{_match(entity)} AND f.known_at <= asked.prediction_at AND f.known_at > asked.prediction_at - ?::INTERVAL "
        "GROUP BY 1 ORDER BY 1",
        [window],
    ).fetchall()


def join_latest(
    connection: duckdb.DuckDBPyConnection,
    facts: str,
    entity: Sequence[str],
    derive: dict[str, str],
    latest: Sequence[str],
    max_age: timedelta | None,
) -> list[tuple[Any, ...]]:
    """Join every known fact with every row of `asked` and keep the newest: its columns, then its age in hours."""
    columns = ", ".join(f"f.{name} AS found_{name}" for name in latest)
    is_young = "true" if max_age is None else f"age_h < {max_age.total_seconds() / 3600}"
    values = ", ".join(f"CASE WHEN {is_young} THEN found_{name} END" for name in latest)
    return connection.execute(
        f"SELECT row_number, {values}, CASE WHEN {is_young} THEN age_h END FROM (SELECT asked.row_number, {columns}, "
        "date_diff('microsecond', least(f.event_at, f.known_at), asked.prediction_at) / 3.6e9 AS age_h "
        f"FROM asked LEFT JOIN (SELECT *{_derived(derive)} FROM {facts}) AS f ON {_match(entity)} "
        "AND f.known_at <= asked.prediction_at QUALIFY row_number() OVER (PARTITION BY asked.row_number "
        "ORDER BY least(f.event_at, f.known_at) DESC NULLS LAST) = 1) ORDER BY row_number"
    ).fetchall()


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names) or "1"


def _derived(derive: dict[str, str]) -> str:
    return "".join(f', ({expression}) AS "{name}"' for name, expression in derive.items())


def _match(entity: Sequence[str]) -> str:
    return " AND ".join(f'f."{name}" = asked."{name}"' for name in entity) or "true"
