"""Descriptions of columns in words: what a feature is, and of which columns of which assets a column is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ml_assets.spec.catalogue import NEVER, FeatureEntry, catalogue
from ml_assets.spec.column_lineage import ColumnAt, Lineage, column_lineage
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec

_NAMED = 12  # columns of one asset in a description; of more the number says enough
FeatureStatus = Mapping[str, tuple[int | None, DropKey | None]]


@dataclass(frozen=True)
class _Declared:
    """A use case, equal to another of the same declaration."""

    text: str
    spec: UseCaseSpec = field(compare=False)


@lru_cache(maxsize=8)
def _lineage(declared: _Declared) -> Lineage:
    return column_lineage(declared.spec)


@lru_cache(maxsize=8)
def _catalogue(declared: _Declared) -> tuple[FeatureEntry, ...]:
    return catalogue(declared.spec)


def lineage_of(spec: UseCaseSpec) -> Lineage:
    """Give the column lineage of a use case, worked out once a process."""
    return _lineage(_Declared(spec.model_dump_json(), spec))


def catalogue_of(spec: UseCaseSpec) -> tuple[FeatureEntry, ...]:
    """Give the catalogue of its features, worked out once a process."""
    return _catalogue(_Declared(spec.model_dump_json(), spec))


def feature_descriptions(spec: UseCaseSpec, status: FeatureStatus) -> dict[str, str]:
    """Say all that is known of each feature; `status` gives version and first drop."""
    return {each.feature: _in_words(each, *status.get(each.feature, (None, None))) for each in catalogue_of(spec)}


def _in_words(entry: FeatureEntry, version: int | None, first: DropKey | None) -> str:
    over = f" over {entry.over}" if entry.over else ""
    null = "Never null" if entry.null_means == NEVER else f"Null: {entry.null_means or 'not said'}"
    since = f"Version {version}" + (f" since {first}" if first else "") if version else ""
    parts = [f"`{entry.value}`{over}, of {entry.source}", f"Unit: {entry.unit or 'not said'}", null,
             f"Owner: {entry.owner}" if entry.owner else "", since]  # fmt: skip
    return f"{entry.description}\n\n" * bool(entry.description) + ". ".join(filter(None, parts)) + "."


def column_texts(
    spec: UseCaseSpec, names: Iterable[str], said: Mapping[str, str], made: Mapping[str, tuple[ColumnAt, ...]]
) -> dict[str, str]:
    """Give what is `said` of each column, and of which columns of which assets it is `made`."""
    return {name: "\n\n".join(filter(None, [said.get(name), asset_links(spec, made.get(name, ()))])) for name in names}


def asset_links(spec: UseCaseSpec, origins: tuple[ColumnAt, ...]) -> str:
    """Name the columns that one is made of, by asset, each asset with its link in the UI; empty where none is known."""
    by_asset: dict[str, list[str]] = {}
    for each in origins:
        by_asset.setdefault(f"{each.layer}/{each.table}", []).append(each.column)
    named = {
        asset: ", ".join(columns) if len(columns) <= _NAMED else f"{len(columns)} columns"
        for asset, columns in by_asset.items()
    }
    parts = [f"[{asset}](/assets/{spec.name}/{asset}): {columns}" for asset, columns in named.items()]
    return f"← {'; '.join(parts)}" if parts else ""
