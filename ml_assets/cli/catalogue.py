"""The features of a use case: what each is, as declared and as it stands, and of which raw columns it is made."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import duckdb

from ml_assets.cli.terminal import console, fail, next_steps, print_json, table_of
from ml_assets.graph.feature_sets import standing_of_features
from ml_assets.spec.catalogue import FeatureEntry, catalogue
from ml_assets.spec.column_lineage import FEATURES, ColumnAt, Lineage, column_lineage, trace
from ml_assets.spec.feature_versions import feature_definitions
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.sql_lineage import columns_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths

NOT_SAID = "not said"


def feature_rows(spec: UseCaseSpec, paths: StatePaths) -> list[dict[str, Any]]:
    """Give all that is known of each feature, in the order of its columns."""
    definitions, lineage = feature_definitions(spec), column_lineage(spec)
    with duckdb.connect() as connection:
        standing = standing_of_features(connection, Lake(paths.lake / spec.name), spec)
    rows: list[dict[str, Any]] = []
    for entry in catalogue(spec):
        version, first_drop = standing[entry.feature]
        made_of = lineage[FEATURES][entry.feature]
        rows.append({
            **_entry_row(entry), "definition": definitions[entry.feature], "version": version, "first_drop": first_drop,
            "made_of": [str(each) for each in made_of], "raw_columns": raw_columns(lineage, entry.feature),
            "read_by": _readers(spec, entry.feature),
        })  # fmt: skip
    return rows


def _entry_row(entry: FeatureEntry) -> dict[str, Any]:
    return {"from" if name == "source" else name: value for name, value in asdict(entry).items()}


def raw_columns(lineage: Lineage, feature: str) -> list[str]:
    """Name the raw columns of which a feature is made, as `source.column`."""
    steps = trace(lineage, ColumnAt(*FEATURES, feature))
    return sorted({f"{each.table}.{each.column}" for _, each in steps if each.layer == "raw"})


def _readers(spec: UseCaseSpec, feature: str) -> list[str]:
    """Name what reads a feature by name; every rung of the ladder but the heuristic reads all of them."""
    names = spec.features.feature_names()
    found = [f"feature {each.name}" for each in spec.features.expressions
             if each.name != feature and feature in columns_of(each.sql, names)]  # fmt: skip
    found += [f"rung {rung.name}" for rung in spec.model.ladder if feature in rung.group_by]
    return found + (["slices of the performance report"] if feature in spec.monitoring.slices else [])


def run_features(spec: UseCaseSpec, paths: StatePaths, *, as_json: bool) -> None:
    """Print each feature: what it is of, over which time, its unit, its version, and since when drops hold it."""
    found = feature_rows(spec, paths)
    if as_json:
        print_json(found)
        return
    rows = [
        [f"{row['feature']}\n  [{row['unit'] or '?'}] {_spelt(row)}", row["version"] or "-", row["first_drop"] or "-"]
        for row in found
    ]
    title = f"{len(found)} features of {spec.name}; a version is given when they are computed"
    console.print(table_of(title, ["feature", "version", "first_drop"], rows))
    for what in ("unit", "null_means"):
        unsaid = [row["feature"] for row in found if not row[what]]
        if unsaid:
            said = f"no {what} is said of {len(unsaid)}: {', '.join(unsaid)}"
            console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)
    next_steps({
        f"ml-assets features {spec.name} {found[0]['feature']}": "all of one: null, owner, whence it comes",
        f"ml-assets backfill {spec.name} --features": "computes new and changed ones of earlier drops",
    })  # fmt: skip


def run_feature(spec: UseCaseSpec, paths: StatePaths, name: str, *, as_json: bool) -> None:
    """Print all of one feature, with the way back to raw columns."""
    names = spec.features.feature_names()
    if name not in names:
        raise fail(f"{spec.name} has no feature {name!r}; allowed: one of `ml-assets features {spec.name}`"
                   f"{did_you_mean(name, names)}")  # fmt: skip
    (row,) = [row for row in feature_rows(spec, paths) if row["feature"] == name]
    if as_json:
        print_json(row)
        return
    version = f"{row['version']}, in drops since {row['first_drop'] or 'none'}" if row["version"] else "not computed"
    lines = {
        "value": _spelt(row), "unit": row["unit"] or NOT_SAID, "null": row["null_means"] or NOT_SAID,
        "owner": row["owner"] or NOT_SAID, "version": version, "definition": row["definition"],
        "read by": ", ".join(row["read_by"]),
    }  # fmt: skip
    text = [name, *([f"  {row['description']}"] if row["description"] else [])]
    text += [f"  {key:<10}  {value}" for key, value in lines.items() if value]
    text += ["  made of", *lineage_lines(spec, name)]
    console.print("\n".join(text), markup=False, highlight=False, soft_wrap=True)


def lineage_lines(spec: UseCaseSpec, feature: str) -> list[str]:
    """Spell the way from a feature back to raw columns, a column a line, with what the contract says of raw ones."""
    lines: list[str] = []
    for depth, each in trace(column_lineage(spec), ColumnAt(*FEATURES, feature)):
        lines.append(f"  {'  ' * depth}{each}{_contracted(spec, each) if each.layer == 'raw' else ''}")
    return lines


def _contracted(spec: UseCaseSpec, at: ColumnAt) -> str:
    column = spec.source(at.table).columns[at.column]
    unit = f" [{column.unit}]" if column.unit else ""
    return f"  {column.type}{unit}" + (f": {column.description}" if column.description else "")


def _spelt(row: dict[str, Any]) -> str:
    over = f" over {row['over']}" if row["over"] else ""
    return f"{row['value']}{over}, of {row['from']}"
