"""What another threshold, capacity or model would have done on what was predicted and has matured.

Two questions, and what was logged answers them differently. Where outcomes do not depend on what was done, every
labelled example shows what any policy would have met: both are replayed on the same examples. Where outcomes react,
only what was drawn at random can answer: the arms of an experiment, by their propensities. A list or a threshold that
nothing was drawn for is not identified, and the answer says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.experiments.off_policy import LoggedDecisions, OffPolicyEstimate, estimate_policy
from ml_assets.pipeline.experiments.evidence import maturing_drops
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.objectives import SCORE
from ml_assets.spec.tables.experiments import ASSIGNMENTS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.anytime import SequenceInterval, anytime_interval, tuned_prior
from ml_assets.stats.clustered import paired_difference
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

FloatArray = NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True)
class PolicyChange:
    """What would have been otherwise; None and empty leave it as it was.

    Attributes
    ----------
    threshold
        Score from which on an example is acted on; by default what `monitoring.costs` imply.
    capacity
        Places of the list.
    model
        Version of the model that scores.
    reacts
        Whether outcomes depend on what was done.
    """

    threshold: float | None = None
    capacity: int | None = None
    model: str = ""
    reacts: bool = False


@dataclass(frozen=True)
class ReplayedMeasure:
    """A measure of both policies on the same drops; `difference` is other less actual, by drop, safe at any look."""

    measure: str
    actual: float
    other: float
    difference: SequenceInterval


@dataclass(frozen=True)
class WhatIf:
    """The answer.

    Attributes
    ----------
    measures
        Where outcomes do not react.
    value
        Where they react and arms were drawn: the mean outcome had the model served every unit; or why not.
    not_identified
        What the log does not tell, in sentences.
    """

    n: int
    n_drops: int
    measures: tuple[ReplayedMeasure, ...] = ()
    value: OffPolicyEstimate | None = None
    not_identified: tuple[str, ...] = ()


def what_if(spec: UseCaseSpec, state: UseCaseState, change: PolicyChange, drops: tuple[DropKey, DropKey]) -> WhatIf:
    """Replay a change over the matured drops of a range, by the labels known by its last drop.

    Raises
    ------
    LookupError
        Where there is no such model, or it was fitted on examples of these drops.
    """
    with state.connect() as connection:
        rows = _matured(connection, spec, state, drops)
        if change.reacts:
            return _reacting(spec, rows, change)
        if change.model:
            rows = _scored_by(connection, state, rows, change.model, drops)
    n_drops = int(rows["batch_date"].nunique()) if len(rows) else 0
    if n_drops < 2:
        return WhatIf(len(rows), n_drops, not_identified=("too few matured drops: at least two are needed",))
    return WhatIf(
        len(rows), n_drops, tuple(_measures(spec, rows, change)), not_identified=tuple(_unknown(spec, change))
    )


def _matured(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState, drops: tuple[DropKey, DropKey]
) -> pd.DataFrame:
    """Read matured predictions with a label. Grain: an example, with the `unit` that an experiment assigned it by."""
    due = maturing_drops(spec, *drops)
    unit = "p.example_id"
    joined = ""
    if state.lake.has(ASSIGNMENTS.name):
        state.lake.relation(connection, ASSIGNMENTS.name, drops).filter("arm <> ''").create_view("_assigned")
        unit, joined = "coalesce(a.unit, p.example_id)", "LEFT JOIN _assigned AS a USING (batch_date, example_id) "
    state.lake.relation(connection, "predictions", drops).create_view("_logged")
    state.lake.relation(connection, "labels", drops).create_view("_outcomes")
    return connection.execute(
        f"SELECT p.*, l.label, p.score AS other, {unit} AS unit FROM _logged AS p {joined}JOIN (SELECT example_id, "
        "arg_max(label, (known_at, batch_date))::DOUBLE AS label FROM _outcomes GROUP BY example_id) AS l "
        "USING (example_id) WHERE p.batch_date IN ? AND l.label IS NOT NULL ORDER BY p.batch_date, p.example_id",
        [list(due)],
    ).df()


def _scored_by(
    connection: duckdb.DuckDBPyConnection,
    state: UseCaseState,
    rows: pd.DataFrame,
    model: str,
    drops: tuple[DropKey, DropKey],
) -> pd.DataFrame:
    """Score the examples by another model, without its prior shift; where it gives no score, by its baseline."""
    from ml_assets.pipeline.champion.record import read_record

    artifacts = {row["model_version"]: row["artifact_sha256"] for row in read_record(connection, state.lake)}
    if model not in artifacts:
        raise LookupError(f"found {model!r}; allowed: a model of the record: {', '.join(artifacts) or 'none'}"
                          f"{did_you_mean(model, list(artifacts))}")  # fmt: skip
    bundle = state.models.load(model, artifacts[model])
    if read_key(bundle.as_of) >= drops[0]:
        raise LookupError(
            f"{model} was trained as of {bundle.as_of}; allowed: --from a later drop, which it has not seen"
        )
    connection.register("_rows", rows[["batch_date", "example_id"]])
    state.lake.relation(connection, "features", drops).create_view("_features")
    features = connection.sql(
        "SELECT f.* FROM _rows JOIN _features AS f USING (batch_date, example_id) ORDER BY f.batch_date, f.example_id"
    ).df()
    scores, simple = bundle.model.predict(features), bundle.baseline.predict(features)
    return rows.assign(other=np.where((scores >= 0) & (scores <= 1), scores, simple))


def _measures(spec: UseCaseSpec, rows: pd.DataFrame, change: PolicyChange) -> list[ReplayedMeasure]:
    labels = rows["label"].to_numpy(dtype=np.float64)
    _, drop = np.unique(rows["batch_date"].to_numpy(), return_inverse=True)
    scores = [rows[name].to_numpy(dtype=np.float64) for name in ("score", "other")]
    costs = spec.monitoring.costs
    implied = costs.false_alarm / (costs.false_alarm + costs.missed) if costs.false_alarm + costs.missed > 0 else 0.5
    thresholds = [implied, implied if change.threshold is None else change.threshold]
    acts = [score >= threshold for score, threshold in zip(scores, thresholds, strict=True)]
    spent = [np.where(act, (labels == 0) * costs.false_alarm, (labels == 1) * costs.missed) for act in acts]
    found = [
        _compared("cost an example", spent, drop, per_drop=False),
        _compared("acted on, share", [act.astype(np.float64) for act in acts], drop, per_drop=False),
    ]
    if set(spec.worklist.rank_by) == {SCORE}:
        places = [spec.worklist.capacity, change.capacity or spec.worklist.capacity]
        listed = [_first(score, drop, n) for score, n in zip(scores, places, strict=True)]
        found.append(
            _compared("positives on the list of a drop", [each * labels for each in listed], drop, per_drop=True)
        )
    return found


def _compared(name: str, values: list[FloatArray], drop: NDArray[np.int64], *, per_drop: bool) -> ReplayedMeasure:
    sums = [np.bincount(drop, each) for each in values]
    counts = np.ones(sums[0].size) if per_drop else np.bincount(drop).astype(np.float64)
    estimate = paired_difference(sums[1] - sums[0], counts)
    interval = anytime_interval(estimate, LEVEL, tuned_prior(max(estimate.information, 1.0), LEVEL))
    actual, other = (float(each.sum() / counts.sum()) for each in sums)
    return ReplayedMeasure(name, actual, other, interval)


def _first(scores: FloatArray, drop: NDArray[np.int64], places: int) -> FloatArray:
    """Mark the examples of each drop with the highest scores, as many as the list has places."""
    order = np.lexsort((-scores, drop))
    starts = np.searchsorted(drop[order], np.arange(int(drop.max()) + 1))
    rank = np.empty(scores.size)
    rank[order] = np.arange(scores.size) - starts[drop[order]]
    return (rank < places).astype(np.float64)


def _unknown(spec: UseCaseSpec, change: PolicyChange) -> list[str]:
    said = ["what acting would have changed: these are the outcomes as they came, whatever was done"]
    if set(spec.worklist.rank_by) != {SCORE}:
        said.append("lists: they are ranked by amounts too, which this does not replay")
    if change.model:
        said.append(f"the prior shift that {change.model} would have served with: it is replayed without one")
    return said


def _reacting(spec: UseCaseSpec, rows: pd.DataFrame, change: PolicyChange) -> WhatIf:
    """Estimate from propensities what was drawn at random, and say that the rest is not identified.

    One piece of evidence is a drop where any experiment declares so: what its examples share moves all of them.
    """
    n, n_drops = len(rows), int(rows["batch_date"].nunique()) if len(rows) else 0
    unknown: list[str] = []
    if change.threshold is not None or change.capacity is not None:
        unknown.append("another threshold or capacity: no decision about an example was drawn at random")
    drawn = rows.loc[rows["propensity"] < 1] if n else rows
    if not change.model:
        return WhatIf(n, n_drops, not_identified=tuple(unknown or ["nothing was asked: name a model"]))
    if drawn.empty:
        return WhatIf(n, n_drops, not_identified=(*unknown, "another model: no experiment ran in these drops"))
    taken: FloatArray = (drawn["scored_by"] == change.model).to_numpy().astype(np.float64)
    if not taken.any():
        return WhatIf(n, n_drops, not_identified=(*unknown, f"{change.model}: it served no unit of these drops"))
    by_drop = any(each.evidence == "drop" for each in spec.experiments)
    arms = drawn.drop_duplicates(["policy_version", "arm"]).groupby("policy_version")["propensity"].sum()
    among_taken = drawn["propensity"].to_numpy(dtype=np.float64) / drawn["policy_version"].map(arms).to_numpy()
    log = LoggedDecisions(
        drawn["label"].to_numpy(dtype=np.float64),
        np.minimum(among_taken, 1.0),
        taken,
        drawn["batch_date" if by_drop else "unit"].astype(str).to_numpy(dtype=np.str_),
    )
    return WhatIf(
        len(drawn), int(drawn["batch_date"].nunique()), value=estimate_policy(log), not_identified=tuple(unknown)
    )
