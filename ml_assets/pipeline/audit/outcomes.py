"""What the columns of a training set say of the outcome, and what both sides of its split hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_assets.features.outcome_leakage import LeakageSign, find_filled_afterwards, find_telling_absence
from ml_assets.features.split_overlap import report_entities, report_near_duplicates, report_twins
from ml_assets.features.target_leakage import MAX_SINGLE_AUC, find_target_leakage, score_cheaply
from ml_assets.features.training_sample import read_drawn
from ml_assets.pipeline.audit.forecasts import audit_forecasts
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.sandbox import restrict_to_tables
from ml_assets.stores.table_files import TableFiles
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.training_set import DrawPlan

if TYPE_CHECKING:
    import duckdb

# the last value of a steady amount tells high from low nearly always; what tells it always is the outcome itself
_MAX_OF_NUMBERS = 0.98
_DROPS = 60  # about how many are looked at for nulls
_OWN = {"batch_date", "example_id", "prediction_at", "label", "split"}


def audit_outcomes(spec: UseCaseSpec, state: UseCaseState) -> list[LeakageSign]:
    """Look at the newest training set, and at the columns of the examples it was drawn from.

    Single columns against the label, out of time; nulls against what became of an example; columns that only matured
    examples have; rows, near-duplicates and entities that both splits hold. Nothing is found where there are fewer than
    thirty rows to judge by. Of labels that are numbers it is asked whether they lie above the median.
    """
    lake = state.lake
    recorded = lake.metadata("training_set")
    if "plan" not in recorded:
        return []
    plan = DrawPlan.from_json(recorded["plan"])
    with state.connect_apart() as connection:
        tables = {name: lake.files(name) for name in ("training_set", "labels", "examples", "features")}
        tables["features"] = tables["features"].of_drops(_looked_at(spec, tables["features"]))
        if plan.has_weak_labels:
            tables["_all_labels"] = tables.pop("training_set")
        task = task_of(spec.task)
        if not task.has_classes:
            tables["_amounts"], tables["_outcomes"] = tables.pop("training_set"), tables.pop("labels")
        restrict_to_tables(connection, tables)
        if not task.has_classes:
            _split_at_median(connection)
        if plan.has_weak_labels:  # functions read the columns of examples: only gold labels tell a leak from a vote
            gold = "SELECT * FROM _all_labels WHERE label_origin = 'gold'"
            connection.execute(f"CREATE TEMP VIEW training_set AS {gold}")
        features = [name for name in connection.view("training_set").columns if name in plan.features]
        own = _join(connection, features)
        rows = read_drawn(connection, [*features, *own])
        found = find_target_leakage(rows, MAX_SINGLE_AUC if task.has_classes else _MAX_OF_NUMBERS)
        found += _by_outcome(connection, plan, own)
        score = score_cheaply(rows, {name: rows.columns[name] for name in features})
        found.append(report_twins(connection, features))
        near = report_near_duplicates(connection, rows, features, score)
        found += [near] if near is not None else []
        found += report_entities(connection, rows, _entities(connection, spec), score)
    return found + audit_forecasts(spec, state, plan)


def _split_at_median(connection: duckdb.DuckDBPyConnection) -> None:
    """Make two classes of labels that are numbers: above the median of the rows trained on, and not."""
    above = "CAST(label > (SELECT median(label) FROM _amounts WHERE split = 'train') AS INTEGER) AS label"
    for view, table in (("training_set", "_amounts"), ("labels", "_outcomes")):
        connection.execute(f"CREATE TEMP VIEW {view} AS SELECT * REPLACE ({above}) FROM {table}")


def _looked_at(spec: UseCaseSpec, features: TableFiles) -> set[DropKey]:
    """Choose the drops whose nulls are counted: the newest, of which some are open, and others spread over all."""
    drops = sorted(features.drops())
    newest = max(spec.calendar.drops_waited(spec.labels.matures_after) + 2, _DROPS // 4)
    return {*drops[-newest:], *drops[:: max(1, len(drops) // _DROPS)]}


def _join(connection: duckdb.DuckDBPyConnection, features: list[str]) -> list[str]:
    """Make `_own`, the columns of examples, `_drawn`, the training set with them, and `_of`, what it is about.

    Gives the columns of examples that no feature repeats.
    """
    named = [name for name in connection.view("examples").columns if name not in _OWN and name[0] != "_"]
    listed = "".join(f', "{name}"' for name in named)
    connection.execute(f"CREATE TEMP TABLE _own AS SELECT batch_date, example_id{listed} FROM examples")
    taken = {name.lower() for name in features}
    own = [name for name in named if name.lower() not in taken]
    more = "".join(f', o."{name}"' for name in own)
    joined = "training_set AS t LEFT JOIN _own AS o ON t.batch_date = o.batch_date AND t.example_id = o.example_id"
    connection.execute(f"CREATE TEMP VIEW _drawn AS SELECT t.*{more} FROM {joined}")
    connection.execute(
        "CREATE TEMP TABLE _of AS SELECT o.*, t.split, t.label FROM training_set AS t JOIN _own AS o ON t.batch_date = "
        "o.batch_date AND t.example_id = o.example_id"
    )
    return own


def _by_outcome(connection: duckdb.DuckDBPyConnection, plan: DrawPlan, own: list[str]) -> list[LeakageSign]:
    """Count values of all columns by what became of an example, in one pass, and judge where they are missing."""
    held = connection.view("features").columns
    columns = [*(name for name in held if name not in _OWN and name[0] != "_"), *own]
    counts = ", ".join(f'count(f."{name}")' for name in columns[: len(columns) - len(own)])
    counts = ", ".join([*([counts] if counts else []), *(f'count(o."{name}")' for name in own)])
    groups = connection.sql(
        f"SELECT f.prediction_at > TIMESTAMPTZ '{plan.matured_until}' AS is_open, l.label AS outcome, count(*), "
        f"{counts} FROM features AS f JOIN _own AS o ON f.batch_date = o.batch_date AND f.example_id = o.example_id "
        "LEFT JOIN (SELECT example_id, arg_max(label, (known_at, batch_date)) AS label FROM labels "
        f"WHERE {plan.is_known} GROUP BY example_id) AS l ON l.example_id = f.example_id GROUP BY ALL"
    ).fetchall()
    none = (0,) * (len(columns) + 1)
    still_open = [sum(parts) for parts in zip(none, *(group[2:] for group in groups if group[0]), strict=True)]
    by_outcome = {group[1]: group[2:] for group in groups if not group[0]}
    matured = [by_outcome.get(outcome, none) for outcome in (1, 0, None)]
    total = [sum(parts) for parts in zip(*matured, strict=True)]
    rows = [group[0] for group in matured]
    nulls = {name: [group[0] - group[place] for group in matured] for place, name in enumerate(columns, 1)}
    filled = {
        name: (total[place] / max(total[0], 1), still_open[place] / max(still_open[0], 1))
        for place, name in enumerate(columns, 1)
    }
    return find_telling_absence(nulls, rows) + find_filled_afterwards(filled, (total[0], still_open[0]))


def _entities(connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec) -> list[tuple[str, ...]]:
    """Give what examples are about: entities of views, and keys of sources, whose columns all examples have."""
    held = set(connection.table("_own").columns) - _OWN
    named = [*(view.entity for view in spec.features.views), *(source.key for source in spec.sources)]
    return [columns for columns in dict.fromkeys(tuple(each) for each in named) if columns and held.issuperset(columns)]
