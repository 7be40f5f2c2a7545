"""What each retraining policy would have been worth on the history of a use case, beside chance and hindsight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.decisions.policies import Policy
from ml_assets.pipeline.features.closed_drops import closed_drops, refuse_drop_not_run
from ml_assets.pipeline.monitoring.decisions import read_alarms, unfinished_sources
from ml_assets.pipeline.monitoring.feed_health import read_faults
from ml_assets.pipeline.policies.cells import PolicyTable, read_cells
from ml_assets.pipeline.policies.cutoff_scores import score_cutoffs
from ml_assets.pipeline.policies.fitted_cutoffs import FittedCutoff, fit_cutoffs
from ml_assets.pipeline.policies.outcomes import read_outcomes
from ml_assets.pipeline.policies.path import PolicyPath, Upstream, walk
from ml_assets.pipeline.policies.policy_state import PolicyState
from ml_assets.spec.drop import DropKey
from ml_assets.spec.key_arrays import key_moment
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.block_bootstrap import Interval, paired_day_block_bootstrap
from ml_assets.stats.decision_costs import costs_of_acting
from ml_assets.stats.schedules import best_schedules, excess_by_age, random_schedules
from ml_assets.stats.tasks import task_of

if TYPE_CHECKING:
    import duckdb

FloatArray = NDArray[np.float64]
Tell = Callable[[str], None]
LEVEL, RESAMPLES, DRAWS = 0.9, 1000, 200
AGES = (1, 2, 4, 8, 13, 26)  # in cutoffs
LEAST_CUTOFFS = 3


@dataclass(frozen=True)
class BacktestRequest:
    """What is backtested.

    Attributes
    ----------
    first, last
        The first cutoff, and the newest drop that models are scored on.
    every
        Drops from one cutoff to the next.
    candidate
        The model candidate that is fitted; empty fits all and takes the best, as a retraining does.
    """

    first: DropKey
    last: DropKey
    every: int
    candidate: str = ""


@dataclass(frozen=True)
class PolicyResult:
    """What a policy came to, on the same examples as the others.

    Attributes
    ----------
    loss, cost
        Mean loss an example in the unit of the task; total cost in the declared unit with the retrainings, None where
        the task has none.
    saved
        Share of the loss of `never` that it saves, with the interval from resampled periods between cutoffs.
    regret
        Its loss over that of the best schedule with as many models, found in hindsight, as a share of the latter.
    random_loss, beaten_by
        Mean loss of random schedules with as many models, and the share of them that did as well or better.
    """

    path: PolicyPath
    loss: float
    cost: float | None
    saved: Interval
    regret: float
    random_loss: float
    beaten_by: float


@dataclass(frozen=True)
class AgeCost:
    """What a model of an age costs beside the newest one: `excess` is a share of the older model's loss."""

    cutoffs: int
    days: float
    excess: Interval


@dataclass(frozen=True)
class Backtest:
    """What a policy backtest found.

    Attributes
    ----------
    frontier
        By number of models: the mean loss of the best schedule in hindsight.
    schedule, beside_best
        The schedule with the least loss, and by each other policy the share of its loss that this one saves.
    """

    request: BacktestRequest
    cutoffs: tuple[DropKey, ...]
    candidate: str
    counted_from: DropKey
    counted_until: DropKey
    n: int
    results: tuple[PolicyResult, ...]
    frontier: tuple[tuple[int, float], ...]
    ages: tuple[AgeCost, ...]
    schedule: str
    beside_best: Mapping[str, Interval]


def cutoff_drops(spec: UseCaseSpec, request: BacktestRequest) -> list[DropKey]:
    """List the cutoffs: those after which at least one drop of examples has matured."""
    drops = spec.calendar.drops_between(request.first, request.last)
    matured = spec.matured_by(request.last)
    return [
        drop for drop in drops[:: request.every] if spec.calendar.batch_at(spec.calendar.next_drop(drop)) <= matured
    ]


def build_table(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: PolicyState, request: BacktestRequest, tell: Tell
) -> PolicyTable:
    """Fit the models of all cutoffs and score every later drop with each; what was done before is read.

    Raises
    ------
    ValueError
        On labels that labeling functions make, a drop that was not run, or fewer than three cutoffs with rows enough.
    """
    if spec.trains_on_weak_labels:
        raise ValueError(
            f"{spec.name} trains on labels of labeling functions, which are made anew at each retraining; policies "
            "cannot be backtested there yet"
        )
    closed = closed_drops(state)
    for drop, named in ((request.first, "--from"), (request.last, "--to")):
        refuse_drop_not_run(spec, closed, drop, named)
    cutoffs = fit_cutoffs(spec, state, cutoff_drops(spec, request), request.candidate, tell)
    if len(cutoffs) < LEAST_CUTOFFS:
        raise ValueError(
            f"only {len(cutoffs)} cutoffs from {request.first} to {request.last} have matured rows to train, hold out "
            f"and score later; at least {LEAST_CUTOFFS} are needed: begin earlier (--from), end later (--to), or take "
            "them closer (--every)"
        )
    outcomes = read_outcomes(connection, spec, state, learned_until(spec, state, cutoffs), request.last)
    scores = score_cutoffs(connection, spec, state, cutoffs, outcomes, tell)
    faults = read_faults(connection, spec, state.lake, request.last)
    cells = read_cells(spec, state, outcomes)
    return PolicyTable(spec, state, connection, cutoffs, scores, outcomes, faults, cells)


