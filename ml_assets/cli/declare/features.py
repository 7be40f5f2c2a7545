"""Shows the features of a use case: what each is, as declared and as computed."""

from __future__ import annotations

from typing import Any

from ml_assets.cli.console import console, fail, next_steps, print_json, say
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.pipeline.features.catalogue import feature_rows
from ml_assets.reports.catalogue_page import NOT_SAID, lineage_lines
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState


def run_features(spec: UseCaseSpec, state: UseCaseState, *, as_json: bool) -> None:
    """Print each feature: what it is of, over which time, its unit, its version, and since when drops hold it."""
    found = feature_rows(spec, state)
    if as_json:
        print_json(found)
        return
    rows = [
        [row["feature"], row["version"] or "-", row["first_drop"] or "-", f"[{row['unit'] or '?'}] {_spelt(row)}"]
        for row in found
    ]
    title = f"{len(found)} features of {spec.name}; a version is given when they are computed"
    columns = [TableColumn("feature"), TableColumn("version"), TableColumn("first_drop", 1)]
    print_table(title, [*columns, TableColumn("", is_text=True)], rows, see="--json")
    for what in ("unit", "null_means"):
        unsaid = [row["feature"] for row in found if not row[what]]
        if unsaid:
            say(f"no {what} is declared for {len(unsaid)}: {', '.join(unsaid)}", style="yellow")
    next_steps({
        f"ml-assets features {spec.name} {found[0]['feature']}": "all of one: null, owner, whence it comes",
        f"ml-assets backfill {spec.name} --features": "computes new and changed ones of earlier drops",
    })  # fmt: skip


def run_feature(spec: UseCaseSpec, state: UseCaseState, name: str, *, as_json: bool) -> None:
    """Print all of one feature, with the way back to raw columns."""
    names = spec.features.feature_names()
    if name not in names:
        raise fail(f"{spec.name} has no feature {name!r}; allowed: one of `ml-assets features {spec.name}`"
                   f"{did_you_mean(name, names)}")  # fmt: skip
    (row,) = [row for row in feature_rows(spec, state) if row["feature"] == name]
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


def _spelt(row: dict[str, Any]) -> str:
    over = f" over {row['over']}" if row["over"] else ""
    return f"{row['value']}{over}, of {row['from']}"
