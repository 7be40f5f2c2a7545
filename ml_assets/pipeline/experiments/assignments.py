"""Run the experiments of drops: who is in which arm, what each arm says, how they compare, and what follows.

One step does all of it, drop by drop, since whether an experiment goes on in a drop follows from what had matured
before. So a range gives the same tables as its drops one by one, and a run that dies leaves nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ml_assets.pipeline.champion.record import ServingDecision, append_decision, promotions_in, read_record
from ml_assets.pipeline.experiments.arm_scores import ArmScorer, assign_examples
from ml_assets.pipeline.experiments.evidence import read_matured
from ml_assets.pipeline.experiments.record import (
    BY_ITSELF,
    CHALLENGER,
    CHAMPION_ARM,
    ExperimentEvent,
    RunningExperiment,
    append_event,
    read_events,
    running_in,
)
from ml_assets.pipeline.experiments.verdicts import DropVerdict, judge_drops
from ml_assets.pipeline.features.closed_drops import require_features
from ml_assets.pipeline.results import CheckOutcome, DropResult
from ml_assets.pipeline.scoring.prior_correction import PriorCorrector, drops_read
from ml_assets.serving.routing import Promotion, champion_of
from ml_assets.spec.drop import DropKey, key_sql
from ml_assets.spec.tables import of_use_case, with_keys
from ml_assets.spec.tables.experiments import ARM_PREDICTIONS, ASSIGNMENTS, EXPERIMENT_REPORTS
from ml_assets.spec.tables.table import Table
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import TamperedModelError
from ml_assets.stores.sandbox import show_tables
from ml_assets.stores.table_rows import arrow_rows, arrow_schema
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

_SCORED_ARMS = f"""
    CREATE OR REPLACE TEMP VIEW scored_arms AS
    SELECT a.batch_date, a.example_id, a.unit, a.arm, one.score AS challenger, zero.score AS champion,
        one.abstained IS NOT NULL AS challenger_abstained, zero.abstained IS NOT NULL AS champion_abstained
    FROM own_assignments AS a
    JOIN own_arms AS one ON (one.batch_date, one.example_id, one.arm) = (a.batch_date, a.example_id, '{CHALLENGER}')
    JOIN own_arms AS zero ON (zero.batch_date, zero.example_id, zero.arm) = (a.batch_date, a.example_id,
        '{CHAMPION_ARM}')
    WHERE a.arm IN ('{CHALLENGER}', '{CHAMPION_ARM}')
