"""How the quality of models went, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from ml_assets.reports.pictures import Picture, log_loss_by_day_png
from ml_assets.spec.drop import DropKey
from ml_assets.stats.not_computed import measured
from ml_assets.stores.failed_measures import noting_failures
from ml_assets.stores.use_case_state import UseCaseState

REPORT = "performance_report"
_PICTURED = timedelta(days=56)  # a run of one drop still shows how it came here
_PICTURED_ROLES = {"champion": "champion", "baseline": "baseline", "first_champion": "first champion"}


def log_loss_picture(state: UseCaseState, drops: Sequence[DropKey]) -> Picture | None:
    """Draw the stored log losses of `drops` and the weeks before, so that a run of one drop shows more than a point.

    None where nothing matured with a score.
    """
    with noting_failures(state.paths.alerts, state.use_case, "performance_picture", drops[-1]):
        return measured("the picture of log losses", partial(_draw_log_losses, state, drops), None)


def _draw_log_losses(state: UseCaseState, drops: Sequence[DropKey]) -> Picture | None:
    first, last = min(drops[0], drops[-1] - _PICTURED), drops[-1]
    lines = {}
    with state.connect() as connection:
        stored = state.lake.relation(connection, REPORT, (first, last))
        found = stored.filter("slice_column IS NULL AND log_loss IS NOT NULL")
        for role, name in _PICTURED_ROLES.items():
            rows = found.filter(f"role = '{role}'").order("prediction_batch_date, batch_date").to_arrow_table()
            if rows.num_rows:
                lines[name] = (rows["prediction_batch_date"].to_numpy(), rows["log_loss"].to_numpy())
    return Picture(log_loss_by_day_png(lines), f"matured {first} to {last}") if lines else None
