"""All that is known of each feature: as declared, as computed, and of which raw columns it is made."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ml_assets.pipeline.features.versions import status_of_features
from ml_assets.spec.catalogue import FeatureEntry, catalogue
from ml_assets.spec.column_lineage import FEATURES, ColumnAt, Lineage, column_lineage, trace
from ml_assets.spec.feature_versions import feature_definitions
from ml_assets.spec.sql_lineage import columns_of
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState


def feature_rows(spec: UseCaseSpec, state: UseCaseState) -> list[dict[str, Any]]:
    """Give all that is known of each feature, in the order of its columns."""
    definitions, lineage = feature_definitions(spec), column_lineage(spec)
    status = status_of_features(spec, state)
    rows: list[dict[str, Any]] = []
    for entry in catalogue(spec):
        version, first_drop = status[entry.feature]
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
    """Name what reads a feature by name; every candidate but the baseline reads all of them."""
    names = spec.features.feature_names()
    found = [f"feature {each.name}" for each in spec.features.expressions
             if each.name != feature and feature in columns_of(each.sql, names)]  # fmt: skip
    found += [f"candidate {candidate.name}" for candidate in spec.model.candidates if feature in candidate.group_by]
    return found + (["slices of the performance report"] if feature in spec.monitoring.slices else [])