"""


@dataclass
class _Found:
    """What was worked out of the experiments of some drops, to be stored together."""

    assignments: list[pa.Table] = field(default_factory=list)
    arms: list[pa.Table] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    events: list[tuple[RunningExperiment, ExperimentEvent, DropKey, str]] = field(default_factory=list)
    notes: dict[DropKey, dict[str, object]] = field(default_factory=dict[DropKey, dict[str, object]])


def store_assignments(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey], now: datetime) -> DropResult:
    """Run the experiments of `drops`; `now` is recorded where one is extended, has passed, or is aborted.

    Where none runs, nothing is written.

    An abort is also an entry of the champion's record: the challenger is refused, and serves no later drop. The check
    `arms_hold` warns of it, and of arms that are not shared out as declared.
    """
    require_features(state, drops)
    with state.connect() as connection:
        record = read_record(connection, state.lake)
        found = _run_experiments(connection, spec, state, drops, record)
        recorded = [each for each in found.events if _record_event(connection, state.lake, record, each, now)]
    tables = {
        ASSIGNMENTS.name: _joined(found.assignments, ASSIGNMENTS, drops[0]),
        ARM_PREDICTIONS.name: _joined(found.arms, ARM_PREDICTIONS, drops[0]),
        EXPERIMENT_REPORTS.name: arrow_rows(of_use_case(EXPERIMENT_REPORTS, spec), found.reports),
    }
    for name, rows in tables.items():
        if rows.num_rows or (state.lake.has(name) and state.lake.files(name).drops() & set(drops)):
            state.lake.replace_drops(name, rows, drops)
    for experiment, event, _, _ in recorded:
        if event == "aborted":
            entry = next(row for row in reversed(record) if row["model_version"] == experiment.challenger)
            state.registry.tell_outcome(entry["_registry_version"], "refused")
    counts = Counter(day for part in found.assignments for day in part["batch_date"].to_pylist())
    return DropResult({drop: counts[drop] for drop in drops}, found.notes, checks=(_check_arms(found),))


def _run_experiments(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: UseCaseState,
    drops: Sequence[DropKey],
    record: Sequence[dict[str, Any]],
) -> _Found:
    found, events, lake = _Found(), read_events(state.lake), state.lake
    by_drop = {drop: running_in(events, drop) for drop in drops}
    running = {(each.name, each.after): each for experiments in by_drop.values() for each in experiments}
    if not running:
        return found
    reach = drops_read(spec, drops)
    first = min(experiment.after for experiment in running.values())
    features = lake.files("features", drops=reach)
    show_tables(
        connection,
        {
            f"features_{features.version}": features,
            "labels": lake.files("labels", drops=(min(first, reach[0]), reach[1])),
            "examples": lake.files("examples", drops=(drops[0], drops[-1])),
        },
    )
    corrector = PriorCorrector(connection, spec, state.kept_scores, {features.version: features})
    artifacts = {row["model_version"]: row["artifact_sha256"] for row in record}
    scorer = ArmScorer(corrector, state.models, features.version, artifacts)
    runner = _Runner(connection, spec, lake, scorer, promotions_in(record), found)
    for (name, after), experiment in running.items():
        own = [drop for drop in drops if any((each.name, each.after) == (name, after) for each in by_drop[drop])]
        begun = next(each for each in by_drop[own[0]] if each.name == name)  # as it was before the first of its drops
        runner.run(replace(experiment, extended=begun.extended, passed=begun.passed), own)
    return found


@dataclass
class _Runner:
    """Runs experiments over drops and adds what it finds to `found`."""

    connection: duckdb.DuckDBPyConnection
    spec: UseCaseSpec
    lake: Lake
    scorer: ArmScorer
    promotions: Sequence[Promotion]
    found: _Found

    def run(self, experiment: RunningExperiment, drops: Sequence[DropKey]) -> None:
        """Run one experiment over `drops`, in order, until something ends it."""
        stored = self._stored(ARM_PREDICTIONS, experiment, drops[-1])
        parts = dict[DropKey, tuple[Any, Any]]()
        for drop in drops:
            end = self._obstacle(experiment, drop)
            if end is None:
                try:
                    arms = self._score(experiment, drop, stored)
                except (TamperedModelError, ValueError, KeyError) as error:
                    end = ("aborted", f"{experiment.challenger} could not score drop {drop}: {error}")
                else:
                    examples = self.connection.execute("SELECT * FROM examples WHERE batch_date = ?", [drop]).df()
                    parts[drop] = arms, _arrow(assign_examples(experiment, examples), ASSIGNMENTS, drop)
            if end is not None:
                self.found.events.append((experiment, end[0], self.spec.calendar.previous_drop(drop), end[1]))
                break
        if parts:
            self._judge(experiment, parts, _cut(stored, self.spec.calendar.previous_drop(drops[0])))

    def _obstacle(self, experiment: RunningExperiment, drop: DropKey) -> tuple[ExperimentEvent, str] | None:
        """Say why an experiment cannot go on in a drop: what it was compared with serves it no longer."""
        champion = champion_of(drop, self.promotions)
        if champion is not None and (champion.model_version, champion.serves) == (experiment.champion, "model"):
            return None
        served = "nothing" if champion is None else champion.model_version
        return "ended", f"{served} serves drop {drop} in place of {experiment.champion}, which it was compared with"

    def _score(self, experiment: RunningExperiment, drop: DropKey, stored: Sequence[pa.Table]) -> pa.Table:
        """Give what was scored of a drop before, as it was served; else score it."""
        import pyarrow.compute as pc

        for part in stored:
            own = part.filter(pc.field("batch_date") == drop)
            if own.num_rows and set(own["model_version"].to_pylist()) == {experiment.challenger, experiment.champion}:
                return own
        return _arrow(self.scorer.score(experiment, drop), ARM_PREDICTIONS, drop)

    def _judge(
        self, experiment: RunningExperiment, parts: Mapping[DropKey, tuple[Any, Any]], arms_before: Sequence[pa.Table]
    ) -> None:
        drops = list(parts)
        assigned_before = self._stored(ASSIGNMENTS, experiment, self.spec.calendar.previous_drop(drops[0]))
        both = {
            "own_arms": _joined([*arms_before, *(arms for arms, _ in parts.values())], ARM_PREDICTIONS, drops[0]),
            "own_assignments": _joined([*assigned_before, *(own for _, own in parts.values())], ASSIGNMENTS, drops[0]),
        }
        for name, rows in both.items():
            self.connection.register(name, rows)
        self.connection.execute(_SCORED_ARMS)
        first = self.spec.calendar.next_drop(experiment.after)
        matured = read_matured(self.connection, self.spec, first, drops[-1])
        units = self.connection.sql("SELECT batch_date, unit, arm FROM own_assignments WHERE arm <> ''").df()
        for verdict in judge_drops(self.spec, experiment, drops, matured, units):
            _keep(self.found, experiment, verdict, *parts[verdict.drop])
        for name in both:
            self.connection.unregister(name)

    def _stored(self, table: Table, experiment: RunningExperiment, last: DropKey) -> list[pa.Table]:
        """Read what is stored of an experiment since it started, up to a drop."""
        if not self.lake.has(table.name) or last <= experiment.after:
            return []
        rows = self.lake.relation(self.connection, table.name, (experiment.after, last))
        own = rows.filter(f"experiment = '{experiment.name}' AND batch_date > {key_sql(experiment.after)}")
        schema = arrow_schema(with_keys(table, experiment.after))
        return [own.to_arrow_table().select(schema.names).cast(schema)]


def _keep(found: _Found, experiment: RunningExperiment, verdict: DropVerdict, arms: pa.Table, own: pa.Table) -> None:
    found.arms.append(arms)
    found.assignments.append(own)
    found.reports += verdict.rows
    counts = Counter(own["arm"].to_pylist())
    said = f"{verdict.action}: {verdict.reason}; {counts[CHALLENGER]} of {own.num_rows} to the challenger"
    found.notes.setdefault(verdict.drop, {})[experiment.name] = said
    event: ExperimentEvent | None = {"extend": "extended", "passed": "passed", "abort": "aborted"}.get(verdict.action)  # pyright: ignore[reportAssignmentType]
    if event is not None and verdict.is_new:
        # an event that ends it for another reason later in the range does not come to pass
        if event == "aborted":
            found.events[:] = [each for each in found.events if each[0] is not experiment or each[2] < verdict.drop]
        found.events.append((experiment, event, verdict.drop, verdict.reason))


def _cut(parts: Sequence[pa.Table], last: DropKey) -> list[pa.Table]:
    import pyarrow.compute as pc

    return [part.filter(pc.field("batch_date") <= last) for part in parts]


def _arrow(frame: pd.DataFrame, table: Table, drop: DropKey) -> pa.Table:
    import pyarrow as pa

    schema = arrow_schema(with_keys(table, drop))
    return pa.Table.from_pandas(frame[list(schema.names)], schema, preserve_index=False)


def _joined(parts: Sequence[pa.Table], table: Table, drop: DropKey) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables(parts) if parts else arrow_schema(with_keys(table, drop)).empty_table()


def _record_event(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    record: Sequence[dict[str, Any]],
    event: tuple[RunningExperiment, ExperimentEvent, DropKey, str],
    now: datetime,
) -> bool:
    """Record an event, and an abort also in the champion record; say whether it was not recorded before."""
    experiment, kind, after, note = event
    is_new = append_event(lake, experiment, kind, after, (BY_ITSELF, note, now))
    if is_new and kind == "aborted":
        entry = next(row for row in reversed(record) if row["model_version"] == experiment.challenger)
        said = f"experiment {experiment.name} aborted: {note}"
        append_decision(connection, lake, entry, ServingDecision("refused", BY_ITSELF, after, said),
                        {"_recorded_at": now, "_run_id": ""}, task="binary")  # fmt: skip
    return is_new


def _check_arms(found: _Found) -> CheckOutcome:
    aborted = [f"{each.name} after drop {after}: {note}" for each, event, after, note in found.events
               if event in ("aborted", "ended")]  # fmt: skip
    return CheckOutcome(
        "arms_hold",
        passed=not aborted,
        description="; ".join(aborted) or "no experiment was aborted",
        measured={"examples assigned": sum(part.num_rows for part in found.assignments), "over": len(aborted)},
    )
