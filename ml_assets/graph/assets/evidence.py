"""Assets of the evidence: measures with intervals, slices, and behaviours of the newest candidate.

Each looks at the same comparison: candidate, champion and baseline on the newest rows that none of them has seen.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.graph.assets.layout import asset_key, described, pool_of
from ml_assets.graph.assets.metadata import check_results, markdown, pictures
from ml_assets.graph.assets.tables import table_metadata
from ml_assets.graph.definitions.resources import StateResource
from ml_assets.spec.use_case import UseCaseSpec

if TYPE_CHECKING:
    from ml_assets.reports.evidence_pictures import DrawnQuality

_CIRCLE = (
    "Compares with the champion of the candidate's as_of, from the record that the asset champion is made of later: "
    "an arrow would turn in a circle."
)


def build_evidence_assets(spec: UseCaseSpec) -> list[dg.AssetsDefinition]:
    """Build evaluation_measures, evaluation_slices and behaviours."""
    return [_measures(spec), _slices(spec), _behaviours(spec)]


def _read(spec: UseCaseSpec) -> list[dg.AssetKey]:
    return [asset_key(spec, "models", "candidate_model"), asset_key(spec, "training", "training_set")]


def _measures(spec: UseCaseSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "models", "evaluation_measures"),
        deps=_read(spec),
        description="Candidate, champion and baseline on the newest matured window that none of them has seen: each "
        "measure with its interval from resampled days, what decisions cost, and the lists of a day. "
        f"{_CIRCLE}",
        metadata=table_metadata(spec, "models/evaluation_measures"),
        pool=pool_of(spec),
        **described(spec, "models", "delta"),
    )
    def evaluation_measures(store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.evaluation.comparison import compare
        from ml_assets.pipeline.evaluation.measures import store_measures
        from ml_assets.reports.evidence_pictures import draw_quality
        from ml_assets.reports.evidence_tables import measure_table

        state, costs = store.of(spec.name), spec.monitoring.costs
        found = compare(state)
        rows = store_measures(spec, state, found)
        shown: dict[str, Any] = {"candidate": found.row.model_version, "examples": int(found.labels.size),
                 "measures": markdown(measure_table(rows))}  # fmt: skip
        drawn = draw_quality(found, costs.false_alarm, costs.missed)
        return dg.MaterializeResult(metadata=shown | ({} if drawn is None else _quality(drawn)))

    return evaluation_measures


def _quality(drawn: "DrawnQuality") -> dict[str, Any]:
    from ml_assets.reports.pictures import Picture

    costs = drawn.costs
    thresholds = {} if costs is None else {"implied threshold": costs.implied_threshold,
                                           "cheapest threshold on the window": costs.best_threshold}  # fmt: skip
    return pictures(*(Picture(png, name) for name, png in drawn.pictures.items())) | thresholds


def _slices(spec: UseCaseSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(spec, "models", "evaluation_slices"),
        deps=_read(spec),
        description="The window by its parts: declared slices with the gain over the champion and its interval, and "
        "parts that were found where the candidate is surely wrong, after adjusting for how many were looked at. "
        f"{_CIRCLE}",
        metadata=table_metadata(spec, "models/evaluation_slices"),
        pool=pool_of(spec),
        **described(spec, "models", "delta"),
    )
    def evaluation_slices(store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.evaluation.comparison import compare
        from ml_assets.pipeline.evaluation.slices import store_slices
        from ml_assets.reports.evidence_tables import slice_table
        from ml_assets.reports.pictures import Picture, slice_losses_png

        state = store.of(spec.name)
        found = compare(state)
        rows = store_slices(spec, state, found)
        declared = [row for row in rows if row["kind"] == "declared"]
        loss = found.task.loss_metric
        picture = Picture(slice_losses_png(loss, declared), f"{loss} by slice") if declared else None
        shown: dict[str, Any] = {"candidate": found.row.model_version, "slices": markdown(slice_table(loss, rows)),
                 "found to be weak": len(rows) - len(declared)}  # fmt: skip
        return dg.MaterializeResult(metadata=shown | pictures(**{"by slice": picture}))

    return evaluation_slices


def _behaviours(spec: UseCaseSpec) -> dg.AssetsDefinition:
    key = asset_key(spec, "models", "behaviours")

    @dg.asset(
        key=key,
        deps=_read(spec),
        description="Declared behaviours of the candidate, tried on rows it has not seen: what must not matter, what "
        "must not lower a score, cases that people labelled, perturbed inputs; and gaps between sensitive groups. "
        f"{_CIRCLE}",
        check_specs=[dg.AssetCheckSpec("behaviour", asset=key, description="The candidate behaves as declared.")],
        metadata=table_metadata(spec, "models/behaviours"),
        pool=pool_of(spec),
        **described(spec, "models", "delta"),
    )
    def behaviours(store: StateResource) -> dg.MaterializeResult:
        from ml_assets.pipeline.evaluation.behaviours import behaviour_outcome, store_behaviours
        from ml_assets.pipeline.evaluation.comparison import compare
        from ml_assets.reports.evidence_tables import behaviour_list

        state = store.of(spec.name)
        found = compare(state)
        rows = store_behaviours(spec, state, found)
        shown: dict[str, Any] = {"candidate": found.row.model_version, "behaviours": markdown(behaviour_list(rows))}
        return dg.MaterializeResult(metadata=shown, check_results=check_results([behaviour_outcome(rows)]))

    return behaviours
