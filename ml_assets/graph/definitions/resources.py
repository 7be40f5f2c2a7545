"""The Dagster resources: one state resource and one DuckDB resource serve all use cases of a code location."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource
from pydantic import PrivateAttr

from ml_assets.graph.runs.lost_runs import PROCESS_TAG
from ml_assets.stores.paths import StatePaths, state_paths
from ml_assets.stores.processes import this_process
from ml_assets.stores.state_version import writing
from ml_assets.stores.use_case_state import UseCaseState


class StateResource(dg.ConfigurableResource):
    """Gives assets the state of their use case, and holds its write lock until the run ends.

    `root` is the folder of all state; by default the one that this machine's environment names when a run begins.
    """

    root: str | None = None
    _held: ExitStack = PrivateAttr()
    _states: dict[str, UseCaseState] = PrivateAttr()
    _log: dg.DagsterLogManager | None = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["StateResource"]:
        """Release every write lock when the run ends. The run is tagged with its process, which may be killed."""
        self._log, self._states = context.log, {}
        if context.run and context.instance and context.instance.has_run(context.run.run_id):
            context.instance.add_run_tags(context.run.run_id, {PROCESS_TAG: this_process()})
        with ExitStack() as self._held:
            yield self

    def of(self, use_case: str) -> UseCaseState:
        """Give the state of a use case. The first call in a run takes its write lock, waiting for another holder."""
        if use_case not in self._states:
            paths = StatePaths(Path(self.root)) if self.root else state_paths()
            on_wait = self._log.warning if self._log else None
            self._held.enter_context(writing(paths, use_case, on_wait))
            self._states[use_case] = UseCaseState(use_case, paths, DuckDBResource(database=":memory:").get_connection)
        return self._states[use_case]


@cache
def shared_resources(root: Path | None = None) -> dict[str, Any]:
    """Give the resources of every use case under one root: the same objects each time, so that definitions merge."""
    store = StateResource(root=str(root) if root else None)
    return {"store": store, "duckdb": DuckDBResource(database=":memory:")}
