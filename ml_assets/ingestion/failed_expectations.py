"""Which rows and which drops fail the expectations of a contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_assets.ingestion.compiled_drops import DropCheck
from ml_assets.ingestion.compiled_expectations import compile_expectation, find_failing_rows, measure_drops
from ml_assets.ingestion.compiled_rows import RowCheck
from ml_assets.ingestion.expectations import ExpectationFinding, Judge, columns_needed, is_about_rows
from ml_assets.ingestion.rules import RuleResult, note_drop
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_array, key_moment

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from ml_assets.spec.contract import Expectation, Source

_STOPPED = "could not be evaluated: a value is missing beside one that is there; see ignore_row_if"

Placed = Mapping[int, "Expectation"]  # expectations by their place in the declaration


@dataclass(frozen=True)
class _Frame:
    """The landed rows that split into columns, for what is not SQL: some columns, and where each row belongs."""

    rows: pd.DataFrame
    positions: npt.NDArray[np.int64]
    days: npt.NDArray[np.datetime64]  # ascending, as positions are
    is_late: npt.NDArray[np.bool_]

    def own_rows(self, drop: DropKey) -> pd.DataFrame:
        """Give the rows of the own file of a drop."""
        import numpy as np

        first, last = (int(np.searchsorted(self.days, key_moment(drop), side)) for side in ("left", "right"))
        return self.rows.iloc[first:last][~self.is_late[first:last]].reset_index(drop=True)


def judge_expectations(
    connection: duckdb.DuckDBPyConnection, source: Source, landed: Sequence[DropKey]
) -> list[RuleResult]:
    """Add the rows that fail an expectation to table `_reasons`, and say how many each expectation found.

    Expectations that are compiled take one scan of the rows, those about whole drops another. Great Expectations is
    loaded for the others alone.

    Parameters
    ----------
    connection
        With tables `_judged` and `_reasons` of the rows of `source`. An expectation about rows sees all of them, one
        about a drop the rows of its own file.
    landed
        The drops whose own file was received and not refused.

    Returns
    -------
    list of RuleResult
        Of expectations about rows, in their order, then of those about drops, drop by drop. Only what failed.
    """
    if not source.expectations or not landed:
        return []
    types = {name: column.type for name, column in source.columns.items()}
    placed = dict(enumerate(source.expectations))
    checks = {place: compile_expectation(expectation, types) for place, expectation in placed.items()}
    row_checks = {place: check for place, check in checks.items() if isinstance(check, RowCheck)}
    drop_checks = {place: check for place, check in checks.items() if isinstance(check, DropCheck)}
    left = {place: placed[place] for place, check in checks.items() if check is None}
    frame = _load_frame(connection, source, left, drop_checks)
    about_rows = _judge_rows(connection, placed, row_checks, landed)
    about_drops = _judge_drops(connection, placed, drop_checks, landed, frame)
    if left and frame is not None:
        _add_findings(connection, left, landed, frame, about_rows, about_drops)
    in_order = [result for place in sorted(about_rows) for result in about_rows[place]]
    return in_order + [about_drops[at] for at in sorted(about_drops)]


def _load_frame(
    connection: duckdb.DuckDBPyConnection, source: Source, left: Placed, checks: Mapping[int, DropCheck]
) -> _Frame | None:
    """Load the columns that Great Expectations or a statistic looks at; None where nothing does."""
    import numpy as np

    asked = {check.column for check in checks.values() if check.column is not None}
    if not left and not asked:
        return None
    needed = [columns_needed(expectation) for expectation in left.values()]
    asked |= {name for named in needed for name in named or ()}
    names = [name for name in source.columns if None in needed or name in asked]
    rows = connection.sql("SELECT * FROM _judged WHERE _text IS NULL ORDER BY _position")
    frame = rows.project(", ".join(["_position", *(f'"{name}"' for name in names)])).df().drop(columns="_position")
    where = rows.project("_position, batch_date, _is_late").fetchnumpy()
    days = key_array(where["batch_date"])
    return _Frame(frame, where["_position"], days, np.asarray(where["_is_late"], dtype=bool))


def _judge_rows(
    connection: duckdb.DuckDBPyConnection, placed: Placed, checks: Mapping[int, RowCheck], landed: Sequence[DropKey]
) -> dict[int, list[RuleResult]]:
    """Note rows that fail a compiled expectation; give what was found by the place of the expectation."""
    if not checks:
        return {}
    counts, stopped = find_failing_rows(connection, checks)
    reasons = {place: placed[place].reason for place in counts if placed[place].severity == "error"}
    for place in stopped:
        reasons.pop(place, None)
    if reasons:
        connection.execute(
            "INSERT INTO _reasons SELECT _position, list_extract($reasons, list_position($places, place)) "
            "FROM _failing WHERE list_contains($places, place)",
            {"reasons": list(reasons.values()), "places": list(reasons)},
        )
    found: dict[int, list[RuleResult]] = {}
    for place in checks:
        rule = placed[place]
        if place in stopped:  # nobody knows which rows would have failed
            found[place] = [note_drop(connection, drop, rule.reason, rule.severity, _STOPPED) for drop in landed]
        else:
            found[place] = [RuleResult(drop, rule.reason, rule.severity, rows, None, False)
                            for drop, rows in counts.get(place, {}).items()]  # fmt: skip
    return found


def _judge_drops(
    connection: duckdb.DuckDBPyConnection,
    placed: Placed,
    checks: Mapping[int, DropCheck],
    landed: Sequence[DropKey],
    frame: _Frame | None,
) -> dict[tuple[int, int], RuleResult]:
    """Note drops that fail a compiled expectation; give what was found by the numbers of drop and expectation."""
    found: dict[tuple[int, int], RuleResult] = {}
    in_sql = {place: check.measures for place, check in checks.items() if isinstance(check.measures, str)}
    measured = measure_drops(connection, list(in_sql.values()), landed) if in_sql else {}
    for number, drop in enumerate(landed):
        values = dict(zip(in_sql, measured.get(drop, ()), strict=False))
        own = frame.own_rows(drop) if frame is not None and len(checks) > len(in_sql) else None
        for place, check in checks.items():
            if own is not None and check.column is not None and not isinstance(check.measures, str):
                values[place] = check.measures(own[check.column])
            said = check.judges(values[place])
            rule = placed[place]
            if not said.is_kept:
                found[number, place] = note_drop(connection, drop, rule.reason, rule.severity, said.observed)
    return found


def _add_findings(
    connection: duckdb.DuckDBPyConnection,
    left: Placed,
    landed: Sequence[DropKey],
    frame: _Frame,
    about_rows: dict[int, list[RuleResult]],
    about_drops: dict[tuple[int, int], RuleResult],
) -> None:
    """Add what Great Expectations finds."""
    judge = Judge()
    of_rows = {place: rule for place, rule in left.items() if is_about_rows(rule)}
    of_drops = {place: rule for place, rule in left.items() if place not in of_rows}
    for place, finding in zip(of_rows, judge.find_failures(frame.rows, list(of_rows.values())), strict=True):
        if finding.is_about_rows:
            about_rows[place] = _note_rows(connection, finding, frame)
        else:  # it could not be evaluated: nobody knows which rows would have failed
            about_rows[place] = [_note_drop(connection, finding, drop) for drop in landed]
    for number, drop in enumerate(landed if of_drops else ()):
        findings = judge.find_failures(frame.own_rows(drop), list(of_drops.values()))
        for place, finding in zip(of_drops, findings, strict=True):
            if not finding.success:
                about_drops[number, place] = _note_drop(connection, finding, drop)


def _note_rows(connection: duckdb.DuckDBPyConnection, finding: ExpectationFinding, frame: _Frame) -> list[RuleResult]:
    import numpy as np

    rule = finding.expectation
    failed = frame.positions[finding.failed]
    if rule.severity == "error" and failed.size:
        connection.register("_failed", {"_position": failed})
        connection.execute("INSERT INTO _reasons SELECT _position, ? FROM _failed", [rule.reason])
        connection.unregister("_failed")
    drops, counts = np.unique(frame.days[finding.failed], return_counts=True)
    return [
        RuleResult(drop.item(), rule.reason, rule.severity, int(count), None, False)
        for drop, count in zip(drops, counts, strict=True)
    ]


def _note_drop(connection: duckdb.DuckDBPyConnection, finding: ExpectationFinding, drop: DropKey) -> RuleResult:
    rule = finding.expectation
    return note_drop(connection, drop, rule.reason, rule.severity, finding.observed)
