"""Which models score a drop beside its champion, so that their predictions can be compared later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ml_assets.serving.routing import Part, Promotion, champion_of
from ml_assets.spec.drop import DropKey

Role = Literal["first_champion", "last_refused"]


@dataclass(frozen=True)
class PastVerdict:
    """A verdict as it was recorded: `promoted` or `refused`, on a model trained as of a drop."""

    as_of: DropKey
    sequence: int
    verdict: str
    model_version: str
    artifact_sha256: str
    serves_after: DropKey | None = None
    serves: Part = "model"


@dataclass(frozen=True)
class Shadow:
    """A model that scores a drop without serving it."""

    role: Role
    model_version: str
    artifact_sha256: str


def shadows_of(drop: DropKey, verdicts: Iterable[PastVerdict]) -> tuple[Shadow, ...]:
    """Give the shadows of `drop`; verdicts as of `drop` or later change nothing.

    `first_champion` is the oldest promotion, the model as it would be without any retraining; it is
    there from the first champion on, also while it is the champion itself. `last_refused` is the
    newest refusal, while no promotion as of its drop or a newer one serves: what the gate kept out.
    Of several verdicts as of one drop, the last recorded counts.

    Examples
    --------
    >>> march = PastVerdict(date(2013, 3, 31), 1, "promoted", "m", "")
    >>> april = PastVerdict(date(2013, 4, 30), 2, "refused", "a", "")
    >>> [(shadow.role, shadow.model_version) for shadow in shadows_of(date(2013, 5, 1), [march, april])]
    [('first_champion', 'm'), ('last_refused', 'a')]
    """
    known = [verdict for verdict in verdicts if (verdict.serves_after or verdict.as_of) < drop]
    promoted = [verdict for verdict in known if verdict.verdict == "promoted"]
    refused = [verdict for verdict in known if verdict.verdict == "refused"]
    shadows: list[Shadow] = []
    if promoted:
        first = max(promoted, key=lambda verdict: (-verdict.as_of.toordinal(), verdict.sequence))
        shadows.append(Shadow("first_champion", first.model_version, first.artifact_sha256))
    serving = champion_of(drop, map(as_promotion, promoted))
    newest = max(refused, key=lambda verdict: (verdict.as_of, verdict.sequence), default=None)
    if newest is not None and (serving is None or newest.as_of > serving.as_of):
        shadows.append(Shadow("last_refused", newest.model_version, newest.artifact_sha256))
    return tuple(shadows)


def as_promotion(verdict: PastVerdict) -> Promotion:
    """Give a recorded promotion as what decides which model serves."""
    after = verdict.serves_after or verdict.as_of
    return Promotion(
        verdict.as_of, verdict.sequence, verdict.model_version, verdict.artifact_sha256, after, verdict.serves
    )
