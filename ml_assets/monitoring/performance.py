"""How good the scores of each model turned out to be, told in the drop in which their outcomes were due.

An example matures in drop D when `prediction_at + matures_after` lies in (batch D-1, batch D]. It is judged there and
then, by the label known by D: one that comes later changes no report, and the example counts as unresolved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.monitoring.loss_rise import FAILED
from ml_assets.spec.calendar import MICROSECOND
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_array, key_arrow_type, key_at
from ml_assets.spec.monitoring import Costs, MonitoringSpec
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.classification import mean_label_at
from ml_assets.stats.decision_costs import costs_of_acting
from ml_assets.stats.not_computed import measured
from ml_assets.stats.task import Task

if TYPE_CHECKING:
    import duckdb

FloatArray = NDArray[np.float64]
Days = NDArray[np.datetime64]
Row = dict[str, Any]

ROLES = ("champion", "baseline", "first_champion", "last_refused", FAILED)
LEVEL = 0.8  # coverage of the interval around the gain
_NORMAL_90 = 1.645  # half of a two-sided 90 % interval, in standard errors
_OF_CHAMPION = (  # what the champion's model would have served, where something else did
    "CASE WHEN p.abstained IS NOT NULL THEN p.baseline_score WHEN p.prior_shift = 0 THEN p.model_score "
    "ELSE 1 / (1 + exp(-p.prior_shift) * (1 / greatest(p.model_score, 1e-15) - 1)) END"
)


@dataclass(frozen=True)
class ScoredExamples:
    """Scored examples, one a place in each array, in order of prediction date and example_id.

    Attributes
    ----------
    prediction_dates
        The drop it was predicted in.
    matured_in
        The drop in which its outcome was due; NaT when that is none of those read.
    labels
        As known in the drop it matured in; NaN when none was, or when it has not matured.
    scores
        By role; NaN where the role has none.
    slices
        By feature: its value as text, None where unknown.
    model_versions
        By prediction date and role.
    bounds
        Lower and upper bound of the champion's score; NaN where it has none. Empty where none are declared.
    """

    prediction_dates: Days
    matured_in: Days
    labels: FloatArray
    scores: Mapping[str, FloatArray]
    slices: Mapping[str, NDArray[np.object_]]
    model_versions: Mapping[tuple[DropKey, str], str]
    bounds: tuple[FloatArray, FloatArray] | None = None


def judged_window(spec: UseCaseSpec, drop: DropKey) -> tuple[DropKey, DropKey]:
    """Give the first and the last prediction date of the window that performance is judged on in `drop`.

    It ends with the newest prediction date of which every example has matured by the batch of `drop`.
    """
    newest, matured_by = drop, spec.matured_by(drop)
    while spec.calendar.batch_at(newest) > matured_by:
        newest = spec.calendar.previous_drop(newest)
    return spec.calendar.window_start(newest, spec.monitoring.performance_window), newest


def first_prediction_date(spec: UseCaseSpec, drop: DropKey) -> DropKey:
    """Give the oldest prediction date that the report and the verdict of `drop` read."""
    opens = spec.calendar.drop(drop).start
    oldest_due = spec.calendar.drop_receiving(opens - spec.labels.matures_after + MICROSECOND)
    return min(oldest_due, judged_window(spec, drop)[0])


def read_scored(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    drops: Sequence[DropKey],
    fallback: Collection[DropKey] = (),
) -> ScoredExamples:
    """Read what the reports of `drops` are made of; in those of `fallback` the champion's baseline served.

    `connection` has views `features`, `predictions`, `shadow_predictions` and `labels`, whose rows
    begin with the first prediction date of `drops[0]`. Of several labels of an example the one with
    the newest `known_at` counts, among those that came by the drop in which it matured.
    """
    import pyarrow as pa

    due = spec.calendar.drops_between(first_prediction_date(spec, drops[0]), drops[-1])
    due_at = [spec.matured_by(drop) for drop in due]
    kind = key_arrow_type(spec.calendar.first_drop)
    schema = pa.schema({"matured_in": kind, "predicted_until": pa.timestamp("us", tz="UTC")})
    connection.register("_due", pa.table({"matured_in": due, "predicted_until": due_at}, schema=schema))
    connection.register("_fallback", pa.table({"batch_date": pa.array(sorted(fallback), kind)}))
    names = spec.monitoring.slices
    slices = "".join(f', CAST(f."{name}" AS VARCHAR) AS slice_{place}' for place, name in enumerate(names))
    held = connection.view("predictions").columns
    bounds = ", p.lower, p.upper" if spec.model.intervals is not None and "lower" in held else ""
    table = connection.sql(
        f"""
        WITH example AS (
            SELECT f.batch_date, f.example_id, m.matured_in {slices}
            FROM features AS f ASOF LEFT JOIN _due AS m ON f.prediction_at <= m.predicted_until
        ), known AS (
            SELECT e.batch_date, e.example_id, arg_max(l.label, (l.known_at, l.batch_date))::DOUBLE AS label
            FROM example AS e JOIN labels AS l ON l.example_id = e.example_id AND l.batch_date <= e.matured_in
            GROUP BY e.batch_date, e.example_id
        ), shadow AS (
            SELECT batch_date, example_id, max(score) FILTER (WHERE role = 'first_champion') AS first_champion,
                max(score) FILTER (WHERE role = 'last_refused') AS last_refused
            FROM shadow_predictions GROUP BY batch_date, example_id
        )
        SELECT e.*, k.label, CASE WHEN p.served_by = 'challenger' THEN {_OF_CHAMPION} ELSE p.score END AS champion,
            p.baseline_score AS baseline{bounds}, s.first_champion, s.last_refused,
            CASE WHEN e.batch_date IN (SELECT batch_date FROM _fallback) THEN {_OF_CHAMPION} END AS {FAILED}
        FROM example AS e LEFT JOIN predictions AS p USING (batch_date, example_id)
        LEFT JOIN shadow AS s USING (batch_date, example_id) LEFT JOIN known AS k USING (batch_date, example_id)
        WHERE coalesce(p.score, s.first_champion, s.last_refused) IS NOT NULL
        ORDER BY e.batch_date, e.example_id
        """
    ).to_arrow_table()
    connection.unregister("_due")
    connection.unregister("_fallback")
    versions = connection.sql(
        f"SELECT batch_date, unnest(['champion', 'baseline', '{FAILED}']) AS role, max(model_version) FROM predictions "
        "GROUP BY batch_date UNION ALL "
        "SELECT batch_date, role, max(model_version) FROM shadow_predictions GROUP BY batch_date, role"
    ).fetchall()
    return ScoredExamples(
        prediction_dates=key_array(table["batch_date"].to_numpy()),
        matured_in=key_array(table["matured_in"].to_numpy()),
        labels=table["label"].to_numpy(),
        scores={role: table[role].to_numpy() for role in ROLES},
        slices={name: table[f"slice_{place}"].to_numpy() for place, name in enumerate(names)},
        model_versions={(day, role): version for day, role, version in versions},
        bounds=(table["lower"].to_numpy(), table["upper"].to_numpy()) if bounds else None,
    )


def measure_performance(
    task: Task, scored: ScoredExamples, drops: Sequence[DropKey], monitoring: MonitoringSpec, capacity: int
) -> list[Row]:
    """Measure each role on what matured in each of `drops`.

    Parameters
    ----------
    capacity
        How many examples of a prediction date people can act on.

    Returns
    -------
    rows
        Grain: drop x prediction date x role x slice, in this order. Null is undefined or not judged.

        - `batch_date`: the drop in which the examples matured; `prediction_batch_date`: the one they were
          predicted in; `role`: one of `ROLES`; `model_version`: of the baseline, the champion it was
          fitted beside.
        - `slice_column`, `slice_value`: both null for all examples; the value alone is null where
          the feature is unknown.
        - `n`: matured with a label; `n_unresolved`: matured without; their mean label, of classes `label_share`.
        - `mean_score`, the loss and the metrics of the task, over the labelled examples.
        - the loss over that of always saying the mean label of these same examples
          (`log_loss_over_entropy`); null where the labels do not vary.
        - `precision_at_capacity`: the mean label of those of the `capacity` highest scores
          of the prediction date that have one; null in a slice.
        - `cost`, of classes: mean cost an example in the unit of `costs`, acting where acting costs no more
          than not acting is expected to.
        - `log_loss_lower`, `log_loss_upper`: normal-theory 90 % interval of a slice's loss;
          null for all examples, whose days are the better measure of noise.

        In a slice with fewer than `min_slice` labels only the counts and the mean label are given:
        not enough data.
    """
    rows: list[Row] = []
    wanted = key_array(drops)
    days, starts = np.unique(scored.prediction_dates, return_index=True)
    for day, start, stop in zip(days, starts, np.append(starts[1:], scored.labels.size)[: days.size], strict=True):
        matured_in = scored.matured_in[start:stop]
        for drop in np.intersect1d(matured_in, wanted):  # NaT is in no intersection
            part = _MaturedPart(task, scored, slice(start, stop), matured_in == drop)
            shared = {"batch_date": key_at(drop, drops[0]), "prediction_batch_date": key_at(day, drops[0])}
            measured = part.measure(shared["prediction_batch_date"], monitoring, capacity)
            rows += [{**shared, **row} for row in measured]
    return sorted(rows, key=lambda row: (row["batch_date"], row["prediction_batch_date"]))


@dataclass(frozen=True)
class _MaturedPart:
    """The examples of one prediction date, and which of them matured in the drop."""

    task: Task
    scored: ScoredExamples
    rows: slice
    is_matured: NDArray[np.bool_]

    def measure(self, day: DropKey, monitoring: MonitoringSpec, capacity: int) -> Iterator[Row]:
        labels = np.where(self.is_matured, self.scored.labels[self.rows], np.nan)
        task, masks = self.task, list(self._slices())
        for role in ROLES:
            scores = self.scored.scores[role][self.rows]
            is_scored = ~np.isnan(scores)
            counted = is_scored & self.is_matured
            if not counted.any():
                continue
            shared = {"role": role, "model_version": self.scored.model_versions[day, role]}
            whole = _counts(task, labels[counted]) | _measures(task, labels[counted], scores[counted], monitoring.costs)
            listed = finite_or_none(mean_label_at(labels[is_scored], scores[is_scored], capacity))
            more = self._coverage(counted) if role == "champion" else {}
            yield {**shared, **whole, task.at_capacity: listed, **more}
            for column, value, mask in masks:
                inside = mask & counted
                if inside.any():
                    named = {"slice_column": column, "slice_value": value}
                    measured = _measure_slice(task, labels[inside], scores[inside], monitoring)
                    is_judged = role == "champion" and measured["n"] >= monitoring.min_slice
                    yield {**shared, **named, **measured, **(self._coverage(inside) if is_judged else {})}

    def _coverage(self, rows: NDArray[np.bool_]) -> Row:
        """Say how often outcomes lay within their bounds, and how wide these were; nothing where none are declared."""
        if self.scored.bounds is None:
            return {}
        lower, upper = (each[self.rows][rows] for each in self.scored.bounds)
        inside = within(self.scored.labels[self.rows][rows], lower, upper)
        known = ~np.isnan(inside)
        return {
            "coverage": float(inside[known].mean()) if known.any() else None,
            "interval_width": float((upper - lower)[known].mean()) if known.any() else None,
        }

    def _slices(self) -> Iterator[tuple[str, str | None, NDArray[np.bool_]]]:
        for column, texts in self.scored.slices.items():
            values = texts[self.rows]
            for value in sorted(set(values), key=lambda value: (value is None, value)):
                yield column, value, np.equal(values, value)


def within(labels: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Say whether each label lies within its bounds: 1 or 0, NaN where either is not known.

    >>> within(np.array([1.0, 5.0, np.nan]), np.array([0.0, 0.0, 0.0]), np.array([2.0, 2.0, 2.0])).tolist()
    [1.0, 0.0, nan]
    """
    is_known = ~np.isnan(labels + lower + upper)
    return np.where(is_known, (labels >= lower) & (labels <= upper), np.nan)


