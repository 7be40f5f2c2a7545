"""What people decide about experiments: to start one, and to conclude it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.experiments.comparison import ComparedExamples
from ml_assets.experiments.power import Design, Plan, detectable_effect, plan_experiment
from ml_assets.pipeline.champion.decisions import NotDecidableError, PersonDecision, newest_drop
from ml_assets.pipeline.champion.record import PROMOTED, ServingDecision, append_decision, champion_in, read_record
from ml_assets.pipeline.experiments.arm_scores import assign_examples
from ml_assets.pipeline.experiments.evidence import (
    REFERENCE_DROPS,
    bounds_of,
    compared_examples,
    maturing_drops,
    reference_estimates,
)
from ml_assets.pipeline.experiments.record import (
    CHALLENGER,
    CHAMPION_ARM,
    RunningExperiment,
    append_event,
    find_running,
    free_part,
    read_events,
    running_in,
)
from ml_assets.pipeline.features.versions import lost_features
from ml_assets.spec.drop import LATEST, DropKey
from ml_assets.spec.experiments import Experiment
from ml_assets.spec.feature_versions import feature_definitions
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.anytime import tuned_prior
from ml_assets.stats.clustered import clustered_difference
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

Row = Mapping[str, Any]
Conclusion = str  # `promote`, `reject` or `stop`
_EARLY_DROPS = 4  # a canary's sequence is narrowest here: harm is to be seen soon
_HORIZON = 200  # drops that a plan looks ahead


@dataclass(frozen=True)
class ExperimentPlan:
    """What an experiment will need, learned from drops before it.

    Attributes
    ----------
    experiment
        What would be recorded as started.
    n_reference
        Drops before the start that both models were compared on; without them nothing can be planned.
    champion_loss
        The champion's mean log loss on them; NaN without any.
    plan
        Drops until the declared effect is found; None without reference drops.
    detectable
        The smallest effect that the declared length finds, as a share of the champion's log loss; None likewise.
    pieces_per_drop
        Independent pieces of evidence in a drop.
    """

    experiment: RunningExperiment
    n_reference: int
    champion_loss: float
    plan: Plan | None
    detectable: float | None
    pieces_per_drop: float
    design: Design | None


def find_declared(spec: UseCaseSpec, name: str) -> Experiment:
    """Give a declared experiment; raises NotDecidableError with the nearest name where there is none."""
    for each in spec.experiments:
        if each.name == name:
            return each
    names = [each.name for each in spec.experiments]
    raise NotDecidableError(
        f"found {name!r}; allowed: an experiment of {spec.name}: {', '.join(names) or 'none is declared'}"
        f"{did_you_mean(name, names)}"
    )


def plan_start(spec: UseCaseSpec, state: UseCaseState, name: str, model: str, asked: PersonDecision) -> ExperimentPlan:
    """Work out what starting an experiment would record, and what it needs; nothing is written.

    Parameters
    ----------
    model
        The challenger's version; empty is the newest model in the record that does not serve.

    Raises
    ------
    NotDecidableError
        Where it runs already, there is no champion or no such model, the model cannot score what is declared now, or no
        units are free.
    """
    declared = find_declared(spec, name)
    with state.connect() as connection:
        lake = state.lake
        record, running = read_record(connection, lake), running_in(read_events(lake), LATEST)
        if any(each.name == name for each in running):
            raise NotDecidableError(f"{name} runs already; allowed: to conclude it first")
        champion = champion_in(record, LATEST)
        if champion is None or champion["serves"] != "model":
            raise NotDecidableError("no champion serves with its model: there is nothing to compare a challenger with")
        entry = _find_challenger(record, champion, model)
        bundles = {each: state.models.load(row["model_version"], row["artifact_sha256"])
                   for each, row in ((CHALLENGER, entry), (CHAMPION_ARM, champion))}  # fmt: skip
        lost = lost_features(connection, lake, entry["model_version"], bundles[CHALLENGER].features,
                             feature_definitions(spec))  # fmt: skip
        if lost:
            raise NotDecidableError(
                f"{entry['model_version']} was trained on other versions of {', '.join(lost[:5])} than are declared now"
            )
        try:
            first, last = free_part(running, declared.traffic)
        except ValueError as error:
            raise NotDecidableError(str(error)) from error
        after = _after(connection, spec, state, asked, max(entry["as_of"], champion["serves_after"]))
        matured = _reference_rows(connection, spec, state, bundles, after)
    design = {**declared.model_dump(mode="json"), "first": first, "last": last}
    started = RunningExperiment(
        name, after, entry["model_version"], entry["artifact_sha256"], champion["model_version"], design
    )
    return _planned(spec, started, matured)


def start_experiment(
    spec: UseCaseSpec, state: UseCaseState, name: str, model: str, asked: PersonDecision
) -> ExperimentPlan:
    """Record that an experiment starts; it takes the next drop that is run, or those from `asked.first` on.

    Raises NotDecidableError as `plan_start` does.
    """
    with state.writing(f"experiment of {asked.by}") as lake:
        found = plan_start(spec, state, name, model, asked)
        append_event(lake, found.experiment, "started", found.experiment.after, (asked.by, asked.note, asked.now))
    return found


def conclude_experiment(
    spec: UseCaseSpec, state: UseCaseState, name: str, conclusion: Conclusion, asked: PersonDecision
) -> RunningExperiment:
    """Record that a person ends an experiment: `promote` or `reject` the challenger, or `stop` without a verdict.

    The champion's record holds the first two, as it holds rollbacks. Raises UnknownExperimentError where none runs by
    that name, NotDecidableError where the challenger cannot serve.
    """
    with state.writing(f"experiment of {asked.by}") as lake, state.connect() as connection:
        experiment = find_running(read_events(lake), name, [each.name for each in spec.experiments])
        record = read_record(connection, lake)
        entry = next(row for row in reversed(record) if row["model_version"] == experiment.challenger)
        current = champion_in(record, LATEST)
        least = max(experiment.after, experiment.after if current is None else current["serves_after"])
        after = _after(connection, spec, state, asked, least)
        append_event(lake, experiment, "concluded", after, (asked.by, f"{conclusion}: {asked.note}", asked.now))
        verdict = {"promote": PROMOTED, "reject": "refused"}.get(conclusion)
        if verdict is not None:
            state.models.verify(experiment.challenger, experiment.challenger_sha256)
            note = f"experiment {name}: {asked.note or conclusion}"
            about: Mapping[str, datetime | str] = {"_recorded_at": asked.now, "_run_id": ""}
            decision = ServingDecision(verdict, asked.by, after, note)
            append_decision(connection, lake, entry, decision, about, task=spec.task)
    if verdict is not None:
        state.registry.tell_outcome(entry["_registry_version"], verdict)
    if verdict == PROMOTED:
        state.registry.name_champion(entry["_registry_version"])
    return experiment


def _find_challenger(record: Sequence[dict[str, Any]], champion: Row, model: str) -> dict[str, Any]:
    others = {row["model_version"]: row for row in record if row["model_version"] != champion["model_version"]}
    if not model:
        newer = [row for row in others.values() if row["as_of"] >= champion["as_of"]]
        if not newer:
            raise NotDecidableError("no candidate is newer than the champion; allowed: --model, or to retrain first")
        return max(newer, key=lambda row: (row["as_of"], row["sequence"]))
    if model not in others:
        raise NotDecidableError(
            f"found {model!r}; allowed: a model of the record that does not serve: {', '.join(others) or 'none'}"
            f"{did_you_mean(model, list(others))}"
        )
    return others[model]


def _after(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState, asked: PersonDecision, least: DropKey
) -> DropKey:
    """Give the drop after which a decision holds: the newest that was predicted, or a later one before `asked.first`.

    What was predicted was acted on: no drop of the past gets other arms.
    """
    newest = newest_drop(connection, state.lake)
    least = least if newest is None else max(least, newest)
    if asked.first is None:
        return least
    after = spec.calendar.previous_drop(asked.first)
    if after < least:
        raise NotDecidableError(f"--from: found {asked.first}; allowed: {spec.calendar.next_drop(least)} or later")
    return after


def _reference_rows(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: UseCaseState,
    bundles: Mapping[str, ModelBundle],
    after: DropKey,
) -> pd.DataFrame:
    """Read the newest matured drops that neither model was fitted on, with what both say of them."""
    learned = max(
        datetime.fromisoformat(each.judged.trained_until if each.judged else each.trained_until)
        for each in bundles.values()
    )
    calendar = spec.calendar
    unseen = [drop for drop in calendar.drops_between(calendar.first_drop, after)
              if calendar.batch_at(calendar.previous_drop(drop)) >= learned]  # fmt: skip
    due = maturing_drops(spec, unseen[0], after) if unseen else {}
    wanted = sorted(due)[-REFERENCE_DROPS:]
    bounds = (wanted[0], after) if wanted else (after, after)
    state.lake.relation(connection, "features", bounds).create_view("reference_features")
    state.lake.relation(connection, "labels", bounds).create_view("reference_labels")
    rows = connection.execute(
        "SELECT f.*, l.label FROM reference_features AS f JOIN (SELECT example_id, "
        "arg_max(label, (known_at, batch_date))::DOUBLE AS label FROM reference_labels GROUP BY example_id) AS l "
        "USING (example_id) WHERE f.batch_date IN ? AND l.label IS NOT NULL ORDER BY f.batch_date, f.example_id",
        [wanted],
    ).df()
    for arm, bundle in bundles.items():
        scores = bundle.judged_model.predict(rows) if len(rows) else np.zeros(0)
        is_score = (scores >= 0) & (scores <= 1)
        simple = bundle.judged_baseline.predict(rows) if len(rows) else scores
        rows[arm], rows[f"{arm}_abstained"] = np.where(is_score, scores, simple), ~is_score
    return rows


def _planned(spec: UseCaseSpec, started: RunningExperiment, rows: pd.DataFrame) -> ExperimentPlan:
    """Learn from drops before the start how much drops differ, and what the experiment needs."""
    design = dict(started.design)
    probe = RunningExperiment(started.name, started.after, "", "", "", {**design, "unit": "example_id"})
    assigned = assign_examples(probe, rows) if len(rows) else rows.assign(unit="", arm="")
    rows = rows.assign(unit=assigned["unit"].to_numpy(), arm=assigned["arm"].to_numpy())
    examples, by_drop = compared_examples(spec, rows), design["evidence"] == "drop"
    groups = examples.drops if by_drop else examples.units
    reference = reference_estimates(examples, bounds_of(design), groups)
    n_drops, loss = int(rows["batch_date"].nunique()), float(np.mean(examples.champion["log_loss"])) if len(rows) else 0
    pieces = 1.0 if by_drop or not n_drops else np.unique(groups).size / n_drops
    early = _EARLY_DROPS if design["kind"] == "canary" else max(2, _length_in_drops(spec, started.name))
    design["prior"] = tuned_prior(early * pieces, design["level"])
    is_learned = by_drop and design["compare"] == "paired" and n_drops >= design["min_drops"]
    design["reference"] = {name: asdict(each) for name, each in reference.items()} if is_learned else {}
    spread = _spread(examples, reference, groups, is_paired=design["compare"] == "paired")
    found = RunningExperiment(
        started.name, started.after, started.challenger, started.challenger_sha256, started.champion, design
    )
    if not (np.isfinite(spread) and spread > 0 and loss > 0):
        return ExperimentPlan(found, n_drops, loss or float("nan"), None, None, pieces, None)
    asked = Design(design["effect"] * loss, spread, pieces, level=design["level"], is_paired=True)
    seed = np.random.default_rng(spec.model.seed)
    plan = plan_experiment(asked, _HORIZON, seed)
    detectable = detectable_effect(asked, _length_in_drops(spec, started.name), seed) / loss
    return ExperimentPlan(found, n_drops, loss, plan, detectable, pieces, asked)


def _length_in_drops(spec: UseCaseSpec, name: str) -> int:
    return max(2, spec.calendar.drops_in(find_declared(spec, name).length))


def _spread(examples: ComparedExamples, reference: Mapping[str, Any], groups: np.ndarray, *, is_paired: bool) -> float:
    """Give the standard deviation of one piece of evidence about the difference of log losses."""
    estimate = reference.get("log_loss")
    if not is_paired:
        served = np.where(examples.is_challenger, examples.challenger["log_loss"], examples.champion["log_loss"])
        estimate = clustered_difference(served, examples.is_challenger, groups)
    if estimate is None or not estimate.is_defined:
        return float("nan")
    return float(estimate.standard_error * np.sqrt(np.unique(groups).size))
