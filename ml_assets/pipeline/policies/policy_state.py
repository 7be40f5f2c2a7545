"""The state that a policy backtest works in: the tables of a use case as committed, and models of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml_assets.stores.kept_scores import KeptScores
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelStore
from ml_assets.stores.use_case_state import UseCaseState

_MOST_MODELS = 400


@dataclass(frozen=True)
class PolicyState(UseCaseState):
    """Reads the tables of a use case and keeps what it works out beside them; it changes no table and no record.

    All it writes lies below `kept`, which may be removed at any time and is in no backup.
    """

    @property
    def folder(self) -> Path:
        """Where models, scores and cells of the backtest are kept."""
        return self.paths.kept(self.use_case) / "policies"

    @property
    def models(self) -> ModelStore:
        """The models that the backtest fitted."""
        return self.keep_newest("models", self.folder, lambda: ModelStore(self.folder / "models", most_loaded=60))

    @property
    def kept_scores(self) -> KeptScores:
        """Scores that these models gave."""
        return KeptScores(self.folder / "scores", most_models=_MOST_MODELS)


def policy_state(state: UseCaseState) -> PolicyState:
    """Give the state for a backtest over the tables as they are committed now."""
    lake = Lake(state.paths.lake / state.use_case, is_pinned=True)
    return PolicyState(state.use_case, state.paths, state.open_connection, {"lake": (state.paths, lake)})
