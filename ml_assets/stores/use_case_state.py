"""The state of one use case: its tables, models, registry and files, under one root."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.stores.lake import Lake
from ml_assets.stores.model_registry import ModelRegistry
from ml_assets.stores.model_store import ModelStore
from ml_assets.stores.paths import StatePaths

if TYPE_CHECKING:
    import duckdb


@contextmanager
def open_engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB in memory and close it at the end."""
    import duckdb

    with duckdb.connect() as connection:
        yield connection


@dataclass(frozen=True)
class UseCaseState:
    """Where the tables, models and files of a use case are, and how DuckDB is opened over them.

    Attributes
    ----------
    use_case
        Name of the use case; the folders below `paths` are named by it.
    open_connection
        Opens a DuckDB connection, such as `DuckDBResource.get_connection`.
    """

    use_case: str
    paths: StatePaths
    open_connection: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]] = open_engine

    @property
    def lake(self) -> Lake:
        """The tables."""
        return Lake(self.paths.lake / self.use_case)

    @property
    def models(self) -> ModelStore:
        """The fitted models."""
        return ModelStore(self.paths.models / self.use_case)

    @property
    def registry(self) -> ModelRegistry:
        """The MLflow mirror."""
        return ModelRegistry(self.paths.mlflow, self.use_case)

    @property
    def landing(self) -> Path:
        """The folder of landed drops."""
        return self.paths.landing / self.use_case

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a DuckDB connection whose session is in UTC and draws no progress bar."""
        with self.open_connection() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            yield connection