def _counts(task: Task, labels: FloatArray) -> Row:
    known = labels[~np.isnan(labels)]
    mean = float(known.mean()) if known.size else None
    return {"n": int(known.size), "n_unresolved": int(labels.size - known.size), task.mean_label: mean}


def _measures(task: Task, labels: FloatArray, scores: FloatArray, costs: Costs) -> Row:
    is_known = ~np.isnan(labels)
    y, p = labels[is_known], scores[is_known]
    work: dict[str, Callable[[], float]] = {
        "mean_score": lambda: float(p.mean()) if y.size else math.nan,
        **{each.name: partial(each.of, y, p) for each in (task.loss_metric, *task.metrics)},
        task.over_constant: lambda: _over_constant(task, y, p),
    }
    if task.has_classes:
        work["cost"] = lambda: _mean_cost(y, p, costs)
    return {name: finite_or_none(measured(name, each, math.nan)) for name, each in work.items()}


def _measure_slice(task: Task, labels: FloatArray, scores: FloatArray, monitoring: MonitoringSpec) -> Row:
    counts = _counts(task, labels)
    if counts["n"] < monitoring.min_slice:
        return counts
    is_known = ~np.isnan(labels)
    losses = task.losses(labels[is_known], scores[is_known])
    half = _NORMAL_90 * float(losses.std(ddof=1)) / math.sqrt(losses.size) if losses.size > 1 else math.nan
    mean = float(losses.mean())
    loss = task.loss_metric.name
    bounds = {f"{loss}_lower": finite_or_none(mean - half), f"{loss}_upper": finite_or_none(mean + half)}
    return counts | _measures(task, labels, scores, monitoring.costs) | bounds


def _over_constant(task: Task, labels: FloatArray, scores: FloatArray) -> float:
    """Give the loss over that of the constant which fits these same labels; NaN where that has none."""
    simple = task.loss(labels, np.full(labels.size, task.constant(labels)))
    return task.loss(labels, scores) / simple if simple > 0 and len(set(labels)) > 1 else math.nan


def _mean_cost(labels: FloatArray, scores: FloatArray, costs: Costs) -> float:
    """Mean cost of acting where that costs no more than waiting is expected to."""
    if labels.size == 0:
        return math.nan
    return float(costs_of_acting(labels, scores, false_alarm=costs.false_alarm, missed=costs.missed).mean())


def finite_or_none(value: float) -> float | None:
    """Give a measure, or None where it is undefined."""
    return value if math.isfinite(value) else None
