"""What the sensors would have known of a model that served: its verdicts, its drift, and how the gate judges another.

Everything here is worked out when a policy first asks for it and kept by name, so that the next policy finds it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.decisions.retraining import Alarm, Performance
from ml_assets.monitoring.diagnosis import FaultRecord
from ml_assets.monitoring.loss_rise import NO_RISES
from ml_assets.monitoring.performance import ROLES, ScoredExamples
from ml_assets.monitoring.performance_verdict import judge_performance
from ml_assets.pipeline.champion.record import CandidateRow
from ml_assets.pipeline.evaluation.behaviours import behaviour_rows
from ml_assets.pipeline.evaluation.comparison import Comparison, compare_models
from ml_assets.pipeline.evaluation.measures import decision_measures
from ml_assets.pipeline.evaluation.slices import declared_slices
from ml_assets.pipeline.evaluation.verdict import evidence_of, judge_comparison
from ml_assets.pipeline.monitoring.decisions import alarm_of
from ml_assets.pipeline.monitoring.drift import training_drift
from ml_assets.pipeline.monitoring.followed_losses import UsualLosses, learn_usual
from ml_assets.pipeline.policies.cutoff_scores import CutoffScores
from ml_assets.pipeline.policies.fitted_cutoffs import FittedCutoff
from ml_assets.pipeline.policies.outcomes import Outcomes
from ml_assets.pipeline.policies.policy_state import PolicyState
from ml_assets.serving.routing import Part, Promotion
from ml_assets.spec.drop import DropKey, read_key
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.landing import write_whole

if TYPE_CHECKING:
    import duckdb

Stints = tuple[tuple[DropKey, DropKey | None], ...]  # (after, until] of the drops that a model served; None is on


@dataclass(frozen=True)
class GateAnswer:
    """What the gate says of a candidate beside what serves.

    Attributes
    ----------
    verdict
        promoted, refused or awaiting_approval.
    gain
        Relative loss saved over what serves; None before the first champion.
    over_baseline
        The same over its own baseline: what performance is asked to keep a part of.
    broken
        Codes of the rules that it broke.
    """

    verdict: str
    gain: float | None
    over_baseline: float
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PolicyTable:
    """The triangular table of one use case: a model a cutoff, scored on all that came later.

    Attributes
    ----------
    faults
        Which feeds looked broken, as known by the last drop.
    """

    spec: UseCaseSpec
    state: PolicyState
    connection: duckdb.DuckDBPyConnection
    cutoffs: Sequence[FittedCutoff]
    scores: Sequence[CutoffScores]
    outcomes: Outcomes
    faults: FaultRecord
    _cells: dict[str, Any] = field(default_factory=dict[str, Any])

    @cached_property
    def places(self) -> Mapping[DropKey, int]:
        """The place of each cutoff."""
        return {each.as_of: place for place, each in enumerate(self.cutoffs)}

    # ---- performance

    def performance(
        self, place: int, drop: DropKey, served: Stints, gain_at_gate: float, *, with_rises: bool
    ) -> Performance:
        """Judge the model of a cutoff in `drop`, as the performance report does.

        Parameters
        ----------
        served
            The stretches of drops that it served, the last one going on: other days do not count.
        with_rises
            Whether the sequential tests are asked too, or the window alone.
        """
        version = self.cutoffs[place].model_version
        name = f"performance|{version}|{drop}|{served}|{gain_at_gate:.12g}|{with_rises}"
        kept = self._kept(name, lambda: self._judge(place, drop, served, gain_at_gate, with_rises))
        return Performance(**{**kept, "since": _day(kept["since"]), "behind_since": _day(kept["behind_since"])})

    def _judge(
        self, place: int, drop: DropKey, served: Stints, gain_at_gate: float, with_rises: bool
    ) -> dict[str, Any]:
        version, spec = self.cutoffs[place].model_version, self.spec
        days = {
            (day, "champion"): version
            for day in self.outcomes.drops
            if any(after < day and (until is None or day <= until) for after, until in served)
        }
        usual, rises = self._usual(place), NO_RISES
        if with_rises and usual is not None:
            rises = usual.rises(self._report(place), served[-1][0], drop)
        row = judge_performance(self._scored(place, days), spec, drop, version, gain_at_gate, rises)
        names = ("state", "gain", "threshold", "loss_since", "loss_now", "loss_at_gate", "behind_since")
        values = (row.get(name) for name in names)
        found = Performance(*values, loss=str(task_of(spec.task).loss_metric))  # pyright: ignore[reportArgumentType] - a row
        return asdict(found)

    def _scored(self, place: int, days: Mapping[tuple[DropKey, str], str]) -> ScoredExamples:
        outcomes, scores = self.outcomes, self.scores[place]
        nothing = np.full(outcomes.dates.size, np.nan)
        roles = dict.fromkeys(ROLES, nothing) | {"champion": scores.score, "baseline": scores.baseline}
        return ScoredExamples(outcomes.dates, outcomes.matured_in, outcomes.labels, roles, {}, days)

    def _usual(self, place: int) -> UsualLosses | None:
        version = self.cutoffs[place].model_version
        return self._once(f"usual|{version}", lambda: learn_usual(self.spec, self.state.models.unseen_days(version)))

    def _report(self, place: int) -> list[dict[str, Any]]:
        """Give the rows of the performance report that the sequential tests read, had the model served throughout."""
        return self._once(f"report|{place}", lambda: list(_report_rows(self, place)))

    # ---- drift

    def drift(self, place: int, drop: DropKey, after: DropKey) -> list[tuple[str, Alarm]]:
        """Give the alarms of a drop against the training rows of a model that serves since `after`.

        Only the drops that persistence looks at are measured.
        """
        version = self.cutoffs[place].model_version
        length = self.spec.monitoring.persistence.of
        found = [each for each in (self.spec.calendar.shift(drop, -back) for back in range(length)) if each > after]
        name = f"drift|{version}|{drop}|{min(len(found), length)}"
        kept = self._kept(name, lambda: self._drift(place, sorted(found)))
        return [(kind, Alarm(*alarm)) for kind, alarm in kept]

    def _drift(self, place: int, drops: Sequence[DropKey]) -> list[Any]:
        cutoff = self.cutoffs[place]
        promotion = Promotion(cutoff.as_of, 1, cutoff.model_version, cutoff.artifact_sha256, cutoff.as_of)
        rows = training_drift(self.connection, self.spec, self.state, promotion, drops, self.faults)
        mine = [row for row in rows if row["batch_date"] == drops[-1] and row["state"] == "alarm"]
        found = [alarm_of(row) for row in sorted(mine, key=lambda row: row["monitor"])]
        return [(kind, list(asdict(alarm).values())) for each in found if each is not None for kind, alarm in [each]]

    # ---- the gate

    def gate(self, place: int, incumbent: int | None, serves: Part) -> GateAnswer:
        """Judge the model of a cutoff beside what serves, as the gate does: the audit for leaks is not repeated."""
        other = "" if incumbent is None else self.cutoffs[incumbent].model_version
        name = f"gate|{self.cutoffs[place].model_version}|{other}|{serves}"
        kept = self._kept(name, lambda: asdict(self._gate(place, incumbent, serves)))
        return GateAnswer(**{**kept, "broken": tuple(kept["broken"])})

    def _gate(self, place: int, incumbent: int | None, serves: Part) -> GateAnswer:
        spec, candidate = self.spec, self.cutoffs[place]
        bundle, other, promotion = candidate.load(self.state), None, None
        if incumbent is not None:
            earlier = self.cutoffs[incumbent]
            other = earlier.load(self.state)
            promotion = Promotion(
                earlier.as_of, 1, earlier.model_version, earlier.artifact_sha256, earlier.as_of, serves
            )
        row = CandidateRow(candidate.as_of, bundle.candidate, candidate.model_version, candidate.artifact_sha256, 0,
                           "", "")  # fmt: skip
        holdout = self._once(f"holdout|{place}", candidate.holdout_rows)
        trained_on = (candidate.train_share, candidate.n_train)
        found = compare_models(row, promotion, bundle, other, holdout, trained_on)
        tried = behaviour_rows(spec, self.state, found)
        evidence = evidence_of(found, list(declared_slices(spec, found)), tried, ())
        roles = {role: decision_measures(spec, found, role) | _metrics(found, role) for role in found.scores}
        nan = math.nan
        names = {each.measure for each in spec.model.gate.guardrails}
        pairs = {name: (roles["candidate"].get(name, nan), roles.get("champion", {}).get(name, nan)) for name in names}
        known = {name: pair for name, pair in pairs.items() if not all(map(math.isnan, pair))}
        judged, measures = judge_comparison(spec, found, replace(evidence, measures=known), spec.model.gate)
        simple = measures["baseline"].loss
        return GateAnswer(
            judged.verdict.outcome,
            None if judged.gain is None else judged.gain.estimate,
            (simple - measures["candidate"].loss) / simple if simple else 0.0,
            tuple(each.code for each in judged.verdict.reasons if not each.passed),
        )

    # ---- kept

    def _once(self, name: str, work: Callable[[], Any]) -> Any:
        memory = self.state.kept.setdefault("policy cells", (None, {}))[1]
        if name not in memory:
            memory[name] = work()
        return memory[name]

    def _kept(self, name: str, work: Callable[[], Any]) -> Any:
        if name not in self._cells:
            self._cells[name] = json.loads(json.dumps(work(), default=str))
        return self._cells[name]

    def save_cells(self) -> None:
        """Write what was worked out, for the next command."""
        write_whole(cells_file(self.spec, self.state, self.outcomes), json.dumps(self._cells).encode())


def cells_file(spec: UseCaseSpec, state: PolicyState, outcomes: Outcomes) -> Path:
    """Name the file of cells: by the files of the history, and by what is declared about gate and monitoring."""
    declared = [
        spec.monitoring.model_dump(mode="json"), spec.model.gate.model_dump(mode="json"),
        spec.retraining.min_gain_kept, spec.worklist.model_dump(mode="json"),
        [each.model_dump(mode="json") for each in spec.model.behaviours],
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(declared, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return state.folder / "cells" / f"{outcomes.last}.{outcomes.fingerprint}.{digest}.json"


def read_cells(spec: UseCaseSpec, state: PolicyState, outcomes: Outcomes) -> dict[str, Any]:
    """Read the cells that an earlier command worked out."""
    try:
        return json.loads(cells_file(spec, state, outcomes).read_bytes())
    except (OSError, ValueError):
        return {}


def _report_rows(table: PolicyTable, place: int) -> list[dict[str, Any]]:
    """Sum up losses, labels and scores by drop of prediction and drop of maturity, for the model and its baseline."""
    outcomes, scores, task = table.outcomes, table.scores[place], task_of(table.spec.task)
    is_counted = outcomes.is_known & ~np.isnan(scores.score)
    days, due, y = outcomes.dates[is_counted], outcomes.matured_in[is_counted], outcomes.labels[is_counted]
    keys = np.stack([days.astype(np.int64), due.astype(np.int64)])
    parts, group = np.unique(keys, axis=1, return_inverse=True)
    n = np.bincount(group)
    loss = task.loss_metric.name
    rows: list[dict[str, Any]] = []
    for role, values in (("champion", scores.score), ("baseline", scores.baseline)):
        p = values[is_counted]
        means = {
            loss: np.bincount(group, task.losses(y, p)) / n,
            task.mean_label: np.bincount(group, y) / n,
            "mean_score": np.bincount(group, p) / n,
        }
        rows += [
            {
                "prediction_batch_date": np.datetime64(int(parts[0, k]), "D").item(),
                "batch_date": np.datetime64(int(parts[1, k]), "D").item(),
                "role": role, "n": int(n[k]), **{name: float(each[k]) for name, each in means.items()},
            }
            for k in range(n.size)
        ]  # fmt: skip
    return rows


def _metrics(found: Comparison, role: str) -> dict[str, float]:
    return {name: float(each.of(found.labels, found.scores[role])) for name, each in found.task.by_name().items()}


def _day(value: str | None) -> DropKey | None:
    return None if value is None else read_key(value)
