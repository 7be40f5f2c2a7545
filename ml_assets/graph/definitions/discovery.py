"""Every use case under defs/, such that one which cannot be loaded takes no other with it."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import dagster as dg

from ml_assets.graph import clock
from ml_assets.graph.definitions.use_case import build_broken_use_case, build_use_case
from ml_assets.pipeline.declaring.calendar_changes import locate_on_state
from ml_assets.spec.declaration import (
    DECLARATION_FILE,
    DeclarationError,
    Mistake,
    find_use_cases,
    is_broken,
    is_readable,
    unexpected,
)
from ml_assets.spec.places import Place
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.paths import delivery_roots, state_paths


def load_use_cases(package: Path, discover: Callable[[], dg.Definitions]) -> dg.Definitions:
    """Load what `discover` finds below `package`/defs, or, when it gives up, each use case by itself.

    Dagster reads every defs.yaml before any component sees its own, and stops at the first that is
    no YAML, holds a tab, or names another type (seen). Its reader writes aliases out without bounds,
    so it sees no file that ours refuses. Where all declarations are sound, its error is about
    something else, and is raised.
    """
    folders = find_use_cases(package / "defs")
    try:
        if all(is_readable(folder) for folder in folders):
            return discover()
    except Exception:
        if not any(is_broken(folder, delivery_roots()) for folder in folders):
            raise
    logging.getLogger("ml_assets").warning("a declaration cannot be read: each use case is loaded by itself")
    return dg.Definitions.merge(*(build_folder(folder) for folder in folders))


def load_location(build: Callable[[], dg.Definitions]) -> dg.Definitions:
    """Load a code location. When it cannot be loaded, open an incident, send it, and raise the error again.

    No sensor ticks in a location that cannot be loaded, so nothing else would tell anybody. The next tick of an alert
    sensor closes the incident. The repository is built here, where a failure can be told, and kept for Dagster.
    """
    try:
        found = build()
        with warnings.catch_warnings():
            # Dagster turns its own checks into definitions by a parameter that it calls beta
            warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*`execution_type`")
            _ = found.get_repository_def().asset_graph
    except Exception as error:
        from ml_assets.pipeline.monitoring.incidents import open_location_incident, send_alerts

        paths, now = state_paths(), clock.now()
        open_location_incident(error, paths, now)
        send_alerts(paths, now)
        raise
    return found


def build_folder(folder: Path) -> dg.Definitions:
    """Build the use case in `folder`, or, when its declaration is broken, one asset that says why."""
    try:
        found = locate_on_state(folder, state_paths())
        return build_declared(found.spec, found.places)
    except DeclarationError as error:
        logging.getLogger("ml_assets").error("%s is broken and was left out:\n%s", folder.name, error)
        return build_broken_use_case(folder.name, error)


def build_declared(spec: UseCaseSpec, places: Mapping[str, Sequence[Place]] | None = None) -> dg.Definitions:
    """Build a use case; what Dagster refuses in it is a mistake of its declaration.

    Raises
    ------
    DeclarationError
        Instead of whatever building raised.
    """
    try:
        return build_use_case(spec, places=places)
    except Exception as error:
        mistake = Mistake(Path(DECLARATION_FILE), 1, "", unexpected("cannot be built", error))
        raise DeclarationError(Path(spec.name), [mistake]) from error
