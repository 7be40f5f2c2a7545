"""How long state is kept that nothing but a look back needs."""

from __future__ import annotations

from datetime import timedelta

from ml_assets.spec.declared import Declared
from ml_assets.spec.duration import Duration


class Retention(Declared):
    """How long a use case keeps what was overwritten or refused. `ml-assets housekeep` removes what is older.

    Never removed: landed files and their copies, the newest rows of every table, every model that was promoted, its
    card, its run in MLflow and the training set it was fitted on, verdicts, incidents and the list of runs. Pages of
    drift have a rule of their own: `monitoring.keep_reports`.

    Attributes
    ----------
    versions
        Earlier versions of tables. Within this time a drop can be compared with what it was served, and scored again
        from it.
    candidates
        Files of models that were refused, tried or abandoned.
    run_logs
        What the steps of a run wrote: its events and outputs. That it ran, and what it materialized, stays.
    registry
        Runs and registered versions of MLflow, with their artifacts, of models that were never promoted.
    pages
        Pages under reports that were drawn by a command or a run, and can be drawn again.
    spill
        Folders that SQL spilled to, of processes that were killed, since they were last written to.
    """

    versions: Duration = timedelta(days=400)
    candidates: Duration = timedelta(days=90)
    run_logs: Duration = timedelta(days=30)
    registry: Duration = timedelta(days=400)
    pages: Duration = timedelta(days=400)
    spill: Duration = timedelta(days=1)
