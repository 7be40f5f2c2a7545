"""Recording a verdict: what serves from then on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml_assets.decisions.reasons import spell_reason
from ml_assets.pipeline.champion.decisions import rejection_of, spell_rejection
from ml_assets.pipeline.champion.record import (
    BY_HAND,
    PROMOTED,
    append_verdict,
    champion_in,
    read_record,
    read_verdict,
)
from ml_assets.pipeline.results import CheckOutcome
from ml_assets.spec.drop import LATEST
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState


@dataclass(frozen=True)
class RecordedVerdict:
    """A verdict in the record.

    Attributes
    ----------
    serving
        The entry that serves the newest drops; None before the first champion.
    rejection
        The entry by which a person rejected this model before; None where nobody did. It stands: the same model is not
        judged a second time.
    """

    verdict: Mapping[str, Any]
    is_new: bool
    record: Sequence[Mapping[str, Any]]
    serving: Mapping[str, Any] | None
    rejection: Mapping[str, Any] | None = None

    @property
    def outcome(self) -> CheckOutcome:
        """The check `gate`: which rules were broken, and whether a person rejected the model before."""
        broken = [spell_reason(reason) for reason in self.verdict["reasons"] if not reason["passed"]]
        if self.rejection is not None:
            broken.append(
                f"{spell_rejection(dict(self.rejection))}, and that stands; `ml-assets approve` takes it back"
            )
        said = "; ".join(broken) or "every rule of the gate was kept"
        measured = {"verdict": self.verdict["verdict"], "gate": self.verdict["gate"]}
        return CheckOutcome("gate", not broken, said, measured)

    def serves_from(self, spec: UseCaseSpec) -> str:
        """Give the first drop that the model serves, or say why it serves none."""
        verdict = self.verdict
        if verdict["verdict"] == PROMOTED:
            return str(spec.calendar.next_drop(verdict["as_of"]))
        if self.rejection is not None:
            return "not at all: a person rejected it"
        if verdict["verdict"] == "awaiting_approval":
            return f"not before a person runs: ml-assets approve {spec.name} {verdict['model_version']}"
        return "not at all"


def record_verdict(
    spec: UseCaseSpec, state: UseCaseState, now: datetime, run_id: str, asked_by: str = ""
) -> RecordedVerdict:
    """Append the newest verdict to the record, unless it repeats the last one, and bring the registry up to date.

    `asked_by` is what asked for the retraining: a trigger or schedule; empty is a person.
    """
    with state.connect() as connection:
        verdict = read_verdict(connection, state.lake)
        is_new = append_verdict(
            connection,
            state.lake,
            verdict,
            asked_by or BY_HAND,
            {"_recorded_at": now, "_run_id": run_id},
            task=spec.task,
        )
        record = read_record(connection, state.lake)
    # a person may have decided since the gate first said so, and a retraining of the past does not serve the newest
    stands = next(row for row in reversed(record) if row["model_version"] == verdict["model_version"])
    state.registry.tell_outcome(verdict["_registry_version"], stands["verdict"])
    serving = champion_in(record, LATEST)
    if serving is not None:
        state.registry.name_champion(serving["_registry_version"])
    rejection = None if is_new else rejection_of(record, verdict["model_version"])
    return RecordedVerdict(verdict, is_new, record, serving, rejection)
