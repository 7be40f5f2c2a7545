"""How the quality of models went, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from ml_assets.reports.pictures import Picture, loss_by_day_png
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.not_computed import measured
from ml_assets.stats.tasks import task_of
from ml_assets.stores.failed_measures import noting_failures
from ml_assets.stores.use_case_state import UseCaseState

REPORT = "performance_report"
_PICTURED = timedelta(days=56)  # a run of one drop still shows how it came here
_PICTURED_ROLES = {"champion": "champion", "baseline": "baseline", "first_champion": "first champion"}


def loss_picture(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> Picture | None:
    """Draw the stored losses of `drops` and the weeks before, so that a run of one drop shows more than a point.

    None where nothing matured with a score.
    """
    with noting_failures(state.paths.alerts, state.use_case, "performance_picture", drops[-1]):
        return measured("the picture of losses", partial(_draw_losses, spec, state, drops), None)


def _draw_losses(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey]) -> Picture | None:
    first, last = min(drops[0], spec.calendar.earlier(drops[-1], _PICTURED)), drops[-1]
    loss = task_of(spec.task).loss_metric
    lines = {}
    with state.connect() as connection:
        stored = state.lake.relation(connection, REPORT, (first, last))
        found = stored.filter(f"slice_column IS NULL AND {loss.name} IS NOT NULL")
        for role, name in _PICTURED_ROLES.items():
            rows = found.filter(f"role = '{role}'").order("prediction_batch_date, batch_date").to_arrow_table()
            if rows.num_rows:
                lines[name] = (rows["prediction_batch_date"].to_numpy(), rows[loss.name].to_numpy())
    return Picture(loss_by_day_png(loss, lines), f"matured {first} to {last}") if lines else None
