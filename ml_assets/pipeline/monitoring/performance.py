"""Quality of what matured in each drop, and the verdict on the champion of the drop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ml_assets.monitoring.loss_rise import FAILED, NO_RISES, Rises
from ml_assets.monitoring.performance import (
    first_prediction_date,
    measure_performance,
    read_scored,
)
from ml_assets.monitoring.performance_verdict import judge_performance
from ml_assets.pipeline.features.closed_drops import require_features
from ml_assets.pipeline.labeling.reviewed_labels import show_labels_that_judge
from ml_assets.pipeline.monitoring.followed_losses import UsualLosses, learn_usual
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.pipeline.scoring.shadows import SHADOWS, read_verdicts
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.serving.shadows import as_promotion
from ml_assets.spec.drop import DropKey, key_sql
from ml_assets.spec.tables import declared_lake_tables
from ml_assets.spec.tables.monitoring import PERFORMANCE_REPORT, PERFORMANCE_VERDICTS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.not_computed import NotComputed, measured
from ml_assets.stats.quality_words import labels_and_scores, shift_in_words
from ml_assets.stats.task import Task
from ml_assets.stats.tasks import task_of
from ml_assets.stores.failed_measures import noting_failures
from ml_assets.stores.lake import Lake
from ml_assets.stores.rows import read_rows
from ml_assets.stores.sandbox import show_tables
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb

REPORT, VERDICTS = PERFORMANCE_REPORT.name, PERFORMANCE_VERDICTS.name
_READ = ["batch_date", "prediction_batch_date", "role", "n", "mean_score"]
_FOLLOWED = ("champion", "baseline", FAILED)


@dataclass(frozen=True)
class PerformanceResult:
    """What was measured of drops, and the verdict on the champion of the newest one."""

    result: DropResult
    newest_verdict: Mapping[str, Any]


def report_performance(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> PerformanceResult:
    """Measure each model on what matured in each of `drops`, judge the champion of each, and store both.

    Grain of the report: drop x drop of prediction x role x slice. Only labels known by a drop are used.
    """
    require_features(state, drops)
    task, declared = task_of(spec.task), declared_lake_tables(spec)
    lake, bounds = state.lake, (first_prediction_date(spec, drops[0]), drops[-1])
    with state.connect() as connection:
        promotions = [as_promotion(each) for each in read_verdicts(connection, lake) if each.verdict == "promoted"]
        gains = _gains_at_gate(connection, lake, task.loss_metric.name)
        read = ("features", "predictions", SHADOWS)
        show_tables(connection, {name: lake.files(name, drops=bounds) for name in read})
        show_labels_that_judge(connection, lake.files("labels", drops=bounds))
        scored = read_scored(connection, spec, drops, _fallback_drops(spec, bounds, promotions))
    with noting_failures(state.paths.alerts, spec.name, REPORT, drops[-1]) as failed:
        rows = measure_performance(task, scored, drops, spec.monitoring, spec.worklist.capacity)
        verdicts: dict[DropKey, dict[str, Any]] = {}
        followed = _FollowedLosses(spec, state, rows, drops[0], promotions)
        for drop in drops:
            champion = champion_of(drop, promotions)
            version, gain = _serving(champion, gains)
            rises = measured("the rise of losses", partial(followed.rises, champion, drop), NO_RISES)
            serves = "model" if champion is None else champion.serves
            judge = partial(judge_performance, scored, spec, drop, version, gain, rises, serves)
            unjudged = {"batch_date": drop, "model_version": version, "state": "not enough data", "n": 0, "n_days": 0}
            verdicts[drop] = measured("the verdict on the champion", judge, unjudged)
    lake.replace_drops(REPORT, arrow_rows(declared[REPORT], rows, task.name), drops)
    lake.replace_drops(VERDICTS, arrow_rows(declared[VERDICTS], verdicts.values(), task.name), drops)
    newest = verdicts[drops[-1]]
    counts = Counter(row["batch_date"] for row in rows)
    result = DropResult(
        counts, _notes(task, drops, rows, verdicts), checks=(performance_outcome(task, newest, failed),)
    )
    return PerformanceResult(result, newest)


class _FollowedLosses:
    """The losses of champions and baselines by drop: as reported before a range, and as measured in it."""

    def __init__(
        self,
        spec: UseCaseSpec,
        state: UseCaseState,
        rows: Sequence[Mapping[str, Any]],
        first: DropKey,
        promotions: Sequence[Promotion],
    ) -> None:
        self._spec, self._state, self._first, self._promotions = spec, state, first, promotions
        self._measured = [row for row in rows if row["role"] in _FOLLOWED and row.get("slice_column") is None]
        self._followed: dict[str, tuple[UsualLosses, Sequence[Mapping[str, Any]]] | None] = {}

    def rises(self, champion: Promotion | None, drop: DropKey) -> Rises:
        """Say by what matured up to `drop` whether the loss of its champion has risen.

        While its baseline serves, that of the champion which failed is followed.
        """
        if champion is None:
            return NO_RISES
        version = champion.model_version
        if version not in self._followed:
            self._followed[version] = self._follow(version)
        followed = self._followed[version]
        if followed is None:
            return NO_RISES
        usual, rows = followed
        return usual.rises(rows, self._begun(champion), drop)

    def _begun(self, champion: Promotion) -> DropKey:
        """Give the drop after which the model began to serve this time; while its baseline serves, before that."""
        if champion.serves == "model":
            return champion.serves_after
        own = [each for each in self._promotions if each.model_version == champion.model_version]
        earlier = [each for each in own if each.serves == "model" and each.sequence < champion.sequence]
        return max(earlier, key=lambda each: each.sequence).serves_after if earlier else champion.serves_after

    def _follow(self, version: str) -> tuple[UsualLosses, Sequence[Mapping[str, Any]]] | None:
        """Give what is usual for a model and its rows by drop; None where it recorded nothing before it served."""
        usual = learn_usual(self._spec, self._state.models.unseen_days(version))
        if usual is None:
            return None
        task = task_of(self._spec.task)
        past = read_rows(
            self._state.lake, REPORT, [*_READ, task.loss_metric.name, task.mean_label],
            where=f"role IN {_FOLLOWED} AND slice_column IS NULL AND model_version = '{version}' "
            f"AND batch_date < {key_sql(self._first)}",
        )  # fmt: skip
        return usual, [*past, *(row for row in self._measured if row["model_version"] == version)]


def _fallback_drops(
    spec: UseCaseSpec, bounds: tuple[DropKey, DropKey], promotions: Sequence[Promotion]
) -> list[DropKey]:
    """List the drops that the baseline of a failed champion served."""
    champions = {drop: champion_of(drop, promotions) for drop in spec.calendar.drops_between(*bounds)}
    return [drop for drop, champion in champions.items() if champion is not None and champion.serves == "baseline"]


def _gains_at_gate(connection: duckdb.DuckDBPyConnection, lake: Lake, loss: str) -> dict[int, float]:
    """Give the relative gain over the baseline that each verdict measured, by its sequence; 0 where unknown."""
    if not lake.has("champion"):
        return {}
    gain = f"coalesce((baseline_{loss} - candidate_{loss}) / nullif(baseline_{loss}, 0), 0)"
    return dict(lake.relation(connection, "champion").project(f"sequence, {gain}").fetchall())


def _serving(champion: Promotion | None, gains: Mapping[int, float]) -> tuple[str | None, float]:
    return (None, 0.0) if champion is None else (champion.model_version, gains[champion.sequence])


def _notes(
    task: Task,
    drops: Sequence[DropKey],
    rows: Sequence[Mapping[str, Any]],
    verdicts: Mapping[DropKey, Mapping[str, Any]],
) -> dict[DropKey, dict[str, object]]:
    """Say of each drop what matured; of several prediction dates in one drop, the measures are the newest's."""
    notes: dict[DropKey, dict[str, object]] = {
        drop: {"matured with a label": 0, "matured without": 0, "performance": verdicts[drop]["state"]}
        for drop in drops
    }
    for row in rows:
        if row.get("slice_column") is not None or row["role"] not in {"champion", "baseline"}:
            continue
        noted = notes[row["batch_date"]]
        measured = {f"{each} {row['role']}": row[each.name] for each in (task.loss_metric, task.headline)}
        noted |= {name: value for name, value in measured.items() if value is not None}
        if row["role"] == "champion":
            noted["matured with a label"] += row["n"]
            noted["matured without"] += row["n_unresolved"]
    return notes


