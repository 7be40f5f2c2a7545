"""What must hold at the end of a life, judged by code that reads files and tables by itself.

Landed files are read by pandas from the copies that were received, tables from the live files of Delta, alerts from
what the receiver took and from their SQLite file. Each promise gives what breaks it, in words; nothing is a promise
kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from ml_assets.stores.engine import open_database
from ml_assets.stores.lake import Lake
from ml_assets.stores.model_store import ModelStore
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.query import ask
from ml_assets.stores.table_files import content_hash
from ml_assets_tests.life.good_state import GoodState, is_committed, read_table
from ml_assets_tests.life.sink import Sink
from ml_assets_tests.life.use_case import NAME, SOURCES

_VALUES = {"orders": ["depot", "carrier", "weight_kg"], "outcomes": ["depot", "hours_late"]}
_LINE = ["batch_date", "_file", "_line"]
_PARTS = ("drops", "examples", "features", "predictions", "worklist", "drift_report")  # tables of a batch
_SOON = timedelta(minutes=30)  # from the end of a run to the look that tells of it
# which kind of incident tells of which trouble
_TOLD_AS = {
    "missing_for_good": "missing_drop", "unread_file": "unread_file", "broken_declaration": "broken_use_case",
    "killed_run": "failed_run", "failed_run": "failed_run", "cancelled_run": "failed_run",
    "failed_retraining": "failed_run", "killed_retraining": "failed_run",
}  # fmt: skip


@dataclass(frozen=True)
class LandedRow:
    """A row that the world landed and that keeps the contract: its key and its values, as text."""

    source: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class EndedRun:
    """A run that did not succeed: its job, its id and when it ended."""

    job: str
    run_id: str
    ended_at: datetime


@dataclass
class Record:
    """What happened, for the promises to be checked against.

    Attributes
    ----------
    events, runs
        How often each kind of event was, and each job ended how.
    kept_broken
        What a run that went wrong has changed of the good state.
    seen_in_part
        Drops of which readers saw a part after a run that did not succeed.
    seconds
        CPU time of each look of the daemons and of each run that succeeded, in their order.
    newest
        For each source and key that kept the contract the row that was landed last.
    """

    events: Counter[str] = field(default_factory=Counter[str])
    runs: Counter[str] = field(default_factory=Counter[str])
    kept_broken: list[str] = field(default_factory=list[str])
    seen_in_part: list[str] = field(default_factory=list[str])
    last_retraining: str = ""
    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    ended: list[EndedRun] = field(default_factory=list[EndedRun])
    newest: dict[tuple[str, str], LandedRow] = field(default_factory=dict[tuple[str, str], LandedRow])


def promises_of(paths: StatePaths, sink: Sink, good: GoodState, record: Record) -> dict[str, list[str]]:
    """Check every promise about one life; give what breaks each."""
    return {
        "1 each accepted row is counted once": rows_counted_once(paths, list(record.newest.values())),
        "2 readers see only committed drops": record.seen_in_part
        + readers_see_committed_drops(paths, good.remembered, good.look()),
        "3 landed = accepted + quarantined": landed_is_accepted_and_quarantined(paths),
        "4 the champion is loadable and passed the gate": champion_is_loadable(paths),
        "5 alerts arrive at least once with a stable id": alerts_are_delivered(paths, sink, record.events),
        "6 a failure keeps the last good state": record.kept_broken,
        "6 and says so": failures_are_told(paths, record.ended),
        "retraining works on the last day": [] if record.last_retraining == "succeeded" else [record.last_retraining],
    }


def rows_counted_once(paths: StatePaths, newest: Sequence[LandedRow]) -> list[str]:
    """Say which landed rows are not in the validated tables, or more than once; and examples drawn or scored twice.

    `newest` holds, for each key that kept the contract, the row that was landed last.
    """
    broken: list[str] = []
    for source in SOURCES:
        rows = _table(paths, f"validated_{source}").sort_values("batch_date")
        broken += _some(f"{source}: validated twice from one line", _repeated(rows, _LINE))
        broken += _some(f"{source}: one key twice in a drop", _repeated(rows, ["batch_date", "order_id"]))
        broken += _some(f"{source}: the same values of a key twice", _repeated(rows, ["order_id", *_VALUES[source]]))
        stored = {row.order_id: tuple(map(str, row[1:])) for row in _last(rows, source).itertuples(index=False)}
        wanted = {row.key: row.values for row in newest if row.source == source}
        broken += _some(f"{source}: landed and lost", [key for key in wanted if key not in stored])
        other = [
            f"{key} {stored[key]} for {wanted[key]}" for key in wanted if stored.get(key, wanted[key]) != wanted[key]
        ]
        broken += _some(f"{source}: not the newest values", other)
    examples, predictions = _table(paths, "examples"), _table(paths, "predictions")
    known = set(examples["example_id"]) | set(_table(paths, "quarantine_examples")["example_id"])
    orders = {row.key for row in newest if row.source == "orders"}
    broken += _some("orders that are no example", sorted(orders - known))
    broken += _some("examples drawn twice", _repeated(examples, ["example_id"]))
    broken += _some("examples scored twice", _repeated(predictions, ["example_id"]))
    drawn, scored = examples.groupby("batch_date").size(), predictions.groupby("batch_date").size()
    partly = [
        f"{drop}: {scored[drop]} of {drawn.get(drop, 0)}" for drop in scored.index if scored[drop] != drawn.get(drop)
    ]
    return broken + _some("drops scored in part", partly)


def readers_see_committed_drops(paths: StatePaths, remembered: dict[str, str], now: dict[str, str]) -> list[str]:
    """Say which decided drops lack a table, or are not what they were when they were decided."""
    broken = [f"{key} has changed since it was decided" for key in remembered if now.get(key) != remembered[key]]
    decided = set(_table(paths, "decisions")["batch_date"])
    for table in ("drops", "closed_drops"):
        found = set(_table(paths, table)["batch_date"])
        broken += _some(f"decided drops without {table}", sorted(map(str, decided - found)))
    return broken + seen_in_part(paths)


def seen_in_part(paths: StatePaths) -> list[str]:
    """Give the drops of which `ml-assets sql` shows a table while it shows no decision, the last thing of a batch.

    Asked after each run that did not succeed: what it wrote until then is nobody's to see.
    """
    if not is_committed(paths.root, NAME, "decisions"):
        return []
    broken: list[str] = []
    for table in (table for table in _PARTS if is_committed(paths.root, NAME, table)):
        with open_database() as connection:
            found = ask(
                connection, paths,
                f"SELECT DISTINCT batch_date FROM {NAME}.{table} WHERE batch_date NOT IN "
                f"(SELECT batch_date FROM {NAME}.decisions)",
            )  # fmt: skip
            broken += [f"{table} of {row[0]} is seen before its batch has ended" for row in found.fetchall()]
    return broken


def landed_is_accepted_and_quarantined(paths: StatePaths) -> list[str]:
    """Say where the rows of a received file are not exactly its accepted and its quarantined rows."""
    broken: list[str] = []
    for source in SOURCES:
        receipts = _table(paths, f"received_{source}")
        raw, validated = _table(paths, f"raw_{source}"), _table(paths, f"validated_{source}")
        quarantine = _table(paths, f"quarantine_{source}").drop_duplicates(_LINE)
        both = pd.concat([validated[_LINE], quarantine[_LINE]])
        broken += _some(f"{source}: accepted and quarantined", _repeated(both, _LINE))
        ours, theirs = set(map(tuple, raw[_LINE].to_numpy())), set(map(tuple, both.to_numpy()))
        broken += _some(f"{source}: landed and neither accepted nor quarantined", sorted(map(str, ours - theirs)))
        broken += _some(f"{source}: accepted or quarantined and never landed", sorted(map(str, theirs - ours)))
        counted = raw.groupby(["batch_date", "_file"]).size()
        for receipt in receipts.to_dict("records"):
            lines = _rows_of(paths.received / f"{receipt['sha256']}.csv")
            n = counted.get((receipt["batch_date"], receipt["_file"]), 0)
            if lines != n:
                broken.append(f"{source} of {receipt['batch_date']}: {lines} rows in the file, {n} in raw")
        ledger = _table(paths, "drops")
        ledger = ledger.loc[ledger["source"] == source]
        wrong = ledger.loc[ledger["landed"] != ledger["validated"] + ledger["quarantined"]]
        broken += _some(f"{source}: the ledger does not add up", sorted(map(str, wrong["batch_date"])))
    return broken


def champion_is_loadable(paths: StatePaths) -> list[str]:
    """Say why the champion cannot be loaded, or has not passed the gate."""
    record = _table(paths, "champion")
    promoted = record.loc[record["verdict"] == "promoted"]
    if promoted.empty:
        return ["there is no champion"]
    broken: list[str] = []
    passed = set(promoted.loc[promoted["decided_by"] == "gate", "model_version"])
    for row in promoted.to_dict("records"):
        version = str(row["model_version"])
        if version not in passed:
            broken.append(f"{version} serves and never passed the gate")
        manifest = paths.models / NAME / version / "manifest.json"
        if not manifest.is_file():
            broken.append(f"{version}: its files are gone")
            continue
        content = manifest.read_bytes()
        if hashlib.sha256(content).hexdigest() != row["artifact_sha256"]:
            broken.append(f"{version}: its manifest is not the one that passed the gate")
            continue
        bundle = ModelStore(paths.models / NAME).load(version, str(row["artifact_sha256"]))
        if not bundle.features or not json.loads(content):
            broken.append(f"{version} has no features")
    return broken


def alerts_are_delivered(paths: StatePaths, sink: Sink, troubles: Counter[str]) -> list[str]:
    """Say which messages were never delivered, changed their id, or are missing for what went wrong."""
    with closing(sqlite3.connect(paths.alerts / "alerts.sqlite")) as connection:
        messages = connection.execute("SELECT message_id, title, sent_at FROM messages").fetchall()
        kinds = {kind for (kind,) in connection.execute("SELECT DISTINCT kind FROM incidents").fetchall()}
    delivered = Counter(sink.delivered_ids())
    broken = _some("messages never sent", [title for _, title, sent in messages if sent is None])
    broken += _some("sent and not taken", [title for key, title, sent in messages if sent and not delivered[key]])
    broken += _some("taken and unknown", [key for key in delivered if key not in {message[0] for message in messages}])
    untold = [trouble for trouble, kind in _TOLD_AS.items() if troubles[trouble] and kind not in kinds]
    return broken + _some("troubles without an alert", untold)


def failures_are_told(paths: StatePaths, ended: Sequence[EndedRun]) -> list[str]:
    """Say which runs that did not succeed no incident tells of."""
    with closing(sqlite3.connect(paths.alerts / "alerts.sqlite")) as connection:
        rows = connection.execute(
            "SELECT monitor, opened_at, closed_at FROM incidents WHERE kind = 'failed_run'"
        ).fetchall()
    lives = [
        (
            monitor,
            datetime.fromisoformat(opened),
            datetime.fromisoformat(closed) if closed else datetime.max.replace(tzinfo=UTC),
        )
        for monitor, opened, closed in rows
    ]
    return [
        f"run {run.run_id[:8]} of {run.job} ended at {run.ended_at:%Y-%m-%d %H:%M} and no incident tells of it"
        for run in ended
        if not any(
            monitor.removesuffix("/by_hand") == f"run/{run.job}"
            and opened <= run.ended_at + _SOON
            and closed >= run.ended_at
            for monitor, opened, closed in lives
        )
    ]


def content_hashes(paths: StatePaths) -> dict[str, str]:
    """Give the content hash of every table: equal lives have equal ones."""
    lake = Lake(paths.lake / NAME)
    with open_database() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {table: content_hash(lake.relation(connection, table)) for table in lake.tables()}


def _table(paths: StatePaths, table: str) -> pd.DataFrame:
    if not is_committed(paths.root, NAME, table):
        return pd.DataFrame(columns=["batch_date", "example_id"])
    return read_table(paths.root, NAME, table)


def _rows_of(copy: Path) -> int:
    """Count the rows of a received file as pandas does."""
    text = copy.read_text(encoding="utf-8")
    return len(pd.read_csv(io.StringIO(text), dtype=str)) if text.strip() else 0


def _last(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    return rows.drop_duplicates("order_id", keep="last")[["order_id", *_VALUES[source]]]


def _repeated(rows: pd.DataFrame, columns: list[str]) -> list[str]:
    twice = rows.loc[rows.duplicated(columns)]
    return [" ".join(map(str, row)) for row in twice[columns].to_numpy()]


def _some(what: str, found: Sequence[object]) -> list[str]:
    """Say how many, and name the first three."""
    return [f"{len(found)} {what}: {', '.join(map(str, found[:3]))}"] if found else []
