"""Labels of drops with what people answered: an answer is a label, and stands where a natural label says otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml_assets.labeling.resolution import ResolvedLabel, resolve_answers
from ml_assets.pipeline.labeling.review_answers import read_answers
from ml_assets.spec.drop import DropKey, key_sql
from ml_assets.spec.review import RANDOM
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.sandbox import show_tables
from ml_assets.stores.table_files import TableFiles
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

NATURAL, REVIEW = "natural", "review"
_KEPT = ("batch_date", "example_id", "label", "known_at")


def with_reviewed(spec: UseCaseSpec, state: UseCaseState, natural: pa.Table, drops: Sequence[DropKey]) -> pa.Table:
    """Add the labels that answers amount to in `drops`, in the drop in which each came about.

    A natural label that comes in or after that drop gets the label of the people: the newest label of an example
    counts, and theirs stays the newest. Its measures stay. All that is read had landed by the drop.

    Returns
    -------
    table
        As `natural`, with `origin`, `given_by` and `is_chosen`; in order of drop and example.
    """
    import pyarrow as pa

    resolved = resolve_answers(read_answers(spec, state, drops[-1]))
    by_example: dict[str, list[ResolvedLabel]] = {}
    for each in resolved:
        by_example.setdefault(each.example_id, []).append(each)
    rows = [_stand(row, by_example.get(row["example_id"], ())) for row in natural.to_pylist()]
    landed = {(row["batch_date"], row["example_id"]) for row in rows}
    new = [each for each in resolved if each.drop in set(drops) and (each.drop, each.example_id) not in landed]
    earlier = _earlier_natural(state, new, rows, drops[0])
    rows += [_new_row(each, earlier.get(each.example_id, ()), spec.labels.measures) for each in new]
    rows.sort(key=lambda row: (row["batch_date"], row["example_id"]))
    schema = natural.schema
    for name, kind in (("origin", pa.string()), ("given_by", pa.string()), ("is_chosen", pa.bool_())):
        schema = schema.append(pa.field(name, kind))
    return pa.Table.from_pylist(rows, schema)


def show_labels_that_judge(connection: duckdb.DuckDBPyConnection, labels: TableFiles) -> None:
    """Make a view `labels` without those that only a strategy led to: on them a model looks worse than it is."""
    if "is_chosen" not in labels.schema.names:
        show_tables(connection, {"labels": labels})
        return
    show_tables(connection, {"_all_labels": labels})
    connection.execute("CREATE TEMP VIEW labels AS SELECT * FROM _all_labels WHERE NOT coalesce(is_chosen, false)")


def _stand(row: dict[str, Any], resolved: Iterable[ResolvedLabel]) -> dict[str, Any]:
    """Give a natural label, or in its place what people had said by its drop."""
    said = [each for each in resolved if each.drop <= row["batch_date"]]
    if not said:
        return {**row, "origin": NATURAL, "given_by": None, "is_chosen": False}
    return {**row, "label": said[-1].label, "origin": REVIEW, "given_by": said[-1].given_by, "is_chosen": False}


def _new_row(resolved: ResolvedLabel, earlier: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> dict[str, Any]:
    """Give a label of people; the amounts beside it are those of the newest natural label before."""
    before = [row for row in earlier if row["batch_date"] <= resolved.drop]
    newest = max(before, key=lambda row: (row["known_at"], row["batch_date"]), default={})
    return {
        "batch_date": resolved.drop, "example_id": resolved.example_id, "label": resolved.label,
        "known_at": resolved.known_at, "origin": REVIEW, "given_by": resolved.given_by,
        "is_chosen": not before and resolved.strategy != RANDOM,
        **{name: newest.get(name) for name in measures},
    }  # fmt: skip


def _earlier_natural(
    state: UseCaseState, new: Sequence[ResolvedLabel], rows: Sequence[Mapping[str, Any]], first: DropKey
) -> dict[str, list[Mapping[str, Any]]]:
    """Give the labels that do not rest on a strategy alone, of the examples of `new`, by example."""
    wanted = {each.example_id for each in new}
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in (*_stored(state, wanted, first), *rows):
        if row["example_id"] in wanted and not (row.get("origin") == REVIEW and row.get("is_chosen")):
            found.setdefault(row["example_id"], []).append(row)
    return found


def _stored(state: UseCaseState, wanted: Iterable[str], first: DropKey) -> list[dict[str, Any]]:
    if not state.lake.has("labels") or not wanted:
        return []
    import pyarrow as pa

    with state.connect() as connection:
        state.lake.relation(connection, "labels").create_view("_stored_labels")
        connection.register("_wanted", pa.table({"example_id": pa.array(sorted(wanted), pa.string())}))
        return connection.sql(
            f"SELECT * FROM _stored_labels SEMI JOIN _wanted USING (example_id) WHERE batch_date < {key_sql(first)}"
        ).to_arrow_table().to_pylist()  # fmt: skip
