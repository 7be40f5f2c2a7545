"""What must not change by a failure: what decided drops hold, what was delivered, and what serves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
from deltalake import DeltaTable

SERVED = ("predictions", "worklist", "decisions")


@dataclass
class GoodState:
    """Looks at the good state of one use case by itself: files of Delta tables, and delivered files."""

    root: Path
    use_case: str
    remembered: dict[str, str] = field(default_factory=dict[str, str])
    _known: set[date] = field(default_factory=set[date])

    def look(self) -> dict[str, str]:
        """Give the content of each decided drop by table, of each delivered file, and each verdict on a model."""
        found = self._of_drops(self._decided())
        if self._has("champion"):
            for row in read_table(self.root, self.use_case, "champion").to_dict("records"):
                key = (
                    f"verdict {row['model_version']} as of {row['as_of']} by {row['decided_by']} {row['serves_after']}"
                )
                found[key] = str(row["verdict"])
        return found

    def lost(self, before: dict[str, str]) -> list[str]:
        """Name what is not as it was."""
        now = self.look()
        return [key for key, content in before.items() if now.get(key) != content]

    def remember(self) -> None:
        """Remember what drops hold that were decided since the last call."""
        new = self._decided() - self._known
        if new:
            self.remembered |= self._of_drops(new)
            self._known |= new

    def _decided(self) -> set[date]:
        if not self._has("decisions"):
            return set()
        files = committed_table(self.root, self.use_case, "decisions").file_uris()
        return {date.fromisoformat(file.rpartition("batch_date=")[2].partition("/")[0]) for file in files}

    def _of_drops(self, drops: set[date]) -> dict[str, str]:
        found: dict[str, str] = {}
        for table in SERVED:
            if not self._has(table):
                continue
            frame = read_table(self.root, self.use_case, table, drops)
            columns = sorted(name for name in frame.columns if not name.startswith("_"))
            for drop, rows in frame.groupby("batch_date"):
                lines = sorted(map(str, rows[columns].itertuples(index=False)))
                found[f"{table} {drop}"] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        for file in sorted((self.root / "delivered" / self.use_case).rglob("*.csv")):
            if date.fromisoformat(file.stem) in drops:
                found[f"delivered {file.stem}"] = hashlib.sha256(file.read_bytes()).hexdigest()
        return found

    def _has(self, table: str) -> bool:
        return is_committed(self.root, self.use_case, table)


def is_committed(root: Path, use_case: str, table: str) -> bool:
    """Say whether a run that wrote the table has committed."""
    return table in _committed_versions(root / "lake" / use_case)


def committed_table(root: Path, use_case: str, table: str) -> DeltaTable:
    """Open a table in the version that was committed last."""
    lake = root / "lake" / use_case
    return DeltaTable(str(lake / table), version=_committed_versions(lake)[table])


def _committed_versions(lake: Path) -> dict[str, int]:
    record = lake / "commit.json"
    return json.loads(record.read_text(encoding="utf-8"))["tables"] if record.exists() else {}


def read_table(root: Path, use_case: str, table: str, drops: Collection[date] | None = None) -> pd.DataFrame:
    """Read the committed version of a table of the lake by its live files, or some drops of it."""
    opened = committed_table(root, use_case, table)
    is_by_drop = bool(opened.metadata().partition_columns)
    files = opened.file_uris()
    if drops is not None:
        wanted = {f"batch_date={drop}" for drop in drops}
        files = [file for file in files if file.split("/")[-2] in wanted]
    if not files:
        return pd.DataFrame(columns=[field.name for field in opened.schema().fields])
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        listed = ", ".join(f"'{file}'" for file in files)
        hive = "true" if is_by_drop else "false"
        read = f"SELECT * FROM read_parquet([{listed}], union_by_name=true, hive_partitioning={hive})"
        frame = connection.sql(read).df()
    if "batch_date" in frame:
        frame["batch_date"] = pd.to_datetime(frame["batch_date"]).dt.date
    return frame
