"""Labels of drops: outcomes as they became known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from ml_assets.pipeline.ingestion.ready_drops import refuse_undue_drops
from ml_assets.pipeline.labeling.reviewed_labels import with_reviewed
from ml_assets.pipeline.results import DropResult
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.sandbox import restrict_to_tables, select_by_drop
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.labels import validate_labels


def store_labels(spec: UseCaseSpec, state: UseCaseState, drops: Sequence[DropKey], now: datetime) -> DropResult:
    """Draw the labels that each drop brought, by the declared SELECT, and store them. Grain: an example.

    A drop that has not come by `now`, the wall's moment, is refused as `refuse_undue_drops` does.
    """
    refuse_undue_drops(spec, state, drops, now)
    sources, bounds = spec.labels.sources, (drops[0], drops[-1])
    with state.connect_apart() as connection:
        read = {f"validated_{source}": state.lake.files(f"validated_{source}", drops=bounds) for source in sources}
        restrict_to_tables(connection, read)
        select_by_drop(connection, spec.labels.sql, sources, drops, spec.calendar)
        rows = validate_labels(connection, task_of(spec.task).labels, spec.labels.measures).to_arrow_table()
    if spec.review is not None:
        rows = with_reviewed(spec, state, rows, drops)
    state.lake.replace_drops("labels", rows, drops)
    days, values = rows["batch_date"].to_pylist(), rows["label"].to_pylist()
    counts = Counter(days)
    total: Counter[DropKey] = Counter()
    for day, label in zip(days, values, strict=True):
        total[day] += label
    said = "positive share" if task_of(spec.task).has_classes else task_of(spec.task).label_title
    return DropResult(counts, {drop: {said: total[drop] / counts[drop]} for drop in counts})