def performance_outcome(task: Task, verdict: Mapping[str, Any], failed: Sequence[NotComputed] = ()) -> CheckOutcome:
    """Fail on a failed verdict, and where a measure failed; too little to judge by passes, and says so first."""
    state, gate = verdict["state"], verdict.get("threshold")
    counted = (
        f"{verdict['n']} examples of {verdict['n_days']} days, {verdict.get('window_from')} to "
        f"{verdict.get('window_until')}"
    )
    if state == "no champion":
        said = "not enough data: no model serves yet"
    elif state == "not enough data":
        said = f"not enough data: {verdict['model_version']} scored {counted}"
    elif verdict["gain"] is None:
        said = f"no example of the last window has matured; before it: {counted}"
    else:
        said = (
            f"gain over the baseline {verdict['gain']:.1%} (80 % interval {_share(verdict['gain_lower'])} to "
            f"{_share(verdict['gain_upper'])}); wanted at least {_share(gate)}, of {_share(verdict['gain_at_gate'])} "
            f"at the gate; {counted}; {labels_and_scores(task, verdict[task.mean_label], verdict['mean_score'])}: "
            + (shift_in_words(task) if verdict["prior_state"] == "shifted" else "no more apart than such days are")
        )
    if verdict.get("loss_since") is not None:
        now = "" if verdict["loss_now"] is None else f" {verdict['loss_now']:.4f} in the last window where"
        said = (
            f"the {task.loss_metric} has risen since "
            f"{verdict['loss_since']}:{now} it was {verdict['loss_at_gate']:.4f} "
            f"before the model served; {said}"
        )
    if verdict.get("behind_since") is not None:
        said = f"the champion has done worse than the baseline since {verdict['behind_since']}; {said}"
    return CheckOutcome(
        "performance",
        passed=state != "failed" and not failed,
        description="; ".join([said, *(f"{each.measure} was not computed" for each in failed)]),
    )


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"
