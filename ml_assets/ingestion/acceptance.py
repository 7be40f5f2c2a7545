"""Which landed rows are accepted as facts, and why the others are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_assets.ingestion.drop_rules import judge_drop_rules
from ml_assets.ingestion.failed_expectations import judge_expectations
from ml_assets.ingestion.reading import IN_ORDER, PROVENANCE
from ml_assets.ingestion.reason_order import order_of_reason
from ml_assets.ingestion.rules import RuleResult, judge_rules
from ml_assets.ingestion.written_values import MOMENTS, is_implausible_moment
from ml_assets.spec.batch_times import create_batch_times
from ml_assets.spec.calendar import MICROSECOND, Calendar
from ml_assets.spec.contract import POSSIBLE_YEARS, RECEIVED, Source
from ml_assets.spec.drop import DropKey

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Acceptance:
    """The rows that keep the contract, those that do not with `reasons`, and what the rules found."""

    validated: duckdb.DuckDBPyRelation
    quarantine: duckdb.DuckDBPyRelation
    results: tuple[RuleResult, ...]


def accept_rows(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    calendar: Calendar,
    landed: Sequence[DropKey],
    keys: Mapping[str, Sequence[str]] | None = None,
) -> Acceptance:
    """Judge the rows of view `raw` by the contract of `source`.

    Parameters
    ----------
    connection
        Shut in, with a view `raw` of the landed rows, as `read_landed` gives them, and a view `earlier` of the rows
        validated in the drops before; without that view there were none. Where rules about whole drops look back, a
        view `recent` of those within their lookback.
    landed
        The drops whose own file was received and not refused: rules about a whole drop apply to
        these, also where the file held no row, and to its rows alone.
    keys
        The key of each source that a rule reads; `connection` has its validated rows as `read_<source>`.

    Returns
    -------
    Acceptance
        Every row of `raw` is in exactly one of `validated` and `quarantine`. A validated row has
        `event_at`, `known_at` (the later of the contract's claim and the moment after the previous
        batch; the batch itself where nothing is claimed), `claimed_known_at`, and, where an earlier version of its key
        was accepted in another drop, when the first one became known, `_first_known_at`.
    """
    _judge_times(connection, source, calendar)
    _lay_before(connection, source)
    results = judge_expectations(connection, source, landed)
    results += judge_rules(connection, source, landed, keys or {})
    results += judge_drop_rules(connection, source, calendar, landed)
    _judge_duplicates(connection, source)
    _judge_repeats(connection, source)
    columns = ", ".join(f'"{name}"' for name in source.columns)
    provenance = ", ".join(PROVENANCE[:4])
    _find_first_versions(connection, source)
    validated = connection.sql(
        f"SELECT batch_date, {columns}, event_at, known_at, claimed_known_at, {provenance}, CASE WHEN first_known_at < "
        f"known_at THEN first_known_at END AS _first_known_at FROM _judged LEFT JOIN _first_versions USING "
        f"({_key(source)}) WHERE NOT EXISTS (SELECT 1 FROM _reasons AS r WHERE r._position = _judged._position) "
        f"ORDER BY batch_date, {_key(source)}"
    )
    quarantine = connection.sql(
        f"SELECT batch_date, found.cause AS reason, found.reasons, {columns}, claimed_known_at, "
        f"{', '.join(PROVENANCE)} FROM _judged JOIN (SELECT _position, list(DISTINCT reason ORDER BY reason) AS "
        f"reasons, first(reason ORDER BY {order_of_reason('reason')}, reason) AS cause FROM _reasons "
        f"GROUP BY _position) AS found USING (_position) ORDER BY batch_date, {IN_ORDER}"
    )
    return Acceptance(validated, quarantine, tuple(results))


def _key(source: Source) -> str:
    return ", ".join(f'"{name}"' for name in source.key)


def _judge_times(connection: duckdb.DuckDBPyConnection, source: Source, calendar: Calendar) -> None:
    drops = [row[0] for row in connection.execute("SELECT DISTINCT batch_date FROM raw ORDER BY 1").fetchall()]
    create_batch_times(connection, "_batches", calendar, drops, opens_after=MICROSECOND)
    claim = "NULL::TIMESTAMPTZ" if source.known_at == RECEIVED else f"({source.known_at})"
    event = "NULL::TIMESTAMPTZ" if source.event_at is None else f"({source.event_at})"
    rows = "SELECT * REPLACE (coalesce(_is_late, false) AS _is_late) FROM raw"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE _judged AS SELECT claimed.*, batch_at, CASE WHEN claimed_known_at IS NULL THEN "
        "batch_at ELSE greatest(claimed_known_at, opens_at) END AS known_at FROM (SELECT raw.*, row_number() OVER "
        f"(ORDER BY batch_date, {IN_ORDER}) - 1 AS _position, {_moment(event)} AS event_at, "
        f"{_moment(claim)} AS claimed_known_at FROM ({rows}) AS raw) AS claimed JOIN _batches "
        "USING (batch_date)"
    )
    _judge_reading(connection, source)
    _judge_moments(connection, {"event_at": event, "known_at": claim})
    _judge_forecast(connection, source)
    connection.execute("UPDATE _judged SET event_at = known_at WHERE event_at IS NULL")


def _moment(expression: str) -> str:
    """Give SQL of a moment of a row; null where it cannot be computed or lies in no year that later steps can hold."""
    first, last = POSSIBLE_YEARS
    moment = f"TRY(CAST({expression} AS TIMESTAMPTZ))"
    return (
        f"CASE WHEN {moment} >= TIMESTAMPTZ '{first}-01-01 00:00:00+00' AND "
        f"{moment} < TIMESTAMPTZ '{last + 1}-01-01 00:00:00+00' THEN {moment} END"
    )


def _judge_moments(connection: duckdb.DuckDBPyConnection, moments: Mapping[str, str]) -> None:
    """Note rows whose moment fails to compute, such as by an overflow, or lies in an implausible year."""
    for name, expression in moments.items():
        found = f"TRY(CAST({expression} AS TIMESTAMPTZ) IS NULL)"  # null itself where the expression fails
        column = "claimed_known_at" if name == "known_at" else name
        connection.execute(
            f"INSERT INTO _reasons SELECT _position, CASE WHEN fails IS NULL THEN 'unreadable:{name}' "
            f"ELSE 'implausible_year:{name}' END FROM (SELECT _position, {found} AS fails FROM (SELECT * EXCLUDE "
            "(event_at, claimed_known_at, known_at), event_at AS _event_at, claimed_known_at AS _claimed_known_at "
            f"FROM _judged WHERE {column} IS NULL AND _text IS NULL)) WHERE NOT coalesce(fails, false)"
        )


def _judge_forecast(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Note forecasts without both of their times, and those that are said to be known before they were issued."""
    if source.forecast is None:
        return
    connection.execute(
        "INSERT INTO _reasons SELECT _position, 'forecast_time_missing' FROM _judged WHERE _text IS NULL AND "
        f"(event_at IS NULL OR {_moment(f'({source.forecast.valid_at})')} IS NULL) "
        "UNION ALL SELECT _position, 'known_before_issue' FROM _judged WHERE event_at > coalesce(claimed_known_at, "
        "known_at)"
    )


