"""Rows of a drop as files for people and systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.delivering import deliver
from ml_assets.stores.use_case_state import UseCaseState

if TYPE_CHECKING:
    import pyarrow as pa


def deliver_drop(spec: UseCaseSpec, state: UseCaseState, table: str, drop: DropKey, rows: pa.Table) -> dict[str, str]:
    """Write the rows of a drop as the declared files, and remove a file that no longer holds; note where they are."""
    import pyarrow.compute as pc

    of_drop = rows.filter(pc.field("batch_date") == drop)
    asked = [delivery for delivery in spec.deliveries if delivery.table == table]
    written = [deliver(state.paths, spec.name, delivery, drop, of_drop) for delivery in asked]
    if not asked:
        return {}
    paths = ", ".join(str(path) for path in written if path is not None)
    return {"delivered": paths or "nothing: the drop has no predictions"}
