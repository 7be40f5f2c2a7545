"""Pictures of the evidence, drawn once for all that show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ml_assets.pipeline.evaluation.comparison import Comparison
from ml_assets.reports.pictures import cost_curve_png, means_png, reliability_png
from ml_assets.stats.decision_costs import CostCurve, cost_curve


@dataclass(frozen=True)
class DrawnQuality:
    """How scores came true and what acting on them costs; the pictures by what they show.

    `costs` is None of scores that are no probabilities.
    """

    costs: CostCurve | None
    pictures: Mapping[str, bytes]


@lru_cache(maxsize=1)
def draw_quality(found: Comparison, false_alarm: float, missed: float) -> DrawnQuality | None:
    """Draw the window of a comparison, with what a mistake of either kind costs; None where it has no rows."""
    if not found.labels.size:
        return None
    if not found.task.has_classes:
        return DrawnQuality(None, {"mean label against mean score": means_png(found.labels, found.scores)})
    curve = cost_curve(found.labels, found.scores["candidate"], false_alarm=false_alarm, missed=missed)
    pictures = {
        "observed share against mean score": reliability_png(found.labels, found.scores),
        "mean cost an example, by the threshold acted on": cost_curve_png(curve),
    }
    return DrawnQuality(curve, pictures)
