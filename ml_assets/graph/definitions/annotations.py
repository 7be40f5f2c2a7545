"""What the UI shows of every asset besides what its own function says: the version of its declaration."""

from collections.abc import Sequence

import dagster as dg

from ml_assets.spec.asset_versions import asset_versions
from ml_assets.spec.use_case import UseCaseSpec


def annotate(spec: UseCaseSpec, assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Give each asset its code version: what the declaration says that it depends on.

    A drop that was made by another declaration than the one now shows as "Unsynced: new code version".
    """
    versions = asset_versions(spec)

    def annotated(asset: dg.AssetSpec) -> dg.AssetSpec:
        return asset.replace_attributes(code_version=versions["/".join(asset.key.path[1:])])

    return [each.map_asset_specs(annotated) for each in assets]
