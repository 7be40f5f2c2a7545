"""Estimate the quality of predictions whose labels are not there yet, and say how earlier estimates turned out.

For each drop the estimate uses what was known at its batch alone: served scores of earlier drops that had matured with
a label, and the scores of the drop itself. So an estimate of the past is the one that would have been given then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.pipeline.champion.record import champion_in, read_record
from ml_assets.pipeline.diagnosis.telling_features import telling_features
from ml_assets.pipeline.labeling.reviewed_labels import show_labels_that_judge
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.decision_costs import costs_of_acting
from ml_assets.stats.expected_performance import (
    LEAST_DAYS,
    Band,
    ScoreCurve,
    band_of,
    expected_auc,
    expected_mean,
    fit_score_curve,
)
from ml_assets.stats.loss_change import LEAST_EFFECTIVE, domain_weights, effective_share
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.stores.sandbox import show_tables
from ml_assets.stores.table_files import PARTITION
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.domain_classifier import tell_apart

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

FloatArray = NDArray[np.float64]
REFERENCE_DROPS = 60  # newest matured drops that the curve and the errors are learned from
LEAST_ROWS = 200
_REALISED = ("realised_loss", "realised_ranking", "realised_cost")
BLIND = (
    "blind to a change of what examples mean (concept) and of the base rate (label): how often a score comes true is "
    "taken from before"
)


@dataclass(frozen=True)
class ExpectedQuality:
    """The estimate of one drop.

    Attributes
    ----------
    why_not
        Why nothing can be told; empty where it can.
    loss, ranking, cost
        With their bands; the cost is the mean of an example.
    realised_loss, realised_ranking, realised_cost
        What came true, where the drop has matured by now; None where it has not.
    """

    drop: DropKey
    n: int
    n_reference: int
    why_not: str
    loss: Band | None = None
    ranking: Band | None = None
    cost: Band | None = None
    realised_loss: float | None = None
    realised_ranking: float | None = None
    realised_cost: float | None = None


@dataclass(frozen=True, eq=False)
class _Scored:
    """Served scores of one drop; `labels` is NaN where none is known by now."""

    drop: DropKey
    scores: FloatArray
    labels: FloatArray

    @property
    def is_known(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.labels)


def expected_quality(spec: UseCaseSpec, state: UseCaseState, first: DropKey, last: DropKey) -> list[ExpectedQuality]:
    """Estimate the quality of each drop from first to last, at its own batch; drops without predictions are left out.

    Raises
    ------
    ValueError
        Where the task gives no scores that come true or not.
    """
    if spec.task != "binary":
        raise ValueError(f"{spec.name}: quality before labels is estimated for the task binary; found {spec.task}")
    if not spec.calendar.has_dates:
        raise ValueError(f"{spec.name}: quality before labels is estimated where a drop is a day or longer")
    begin = max(spec.calendar.first_drop, spec.calendar.shift(first, -2 * REFERENCE_DROPS))
    with state.connect() as connection:
        drops = list(_read(connection, spec, state, (begin, last)))
    return [_estimate(spec, each, drops, last) for each in drops if first <= each.drop <= last]


def _read(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState, bounds: tuple[DropKey, DropKey]
) -> Iterator[_Scored]:
    lake = state.lake
    if not lake.has("predictions"):
        return
    show_tables(connection, {"predictions": lake.files("predictions", drops=bounds)})
    show_labels_that_judge(connection, lake.files("labels", drops=(bounds[0], bounds[1])))
    matured_by = spec.matured_by(bounds[1]).isoformat()
    table = connection.sql(
        f"SELECT p.batch_date, p.score, CASE WHEN p.prediction_at <= TIMESTAMPTZ '{matured_by}' THEN l.label END "
        "AS label FROM predictions AS p "
        "LEFT JOIN (SELECT example_id, arg_max(label, (known_at, batch_date))::DOUBLE AS label FROM labels "
        "GROUP BY example_id) AS l USING (example_id) ORDER BY p.batch_date, p.example_id"
    ).to_arrow_table()
    days = table["batch_date"].to_numpy()
    names, starts = np.unique(days, return_index=True)
    scores, labels = table["score"].to_numpy(), table["label"].to_numpy()
    for name, part in zip(names, np.split(np.arange(days.size), starts[1:]), strict=True):
        yield _Scored(name.astype("datetime64[D]").item(), scores[part], labels[part])


def _reference(spec: UseCaseSpec, own: _Scored, drops: list[_Scored]) -> list[_Scored]:
    """Give the newest drops that had matured whole, with a label, at the batch of a drop."""
    matured = [each for each in drops if spec.calendar.batch_at(each.drop) <= spec.matured_by(own.drop)]
    return [each for each in matured if each.is_known.any()][-REFERENCE_DROPS:]


def _estimate(
    spec: UseCaseSpec, own: _Scored, drops: list[_Scored], newest: DropKey, weights: FloatArray | None = None
) -> ExpectedQuality:
    """Estimate one drop by the drops that had matured at its batch; `weights` are those of their labelled rows."""
    reference = _reference(spec, own, drops)
    n_reference = sum(int(each.is_known.sum()) for each in reference)
    realised = _realised(spec, own) if spec.calendar.batch_at(own.drop) <= spec.matured_by(newest) else None
    came = dict(zip(_REALISED, [None] * 3 if realised is None else map(_finite, realised), strict=True))
    why_not = _why_not(reference, n_reference, own)
    if why_not:
        return ExpectedQuality(own.drop, own.scores.size, n_reference, why_not, **came)
    scores = np.concatenate([each.scores[each.is_known] for each in reference])
    labels = np.concatenate([each.labels[each.is_known] for each in reference])
    curve = fit_score_curve(scores, labels, weights)
    errors = np.array([np.subtract(_realised(spec, each), _expected(spec, curve, each.scores)) for each in reference])
    found = [band_of(value, errors[:, place]) for place, value in enumerate(_expected(spec, curve, own.scores))]
    return ExpectedQuality(own.drop, own.scores.size, n_reference, "", found[0], found[1], found[2], **came)


def expected_under_shift(spec: UseCaseSpec, state: UseCaseState, drop: DropKey) -> tuple[ExpectedQuality, float]:
    """Estimate a drop by matured rows that are weighted to look like its newest window; gives their effective share.

    The classifier that weighs them sees what the champion leans on, but for features that act as a date and those made
    of earlier outcomes. The share is 0 where it could not be fitted.

    Raises
    ------
    LookupError
        Where no champion serves the drop, or it has no predictions.
    """
    begin = max(spec.calendar.first_drop, spec.calendar.shift(drop, -2 * REFERENCE_DROPS))
    with state.connect() as connection:
        drops = list(_read(connection, spec, state, (begin, drop)))
        entry = champion_in(read_record(connection, state.lake), drop)
        own = next((each for each in drops if each.drop == drop), None)
        if own is None or entry is None:
            raise LookupError(f"drop {drop} has no predictions: no champion served it")
        bundle = state.models.load(entry["model_version"], entry["artifact_sha256"])
        plain = _estimate(spec, own, drops, drop)
        if plain.why_not:
            return plain, 0.0
        reference = _reference(spec, own, drops)
        window = (spec.calendar.window_start(drop, spec.monitoring.window), drop)
        before = _features(connection, state, [each.drop for each in reference])
        now = _features(connection, state, spec.calendar.drops_between(*window))
    # a window that has matured in part is among the rows of before as well; a classifier must not see it twice
    names = telling_features(spec, bundle, before, now)
    domain = tell_apart(before, now, names, PARTITION, spec.model.seed)
    said = "cannot tell: too few days, or no feature but those that act as a date or are made of outcomes"
    if domain is None or len(before) != sum(each.scores.size for each in reference):
        return replace(plain, why_not=said, loss=None, ranking=None, cost=None), 0.0
    weights = domain_weights(domain.before, len(before), len(now))
    share = effective_share(weights)
    if share < LEAST_EFFECTIVE:
        said = f"cannot tell: matured rows that look like these are worth {share:.1%} of all; 5% are needed"
        return replace(plain, why_not=said, loss=None, ranking=None, cost=None), share
    is_known = np.concatenate([each.is_known for each in reference])
    return _estimate(spec, own, drops, drop, weights[is_known]), share


def _features(connection: duckdb.DuckDBPyConnection, state: UseCaseState, drops: list[DropKey]) -> pd.DataFrame:
    """Read the features of the scored examples of some drops, in order of drop and example."""
    bounds, lake = (min(drops), max(drops)), state.lake
    files = {"_shown": lake.files("features", drops=bounds), "_served": lake.files("predictions", drops=bounds)}
    show_tables(connection, files)
    rows = connection.execute(
        "SELECT f.* FROM _shown AS f JOIN (SELECT batch_date, example_id FROM _served) AS p "
        "USING (batch_date, example_id) WHERE list_contains(?, f.batch_date) ORDER BY f.batch_date, f.example_id",
        [drops],
    ).df()
    for view in files:
        connection.execute(f'DROP VIEW IF EXISTS "{view}"')
    return rows


def _why_not(reference: list[_Scored], n_reference: int, own: _Scored) -> str:
    if len(reference) < LEAST_DAYS or n_reference < LEAST_ROWS:
        return (
            f"cannot tell: {n_reference} matured rows of {len(reference)} drops were scored before; {LEAST_ROWS} of "
            f"{LEAST_DAYS} are needed"
        )
    low = min(float(each.scores.min()) for each in reference)
    high = max(float(each.scores.max()) for each in reference)
    outside = float(((own.scores < low) | (own.scores > high)).mean())
    if outside > 0.05:
        return f"cannot tell: {outside:.0%} of its scores lie outside of those that have matured"
    return ""


def _expected(spec: UseCaseSpec, curve: ScoreCurve, scores: FloatArray) -> tuple[float, float, float]:
    task, costs, ones = task_of(spec.task), spec.monitoring.costs, np.ones(scores.size)
    expected = curve(scores)
    priced = [costs_of_acting(side, scores, false_alarm=costs.false_alarm, missed=costs.missed)
              for side in (ones, ones - 1)]  # fmt: skip
    return (
        expected_mean(expected, task.losses(ones, scores), task.losses(ones - 1, scores)),
        expected_auc(scores, expected),
        expected_mean(expected, *priced),
    )


def _realised(spec: UseCaseSpec, own: _Scored) -> tuple[float, float, float]:
    task: Task = task_of(spec.task)
    y, p, costs = own.labels[own.is_known], own.scores[own.is_known], spec.monitoring.costs
    if not y.size:
        return math.nan, math.nan, math.nan
    cost = float(costs_of_acting(y, p, false_alarm=costs.false_alarm, missed=costs.missed).mean())
    return task.loss(y, p), task.headline.of(y, p), cost


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def coverage(found: list[ExpectedQuality]) -> dict[str, tuple[float, int]]:
    """Give, by measure, the share of matured drops whose band held what came true, and how many those are."""
    shares: dict[str, tuple[float, int]] = {}
    for name in ("loss", "ranking", "cost"):
        pairs = [(getattr(each, name), getattr(each, f"realised_{name}")) for each in found]
        known = [(band, value) for band, value in pairs
                 if band is not None and value is not None and math.isfinite(band.lower)]  # fmt: skip
        held = sum(band.covers(value) for band, value in known)
        shares[name] = (held / len(known) if known else math.nan, len(known))
    return shares
