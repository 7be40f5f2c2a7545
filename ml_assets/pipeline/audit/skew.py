"""Training beside serving: the values a training set takes, and those its examples were predicted from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ml_assets.pipeline.features.versions import read_sets
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.spec.drop import DropKey, keys_sql
from ml_assets.spec.feature_versions import changed_features
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.kept_files import scan
from ml_assets.stores.lake import Lake
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.training_set import DrawPlan

if TYPE_CHECKING:
    import duckdb

NEW_VERSION = "another definition"
REVISED = "rows accepted since"
UNEXPLAINED = "unexplained"
_TOLERANCE = 1e-9
_NAMED = 5


@dataclass(frozen=True)
class Skew:
    """A feature of which the training set takes other values than predictions read, in drops of one cause.

    `largest` is the greatest difference of two numbers; None where a value is text, or null on one side.
    """

    feature: str
    why: str
    examples: int
    drops: int
    largest: float | None

    def in_words(self) -> str:
        """Say it in a line.

        Examples
        --------
        >>> Skew("temp_f", UNEXPLAINED, 40, 2, 1.5).in_words()
        'temp_f: unexplained, 40 examples of 2 drops, by 1.5 at most'
        """
        far = f", by {self.largest:.6g} at most" if self.largest is not None else ""
        return f"{self.feature}: {self.why}, {self.examples:,} examples of {self.drops} drops{far}"


@dataclass(frozen=True)
class ServedComparison:
    """What was compared: examples that were predicted and are in the training set, and what differs.

    `forgotten` counts drops that were served from a version of the features that is no longer kept.
    """

    examples: int
    drops: int
    skews: tuple[Skew, ...]
    forgotten: int = 0


def compare_with_served(spec: UseCaseSpec, state: UseCaseState) -> ServedComparison:
    """Compare the newest training set with the features that predictions of its examples recorded, cell by cell."""
    lake = state.lake
    recorded = lake.metadata("training_set")
    if not lake.has("predictions") or "plan" not in recorded:
        return ServedComparison(0, 0, ())
    plan, trained = DrawPlan.from_json(recorded["plan"]), int(recorded["inputs"]["features"])
    with state.connect() as connection:
        scan(connection, lake.files("training_set")).create("_trained")
        scan(connection, lake.files("predictions")).create("_predicted")
        served = dict(
            connection.sql(
                "SELECT batch_date, max(_features_version) FROM _predicted SEMI JOIN _trained USING (example_id) "
                "GROUP BY batch_date ORDER BY batch_date"
            ).fetchall()
        )
        kept = lake.kept_versions("features")
        forgotten = len(served)
        served = {drop: version for drop, version in served.items() if version in kept}
        forgotten -= len(served)
        # a drop whose files are those of the version it was served from holds what was served
        again = lake.rewritten("features", {drop: int(version) for drop, version in served.items()}, trained)
        read = {drop: int(served[drop]) if drop in again else trained for drop in served}
        for version in sorted(set(read.values())):
            drops = [drop for drop, its in read.items() if its == version]
            _lay_served(connection, lake, version, drops)
        if not served:
            return ServedComparison(0, 0, (), forgotten)
        untouched = [drop for drop in served if drop not in again]
        skews = _differences(connection, plan.features, untouched, dict.fromkeys(plan.features, UNEXPLAINED))
        skews += _of_computed_again(connection, spec, lake, plan.features, {drop: read[drop] for drop in again})
        rows = connection.sql("SELECT count(*) FROM _trained SEMI JOIN _predicted USING (example_id)").fetchall()[0][0]
    return ServedComparison(rows, len(served), tuple(_together(skews)), forgotten)


def _lay_served(connection: duckdb.DuckDBPyConnection, lake: Lake, version: int, drops: Sequence[DropKey]) -> None:
    rows = scan(connection, lake.files("features", version, (min(drops), max(drops))))
    listed = keys_sql(drops)
    rows = rows.filter(f"batch_date IN ({listed})")
    is_first = connection.execute(
        "SELECT count(*) = 0 FROM duckdb_tables() WHERE table_name = '_served' AND database_name = current_database()"
    ).fetchall()
    rows.create_view("_more", replace=True)
    connection.execute(
        "CREATE TABLE _served AS SELECT * FROM _more" if is_first[0][0] else "CREATE OR REPLACE TABLE _served AS "
        "SELECT * FROM _served UNION ALL BY NAME SELECT * FROM _more"
    )  # fmt: skip


def _of_computed_again(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    lake: Lake,
    features: Sequence[str],
    served: Mapping[DropKey, int],
) -> list[Skew]:
    """Compare drops that were computed again since they were served, and say why each feature differs.

    `served` gives the version of the features that each was served from.
    """
    if not served:
        return []
    sets, skews = read_sets(connection, lake), []
    held = _sets_of(connection.table("_served"))
    now = _sets_of(lake.relation(connection, "features", (min(served), max(served))))
    alike: dict[tuple[int, int], list[DropKey]] = {}
    for drop in sorted(served):
        alike.setdefault((held.get(drop, -1), now.get(drop, -1)), []).append(drop)
    for (then, since), drops in alike.items():
        other = set(changed_features(sets.get(then, {}), sets.get(since, {})))
        reasons = {name: NEW_VERSION if name in other else UNEXPLAINED for name in features}
        found = _differences(connection, features, drops, reasons)
        if any(skew.why == UNEXPLAINED for skew in found) and _is_revised(spec, lake, drops, served):
            found = [replace(skew, why=REVISED) if skew.why == UNEXPLAINED else skew for skew in found]
        skews += found
    return skews


def _sets_of(rows: duckdb.DuckDBPyRelation) -> dict[DropKey, int]:
    """Give the set of definitions of each drop, where it was recorded."""
    if "_feature_set" not in rows.columns:
        return {}
    return dict(
        rows.filter("_feature_set IS NOT NULL").aggregate("batch_date, max(_feature_set)", "batch_date").fetchall()
    )


def _is_revised(spec: UseCaseSpec, lake: Lake, drops: Sequence[DropKey], served: Mapping[DropKey, int]) -> bool:
    """Say whether a source was accepted anew, up to one of `drops`, after that drop was served."""
    for drop in drops:
        at = lake.committed_at("features", served[drop])
        for source in {view.source for view in spec.features.views}:
            version = lake.version_at(f"validated_{source}", at)
            if version is not None and lake.rewritten_drops(f"validated_{source}", version, drop):
                return True
    return False


def _differences(
    connection: duckdb.DuckDBPyConnection, features: Sequence[str], drops: Sequence[DropKey], why: Mapping[str, str]
) -> list[Skew]:
    if not drops:
        return []
    listed = keys_sql(drops)
    trained, held = _types(connection, "_trained"), _types(connection, "_served")
    joined = (
        f"FROM _trained AS t JOIN _served AS s USING (example_id) WHERE s.batch_date IN ({listed}) AND t.example_id IN "
        "(SELECT example_id FROM _predicted)"
    )
    sides = {name: (f't."{name}"', f's."{name}"' if name in held else "NULL") for name in features}
    unlike: dict[str, str] = {}
    for name, (mine, its) in sides.items():
        # as texts only where the types differ: to write and read millions of numbers takes most of the time
        is_same_type = trained[name] == held.get(name)
        unlike[name] = (
            f"{mine} IS DISTINCT FROM {its}" if is_same_type else f"{mine}::VARCHAR IS DISTINCT FROM {its}::VARCHAR"
        )
    anywhere = connection.sql(
        f"SELECT {', '.join(f'bool_or({each})' for each in unlike.values())} {joined}"
    ).fetchall()[0]
    counted: dict[str, str] = {}
    for name in (name for name, is_unlike in zip(unlike, anywhere, strict=True) if is_unlike):
        mine, its = sides[name]
        apart = f"abs(TRY_CAST({mine} AS DOUBLE) - TRY_CAST({its} AS DOUBLE))"
        is_near = f"coalesce({apart} <= {_TOLERANCE} * greatest(abs(TRY_CAST({mine} AS DOUBLE)), 1), false)"
        differs = f"({unlike[name]} AND NOT {is_near})"
        counted[name] = (f"count(*) FILTER ({differs}), count(DISTINCT s.batch_date) FILTER ({differs}), "
                         f"max({apart}) FILTER ({differs})")  # fmt: skip
    if not counted:
        return []
    row = connection.sql(f"SELECT {', '.join(counted.values())} {joined}").fetchall()[0]
    triples = [row[place : place + 3] for place in range(0, len(row), 3)]
    return [
        Skew(name, why[name], examples, days, largest)
        for name, (examples, days, largest) in zip(counted, triples, strict=True)
        if examples
    ]


def _types(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    held = connection.table(table)
    return dict(zip(held.columns, map(str, held.types), strict=True))


def _together(skews: Sequence[Skew]) -> list[Skew]:
    found: dict[tuple[str, str], Skew] = {}
    for each in skews:
        known = found.get((each.feature, each.why))
        if known is not None:
            apart = [value for value in (known.largest, each.largest) if value is not None]
            rows = known.examples + each.examples, known.drops + each.drops
            each = Skew(each.feature, each.why, *rows, max(apart, default=None))  # noqa: PLW2901 - the same, added up
        found[each.feature, each.why] = each
    return sorted(found.values(), key=lambda skew: (skew.why != UNEXPLAINED, -skew.examples, skew.feature))


def skew_outcome(compared: ServedComparison) -> CheckOutcome:
    """Fail where a difference has no cause."""
    unexplained = [skew for skew in compared.skews if skew.why == UNEXPLAINED]
    if not compared.examples:
        said = "no example of it was predicted yet"
    elif not compared.skews:
        said = f"{compared.examples} examples of {compared.drops} drops were predicted from the values trained on"
    else:
        said = f"{len(compared.skews)} features differ from what was served, {len(unexplained)} of them unexplained"
        named = [skew.in_words() for skew in compared.skews[:_NAMED]]
        said = "; ".join([said, *named, *(["…"] if len(compared.skews) > _NAMED else [])])
    if compared.forgotten:
        said += f"; {compared.forgotten} drops were served from versions that are kept no more, and are not compared"
    measured = {"examples": compared.examples, "drops": compared.drops}
    return CheckOutcome("served_as_trained", not unexplained, said, measured)
