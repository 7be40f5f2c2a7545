"""What workspace.yaml points to: every use case of the project, as Dagster finds them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from ml_assets.graph.definitions.discovery import build_folder, load_location, load_use_cases
from ml_assets.spec.declaration import find_use_cases
from ml_assets.stores.project import find_project
from ml_assets.stores.telemetry import switch_off_telemetry


@dg.definitions
def defs() -> dg.Definitions:
    """Load every use case."""
    return use_cases()


def use_cases() -> dg.Definitions:
    """Give the definitions of every use case of the project, to be merged with others."""
    switch_off_telemetry()
    # one process a run: starting one for each step costs several times what a step takes
    in_process = dg.Definitions(executor=dg.in_process_executor)
    package = Path(__file__).parent

    def build() -> dg.Definitions:
        use_cases = find_project().use_cases
        if use_cases == package / "defs":  # a folder of components, such as `dg` knows it
            found = load_use_cases(package, lambda: dg.load_from_defs_folder(path_within_project=package))
        else:
            found = dg.Definitions.merge(*(build_folder(folder) for folder in find_use_cases(use_cases)))
        return dg.Definitions.merge(found, in_process)

    with _collector_paused():
        return load_location(build)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector: of what loading makes nearly all stays, and each pass would look at all of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
