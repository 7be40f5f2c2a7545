"""The label model as of a drop: fitted to votes, judged by gold, and recorded with the reason for what is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_assets.labeling.abstaining_em import correlations_of
from ml_assets.labeling.diagnostics import VoterDiagnostics, diagnose_voters
from ml_assets.labeling.label_choice import GOLD_ALONE, LabelChoice, choose_labels
from ml_assets.labeling.label_models import LABEL_MODELS, voted_share
from ml_assets.labeling.parameters import parameter_rows
from ml_assets.labeling.redundancy import CorrelatedPair, find_correlated
from ml_assets.pipeline.features.closed_drops import closed_drops
from ml_assets.pipeline.labeling.votes_as_of import INPUTS, KnownVotes, read_known_votes
from ml_assets.pipeline.labeling.weak_labels import labeling_of, stale_vote_drops
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.pipeline.training.training_set import choose_as_of
from ml_assets.spec.drop import DropKey
from ml_assets.spec.tables import of_use_case
from ml_assets.spec.tables.labeling import (
    CORRELATED_FUNCTIONS,
    LABEL_MODEL,
    LABEL_MODEL_PARAMETERS,
    LABELING_FUNCTIONS,
)
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState

TABLE = LABEL_MODEL.name


@dataclass(frozen=True, eq=False)
class LabelModelResult:
    """What was found as of a drop.

    Attributes
    ----------
    stale
        Number of drops of each function whose votes are by another definition and were left out.
    version
        Lake version of the table label_model.
    """

    as_of: DropKey
    choice: LabelChoice
    functions: list[VoterDiagnostics]
    correlated: list[CorrelatedPair]
    stale: Mapping[str, int]
    version: int

    @property
    def checks(self) -> tuple[CheckOutcome, ...]:
        """Whether every function voted on every drop by its declared definition."""
        listed = ", ".join(f"{name} on {n} drops" for name, n in self.stale.items())
        said = f"left out, by another definition than declared: {listed}; `ml-assets labels UC --backfill` renews them"
        measured = {"functions with stale drops": len(self.stale)}
        return (CheckOutcome("votes_as_declared", not self.stale, said if self.stale else "all votes", measured),)


def store_label_model(spec: UseCaseSpec, state: UseCaseState, as_of: str = "") -> LabelModelResult:
    """Fit the label models to the votes known as of a drop, by default the newest with features, and record the choice.

    Raises
    ------
    ValueError
        On an `as_of` that is no drop, or later than what was run.
    NoLabelingError
        Where the use case declares no labeling.
    MissingTableError
        Where no drop has votes yet.
    """
    labeling, lake = labeling_of(spec), state.lake
    drop = choose_as_of(spec, as_of, closed_drops(state))
    versions = {name: version for name, version in lake.versions(INPUTS).items() if version is not None}
    with state.connect() as connection:
        known = read_known_votes(connection, lake, spec, drop, versions)
    choice = choose_labels(known.votes, known.gold, min_gold=labeling.min_gold)
    correlated = find_correlated(known.votes, correlations_of(known.votes))
    functions = diagnose_voters(known.votes, known.gold)
    stale = {name: sum(each <= drop for each in drops) for name, drops in stale_vote_drops(spec, state).items()}
    stale = {name: n for name, n in stale.items() if n}
    record = {"as_of": str(drop), "inputs": versions, "chosen": choice.chosen, "reason": choice.reason}
    version = lake.replace(TABLE, arrow_rows(of_use_case(LABEL_MODEL, spec), _model_rows(drop, known, choice)), record)
    chosen = [] if choice.chosen == GOLD_ALONE else parameter_rows(choice.models[choice.chosen], known.votes)
    lake.replace(LABEL_MODEL_PARAMETERS.name, arrow_rows(of_use_case(LABEL_MODEL_PARAMETERS, spec), chosen), record)
    rows = _function_rows(spec, functions, stale)
    lake.replace(LABELING_FUNCTIONS.name, arrow_rows(of_use_case(LABELING_FUNCTIONS, spec), rows))
    pairs = [vars(pair) for pair in correlated]
    lake.replace(CORRELATED_FUNCTIONS.name, arrow_rows(of_use_case(CORRELATED_FUNCTIONS, spec), pairs))
    return LabelModelResult(drop, choice, functions, correlated, stale, version)


def _model_rows(drop: DropKey, known: KnownVotes, choice: LabelChoice) -> list[dict[str, Any]]:
    measured = {each.name: each for each in choice.measured}
    common = {
        "as_of": drop, "examples": known.votes.n_examples, "covered": voted_share(known.votes), "gold": choice.n_gold,
        "held_out": choice.n_held_out, "gain": choice.gain[0], "gain_low": choice.gain[1], "gain_high": choice.gain[2],
        "chosen": choice.chosen, "reason": choice.reason,
    }  # fmt: skip
    rows = []
    for name in LABEL_MODELS:
        found = measured.get(name)
        accuracy, low, high = (found.accuracy, found.low, found.high) if found else (math.nan,) * 3
        rows.append(
            {
                "model": name,
                "is_chosen": name == choice.chosen,
                "accuracy": accuracy,
                "low": low,
                "high": high,
                **common,
            }
        )
    return rows


def _function_rows(
    spec: UseCaseSpec, functions: list[VoterDiagnostics], stale: Mapping[str, int]
) -> list[dict[str, Any]]:
    labeling = labeling_of(spec)
    return [
        {
            "function": said.name, "version": said.version, "definition": said.definition,
            "owner": said.owner or labeling.owner, "description": said.description, "classes": list(each.classes),
            "coverage": each.coverage, "overlap": each.overlap, "conflict": each.conflict, "gold": each.n_gold,
            "accuracy": each.accuracy, "low": each.low, "high": each.high, "stale_drops": stale.get(said.name, 0),
        }
        for said, each in zip(labeling.functions, functions, strict=True)
    ]  # fmt: skip
