"""Votes of labeling functions on the examples of drops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_assets.labeling.weak_labels import vote_on_examples
from ml_assets.pipeline.features.examples import stretches
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.spec.calendar import cut_drops
from ml_assets.spec.drop import DropKey
from ml_assets.spec.labeling import LabelingSpec
from ml_assets.spec.tables.labeling import WEAK_LABELS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.kept_files import scan
from ml_assets.stores.lake import Lake
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.table_files import scan_sql
from ml_assets.stores.unreadable_files import note_files
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb

TABLE = WEAK_LABELS.name
VOTES_VIEW = "_weak_labels"
EXAMPLES_AT_ONCE = 100_000  # with twenty functions about 300 MB of votes


class NoLabelingError(LookupError):
    """A use case that declares no labeling functions was asked for labels."""


def labeling_of(spec: UseCaseSpec) -> LabelingSpec:
    """Give the declared labeling; raises NoLabelingError where a use case declares none."""
    if spec.labeling is None:
        raise NoLabelingError(f"{spec.name} declares no labeling; add `labeling` with functions to its defs.yaml")
    return spec.labeling


def store_weak_labels(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> DropResult:
    """Let every declared function vote on the examples of `drops`. Grain: an example and function.

    A vote is known at the batch of its drop: a function sees the columns of the example, which hold what was known by
    then. A value that is no class becomes an abstention; the check `known_classes` counts and names them.
    """
    labeling, counts, votes = labeling_of(spec), Counter[DropKey](), Counter[DropKey]()
    refused: Counter[tuple[str, str]] = Counter()
    with state.connect() as connection:
        held = state.lake.relation(connection, "examples", (drops[0], drops[-1]))
        examples = dict(held.aggregate("batch_date, count(*)", "batch_date").fetchall())
    for part in cut_drops(drops, examples, EXAMPLES_AT_ONCE):
        cast, wrong = _vote(spec, state, part)
        for drop, n, given in cast:
            counts[drop], votes[drop] = n, given
        for function, value, n in wrong:
            refused[function, value] += n
    notes = {drop: {"votes": votes[drop]} for drop in drops}
    return DropResult(counts, notes, checks=(_known_classes(labeling, refused),))


def _vote(
    spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]
) -> tuple[list[tuple[DropKey, int, int]], list[tuple[str, str, int]]]:
    """Store the votes of drops that follow each other.

    Gives rows and votes by drop, and how often each function gave which value that is no class.
    """
    with state.connect_apart() as connection:
        restrict_to_tables(connection, {"examples": state.lake.files("examples", drops=(drops[0], drops[-1]))})
        connection.execute("CREATE TEMP TABLE _examples AS SELECT * FROM examples")
        connection.execute(f"CREATE TEMP TABLE _moments (batch_date {spec.calendar.key_type}, batch_at TIMESTAMPTZ)")
        connection.executemany(
            "INSERT INTO _moments VALUES (?, ?)", [[drop, spec.calendar.batch_at(drop)] for drop in drops]
        )
        rows = vote_on_examples(connection, labeling_of(spec)).to_arrow_table()
        connection.register("_votes", rows)
        cast = connection.sql("SELECT batch_date, count(*), count(label) FROM _votes GROUP BY batch_date").fetchall()
        wrong = connection.sql(
            "SELECT function, refused, count(*) FROM _votes WHERE refused IS NOT NULL GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    state.lake.replace_drops(TABLE, rows, drops)
    return cast, wrong


def view_votes(connection: duckdb.DuckDBPyConnection, lake: Lake, version: int | None = None) -> None:
    """Make a view of the votes that reads their files as it goes: the table is too large to keep in memory."""
    files = lake.files(TABLE, version)
    if files.files:
        note_files(files)
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {VOTES_VIEW} AS {scan_sql(files)}")
    else:
        scan(connection, files).create_view(VOTES_VIEW)


def stale_vote_drops(spec: UseCaseSpec, state: UseCaseState) -> dict[str, set[DropKey]]:
    """Give for each function the drops with examples whose votes are missing, or by another definition than declared.

    Functions and drops without any are left out.
    """
    labeling = labeling_of(spec)
    if not state.lake.has("examples"):
        return {}
    with state.connect() as connection:
        examples = state.lake.relation(connection, "examples")
        drops = {drop for (drop,) in examples.project("batch_date").distinct().fetchall()}
        held: dict[str, set[DropKey]] = {}
        if state.lake.has(TABLE):
            view_votes(connection, state.lake)
            voted = connection.sql(f"SELECT DISTINCT function, definition, batch_date FROM {VOTES_VIEW}")
            declared = {each.name: each.definition for each in labeling.functions}
            for function, definition, drop in voted.fetchall():
                if declared.get(function) == definition:
                    held.setdefault(function, set()).add(drop)
    found = {each.name: drops - held.get(each.name, set()) for each in labeling.functions}
    return {name: missing for name, missing in found.items() if missing}


def backfill_weak_labels(spec: UseCaseSpec, state: UseCaseState) -> list[DropKey]:
    """Let the functions vote again on every drop that holds other votes than are declared now; give these drops.

    The caller holds the write lock.
    """
    stale = sorted({drop for drops in stale_vote_drops(spec, state).values() for drop in drops})
    for stretch in stretches(stale, spec.calendar):
        store_weak_labels(spec, state, stretch)
    return stale


def _known_classes(labeling: LabelingSpec, refused: Counter[tuple[str, str]]) -> CheckOutcome:
    listed = ", ".join(f"{function} gave {value} ({n})" for (function, value), n in list(refused.items())[:10])
    allowed = ", ".join(map(str, labeling.classes))
    said = f"counted as abstentions: {listed}; allowed: {allowed}, or null" if refused else "every vote is a class"
    return CheckOutcome("known_classes", not refused, said, {"votes that are no class": refused.total()})
