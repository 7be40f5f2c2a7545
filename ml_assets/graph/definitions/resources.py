"""The Dagster resources: one state resource and one DuckDB resource serve all use cases of a code location."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource
from pydantic import PrivateAttr

from ml_assets.graph.runs.endings import ended_in_order, resumed_run
from ml_assets.graph.runs.lost_runs import PROCESS_TAG
from ml_assets.stores.paths import StatePaths, state_paths
from ml_assets.stores.processes import this_process
from ml_assets.stores.use_case_state import UseCaseState


class UncommittedRunError(dg.DagsterError):
    """A run whose tables could not be committed; Dagster takes other errors at this point for no failure of the run."""


class StateResource(dg.ConfigurableResource):
    """Gives assets the state of their use case, holds its write lock until the run ends, and commits what it wrote.

    `root` is the folder of all state; by default the one that this machine's environment names when a run begins.
    """

    root: str | None = None
    _held: ExitStack = PrivateAttr()
    _states: dict[str, UseCaseState] = PrivateAttr()
    _run: dg.InitResourceContext = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["StateResource"]:
        """Commit and release when the run ends. The run is tagged with its process, which may be killed.

        Of a run whose step raised, or that was cancelled, nothing is committed. A run that cannot be committed fails.
        """
        self._run, self._states = context, {}
        if context.run and context.instance and context.instance.has_run(context.run.run_id):
            context.instance.add_run_tags(context.run.run_id, {PROCESS_TAG: this_process()})
        try:
            with ExitStack() as self._held:
                yield self
                if not ended_in_order(context):
                    self._log("nothing that this run wrote is seen by others: not all of its steps have ended")
                    for state in self._states.values():
                        state.lake.leave()
        except (OSError, ValueError, RuntimeError) as error:
            raise UncommittedRunError(
                f"what this run wrote could not be committed, and nobody sees it: {type(error).__name__}: {error}; the "
                "next run undoes it: run its drops again"
            ) from None

    def of(self, use_case: str) -> UseCaseState:
        """Give the state of a use case. The first call in a run takes its write lock, waiting for another holder."""
        if use_case not in self._states:
            paths = StatePaths(Path(self.root)) if self.root else state_paths()
            state = UseCaseState(use_case, paths, DuckDBResource(database=":memory:").get_connection)
            run = self._run.run
            writer, resumes = (run.run_id, resumed_run(run)) if run else (this_process(), "")
            self._held.enter_context(state.writing(writer, resumes=resumes, tell=self._log))
            self._states[use_case] = state
        return self._states[use_case]

    def _log(self, message: str) -> None:
        if self._run.log is not None:
            self._run.log.warning(message)


@cache
def shared_resources(root: Path | None = None) -> dict[str, Any]:
    """Give the resources of every use case under one root: the same objects each time, so that definitions merge."""
    store = StateResource(root=str(root) if root else None)
    return {"store": store, "duckdb": DuckDBResource(database=":memory:")}
