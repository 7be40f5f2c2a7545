"""The ledger: the final state of every source in every drop, with counts and reasons."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_assets.ingestion.reason_order import order_of_reason
from ml_assets.spec.contract import Source
from ml_assets.spec.drop import DropKey
from ml_assets.spec.received import BY_A_PERSON, FILE_NOTE
from ml_assets.spec.use_case import UseCaseSpec

if TYPE_CHECKING:
    import duckdb

FINAL_STATES = ("admitted", "refused", "missing_accepted", "not_expected")


@dataclass(frozen=True)
class Gap:
    """A source in a drop without a final state."""

    drop: DropKey
    source: str


class DropsNotFinalError(RuntimeError):
    """Earlier drops have no final state, so later values cannot be computed yet."""


def ledger_rows(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, drops: Sequence[DropKey]
) -> duckdb.DuckDBPyRelation:
    """Give each source of each of `drops` its state.

    Parameters
    ----------
    connection
        With views `received_<source>`, `raw_<source>`, `validated_<source>`, `quarantine_<source>`
        and `contract_<source>` for each source, and `accepted_gaps` (`batch_date`, `source`, `reason`): what
        a person said to go on without.

    Returns
    -------
    relation
        Grain: drop x source. `state` is admitted, refused (its file or the whole of its rows broke
        the contract), missing (expected, not there, and the source is waited for), missing_accepted
        (not there, and the declaration or a person goes on without it), or not_expected: the state of its own
        file. `landed`, `validated` and `quarantined` count rows, `late` those of them that came from other
        files, late or revised; `reasons` lists what refused it, with the file, each reason with its count, causes
        before what follows from them, and the late files; `notes` says what rules about the whole drop measured where
        it broke them, or why they could not judge it, and what is odd about a file that was read.
    """
    rows = [
        [drop, source.name, source.is_expected_in(drop, spec.calendar.first_drop), source.when_missing == "go_on"]
        for drop in drops
        for source in spec.sources
    ]
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _due (batch_date {spec.calendar.key_type}, source VARCHAR, expected BOOLEAN, "
        "goes_on BOOLEAN)"
    )
    connection.executemany("INSERT INTO _due VALUES (?, ?, ?, ?)", rows)
    counted = " UNION ALL BY NAME ".join(_counts(source) for source in spec.sources)
    return connection.sql(
        f"""
        SELECT due.batch_date, due.source, due.expected, files IS NOT NULL AS received,
            CASE WHEN files IS NULL AND NOT due.expected THEN 'not_expected'
                WHEN files IS NULL AND (due.goes_on OR accepted.reason IS NOT NULL) THEN 'missing_accepted'
                WHEN files IS NULL THEN 'missing'
                WHEN refusals IS NOT NULL THEN 'refused' ELSE 'admitted' END AS state,
            coalesce(landed, 0) AS landed, coalesce(validated, 0) AS validated,
            coalesce(quarantined, 0) AS quarantined, coalesce(late, 0) AS late,
            list_concat(CASE WHEN files IS NULL AND accepted.reason IS NOT NULL
                THEN ['{BY_A_PERSON}' || accepted.reason] ELSE [] END,
                list_concat(coalesce(refusals, []), list_concat(coalesce(reasons, []), coalesce(late_files, []))))
                AS reasons,
            list_concat(coalesce(notes, []), coalesce(file_notes, [])) AS notes
        FROM _due AS due LEFT JOIN ({counted}) AS counted USING (batch_date, source)
            LEFT JOIN (SELECT batch_date, source, any_value(reason) AS reason FROM accepted_gaps GROUP BY ALL)
                AS accepted USING (batch_date, source)
        ORDER BY due.batch_date, due.source
        """
    )


def _counts(source: Source) -> str:
    name = source.name
    return f"""
        SELECT '{name}' AS source, *, CASE WHEN file_refusals IS NOT NULL OR drop_refusals IS NOT NULL THEN
            list_concat(coalesce(file_refusals, []), coalesce(drop_refusals, [])) END AS refusals FROM
            (SELECT batch_date, nullif(count(*) FILTER (NOT coalesce(_is_late, false)), 0) AS files,
                list(refusal || ' in ' || _file || coalesce(' (' || warning || ')', ''))
                    FILTER (refusal IS NOT NULL AND NOT coalesce(_is_late, false)) AS file_refusals,
                list('late: ' || _file || coalesce(' ' || refusal, '') ORDER BY _file) FILTER (_is_late) AS late_files,
                flatten(list(list_transform(list_filter(string_split(warning, '; '), lambda part: NOT
                    starts_with(part, 'extra_column')), lambda part: '{FILE_NOTE}' || _file || ': ' || part)
                    ORDER BY _file) FILTER (warning IS NOT NULL AND refusal IS NULL)) AS file_notes
                FROM received_{name} GROUP BY batch_date)
            LEFT JOIN (SELECT batch_date, list('drop_refused:' || reason) AS drop_refusals
                FROM contract_{name} WHERE is_refused GROUP BY batch_date) USING (batch_date)
            LEFT JOIN (SELECT batch_date, list(reason || ': ' || observed ORDER BY reason) AS notes
                FROM contract_{name} WHERE observed IS NOT NULL GROUP BY batch_date) USING (batch_date)
            LEFT JOIN (SELECT batch_date, count(*) AS landed, count(*) FILTER (_is_late) AS late
                FROM raw_{name} GROUP BY batch_date) USING (batch_date)
            LEFT JOIN (SELECT batch_date, count(*) AS validated FROM validated_{name} GROUP BY batch_date)
                USING (batch_date)
            LEFT JOIN (SELECT batch_date, sum(n)::BIGINT AS quarantined,
                list(reason || ' x' || n ORDER BY {order_of_reason("reason")}, reason) FILTER (NOT
                    starts_with(reason, 'file_refused') AND NOT
                    starts_with(reason, 'drop_refused')) AS reasons
                FROM (SELECT batch_date, reason, count(*) AS n FROM quarantine_{name} GROUP BY batch_date, reason)
                GROUP BY batch_date) USING (batch_date)
    """


def find_gaps(connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, last: DropKey) -> list[Gap]:
    """List what has no final state in the drops up to `last`, by view `drops` of `connection`."""
    final = set(
        connection.execute(
            "SELECT batch_date, source FROM drops WHERE list_contains(?, state)", [list(FINAL_STATES)]
        ).fetchall()
    )
    return [
        Gap(drop, source.name)
        for drop in spec.calendar.drops_between(spec.calendar.first_drop, last)
        for source in spec.sources
        if (drop, source.name) not in final
    ]


def require_computed(spec: UseCaseSpec, computed: Collection[DropKey], last: DropKey) -> None:
    """Refuse to go on while a drop up to `last` has no features: a hole would be trained on, or filled too late.

    Raises
    ------
    DropsNotFinalError
        Naming the first stretch of such drops, and what to do.
    """
    open_drops = [drop for drop in spec.calendar.drops_between(spec.calendar.first_drop, last) if drop not in computed]
    if not open_drops:
        return
    first = until = open_drops[0]
    while spec.calendar.next_drop(until) in open_drops:
        until = spec.calendar.next_drop(until)
    raise DropsNotFinalError(
        f"features were not computed yet for {first} to {until}. Run `ml-assets batch {spec.name} --from {first} "
        f"--to {until}` first"
    )


def require_final(gaps: Sequence[Gap], absent: Sequence[Gap], use_case: str, last: DropKey, landing: str = "") -> None:
    """Refuse to go on while an earlier drop is open: order of arrival must not change a value.

    Parameters
    ----------
    gaps
        What has no final state, in order of drops.
    absent
        Those of them whose source is waited for and has not landed; the others only have to be run.
    last
        The last drop of what is refused: from the first gap to it all has to be run.
    landing
        The folder that the files go into, for people.

    Raises
    ------
    DropsNotFinalError
        Naming the drops, why they are open, and the commands that close them.
    """
    if not gaps:
        return
    batch = f"`ml-assets batch {use_case} --from {gaps[0].drop} --to {last}`"
    if not absent:
        drops = sorted({gap.drop for gap in gaps})
        which = f"drop {drops[0]} was" if len(drops) == 1 else f"{len(drops)} drops, {drops[0]} to {drops[-1]}, were"
        raise DropsNotFinalError(
            f"{which} not run yet, and drops are run in order; nothing of this run is kept. Every file that is "
            f"waited for has landed: run {batch}"
        )
    first = absent[0]
    shown = ", ".join(f"{gap.source} of {gap.drop}" for gap in absent[:5])
    more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
    raise DropsNotFinalError(
        f"{shown}{more} {'has' if len(absent) == 1 else 'have'} not landed, and drops are run in order; nothing of "
        f"this run is kept. Land the file in {landing}/{first.drop}/, or go on without it: `ml-assets accept-missing "
        f"{use_case} --source {first.source} --drop {first.drop} --reason TEXT`; then run {batch}"
    )
