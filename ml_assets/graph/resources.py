"""What assets are given to work with: the state of their use case, held for one writer at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from ml_assets.stores.lake import Lake
from ml_assets.stores.model_registry import ModelRegistry
from ml_assets.stores.model_store import ModelStore
from ml_assets.stores.paths import StatePaths, state_paths
from ml_assets.stores.write_lock import write_lock


class UseCaseState(dg.ConfigurableResource):
    """The tables, models and files of one use case.

    A run holds the use case's write lock from its first step to its last; another run waits.
    `root` is the folder of all state, by default the one this machine's environment names.
    """

    use_case: str
    root: str | None = None
    _paths: StatePaths = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["UseCaseState"]:
        """Hold the write lock while the run lasts."""
        log = context.log
        self._paths = StatePaths(Path(self.root)) if self.root else state_paths()
        with write_lock(self._paths.locks, self.use_case, on_wait=log.warning if log else None):
            yield self

    @property
    def paths(self) -> StatePaths:
        """Give the folders of all state."""
        return self._paths

    @property
    def lake(self) -> Lake:
        """Give the tables of the use case."""
        return Lake(self._paths.lake / self.use_case)

    @property
    def models(self) -> ModelStore:
        """Give the fitted models of the use case."""
        return ModelStore(self._paths.models / self.use_case)

    @property
    def registry(self) -> ModelRegistry:
        """Give the MLflow mirror of the use case."""
        return ModelRegistry(self._paths.mlflow, self.use_case)

    @property
    def landing(self) -> Path:
        """Give the folder of landed drops of the use case."""
        return self._paths.landing / self.use_case
