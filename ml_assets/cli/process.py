"""The process of the ml-assets command: how it collects garbage, and how it ends."""

from __future__ import annotations

import atexit
import gc
import os
import sys

from ml_assets.cli.app import app

_THRESHOLDS = (100_000, 50, 100)  # a command makes millions of objects that live to its end: look for cycles seldom


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code.

    Collecting garbage at the usual thresholds costs a run of one drop a tenth of its processor time, and taking its
    modules apart when all is written another tenth: neither is done.
    """
    gc.set_threshold(*_THRESHOLDS)
    ended: list[SystemExit] = []
    atexit.register(_leave, ended)  # registered first, so it runs after every other handler
    try:
        app()
    except SystemExit as error:
        ended.append(error)
        raise


def _leave(ended: list[SystemExit]) -> None:
    """End the process at once, where a command ended by itself and all of its output is written."""
    if not ended or not isinstance(ended[0].code, int | None):
        return  # Python shows the error
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # a reader that went away: Python knows what to say
    os._exit(ended[0].code or 0)