def _judge_reading(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Note rows that were refused with their file, do not split, or lack or cannot give a value."""
    missing = " ".join(
        f"UNION ALL SELECT _position, 'missing:{name}' FROM _judged WHERE \"{name}\" IS NULL AND _text IS NULL "
        "AND NOT list_contains(list_transform(coalesce(_unreadable, []), lambda fault: split_part(fault, '=', 1)), "
        f"'{name}')"
        for name in source.columns
        if source.is_required(name)
    )
    unclaimed = (
        ""
        if source.known_at == RECEIVED
        else "UNION ALL SELECT _position, 'known_at_missing' FROM _judged "
        "WHERE claimed_known_at IS NULL AND _text IS NULL "
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE _reasons AS "
        "SELECT _position, _refused AS reason FROM _judged WHERE _refused IS NOT NULL "
        "UNION ALL SELECT _position, 'malformed_line' FROM _judged WHERE _text IS NOT NULL AND _refused IS NULL "
        f"UNION ALL SELECT _position, {_kind_of_fault(source)} || _name FROM (SELECT _position, "
        "split_part(fault, '=', 1) AS _name, substr(fault, strpos(fault, '=') + 1) AS _found FROM "
        "(SELECT _position, unnest(_unreadable) AS fault FROM _judged)) "
        "UNION ALL SELECT _position, 'known_after_batch' FROM _judged WHERE claimed_known_at > batch_at "
        f"{unclaimed}{missing}"
    )


def _kind_of_fault(source: Source) -> str:
    """Give SQL of why text `_found` of column `_name` was not read: as no value of its type, or as a moment far off."""
    far_off = " OR ".join(
        f"(_name = '{name}' AND {is_implausible_moment('_found', column)})"
        for name, column in source.columns.items()
        if column.type in MOMENTS
    )
    return f"CASE WHEN {far_off or 'false'} THEN 'implausible_year:' ELSE 'unreadable:' END"


def _lay_before(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Make `_before` and `_recent` of views `earlier` and `recent`, without rows where they are not there."""
    columns = ", ".join(f'"{name}"' for name in source.columns)
    views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    rows = {name: name if (name,) in views else "_judged LIMIT 0" for name in ("earlier", "recent")}
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW _before AS SELECT batch_date, {columns}, known_at FROM {rows['earlier']}; "
        f"CREATE OR REPLACE TEMP VIEW _recent AS SELECT * FROM {rows['recent']}"
    )


