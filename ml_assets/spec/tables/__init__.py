"""Every lake table, declared once as data: the write schema, the UI, the SQL help and docs/tables.md come from here.

What belongs here: names, grain, columns with type, meaning, unit, and what null means. What does not: how a value is
computed, or where a table is stored.
"""

from __future__ import annotations

from dataclasses import replace

from ml_assets.spec.drop import DropKey, key_type
from ml_assets.spec.tables import (
    experiments,
    features,
    ingestion,
    intervals,
    labeling,
    models,
    monitoring,
    review,
    routes,
    sampling,
    text_drift,
)
from ml_assets.spec.tables.table import KEY_TYPE, LakeColumn, Table
from ml_assets.spec.use_case import UseCaseSpec

__all__ = ["LakeColumn", "Table", "declared_lake_tables", "main_table", "of_use_case", "tables_of_asset", "with_keys"]


def declared_lake_tables(spec: UseCaseSpec) -> dict[str, Table]:
    """Give the tables that a use case writes, by name, in the order of the graph.

    Columns that a SELECT of the use case draws (of examples, labels, worklist, and each feature) are not in here: only
    the declaration's SQL knows their types.
    """
    objectives = tuple(
        LakeColumn(each.name, "DOUBLE", each.description or f"{each.measure} as predicted", null="not predicted yet")
        for each in spec.model.objectives
    )
    measures = tuple(
        LakeColumn(name, "DOUBLE", "a measure of the outcome", null="unknown") for name in spec.labels.measures
    )
    more = {"predictions": objectives, "labels": measures}
    if spec.model.intervals:
        more |= {"predictions": (*objectives, *intervals.OF_PREDICTIONS), "performance_report": intervals.OF_REPORT,
                 "performance_verdicts": intervals.OF_VERDICTS}  # fmt: skip
    if spec.trains_on_weak_labels:
        more["training_set"] = labeling.OF_TRAINING_SET
    if spec.worklist.routes:
        more["worklist"] = routes.OF_WORKLIST
    if spec.review:
        more["labels"] = (*measures, *review.OF_LABELS)
        more["training_set"] = (*more.get("training_set", ()), *review.OF_TRAINING_SET)
    if spec.sampling:
        more["training_set"] = (*more.get("training_set", ()), *sampling.OF_TRAINING_SET)
    found = [
        *(table for source in spec.sources for table in ingestion.source_tables(source)),
        ingestion.DROPS,
        ingestion.ACCEPTED_GAPS,
        *features.TABLES,
        *models.TABLES,
        *monitoring.TABLES,
        *(labeling.TABLES if spec.labeling else ()),
        *review.tables_of(spec),
        *((text_drift.TEXT_DRIFT,) if spec.features.text else ()),
        *(routes.TABLES if spec.worklist.routes else ()),
        *(experiments.TABLES if spec.experiments else ()),
    ]
    whole = [replace(each, columns=each.columns + more.get(each.name, ())) for each in found]
    return {each.name: of_use_case(each, spec) for each in whole}


def of_use_case(table: Table, spec: UseCaseSpec) -> Table:
    """Give a table as a use case writes it: the columns of its task, and the type that its keys of drops have."""
    return with_keys(table.of(spec.task), spec.calendar.first_drop)


def with_keys(table: Table, key: DropKey) -> Table:
    """Give a table with the type that keys of drops such as `key` have."""
    kind = key_type(key)
    if kind == KEY_TYPE:
        return table
    columns = tuple(replace(each, type=kind) if each.type == KEY_TYPE else each for each in table.columns)
    return replace(table, columns=columns)


def tables_of_asset(spec: UseCaseSpec, asset: str) -> list[Table]:
    """Give the tables that an asset writes, named as `layer/name`; the one it is named by comes first."""
    found = [table for table in declared_lake_tables(spec).values() if table.asset == asset]
    return sorted(found, key=lambda table: not table.is_main)


def main_table(layer: str, name: str) -> str:
    """Name the main table of an asset that has a partition a drop.

    >>> main_table("raw", "weather"), main_table("raw", "drops"), main_table("features", "examples")
    ('raw_weather', 'drops', 'examples')
    """
    is_of_source = layer in ("raw", "validated", "quarantine") and name != "drops"
    return f"{layer}_{name}" if is_of_source else name
