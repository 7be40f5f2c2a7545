"""Columns that say much about the outcome: suspected, never proven; which are explained, accepted, or refused.

Findings about columns go in, and what is thought of each comes out. A leak is proven by recomputation alone; see
`leakage`. A strong column is told with its evidence, and stops a candidate only where it is implausibly strong, nothing
explains it and nobody decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from ml_assets.features.outcome_leakage import LeakageSign
from ml_assets.spec.explained_features import explained_features
from ml_assets.spec.names import did_you_mean
from ml_assets.spec.tables.features import ACCEPTED_FEATURES
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState

# from here on hardly any honest column is: it is the outcome, or almost
IMPLAUSIBLE = {"target": 0.98, "absence": 0.9, "final": 0.999}


class AcceptanceError(LookupError):
    """An acceptance of something that is no feature, or without a reason."""


@dataclass(frozen=True)
class Suspicion:
    """An alarm about a column, and what is thought of it.

    `why` says what explains it or who accepted it; empty where nobody decided. `blocks` says whether the gate refuses
    what learned of it.
    """

    finding: LeakageSign
    why: str
    blocks: bool
    answer: str

    @property
    def is_open(self) -> bool:
        """Say whether a person should look at it."""
        return not self.why

    def __str__(self) -> str:
        """Say what was found, and what answers it."""
        told = f"{self.finding.kind} {self.finding.column}: {self.finding.says}"
        if self.why:
            return f"{told} ({self.why})"
        is_strong = self.blocks and self.finding.kind in IMPLAUSIBLE
        strong = f", implausible from {IMPLAUSIBLE[self.finding.kind]} on" if is_strong else ""
        return f"{told}; suspected, not proven{strong}. {self.answer}"


def judge_findings(spec: UseCaseSpec, state: UseCaseState, findings: Sequence[LeakageSign]) -> list[Suspicion]:
    """Give the alarms among `findings`, each with what explains it, who accepted it, and whether it blocks.

    Columns that no feature repeats never block: no candidate reads them.
    """
    alarms = [finding for finding in findings if finding.is_alarm]
    if not alarms:
        return []
    features = set(spec.features.feature_names())
    explained, accepted = explained_features(spec), accepted_features(spec, state)
    found: list[Suspicion] = []
    for finding in alarms:
        why = accepted.get(finding.column) or explained.get(finding.column, "")
        is_feature = finding.column in features
        is_implausible = finding.value >= IMPLAUSIBLE.get(finding.kind, float("inf"))
        answer = f"Where it is right as of the prediction: `{acceptance_command(spec, finding.column)}`"
        if not is_feature:
            answer = "No feature is this column, and no model reads it"
        found.append(Suspicion(finding, why, is_feature and is_implausible and not why, answer))
    return found


def acceptance_command(spec: UseCaseSpec, feature: str) -> str:
    """Give the command that accepts a feature."""
    return f"ml-assets accept-feature {spec.name} {feature} --reason WHY"


def accepted_features(spec: UseCaseSpec, state: UseCaseState) -> dict[str, str]:
    """Say by feature who accepted it and why: in the declaration, or by `accept-feature`."""
    found = {each.name: f"accepted in the declaration: {each.reason}" for each in spec.features.accepted}
    columns = ["feature", "reason", "accepted_by", "_recorded_at"]
    rows = read_rows(state.lake, ACCEPTED_FEATURES.name, columns)
    for row in sorted(rows, key=lambda row: row["_recorded_at"]):
        found[row["feature"]] = f"accepted by {row['accepted_by']} on {row['_recorded_at']:%Y-%m-%d}: {row['reason']}"
    return found


def accept_feature(
    spec: UseCaseSpec, state: UseCaseState, feature: str, reason: str, *, by: str, now: datetime
) -> None:
    """Record that a feature is right as of the prediction however well it ranks the outcome. Append only.

    Raises
    ------
    AcceptanceError
        If there is no such feature, or no reason is given.
    """
    names = spec.features.feature_names()
    if feature not in names:
        raise AcceptanceError(f"{spec.name} has no feature {feature!r}; allowed: one of `ml-assets features "
                              f"{spec.name}`{did_you_mean(feature, names)}")  # fmt: skip
    if not reason.strip():
        raise AcceptanceError("--reason: found nothing; allowed: why its values are known as of the prediction")
    row = {"feature": feature, "reason": reason.strip(), "accepted_by": by, "_recorded_at": now}
    with state.writing(f"decision of {by}") as lake:
        lake.append(ACCEPTED_FEATURES.name, pa.Table.from_pylist([row]))
