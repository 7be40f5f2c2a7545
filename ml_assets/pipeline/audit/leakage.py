"""The leakage audit of a use case: examples sampled across time, recomputed the whole way without the future."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ml_assets.features.leakage_audit import Leak, compare_example
from ml_assets.features.lookback import first_needed, view_lookback
from ml_assets.features.point_in_time_recompute import delete_future, lay_history, recompute_views
from ml_assets.features.row_expressions import evaluate_rows, prepare_holidays
from ml_assets.pipeline.features.versions import stale_drops
from ml_assets.spec.contract import Source
from ml_assets.spec.drop import DropKey, key_sql, keys_sql, years_around
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.sandbox import restrict_to_tables, select_by_drop
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.training_set import DrawPlan

if TYPE_CHECKING:
    import duckdb

_PER_MOMENT = 5  # examples that share a moment are recomputed together
_SHOWN = 1_000  # rows of a source that differ from what landed, named one by one
Rows = dict[str, dict[str, Any]]


class NothingToAuditError(LookupError):
    """No drop has features of the definitions declared now."""


@dataclass
class Audit:
    """What an audit looked at, and what it found. `left_out` are drops whose features have other definitions."""

    examples: int = 0
    moments: int = 0
    cells: int = 0
    leaks: list[Leak] = field(default_factory=list)
    left_out: tuple[DropKey, ...] = ()

    def by_place(self) -> list[tuple[str, str, int, Leak]]:
        """Count the leaks by table and column, the most first, each with one of them."""
        counts = Counter((leak.table, leak.column) for leak in self.leaks)
        first = {(leak.table, leak.column): leak for leak in reversed(self.leaks)}
        return [(table, column, count, first[table, column]) for (table, column), count in counts.most_common()]


@dataclass(frozen=True)
class AuditRequest:
    """How much to audit: how many examples, of which drops (all that are computed by default), drawn by a seed.

    Accepted rows are compared with what landed in every drop that could matter, or only where a sampled moment reads.
    """

    sample: int
    seed: int
    drops: tuple[DropKey, DropKey] | None = None
    lands_everywhere: bool = True


def audit_leakage(
    spec: UseCaseSpec,
    state: UseCaseState,
    request: AuditRequest,
    on_moment: Callable[[int, int], None] | None = None,
) -> Audit:
    """Sample stored examples across time, and recompute each from what was known at its `prediction_at`.

    For each moment all rows of sources that became known later are deleted; the SELECT of the examples and the views
    run over what is left, by other code than that which filled the tables; every cell is compared with what is stored
    in `examples`, `features` and, where it is there, `training_set`. Accepted rows are compared with those that landed,
    and their `known_at` with the interval of the drop that brought them.

    Raises
    ------
    NothingToAuditError
        If no drop can be audited.
    """
    lake = state.lake
    with state.connect_apart() as connection:
        stale = tuple(stale_drops(connection, lake, spec))
    with state.connect_apart() as connection:
        moments = _sample(connection, lake, request, stale)
    if not moments:
        raise NothingToAuditError(
            f"no drop has features as they are declared now; run `ml-assets batch {spec.name} --from … --to …` or "
            f"`ml-assets backfill {spec.name} --features`"
        )
    audit = Audit(left_out=stale)
    with state.connect_apart() as connection:
        _lay_tables(connection, spec, lake, sorted({drop for drop, *_ in moments}), everywhere=request.lands_everywhere)
        for source in spec.sources:
            accepted = f"{'accepted' if request.lands_everywhere else 'all'}_{source.name}"
            audit.leaks += _compare_with_landed(connection, spec, source, accepted)
        audit.leaks += _compare_labels(connection, lake)
        stored = _stored(connection, [each for *_, examples in moments for each in examples])
        for place, (drop, moment, examples) in enumerate(moments):
            known = _recompute(connection, spec, drop, moment, examples)
            _judge(audit, spec, (drop, moment), stored, known, examples)
            audit.moments += 1
            if on_moment is not None:
                on_moment(place + 1, len(moments))
    return audit


def _sample(
    connection: duckdb.DuckDBPyConnection, lake: Lake, request: AuditRequest, stale: Sequence[DropKey]
) -> list[tuple[DropKey, datetime, list[str]]]:
    """Draw examples, a few of one moment, of moments spread evenly over the drops."""
    if not lake.has("features") or not lake.has("examples"):
        return []
    wanted = max(1, -(-request.sample // _PER_MOMENT))
    files = lake.files("features", drops=request.drops)
    drops = sorted(files.drops() - set(stale))
    every = max(1, len(drops) // (4 * wanted))  # more drops than are wanted, spread evenly: others are not even opened
    restrict_to_tables(connection, {"features": files.of_drops(drops[request.seed % every :: every])})
    order = f"hash(example_id || '{request.seed}')"
    rows = connection.execute(
        f"""
        WITH placed AS (
            SELECT batch_date, prediction_at, example_id, row_number() OVER (PARTITION BY prediction_at, batch_date
                ORDER BY {order}) AS place
            FROM features
        ), moments AS (
            SELECT batch_date, prediction_at, count(*) AS held, min({order}) AS drawn FROM placed
            WHERE place <= {_PER_MOMENT} GROUP BY batch_date, prediction_at
        ), strata AS (
            SELECT *, ntile({wanted}) OVER (ORDER BY batch_date, prediction_at) AS stratum FROM moments
        ), chosen AS (
            SELECT batch_date, prediction_at, drawn FROM strata QUALIFY row_number() OVER (PARTITION BY stratum
                ORDER BY drawn) <= greatest(1, ceil({_PER_MOMENT} / (SELECT avg(held) FROM moments)))
        )
        SELECT batch_date, prediction_at, example_id FROM placed SEMI JOIN chosen USING (batch_date, prediction_at)
        WHERE place <= {_PER_MOMENT} ORDER BY place, {order} LIMIT {request.sample}
        """
    ).fetchall()
    found: dict[tuple[DropKey, datetime], list[str]] = {}
    for drop, moment, example in rows:
        found.setdefault((drop, moment), []).append(example)
    return [(drop, moment, sorted(examples)) for (drop, moment), examples in sorted(found.items())]


def _lay_tables(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, lake: Lake, drops: Sequence[DropKey], *, everywhere: bool
) -> None:
    """Shut the connection in with all that is needed to recompute `drops`, and what is stored of them."""
    tables, needed, bounds = {}, {}, (drops[0], drops[-1])
    of_views = {view.source for view in spec.features.views}
    for source in spec.sources:
        for kind, shown in (("validated", "accepted"), ("raw", "raw")):
            if lake.has(f"{kind}_{source.name}"):
                since = first_needed(spec, source.name, drops[0]) if source.name in of_views else drops[0]
                read = lake.files(f"{kind}_{source.name}", drops=(since, drops[-1]))
                needed[source.name] = _needed(spec, source.name, drops)
                tables[f"{shown}_{source.name}"] = read if everywhere else read.of_drops(needed[source.name])
    for name in ("examples", "features"):
        tables[name] = lake.files(name, drops=bounds).of_drops(drops)
    if lake.has("training_set"):
        tables |= {name: lake.files(name) for name in ("training_set", "labels")}
    restrict_to_tables(connection, tables)
    for source in spec.sources:
        if f"accepted_{source.name}" in tables:  # read once for all that asks for it below
            drops_read = keys_sql(sorted(needed[source.name]))
            connection.execute(
                f'CREATE TEMP TABLE "all_{source.name}" AS SELECT * FROM "accepted_{source.name}" '
                f"WHERE batch_date IN ({drops_read})"
            )
    lay_history(connection, _keys(spec))
    if spec.features.holidays:
        prepare_holidays(connection, spec.features.holidays, years_around(drops[0], drops[-1]))


def _needed(spec: UseCaseSpec, source: str, drops: Sequence[DropKey]) -> set[DropKey]:
    """Give the drops of a source that examples or views of `drops` can read."""
    needed = set(drops)
    if any(view.source == source for view in spec.features.views):
        for drop in drops:
            needed.update(spec.calendar.drops_between(first_needed(spec, source, drop), drop))
    return needed


def _keys(spec: UseCaseSpec) -> dict[str, Sequence[str]]:
    needed = {*(view.source for view in spec.features.views), *spec.examples.sources}
    return {source.name: source.key for source in spec.sources if source.name in needed}


def _names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    names = "SELECT view_name FROM duckdb_views() UNION ALL SELECT table_name FROM duckdb_tables()"
    return {row[0] for row in connection.sql(names).fetchall()}


def _bounds(spec: UseCaseSpec, day: DropKey) -> tuple[datetime, datetime]:
    drop = spec.calendar.drop(day)
    return drop.start, drop.end


def _compare_with_landed(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, source: Source, accepted: str
) -> list[Leak]:
    """Find rows of `accepted` that are not what landed, or are said to be known before the drop that brought them."""
    if not {accepted, f"raw_{source.name}"} <= _names(connection):
        return []
    days = connection.sql(f'SELECT DISTINCT batch_date FROM "{accepted}"').fetchall()
    rows = ", ".join(
        f"({key_sql(day)}, TIMESTAMPTZ '{opens_at.isoformat()}', TIMESTAMPTZ '{batch_at.isoformat()}')"
        for (day,) in days
        for opens_at, batch_at in (_bounds(spec, day),)
    )
    if not rows:
        return []
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _opening AS SELECT * FROM (VALUES {rows}) AS t(batch_date, opens_at, batch_at)"
    )
    kinds = [
        dict(zip(table.columns, table.types, strict=True))
        for table in (connection.table(accepted), connection.view(f"raw_{source.name}"))
    ]
    held = [name for name in source.columns if all(name in columns for columns in kinds)]  # one may be declared since
    told = ["batch_date", "_file", "_line", *held]
    landed = [
        f'"{name}"' if kinds[0][name] == kinds[1][name] else f'TRY_CAST("{name}" AS {kinds[0][name]})' for name in told
    ]
    key = " || '/' || ".join(f'CAST("{name}" AS VARCHAR)' for name in source.key)
    # one number a row: compared column by column it takes twice as long
    changed = connection.sql(
        f'SELECT batch_date, {key}, known_at FROM "{accepted}" WHERE hash({_listed(told)}) NOT IN (SELECT '
        f'hash({", ".join(landed)}) FROM "raw_{source.name}") ORDER BY 1, 2 LIMIT {_SHOWN}'
    ).fetchall()
    early = connection.sql(
        f'SELECT batch_date, {key}, known_at, opens_at, batch_at FROM "{accepted}" JOIN _opening USING '
        f"(batch_date) WHERE known_at <= opens_at OR known_at > batch_at OR claimed_known_at > known_at "
        f"ORDER BY 1, 2 LIMIT {_SHOWN}"
    ).fetchall()
    table = f"validated_{source.name}"
    leaks = [Leak(table, _listed(held), row, drop, at, "a row that did not land", None) for drop, row, at in changed]
    leaks += [
        Leak(table, "known_at", row, drop, at, at, f"after {opens_at}, by {batch_at}")
        for drop, row, at, opens_at, batch_at in early
    ]
    return leaks


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _compare_labels(connection: duckdb.DuckDBPyConnection, lake: Lake) -> list[Leak]:
    """Find rows of the training set whose label is not the newest known as of its drop, or that had not matured."""
    recorded = lake.metadata("training_set") if lake.has("training_set") else {}
    if "plan" not in recorded:
        return []
    plan = DrawPlan.from_json(recorded["plan"])
    # a weak label is used where no gold one was known; where one was known it is a mistake
    differs = "t.label IS DISTINCT FROM l.label"
    if plan.has_weak_labels:
        differs = "CASE WHEN t.label_origin = 'weak' THEN l.label IS NOT NULL ELSE t.label IS DISTINCT FROM l.label END"
    rows = connection.sql(
        "SELECT t.batch_date, t.example_id, t.prediction_at, t.label, l.label FROM training_set AS t LEFT JOIN (SELECT "
        f"example_id, arg_max(label, (known_at, batch_date)) AS label FROM labels WHERE {plan.is_known} "
        f"GROUP BY example_id) AS l USING (example_id) WHERE {differs} OR t.prediction_at > "
        f"TIMESTAMPTZ '{plan.matured_until}' ORDER BY 1, 2 LIMIT {_SHOWN}"
    ).fetchall()
    return [Leak("training_set", "label", row, drop, at, label, known) for drop, row, at, label, known in rows]


def _stored(connection: duckdb.DuckDBPyConnection, examples: Sequence[str]) -> dict[str, Rows]:
    """Read what is stored of some examples, by table and example."""
    connection.execute("CREATE OR REPLACE TEMP TABLE _sampled (example_id VARCHAR)")
    connection.executemany("INSERT INTO _sampled VALUES (?)", [[example] for example in examples])
    found: dict[str, Rows] = {}
    for table in ("examples", "features", "training_set"):
        if table in _names(connection):
            rows = connection.sql(f"SELECT * FROM {table} SEMI JOIN _sampled USING (example_id)").to_arrow_table()
            found[table] = {row["example_id"]: row for row in rows.to_pylist()}
    return found


def _recompute(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    drop: DropKey,
    moment: datetime,
    wanted: Sequence[str],
) -> dict[str, Rows]:
    """Draw examples of a drop again, and their features, from what was known at `moment`."""
    keys = _keys(spec)
    lookbacks = {view.source: view_lookback(spec.features.views, view.source) for view in spec.features.views}
    delete_future(connection, keys, moment, lookbacks)
    select_by_drop(connection, spec.examples.sql, spec.examples.sources, [drop], spec.calendar)
    drawn = [name for name in connection.table("_drawn").columns if name not in ("batch_date", "example_id")]
    own = "" if "prediction_at" in drawn else f", TIMESTAMPTZ '{moment.isoformat()}' AS prediction_at"
    names = "".join(f', "{name}"' for name in drawn)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _examined AS SELECT row_number() OVER () AS _number, * FROM (SELECT batch_date, "
        f"CAST(example_id AS VARCHAR) AS example_id{names}{own} FROM _drawn) SEMI JOIN _sampled USING (example_id)"
    )
    rows = connection.sql("SELECT * FROM _examined").to_arrow_table().to_pylist()
    examples = {row["example_id"]: row for row in rows}
    features = _features_of(connection, spec, keys, moment)
    listed = ", ".join("'" + example.replace("'", "''") + "'" for example in wanted)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE _examined AS SELECT row_number() OVER () AS _number, * FROM examples "
        f"WHERE example_id IN ({listed})"
    )
    as_stored = connection.sql("SELECT * EXCLUDE (_number) FROM _examined").to_arrow_table().to_pylist()
    same = all(
        examples.get(row["example_id"]) is not None
        and all(examples[row["example_id"]].get(name) == row[name] for name in drawn)
        for row in as_stored
    )
    of_stored = features if same else _features_of(connection, spec, keys, moment)
    return {"examples": examples, "features": features, "features_of_stored": of_stored}


def _features_of(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, keys: Mapping[str, Sequence[str]], moment: datetime
) -> Rows:
    forecasts = {source.name: source.forecast for source in spec.sources if source.forecast is not None}
    recompute_views(connection, spec.features, keys, moment, forecasts)
    rows = evaluate_rows(connection, spec.features).to_arrow_table().to_pylist()
    return {row["example_id"]: row for row in rows}


def _judge(
    audit: Audit,
    spec: UseCaseSpec,
    of: tuple[DropKey, datetime],
    stored: Mapping[str, Rows],
    known: Mapping[str, Rows],
    examples: Sequence[str],
) -> None:
    features = spec.features.feature_names()
    for example in examples:
        rows = {table: found[example] for table, found in stored.items() if example in found}
        held = rows.get("examples", {})
        own = [name for name in held if name not in ("batch_date", "example_id") and name[:1] != "_"]
        opens_at, batch_at = _bounds(spec, of[0])
        if not opens_at < of[1] <= batch_at:
            said = f"after {opens_at}, by {batch_at}"
            audit.leaks.append(Leak("examples", "prediction_at", example, of[0], of[1], of[1], said))
        again = {part: found.get(example) for part, found in known.items()}
        columns = {"examples": own, "features": features}
        audit.examples += 1
        audit.cells += len(own) + len(features) * (len(rows) - 1)
        for table, column, value, was_known in compare_example(rows, again, columns):
            audit.leaks.append(Leak(table, column, example, of[0], of[1], value, was_known))
