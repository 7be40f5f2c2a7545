"""The path of a policy through the table: what it would have decided at each cutoff, and what would have served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.decisions.policies import Policy
from ml_assets.decisions.retraining import Alarm, Decision, Performance
from ml_assets.monitoring.performance import judged_window
from ml_assets.monitoring.performance_verdict import LEVEL
from ml_assets.pipeline.champion.record import FALLBACK, GATE, PROMOTED, champion_in
from ml_assets.pipeline.monitoring.known_state import ChampionFacts, DropReadings, known_state
from ml_assets.pipeline.policies.cells import PolicyTable, Stints
from ml_assets.spec.drop import LATEST, DropKey
from ml_assets.spec.key_arrays import key_moment
from ml_assets.stats.block_bootstrap import Interval, paired_day_block_bootstrap
from ml_assets.stats.tasks import task_of

FloatArray = NDArray[np.float64]
_EARLIER = 3  # champions before the failed one that are tried as the fallback, the newest first


@dataclass(frozen=True)
class Upstream:
    """What does not depend on the model that serves: alarms of feeds, and sources without a final state, by drop."""

    alarms: Mapping[DropKey, Sequence[tuple[str, Alarm]]] = field(default_factory=dict[DropKey, Any])
    unfinished: Mapping[DropKey, Sequence[str]] = field(default_factory=dict[DropKey, Any])


@dataclass(frozen=True)
class PolicyPath:
    """What came of a policy.

    Attributes
    ----------
    decisions
        By cutoff, in order.
    record
        Verdicts and fallbacks, as the record of champions would hold them.
    """

    policy: Policy
    decisions: Mapping[DropKey, Decision]
    record: Sequence[Mapping[str, Any]]

    @property
    def n_retrained(self) -> int:
        """Retrainings that were done, whatever the gate said."""
        return sum(row["decided_by"] == GATE for row in self.record)

    @property
    def n_promoted(self) -> int:
        """Retrainings whose model served."""
        return sum(row["decided_by"] == GATE and row["verdict"] == PROMOTED for row in self.record)

    def serving(self, drop: DropKey) -> Mapping[str, Any] | None:
        """Give the entry of what serves a drop."""
        return champion_in(self.record, drop)


def walk(table: PolicyTable, policy: Policy, upstream: Upstream, drops: Sequence[DropKey] | None = None) -> PolicyPath:
    """Decide at each cutoff in turn, and retrain where the policy asks for it; the gate judges each candidate.

    With `drops` it decides in each of them. Raises KeyError where it asks for a retraining in one without a model.
    """
    walker = _Walker(table, policy, upstream)
    for drop in [each.as_of for each in table.cutoffs] if drops is None else drops:
        walker.step(drop)
    return PolicyPath(policy, walker.decisions, walker.record)


class _Walker:
    """The record of a path so far."""

    def __init__(self, table: PolicyTable, policy: Policy, upstream: Upstream) -> None:
        self._table, self._policy, self._upstream = table, policy, upstream
        self.record: list[dict[str, Any]] = []
        self.decisions: dict[DropKey, Decision] = {}

    def step(self, drop: DropKey) -> None:
        """Decide in a drop; then apply the fallback and retrain, in the order of a replay."""
        table, spec = self._table, self._table.spec
        entry = champion_in(self.record, drop)
        place = None if entry is None else table.places[entry["as_of"]]
        facts = None if place is None else table.cutoffs[place].facts(table.state)
        attempts = [row for row in self.record if row["decided_by"] == GATE]
        champion = None if entry is None or facts is None else (entry, facts)
        known = known_state(spec, drop, champion, attempts, self._readings(drop, entry, facts))
        since = [row["as_of"] for row in attempts]
        passed = sum(each.as_of > since[-1] for each in table.cutoffs if each.as_of <= drop) if since else None
        decision = self._policy.decides(known, spec.retraining, passed)
        self.decisions[drop] = decision
        if known.failure is not None and entry is not None and spec.model.fallback != "none":
            self._fall_back(drop, entry)
        if decision.action == "retrain":
            self._retrain(drop, entry, decision)

    def _readings(self, drop: DropKey, entry: Mapping[str, Any] | None, facts: ChampionFacts | None) -> DropReadings:
        table, signals = self._table, self._policy.signals
        alarms = list(self._upstream.alarms.get(drop, ()))
        unfinished = tuple(self._upstream.unfinished.get(drop, ()))
        if entry is None or facts is None:
            return DropReadings(Performance("no champion"), alarms, unfinished)
        place, served = table.places[entry["as_of"]], self._served(entry)
        if "drift" in signals:
            alarms += table.drift(place, drop, _of_model(self.record, entry)["serves_after"])
        performance = Performance("not enough data", loss=str(task_of(table.spec.task).loss_metric))
        if {"gain", "risk"} & set(signals) or table.spec.model.fallback != "none":
            gain = _of_model(self.record, entry)["over_baseline"]
            with_rises = self._policy.needs_rises or not signals
            performance = table.performance(place, drop, served, gain, with_rises=with_rises)
        scored = table.scores[place].scored_drops(table.outcomes, entry["serves_after"], drop)
        return DropReadings(performance, alarms, unfinished, scored)

    def _served(self, entry: Mapping[str, Any]) -> Stints:
        """Give the stretches that the model of an entry served, its failed days among them, since it began."""
        own = _of_model(self.record, entry) if entry["serves"] == "baseline" else entry
        return ((own["serves_after"], None),)

    def _retrain(self, drop: DropKey, entry: Mapping[str, Any] | None, decision: Decision) -> None:
        table = self._table
        incumbent = None if entry is None else table.places[entry["as_of"]]
        answer = table.gate(table.places[drop], incumbent, "model" if entry is None else entry["serves"])
        current = champion_in(self.record, LATEST)
        after = drop
        if current is not None and current["decided_by"] == FALLBACK and drop >= current["as_of"]:
            after = max(drop, current["serves_after"])
        cutoff = table.cutoffs[table.places[drop]]
        self._append(
            as_of=drop, verdict=answer.verdict, decided_by=GATE, serves_after=after, serves="model",
            asked_by=decision.trigger or "", model_version=cutoff.model_version, gain=answer.gain,
            over_baseline=answer.over_baseline, artifact_sha256=cutoff.artifact_sha256,
        )  # fmt: skip

    def _append(self, **entry: Any) -> None:
        self.record.append({"sequence": len(self.record) + 1, **entry})

    def _fall_back(self, drop: DropKey, failed: Mapping[str, Any]) -> None:
        """Let the earlier champion that is surely better than the baseline serve, or else the baseline."""
        better = self._better(drop, failed) if self._table.spec.model.fallback == "last_better" else None
        entry, serves = (failed, "baseline") if better is None else (better, "model")
        names = ("as_of", "verdict", "asked_by", "model_version", "gain", "over_baseline", "artifact_sha256")
        self._append(**{name: entry[name] for name in names}, decided_by=FALLBACK, serves_after=drop, serves=serves)

    def _better(self, drop: DropKey, failed: Mapping[str, Any]) -> Mapping[str, Any] | None:
        table, spec = self._table, self._table.spec
        promoted = [row for row in self.record if row["verdict"] == PROMOTED and row["serves"] == "model"]
        earlier = {row["as_of"]: row for row in promoted if row["as_of"] != failed["as_of"]}
        first, last = judged_window(spec, drop)
        outcomes, failing = table.outcomes, table.scores[table.places[failed["as_of"]]]
        window = (outcomes.dates >= key_moment(first)) & (outcomes.dates <= key_moment(last))
        gains: list[tuple[float, Mapping[str, Any]]] = []
        for as_of in sorted(earlier, reverse=True)[:_EARLIER]:
            own = table.scores[table.places[as_of]]
            scores = np.where(own.abstained == 0, own.model_score, own.baseline)
            rows = window & outcomes.is_known & ~np.isnan(scores) & ~np.isnan(failing.baseline)
            gain = _gain(table, rows, failing.baseline[rows], scores[rows])
            gate = spec.model.gate
            if gain.n >= gate.min_examples and gain.n_days >= gate.min_days and gain.lower > 0:
                gains.append((gain.estimate, earlier[as_of]))
        return max(gains, key=lambda each: each[0])[1] if gains else None


def _gain(table: PolicyTable, rows: NDArray[np.bool_], before: FloatArray, after: FloatArray) -> Interval:
    spec, task, y = table.spec, task_of(table.spec.task), table.outcomes.labels[rows]
    return paired_day_block_bootstrap(
        task.losses(y, before), task.losses(y, after), table.outcomes.dates[rows],
        rng=np.random.default_rng(spec.model.seed), resamples=spec.model.gate.resamples, level=LEVEL,
    )  # fmt: skip


def _of_model(record: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the newest entry by which the model of an entry itself began to serve."""
    own = [row for row in record if row["model_version"] == entry["model_version"] and row["serves"] == "model"
           and row["verdict"] == PROMOTED and row["sequence"] <= entry["sequence"]]  # fmt: skip
    return own[-1] if own else entry
