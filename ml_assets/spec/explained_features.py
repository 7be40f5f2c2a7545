"""Features that may rank the outcome well without giving it away: of the calendar, and of earlier outcomes.

A use case goes in; by feature, why it is explained comes out. Nothing is read but the declaration: a value of these
kinds is known as of the prediction by what it is made of, and recomputation proves the rest.
"""

from __future__ import annotations

from ml_assets.spec.column_lineage import EXAMPLES, FEATURES, ColumnAt, Lineage, column_lineage
from ml_assets.spec.features import FeatureView
from ml_assets.spec.use_case import UseCaseSpec

CALENDAR = "of the calendar: it is made of the moment of the example alone"
LAGGED = "earlier outcomes of others: a window over the source of the labels"
BOTH = "made of the calendar and of earlier outcomes of others alone"


def explained_features(spec: UseCaseSpec) -> dict[str, str]:
    """Say of each feature that is explained why it is; the others are left out.

    Two kinds are. *The calendar*: an hour or a weekday made of `prediction_at`, or of the column of an example that
    says when its row became known. *Lagged outcomes*: windows of a view over a source of the labels, unless the view's
    entity names the example itself: then its facts are the outcome. An expression over both is explained too.
    """
    lineage = column_lineage(spec)
    known = {name: LAGGED for view in spec.features.views if _is_lagged(spec, lineage, view)
             for name in view.feature_names()}  # fmt: skip
    moments = _moments(lineage)
    for expression in spec.features.expressions:
        read = lineage[FEATURES][expression.name]
        why = {_explain(origin, known, moments) for origin in read}
        if read and "" not in why:
            known[expression.name] = why.pop() if len(why) == 1 else BOTH
    return known


def _explain(origin: ColumnAt, known: dict[str, str], moments: set[str]) -> str:
    if (origin.layer, origin.table) == FEATURES:
        return known.get(origin.column, "")
    return CALENDAR if origin.column in moments else ""


def _moments(lineage: Lineage) -> set[str]:
    """Name the columns of the examples that are a moment of the example: when it is predicted, or became known."""
    examples = lineage[EXAMPLES]
    of_moment = {examples["prediction_at"]}
    for table in {origin.table for origins in examples.values() for origin in origins}:
        known_at = lineage["validated", table]["known_at"]
        of_moment.add(tuple(origin._replace(layer="validated") for origin in known_at))
        of_moment.add((ColumnAt("validated", table, "known_at"),))
    single = {origins for origins in of_moment if len(origins) == 1}
    return {"prediction_at", "batch_date", *(name for name, origins in examples.items() if origins in single)}


def _is_lagged(spec: UseCaseSpec, lineage: Lineage, view: FeatureView) -> bool:
    if not view.windows or view.source not in spec.labels.sources:
        return False
    of_example = set(lineage[EXAMPLES].get("example_id", ()))
    of_entity = {origin for name in view.entity for origin in lineage[EXAMPLES].get(name, ())}
    return not of_example or not of_example <= of_entity
