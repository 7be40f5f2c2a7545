"""Takes a state of an earlier release along to the version of this software.

Each migration looks at the state, says what it would change, and changes it. One that is killed in the middle is run
again from the start: every change is one commit of a table, one rename of a file, or keeps a copy beside what it
changes. The version of the state is written last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_assets.pipeline.champion.record import GATE
from ml_assets.spec.tables import with_keys
from ml_assets.spec.tables.models import CHAMPION, EVALUATION
from ml_assets.spec.tables.table import Table
from ml_assets.spec.tasks import TASK_METRICS
from ml_assets.stores.database_copies import keep_copy
from ml_assets.stores.instance_settings import replace_settings
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_registry import migrate_registry
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.project import find_project
from ml_assets.stores.rows import read_rows
from ml_assets.stores.state_version import STATE_VERSION, declare_version, found_version
from ml_assets.stores.table_rows import arrow_rows

Change = tuple[str, Callable[[], object]]  # what it does, in words, and the work
MigrateInstance = Callable[[bool], Sequence[str]]  # whether to look only
_RENAMED = {"computed_drops": "closed_drops"}


@dataclass(frozen=True)
class Migration:
    """How a state gets from the version before `to` to it: `plan` gives the changes that are left to do."""

    to: int
    plan: Callable[[StatePaths], Iterator[Change]]


def migrate(paths: StatePaths, migrate_instance: MigrateInstance, *, is_dry_run: bool = False) -> Iterator[str]:
    """Take a state along, and say what was done as it is done; with `is_dry_run` what would be.

    Call it while nothing else writes to the state. `migrate_instance` does the same for the tables of the orchestrator,
    and gives what was or would be done.
    """
    found = found_version(paths)
    for migration in MIGRATIONS:
        if found is None or found >= migration.to:
            continue
        for text, work in migration.plan(paths):
            if not is_dry_run:
                work()
            yield text
    for text, work in _schemas(paths, migrate_instance):  # those of a library change with the library
        if not is_dry_run:
            work()
        yield text
    if found is not None and found < STATE_VERSION:
        if not is_dry_run:
            declare_version(paths)
        yield f"state.json: version {STATE_VERSION}"


def _to_first_version(paths: StatePaths) -> Iterator[Change]:
    settings = find_project().dagster_settings
    if replace_settings(settings, paths.dagster_home, is_dry_run=True):
        text = "dagster_home/dagster.yaml: that of an earlier release is replaced, and kept as dagster.yaml.before"
        yield text, lambda: replace_settings(settings, paths.dagster_home)
    for folder in sorted(paths.lake.glob("*/")):
        yield from _tables_of(Lake(folder))


def _tables_of(lake: Lake) -> Iterator[Change]:
    """Name tables as now, give each its properties, and write the record of verdicts in its columns of now."""
    use_case = lake.folder.name
    for before, name in _RENAMED.items():
        if lake.has(before) and not lake.has(name):
            yield f"{use_case}.{before}: named {name} from now on", lambda b=before, n=name: lake.rename(b, n)
    for table in lake.tables():
        if not lake.has_properties(table):
            yield f"{use_case}.{table}: delta-rs no longer removes its versions", lambda t=table: lake.set_properties(t)
    for declared in (EVALUATION, CHAMPION):
        rows = read_rows(lake, declared.name, None)
        table = declared.of(_task_of(lake, declared.name))
        table = with_keys(table, rows[0]["as_of"]) if rows else table
        completed = [_completed(table, row) for row in rows]
        if completed != rows or (lake.has(table.name) and lake.column_types(table.name)["reasons"] == "VARCHAR[]"):
            text = f"{use_case}.{table.name}: {len(rows)} rows written with the columns of now, as a new version"
            yield text, lambda t=table, r=completed: lake.replace(t.name, arrow_rows(t, r))


def _task_of(lake: Lake, table: str) -> str:
    """Give the task whose losses a table of verdicts holds; earlier releases knew the binary one alone."""
    held = lake.column_types(table) if lake.has(table) else {}
    return next((name for name, (loss, *_) in TASK_METRICS.items() if f"candidate_{loss}" in held), "binary")


def _completed(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a verdict with what earlier releases did not write: reasons as rows, who decided it, what serves when."""
    reasons = row.get("reasons") and [_reason(each) for each in row["reasons"]]
    found = {column.name: row.get(column.name) for column in table.columns} | {"reasons": reasons}
    if table.name == CHAMPION.name:
        found["decided_by"] = found["decided_by"] or GATE
        found["serves_after"] = found["serves_after"] or found["as_of"]
        found["serves"] = found["serves"] or "model"
    return found


def _reason(recorded: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """Give a reason as a row; the first releases wrote `kept code: message` or `broken code: message`."""
    if not isinstance(recorded, str):
        return recorded
    outcome, _, rest = recorded.partition(" ")
    code, _, message = rest.partition(": ")
    return {"code": code, "message": message, "measured": None, "threshold": None, "passed": outcome == "kept"}


def _schemas(paths: StatePaths, migrate_instance: MigrateInstance) -> Iterator[Change]:
    is_readable = not replace_settings(find_project().dagster_settings, paths.dagster_home, is_dry_run=True)
    for position, text in enumerate(migrate_instance(True) if is_readable else ()):
        yield text, lambda first=position == 0: _upgrade_instance(paths, migrate_instance) if first else None
    text = migrate_registry(paths.mlflow, is_dry_run=True)
    if text:
        yield text, lambda: migrate_registry(paths.mlflow)


def _upgrade_instance(paths: StatePaths, migrate_instance: MigrateInstance) -> None:
    history = paths.dagster_home / "history"
    for file in (history / "runs.db", history / "runs" / "index.db", paths.dagster_home / "schedules" / "schedules.db"):
        if file.exists():
            keep_copy(file, "before_migration")
    migrate_instance(False)


MIGRATIONS: Sequence[Migration] = (Migration(1, _to_first_version),)