def _find_first_versions(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Find when the first version of each key was known, for keys of which there is more than one."""
    keys = _key(source)
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW _clean AS SELECT batch_date, {keys}, known_at FROM _judged "
        "WHERE _position NOT IN (SELECT _position FROM _reasons)"
    )
    # a key comes once a drop, so only several drops can repeat one among them
    is_one = connection.execute("SELECT count(DISTINCT batch_date) < 2 FROM _judged").fetchall()[0][0]
    among = "" if is_one else f"SELECT {keys}, known_at FROM _clean UNION ALL "
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _first_versions AS SELECT {keys}, min(known_at) AS first_known_at FROM ({among}"
        f"SELECT {keys}, known_at FROM _before SEMI JOIN _clean USING ({keys})) GROUP BY {keys}"
        + ("" if is_one else " HAVING count(*) > 1")
    )


def _judge_duplicates(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Of several clean rows of one key in one drop, the last known (then the drop's own, the last line) is the fact."""
    connection.execute(
        "INSERT INTO _reasons SELECT _position, 'duplicate_key' FROM (SELECT _position, row_number() OVER "
        f"(PARTITION BY batch_date, {_key(source)} ORDER BY known_at DESC, _position DESC) AS place FROM _judged "
        "WHERE _position NOT IN (SELECT _position FROM _reasons)) WHERE place > 1"
    )


def _judge_repeats(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Note rows that came late and say what was known already: most rows of a revised file are no corrections."""
    if not connection.execute("SELECT count(*) FROM _judged WHERE _is_late").fetchall()[0][0]:
        return
    keys = _key(source)
    content = "struct_pack(" + ", ".join(f'"{name}" := "{name}"' for name in source.columns) + ")"
    connection.execute(
        f"""
        INSERT INTO _reasons SELECT _position, 'already_known' FROM (
            SELECT _position, _is_late, content, lag(content) OVER same AS before, lag(1) OVER same AS has_before
            FROM (
                SELECT batch_date, {keys}, _position, _is_late, {content} AS content FROM _judged
                WHERE _position NOT IN (SELECT _position FROM _reasons)
                UNION ALL BY NAME
                SELECT batch_date, {keys}, NULL AS _position, false AS _is_late, {content} AS content FROM _before
                SEMI JOIN (SELECT {keys} FROM _judged WHERE _is_late) USING ({keys})
            ) WINDOW same AS (PARTITION BY {keys} ORDER BY batch_date)
        ) WHERE _is_late AND has_before IS NOT NULL AND content IS NOT DISTINCT FROM before
        """
    )
