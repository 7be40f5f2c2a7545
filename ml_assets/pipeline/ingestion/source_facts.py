"""What became of the rows of sources: each in short for a list, and drop by drop for its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml_assets.spec.contract import Source
from ml_assets.spec.contract_words import rules_in_words
from ml_assets.spec.drop import LATEST, DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.engine import open_session
from ml_assets.stores.lake import Lake
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb

SHOWN_DROPS = 400  # of more, the newest: a bar of a year is 2 px wide
_EXAMPLES = 3


@dataclass(frozen=True)
class SourceFacts:
    """What the lake holds about a source.

    Attributes
    ----------
    drops
        Grain: a drop, in order. `batch_date`, `state`, `landed`, `validated`, `quarantined`, `late`, `reasons`, `notes`
        of the ledger.
    reasons
        Rows of each reason in quarantine, by drop.
    results
        What rules found. Grain: drop x reason. `batch_date`, `reason`, `failed_rows`, `observed`, `is_refused`,
        `is_judged`.
    examples
        The newest rows of each reason in quarantine, a few, with file and line.
    """

    drops: list[dict[str, Any]]
    reasons: dict[str, dict[DropKey, int]]
    results: list[dict[str, Any]]
    examples: list[dict[str, Any]]


def list_sources(spec: UseCaseSpec, state: UseCaseState) -> list[dict[str, Any]]:
    """Give each source as declared, with how far it has come, why its rows were quarantined and what its rules found.

    `reasons` maps a reason code to its rows in quarantine. `rules` holds, for each rule of the contract, how often it
    was broken, how often it refused a drop, and how often it could not judge.
    """
    lake = state.lake
    with state.connect() as connection:
        counts = {row["source"]: row for row in _read(connection, lake, "drops", _COUNTS)}
        return [
            {
                "source": source.name, "arrives": source.arrives, "when_missing": source.when_missing,
                "key": list(source.key), "columns": len(source.columns), "expectations": len(source.expectations),
                **{name: counts.get(source.name, _NO_COUNTS)[name] for name in _NO_COUNTS},
                "reasons": {
                    row["reason"]: row["n"] for row in _read(connection, lake, f"quarantine_{source.name}", _REASONS)
                },
                "rules": _rules(connection, lake, source),
            }
            for source in spec.sources
        ]  # fmt: skip


def _rules(connection: duckdb.DuckDBPyConnection, lake: Lake, source: Source) -> list[dict[str, Any]]:
    found = {row.pop("reason"): row for row in _read(connection, lake, f"contract_{source.name}", _RULE_COUNTS)}
    never = {"broken": 0, "refused": 0, "not_judged": 0}
    return [{**rule._asdict(), **found.get(rule.reason, never)} for rule in rules_in_words(source)]


def gather_facts(spec: UseCaseSpec, source: Source, lake: Lake) -> SourceFacts:
    """Read what there is about a source, of the newest drops; nothing where no run has written it."""
    with open_session() as connection:
        drops = _read(connection, lake, "drops", _LEDGER.format(source.name))[-SHOWN_DROPS:]
        bounds = (drops[0]["batch_date"], drops[-1]["batch_date"]) if drops else (spec.calendar.first_drop, LATEST)
        results = _read(connection, lake, f"contract_{source.name}", _RESULTS, drops=bounds)
        examples = _read(connection, lake, f"quarantine_{source.name}", _ROWS, drops=bounds)
        found: dict[str, dict[DropKey, int]] = {}
        for row in _read(connection, lake, f"quarantine_{source.name}", _BY_REASON, drops=bounds):
            found.setdefault(row["reason"], {})[row["batch_date"]] = row["n"]
    return SourceFacts(drops, found, results, examples)


_NO_COUNTS = {"newest_drop": None, "rows": 0, "quarantined": 0, "missing": 0, "refused": 0}
_COUNTS = (
    "SELECT source, max(batch_date) FILTER (state = 'admitted') AS newest_drop, sum(landed)::BIGINT AS rows, "
    "sum(quarantined)::BIGINT AS quarantined, count(*) FILTER (state IN ('missing', 'missing_accepted')) AS missing, "
    "count(*) FILTER (state = 'refused') AS refused FROM t GROUP BY source"
)
_REASONS = "SELECT reason, count(*) AS n FROM t GROUP BY 1 ORDER BY n DESC, 1"
_RULE_COUNTS = (
    "SELECT reason, count(*) FILTER (is_judged) AS broken, count(*) FILTER (is_refused) AS refused, "
    "count(*) FILTER (NOT is_judged) AS not_judged "
    "FROM (SELECT reason, is_refused, coalesce(is_judged, true) AS is_judged FROM (SELECT NULL::BOOLEAN AS is_judged "
    "WHERE false UNION ALL BY NAME SELECT * FROM t)) GROUP BY reason"  # lakes from before rules about drops lack it
)
_LEDGER = (
    "SELECT batch_date, state, landed, validated, quarantined, late, reasons, notes FROM (SELECT NULL::VARCHAR[] AS "
    "notes WHERE false UNION ALL BY NAME SELECT * FROM t) WHERE source = '{}' ORDER BY batch_date"
)
_RESULTS = (
    "SELECT batch_date, reason, failed_rows, observed, is_refused, coalesce(is_judged, true) AS is_judged FROM (SELECT "
    "NULL::BOOLEAN AS is_judged WHERE false UNION ALL BY NAME SELECT * FROM t) ORDER BY batch_date, reason"
)
_BY_REASON = (
    "SELECT batch_date, reason, count(*) AS n FROM (SELECT batch_date, unnest(reasons) AS reason FROM t) GROUP BY ALL "
    "ORDER BY reason, batch_date"
)
_ROWS = (
    "SELECT * EXCLUDE (_place) FROM (SELECT *, row_number() OVER (PARTITION BY reason ORDER BY batch_date DESC, "
    f"_file, _line) AS _place FROM t) WHERE _place <= {_EXAMPLES} ORDER BY reason, batch_date DESC, _file, _line"
)


def _read(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: str,
    query: str,
    drops: tuple[DropKey, DropKey] | None = None,
) -> list[dict[str, Any]]:
    if not lake.has(table):
        return []
    lake.relation(connection, table, drops).create_view("t", replace=True)
    return connection.sql(query).to_arrow_table().to_pylist()
