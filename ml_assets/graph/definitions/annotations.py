"""What the UI shows of every asset besides what its own function says: versions, deadlines, where it is declared."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import dagster as dg

from ml_assets.spec.asset_versions import asset_versions
from ml_assets.spec.calendar import Calendar
from ml_assets.spec.places import Place
from ml_assets.spec.use_case import UseCaseSpec

# what people wait for
_ON_TIME = frozenset({"predictions/predictions", "predictions/worklist", "monitoring/decisions"})
_GRACE = timedelta(hours=1)  # from the moment of the batch to the end of its run


def annotate(
    spec: UseCaseSpec, assets: Sequence[dg.AssetsDefinition], places: Mapping[str, Sequence[Place]]
) -> list[dg.AssetsDefinition]:
    """Give each asset its code version, where it is declared, and, where people wait for it, its deadline.

    The code version is of what the declaration says that the asset depends on: a drop that was made by another
    declaration than the one now shows as "Unsynced: new code version".
    """
    versions = asset_versions(spec)
    deadline = _deadline(spec.calendar) if spec.clock == "wall" else None

    def annotated(asset: dg.AssetSpec) -> dg.AssetSpec:
        name = "/".join(asset.key.path[1:])
        more = _references(places[name]) if name in places else {}
        found = asset.replace_attributes(code_version=versions[name], metadata={**asset.metadata, **more})
        return found.replace_attributes(freshness_policy=deadline) if name in _ON_TIME else found

    return [each.map_asset_specs(annotated) for each in assets]


def _references(places: Sequence[Place]) -> dict[str, dg.CodeReferencesMetadataValue]:
    found = [dg.LocalFileCodeReference(file_path=str(p.file), line_number=p.line, label=p.label) for p in places]
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=list(found))}


def _deadline(calendar: Calendar) -> dg.FreshnessPolicy:
    """Ask for a new drop an hour after each batch; one that was taken earlier in the same interval counts."""
    delta = calendar.shortest_length
    return dg.FreshnessPolicy.cron(calendar.cron_text(_GRACE), lower_bound_delta=delta, timezone=calendar.cron_zone)
