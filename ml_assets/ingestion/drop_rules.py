"""Which drops break the rules of a contract about a whole drop: its rows, its newest row, the mix of its values.

A drop is judged by the rows of its own file that keep the rules about rows, beside those that the drops before it kept;
rows that came late are in neither. A drop that was refused, or brought nothing, is nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from ml_assets.ingestion.category_distribution import ColumnMix
from ml_assets.ingestion.rules import RuleResult, note_drop
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.contract import RECEIVED, Source
from ml_assets.spec.drop import DropKey, key_sql
from ml_assets.spec.drop_rules import WEEK, DistributionRule, DropRule, FreshnessRule, VolumeRule
from ml_assets.spec.duration import format_duration
from ml_assets.spec.key_arrays import key_array

if TYPE_CHECKING:
    import duckdb

_ROUNDING = 1e-9  # 3 rows of 10 are within 0.7 of them
_REFUSED = "starts_with(reason, 'drop_refused:')"


@dataclass(frozen=True)
class _Said:
    """What one rule says of a drop. `is_kept` is None where it cannot tell yet."""

    is_kept: bool | None
    observed: str


@dataclass
class _Held:
    """What drops hold: rows, the newest moment of those to be judged, the mix of columns; and which were refused."""

    rows: dict[DropKey, int]
    newest: dict[DropKey, datetime]
    mixes: Mapping[str, ColumnMix]
    refused: set[DropKey]

    def counts_as_reference(self, drop: DropKey) -> bool:
        """Say whether a drop holds rows that were not refused with it."""
        return self.rows.get(drop, 0) > 0 and drop not in self.refused


def judge_drop_rules(
    connection: duckdb.DuckDBPyConnection, source: Source, calendar: Calendar, landed: Sequence[DropKey]
) -> list[RuleResult]:
    """Say which drops break a rule about a whole drop or cannot be judged yet; refuse those that break an error.

    Parameters
    ----------
    connection
        With tables `_judged` and `_reasons` of the rows of `source`, after all rules about rows, and, where a rule
        looks back, a view `_recent` of the rows validated in the drops before, for as long as it looks.
    landed
        The drops whose own file was received and not refused. They are judged in order: what a drop of the range kept
        is what the drops after it are compared with, as if each had been run alone.
    """
    if not source.drop_rules or not landed:
        return []
    held = _collect(connection, source, min(landed), calendar)
    results: list[RuleResult] = []
    for drop in sorted(landed):
        for rule, said in _verdicts(source, calendar, drop, held):
            if said.is_kept is None:
                results.append(RuleResult(drop, rule.reason, rule.severity, 0, said.observed, False, is_judged=False))
            elif not said.is_kept:
                results.append(note_drop(connection, drop, rule.reason, rule.severity, said.observed))
                held.refused |= {drop} if rule.severity == "error" else set()
    return results


def _verdicts(source: Source, calendar: Calendar, drop: DropKey, held: _Held) -> Iterator[tuple[DropRule, _Said]]:
    """Give what each rule says of a drop, all of them before any is acted upon."""
    for volume in source.volume:
        yield volume, _judge_volume(volume, calendar, drop, held)
    for freshness in source.freshness:
        yield freshness, _judge_freshness(freshness, calendar.batch_at(drop), held.newest.get(drop))
    for distribution in source.distribution:
        yield distribution, _judge_distribution(distribution, calendar, drop, held)


def _judge_volume(rule: VolumeRule, calendar: Calendar, drop: DropKey, held: _Held) -> _Said:
    rows = held.rows.get(drop, 0)
    if not rows:
        return _Said(False, "no row")
    weeks = [calendar.earlier(drop, number * WEEK) for number in range(1, rule.of_weeks + 1)]
    usual = [held.rows[week] for week in weeks if held.counts_as_reference(week)]
    if len(usual) < rule.enough:
        there = f"{len(usual)} of the {rule.of_weeks} weeks before hold rows"
        return _Said(None, f"not judged: {there}; {rule.enough} are needed")
    middle = median(usual)
    low, high = middle * (1 - rule.within), middle * (1 + rule.within)
    said = f"{rows} rows; usual {middle:g}, the median of {len(usual)} weeks; allowed {max(low, 1):.0f} to {high:.0f}"
    return _Said(abs(rows / middle - 1) <= rule.within + _ROUNDING, said)


def _judge_freshness(rule: FreshnessRule, batch_at: datetime, newest: datetime | None) -> _Said:
    if newest is None:
        return _Said(None, "not judged: no row with a moment")
    age_h = (batch_at - newest) / timedelta(hours=1)
    said = f"newest row {age_h:.1f} h before the batch; allowed {format_duration(rule.at_most)}"
    return _Said(batch_at - newest <= rule.at_most, said)


def _judge_distribution(rule: DistributionRule, calendar: Calendar, drop: DropKey, held: _Held) -> _Said:
    mix = held.mixes[rule.column]
    before = calendar.drops_between(calendar.earlier(drop, rule.reference), calendar.previous_drop(drop))
    usable = [day for day in before if held.counts_as_reference(day) and mix.has_values(day)]
    needed = calendar.drops_in(rule.reference) // 2 + 1
    if len(usable) < needed:
        there = f"{len(usable)} drops of the {format_duration(rule.reference)} before hold values"
        return _Said(None, f"not judged: {there}; {needed} are needed")
    there = sum(held.rows[day] for day in usable)
    if min(held.rows.get(drop, 0), there) < rule.min_rows:
        return _Said(None, f"not judged: {held.rows.get(drop, 0)} rows beside {there}; {rule.min_rows} are needed")
    found = mix.compare(drop, usable)
    said = f"PSI {found.psi:.3f} of {rule.column} beside {len(usable)} drops; allowed {rule.max_psi:g}; {found.most}"
    return _Said(found.psi <= rule.max_psi, said)


def _collect(connection: duckdb.DuckDBPyConnection, source: Source, first: DropKey, calendar: Calendar) -> _Held:
    """Gather what the drops of the range and those before it hold, one pass over each."""
    columns = list(dict.fromkeys(rule.column for rule in source.distribution))
    names = "".join(f', "{name}"' for name in columns)
    key = ", ".join(f'"{name}"' for name in source.key)
    moment = source.event_at or ("NULL" if source.known_at == RECEIVED else source.known_at)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _own AS SELECT batch_date, CAST(({moment}) AS TIMESTAMPTZ) AS _moment{names} "
        "FROM (SELECT * FROM _judged WHERE _position NOT IN "
        f"(SELECT _position FROM _reasons WHERE NOT {_REFUSED}) QUALIFY row_number() OVER "
        f"(PARTITION BY batch_date, {key} ORDER BY known_at DESC, _position DESC) = 1) WHERE NOT _is_late"
    )
    if source.lookback:
        known = set(connection.sql("SELECT * FROM _recent LIMIT 0").columns)
        recent = "".join(f', "{name}"' if name in known else f', NULL AS "{name}"' for name in columns)
        connection.execute(
            f"INSERT INTO _own SELECT batch_date, NULL AS _moment{recent} FROM _recent WHERE batch_date >= "
            f"{key_sql(calendar.earlier(first, source.lookback))} AND batch_date < {key_sql(first)} "
            "AND NOT coalesce(_is_late, false)"
        )
    counted = "SELECT batch_date, count(*), max(_moment) FROM _own GROUP BY batch_date"
    found = connection.execute(counted).fetchall()
    refused = connection.execute(
        f"SELECT DISTINCT batch_date FROM _judged JOIN _reasons USING (_position) WHERE {_REFUSED} AND NOT _is_late"
    ).fetchall()
    newest = {drop: moment for drop, _, moment in found if moment is not None}
    return _Held({drop: rows for drop, rows, _ in found}, newest, _mixes(connection, source, columns),
                 {drop for (drop,) in refused})  # fmt: skip


def _mixes(connection: duckdb.DuckDBPyConnection, source: Source, columns: Sequence[str]) -> Mapping[str, ColumnMix]:
    found: dict[str, ColumnMix] = {}
    for name in columns:
        is_text = source.columns[name].type == "string"
        kind = "VARCHAR" if is_text else "DOUBLE"
        rows = connection.sql(f'SELECT batch_date, "{name}"::{kind} AS value FROM _own ORDER BY batch_date').df()
        days = key_array(rows["batch_date"].to_numpy())
        found[name] = ColumnMix.of_texts(days, rows["value"]) if is_text else ColumnMix.of_numbers(days, rows["value"])
    return found
