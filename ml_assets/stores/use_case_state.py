"""The state of one use case: its tables, models, registry and files, under one root."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ml_assets.stores.engine import SETTINGS, open_database, open_session
from ml_assets.stores.kept_scores import KeptScores
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.state_version import writing
from ml_assets.stores.unchanged import keep_unchanged
from ml_assets.stores.unreadable_files import naming_unreadable_files

if TYPE_CHECKING:
    import duckdb

    from ml_assets.stores.model_registry import ModelRegistry
    from ml_assets.stores.model_store import ModelStore

T = TypeVar("T")


@dataclass(frozen=True)
class UseCaseState:
    """Where the tables, models and files of a use case are, and how DuckDB is opened over them.

    Attributes
    ----------
    use_case
        Name of the use case; the folders below `paths` are named by it.
    open_connection
        Opens a DuckDB database of its own, such as `DuckDBResource.get_connection`.
    kept
        What one step worked out and a later step of the same run looks at again, by step and key. It lives as long as
        this object: a run has its own.
    """

    use_case: str
    paths: StatePaths
    open_connection: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]] = open_database
    kept: dict[str, tuple[object, Any]] = field(
        default_factory=dict[str, tuple[object, Any]], compare=False, repr=False
    )

    def keep_newest(self, name: str, key: object, work: Callable[[], T]) -> T:
        """Give what `work` gives, worked out once for `key`; only the newest key of a `name` is kept."""
        if name not in self.kept or self.kept[name][0] != key:
            self.kept[name] = (key, work())
        return self.kept[name][1]

    @property
    def lake(self) -> Lake:
        """The tables."""
        return self.keep_newest("lake", self.paths, lambda: Lake(self.paths.lake / self.use_case))

    @contextmanager
    def writing(self, writer: str, *, resumes: str = "", tell: Callable[[str], None] | None = None) -> Iterator[Lake]:
        """Hold the write lock of the use case, and commit what is written to its tables when the block ends.

        Where it raises, or leaves the lake itself, nothing of it is seen: the next block undoes it, unless it `resumes`
        this `writer`. `tell` is given who holds the lock, while it waits, and what was undone.
        """
        with writing(self.paths, self.use_case, tell):
            lake = self.lake
            undone = lake.begin(writer, resumes)
            if undone and tell is not None:
                tell(f"{self.use_case}: what run {undone} wrote is undone: it ended without a commit")
            try:
                yield lake
            except BaseException:
                lake.leave()
                raise
            if lake.is_writing:
                lake.commit()

    def pinned(self) -> UseCaseState:
        """Give the state as it is committed now, for reading several tables that belong together."""
        lake = Lake(self.paths.lake / self.use_case, is_pinned=True)
        return UseCaseState(self.use_case, self.paths, self.open_connection, {"lake": (self.paths, lake)})

    @property
    def models(self) -> ModelStore:
        """The fitted models; those read last stay in memory for the next run of this process."""
        from ml_assets.stores.model_store import ModelStore

        folder = self.paths.models / self.use_case
        return keep_unchanged(("models", folder), None, lambda: ModelStore(folder))

    @property
    def kept_scores(self) -> KeptScores:
        """Scores that models gave to the examples of earlier drops."""
        return KeptScores(self.paths.kept(self.use_case) / "scores")

    @property
    def registry(self) -> ModelRegistry:
        """The MLflow mirror."""
        from ml_assets.stores.model_registry import ModelRegistry

        return ModelRegistry(self.paths.mlflow, self.use_case)

    @property
    def landing(self) -> Path:
        """The folder of landed drops."""
        return self.paths.landing / self.use_case

    def connect(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Open a DuckDB session, in UTC, for SQL of our own."""
        return open_session()

    @contextmanager
    def connect_apart(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a DuckDB database of its own, in UTC, which SQL of users can be shut in."""
        with naming_unreadable_files(), self.open_connection() as connection:
            connection.execute(SETTINGS)
            yield connection
