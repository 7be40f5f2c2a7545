"""Candidates whose retraining died before their verdict was recorded."""

from __future__ import annotations

from ml_assets.pipeline.champion.record import read_record
from ml_assets.stores.use_case_state import UseCaseState


def mark_abandoned(state: UseCaseState) -> list[str]:
    """Mark candidates that never got their verdict recorded, and name those marked now.

    They do not serve: only the record of the champion decides that. A retraining as of the same drop makes the same
    model again, byte for byte, and completes it.
    """
    with state.connect() as connection:
        record = read_record(connection, state.lake)
    recorded: dict[str, str] = {row["model_version"]: row["verdict"] for row in record}
    left = [*state.registry.mark_abandoned(recorded), *state.models.mark_abandoned(recorded)]
    return [version for version in dict.fromkeys(left) if version not in recorded]