def learned_until(spec: UseCaseSpec, state: PolicyState, cutoffs: Sequence[FittedCutoff]) -> DropKey:
    """Give the drop of the oldest of the models' newest training rows: what comes after it is scored."""
    return spec.calendar.drop_receiving(min(each.facts(state).trained_until for each in cutoffs))


def read_upstream(connection: duckdb.DuckDBPyConnection, state: PolicyState, table: PolicyTable) -> Upstream:
    """Read what the sensors know whatever model serves."""
    bounds = (table.cutoffs[0].as_of, table.cutoffs[-1].as_of)
    return Upstream(read_alarms(state.lake, bounds, "feed"), unfinished_sources(connection, state.lake, bounds))


def run_backtest(
    table: PolicyTable, upstream: Upstream, request: BacktestRequest, policies: Sequence[Policy], tell: Tell
) -> Backtest:
    """Walk each policy and compare what it would have served, from the first cutoff after which all had a model.

    Raises
    ------
    ValueError
        Where the gate would have promoted no model at all under some policy.
    """
    paths: list[PolicyPath] = []
    for policy in policies:
        paths.append(walk(table, policy, upstream))
        tell(f"{policy.name}: {paths[-1].n_retrained} retrainings, {paths[-1].n_promoted} promoted")
    table.save_cells()
    return _Comparison(table, request, paths).backtest()


