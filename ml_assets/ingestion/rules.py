"""Which rows break the rules of a contract: SQL over the rows of one drop at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_assets.spec.contract import Rule, Source
from ml_assets.spec.drop import DropKey, key_sql
from ml_assets.spec.rule_sql import ROWS, rule_query
from ml_assets.spec.user_sql import check_select

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class RuleResult:
    """What one rule of a contract found in one drop. Grain: drop x reason; only rules that failed or could not judge.

    `is_refused` says that the rule was about the whole drop and refused it. A rule that had too little to judge by is
    not `is_judged`, and says so in `observed`: the drop passes it, and nobody should take that for a verdict.
    """

    drop: DropKey
    reason: str
    severity: str
    failed_rows: int
    observed: str | None
    is_refused: bool
    is_judged: bool = True


def note_drop(
    connection: duckdb.DuckDBPyConnection, drop: DropKey, reason: str, severity: str, observed: str | None
) -> RuleResult:
    """Note that a drop breaks a rule about the whole of it; an error refuses every row of its own file."""
    own = "FROM _judged WHERE batch_date = ? AND NOT _is_late"
    is_refused = severity == "error"
    if is_refused:
        connection.execute(f"INSERT INTO _reasons SELECT _position, ? {own}", [f"drop_refused:{reason}", drop])
    rows = connection.execute(f"SELECT count(*) {own}", [drop]).fetchall()[0][0]
    return RuleResult(drop, reason, severity, rows, observed, is_refused)


def judge_rules(
    connection: duckdb.DuckDBPyConnection, source: Source, landed: Sequence[DropKey], keys: Mapping[str, Sequence[str]]
) -> list[RuleResult]:
    """Add the rows that break a rule to table `_reasons`, and say how many each rule found.

    Parameters
    ----------
    connection
        With tables `_judged` and `_reasons` of the rows of `source`, and for each source that a rule reads a view
        `read_<source>` of its validated rows. A rule sees one drop at a time, and of what it reads the newest version
        of each fact received up to then: so a range of drops changes nothing.
    keys
        The key of each source that a rule reads.
    """
    results: list[RuleResult] = []
    if not source.rules:
        return results
    for rule in source.rules:
        check_select(rule_query(rule.breaks), {ROWS, *rule.reads})
    columns = ", ".join(f'"{name}"' for name in source.columns)
    for drop in landed:
        connection.execute(
            f'CREATE OR REPLACE TEMP TABLE "{ROWS}" AS SELECT _position, {columns}, event_at, known_at, '
            f"claimed_known_at FROM _judged WHERE batch_date = {key_sql(drop)} AND _text IS NULL"
        )
        for name in source.reads:
            key = ", ".join(f'"{column}"' for column in keys[name])
            connection.execute(
                f'CREATE OR REPLACE TEMP VIEW "{name}" AS SELECT * FROM read_{name} '
                f"WHERE batch_date <= {key_sql(drop)} QUALIFY row_number() OVER (PARTITION BY {key} "
                "ORDER BY known_at DESC, batch_date DESC) = 1"
            )
        known = {name: _count(connection, name) for name in source.reads}
        for rule in source.rules:
            absent = [name for name in rule.reads if not known[name]]
            results += _unjudged(connection, rule, drop, absent) if absent else _judge(connection, rule, drop)
    return results


def _judge(connection: duckdb.DuckDBPyConnection, rule: Rule, drop: DropKey) -> list[RuleResult]:
    import duckdb

    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE _broken AS {rule_query(rule.breaks, '_position')}")
    except duckdb.Error as error:
        return [_cannot_tell(connection, rule, drop, str(error).partition("\n")[0])]
    count = _count(connection, "_broken")
    if not count:
        return []
    if rule.severity == "error":
        connection.execute("INSERT INTO _reasons SELECT _position, ? FROM _broken", [rule.reason])
    return [RuleResult(drop, rule.reason, rule.severity, count, None, False)]


def _unjudged(
    connection: duckdb.DuckDBPyConnection, rule: Rule, drop: DropKey, absent: Sequence[str]
) -> list[RuleResult]:
    if not _count(connection, ROWS):
        return []
    return [_cannot_tell(connection, rule, drop, f"nothing of {', '.join(absent)} was received yet")]


def _cannot_tell(connection: duckdb.DuckDBPyConnection, rule: Rule, drop: DropKey, why: str) -> RuleResult:
    """Count a rule that cannot be evaluated as broken: nobody knows by which rows."""
    is_refused = rule.severity == "error"
    if is_refused:
        connection.execute(f'INSERT INTO _reasons SELECT _position, ? FROM "{ROWS}"', [f"drop_refused:{rule.reason}"])
    return RuleResult(drop, rule.reason, rule.severity, _count(connection, ROWS), why, is_refused)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return connection.execute(f'SELECT count(*) FROM "{table}"').fetchall()[0][0]
