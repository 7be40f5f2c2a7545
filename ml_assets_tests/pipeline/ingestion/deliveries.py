"""Lands made-up files of small sources and takes them through the steps of ingestion, up to the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ml_assets.pipeline.ingestion.ledger import build_ledger
from ml_assets.pipeline.ingestion.raw import receive_source
from ml_assets.pipeline.ingestion.validated import validate_source
from ml_assets.spec.contract import Column, Source
from ml_assets.spec.tables.features import CLOSED_DROPS
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.table_rows import arrow_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets_tests.rehearsal import flagship

ORDERS = {"id": "string", "ordered_at": "timestamp", "depot": "string", "kg": "float", "n": "integer"}
Row = dict[str, Any]
_NOW = datetime(2030, 1, 1, tzinfo=UTC)


def orders(columns: dict[str, Any] | None = None, **more: Any) -> Source:
    """Declare a source `orders`; columns by type, or as they are declared."""
    declared = {
        name: Column.model_validate(kind if isinstance(kind, dict) else {"type": kind})
        for name, kind in (columns or ORDERS).items()
    }
    return Source.model_validate({"name": "orders", "key": ["id"], "columns": declared, **more})


@dataclass(frozen=True)
class Deliveries:
    """The state of one use case in `root`, whose only sources are `sources`."""

    root: Path
    sources: tuple[Source, ...]

    @property
    def spec(self) -> UseCaseSpec:
        """Give a use case of these sources alone."""
        return flagship().model_copy(update={"sources": self.sources})

    @property
    def state(self) -> UseCaseState:
        """Give its state."""
        return UseCaseState(self.spec.name, StatePaths(self.root))

    @property
    def lake(self) -> Lake:
        """Give its tables."""
        return self.state.lake

    def land(self, drop: date, content: bytes | str, name: str = "orders.csv") -> Path:
        """Land a file in the folder of a drop."""
        path = self.state.landing / drop.isoformat() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, drops: Sequence[date], *, closes: bool = False) -> list[Row]:
        """Run drops up to their ledger and give its rows; `closes` marks them as those whose features are stored."""
        for source in self.sources:
            receive_source(self.spec, self.state, source, drops, _NOW)
            validate_source(self.spec, self.state, source, drops, _NOW)
        build_ledger(self.spec, self.state, drops, _NOW)
        if closes:
            closed = [{"batch_date": drop, "examples": 0, "_feature_set": 1} for drop in drops]
            self.lake.replace_drops(CLOSED_DROPS.name, arrow_rows(CLOSED_DROPS, closed), drops)
        return self.rows("drops", (drops[0], drops[-1]))

    def rows(self, table: str, drops: tuple[date, date] | None = None) -> list[Row]:
        """Read a table, in order of drop and line."""
        rows = read_rows(self.lake, table, None, drops)
        return sorted(rows, key=lambda row: (row["batch_date"], row.get("_file", ""), row.get("_line", 0)))