class _Comparison:
    """The losses of all paths and all schedules on the same examples."""

    def __init__(self, table: PolicyTable, request: BacktestRequest, paths: Sequence[PolicyPath]) -> None:
        self._table, self._request, self._paths = table, request, paths
        self._task, spec = task_of(table.spec.task), table.spec
        self._begin = self._first_cutoff()
        outcomes, as_of = table.outcomes, table.cutoffs[self._begin].as_of
        self._counted = outcomes.is_known & (outcomes.dates > key_moment(as_of))
        self._y, self._dates = outcomes.labels[self._counted], outcomes.dates[self._counted]
        ends = np.array([each.as_of for each in table.cutoffs[self._begin :]], dtype="datetime64[D]")
        self._period = np.searchsorted(ends, self._dates, side="left") - 1
        self._n_periods = ends.size
        self._has_costs = spec.task == "binary"

    def _first_cutoff(self) -> int:
        """Give the cutoff from which on every policy has a model."""
        places = [0]
        for path in self._paths:
            promoted = [row["as_of"] for row in path.record if row["verdict"] == "promoted"]
            if not promoted:
                broken = {row["verdict"] for row in path.record} or {"nothing was trained"}
                raise ValueError(
                    f"policy {path.policy.name}: no model of {len(self._table.cutoffs)} cutoffs is promoted "
                    f"({', '.join(sorted(broken))}), so there is nothing to compare; `ml-assets explain "
                    f"{self._table.spec.name} retrain DROP` shows what the gate asks for"
                )
            places.append(self._table.places[min(promoted)])
        return max(places)

    def served(self, path: PolicyPath) -> FloatArray:
        """Give what a path would have served, an example a place."""
        outcomes = self._table.outcomes
        found = np.full(outcomes.dates.size, np.nan)
        for number, drop in enumerate(outcomes.drops):
            entry = path.serving(drop)
            if entry is not None:
                part = slice(int(outcomes.starts[number]), int(outcomes.starts[number + 1]))
                scores = self._table.scores[self._table.places[entry["as_of"]]]
                found[part] = (scores.score if entry["serves"] == "model" else scores.baseline)[part]
        return found[self._counted]

    def losses_by_period(self) -> tuple[FloatArray, FloatArray]:
        """Give the triangular table of sums of losses, and the examples of each period."""
        n = np.bincount(self._period, minlength=self._n_periods).astype(np.float64)
        found = np.full((self._n_periods, self._n_periods), np.nan)
        for place, scores in enumerate(self._table.scores[self._begin :]):
            p = scores.score[self._counted]
            later = ~np.isnan(p)
            losses = self._task.losses(self._y[later], p[later])
            found[place, place:] = np.bincount(self._period[later], losses, self._n_periods)[place:]
        return found, n

    def backtest(self) -> Backtest:
        table, n = self._table, int(self._y.size)
        losses = {path.policy.name: self._task.losses(self._y, self.served(path)) for path in self._paths}
        triangle, per_period = self.losses_by_period()
        best = best_schedules(triangle)
        never = losses.get("never", next(iter(losses.values())))
        results = tuple(
            self._result(path, losses[path.policy.name], never, triangle, [total for total, _ in best])
            for path in self._paths
        )
        schedules = [each for each in results if not each.path.policy.is_adaptive]
        best_schedule = min(schedules or results, key=lambda each: each.loss).path.policy.name
        level = 1 - (1 - LEVEL) / max(1, len(results) - 1)  # each is compared: the level is shared among them
        return Backtest(
            self._request,
            tuple(each.as_of for each in table.cutoffs),
            table.cutoffs[-1].candidate,
            table.spec.calendar.next_drop(table.cutoffs[self._begin].as_of),
            self._dates.max().item(),
            n,
            results,
            tuple((k, total / n) for k, (total, _) in enumerate(best, start=1)),
            tuple(self._ages(triangle, per_period)),
            best_schedule,
            {
                name: self._saved(losses[best_schedule], own, level)
                for name, own in losses.items()
                if name != best_schedule
            },
        )

    def _result(
        self,
        path: PolicyPath,
        own: FloatArray,
        never: FloatArray,
        triangle: FloatArray,
        best: Sequence[float],
    ) -> PolicyResult:
        total = float(own.sum())
        later = {row["as_of"] for row in path.record if row["verdict"] == "promoted"}
        later = {drop for drop in later if self._table.places[drop] > self._begin}
        n_models = min(1 + len(later), self._n_periods)
        rng = np.random.default_rng(self._table.spec.model.seed)
        drawn = random_schedules(triangle, n_models, DRAWS, rng)
        return PolicyResult(
            path,
            total / own.size,
            self._cost(path),
            self._saved(never, own, LEVEL),
            total / best[n_models - 1] - 1,
            float(drawn.mean()) / own.size,
            float((drawn <= total * (1 + 1e-12)).mean()),
        )

    def _cost(self, path: PolicyPath) -> float | None:
        if not self._has_costs:
            return None
        costs, rule = self._table.spec.monitoring.costs, self._table.spec.retraining
        of_each = costs_of_acting(self._y, self.served(path), false_alarm=costs.false_alarm, missed=costs.missed)
        return float(of_each.sum()) + rule.cost * path.n_retrained

    def _saved(self, before: FloatArray, after: FloatArray, level: float) -> Interval:
        """Give what is saved; a period is resampled whole, so that the sums of periods are all that matters."""
        rng = np.random.default_rng(self._table.spec.model.seed)
        sums = [np.bincount(self._period, each, self._n_periods) for each in (before, after)]
        periods = np.flatnonzero(np.bincount(self._period, minlength=self._n_periods))
        return paired_day_block_bootstrap(
            sums[0][periods], sums[1][periods], periods, rng=rng, resamples=RESAMPLES, level=level
        )

    def _ages(self, triangle: FloatArray, n: FloatArray) -> list[AgeCost]:
        found: list[AgeCost] = []
        calendar = self._table.spec.calendar
        days = calendar.duration_of(self._request.every).total_seconds() / 86400
        for age in AGES:
            older, newest = excess_by_age(triangle, n, age)
            if older.size >= 2:
                rng = np.random.default_rng(self._table.spec.model.seed)
                excess = paired_day_block_bootstrap(
                    older, newest, np.arange(older.size), rng=rng, resamples=RESAMPLES, level=LEVEL
                )
                found.append(AgeCost(age, age * days, excess))
        return found


def recommend(found: Backtest, cost: float) -> str:
    """Say in words which policy the history speaks for; that none is clearly better than a schedule is an answer.

    `cost` is what a retraining costs; with any, the total cost is spoken of too.
    """
    by_name = {each.path.policy.name: each for each in found.results}
    adaptive = {name for name, each in by_name.items() if each.path.policy.is_adaptive}
    sure = [name for name, gain in found.beside_best.items() if gain.lower > 0 and name in adaptive]
    worse = {name for name, gain in found.beside_best.items() if gain.upper < 0}
    if sure:
        name = max(sure, key=lambda each: found.beside_best[each].estimate)
        gain = found.beside_best[name]
        said = f"{name} is clearly better than the best schedule ({found.schedule}): it saves {gain.estimate:.1%} of "
        said += f"its loss ({gain.lower:.1%} to {gain.upper:.1%})"
    else:
        said = f"No policy is clearly better than a schedule; the best schedule on this history is {found.schedule}"
        left = [each for name, each in by_name.items() if name not in worse]
        least = min(left, key=lambda each: (each.path.n_retrained, each.loss)).path.policy.name
        if least != found.schedule:
            said += f", and {least} retrains least ({by_name[least].path.n_retrained} times) of those that are not "
            said += "clearly worse than it"
    if worse & adaptive:
        said += f". Clearly worse than it: {', '.join(sorted(worse & adaptive))}"
    known = [each for each in found.results if each.cost is not None]
    if cost and known:
        cheapest = min(known, key=lambda each: each.cost or 0.0)
        said += f". With {cost:g} for each retraining, {cheapest.path.policy.name} costs least in all: "
        said += f"{cheapest.cost:,.0f}"
    return said
