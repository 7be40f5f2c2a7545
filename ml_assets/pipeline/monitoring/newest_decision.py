"""The decision that automation follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml_assets.spec.drop import EARLIEST, LATEST, DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.rows import read_rows
from ml_assets.stores.unchanged import keep_unchanged, table_marks


def newest_decision(spec: UseCaseSpec, paths: StatePaths, until: DropKey = LATEST) -> dict[str, Any] | None:
    """Give what the newest drop of `decisions` asks for; `is_judged` says whether a verdict as of it was given.

    Drops that were run together, as after an outage, may hold a request for retraining that nobody could act on before
    the next of them was decided. Where the newest one then has nothing to ask for, it asks for what the last of these
    did; `asked_in` is the drop of the request. Drops and verdicts after `until` are not looked at: a replay asks what
    a drop asked for on its own day.
    """
    folder, reach = paths.lake / spec.name, spec.retraining.replay_every
    mark = (until, table_marks(folder, ("decisions", "champion")))
    name = ("newest decision", folder, reach)
    return keep_unchanged(name, mark, lambda: _read(Lake(folder, is_pinned=True), spec, until))


def are_decided(lake: Lake, drops: Sequence[DropKey]) -> bool:
    """Say whether every one of `drops` was taken through to its decision."""
    return set(drops) <= {row["batch_date"] for row in read_rows(lake, "decisions", ["batch_date"])}


def _read(lake: Lake, spec: UseCaseSpec, until: DropKey) -> dict[str, Any] | None:
    decided = [row["batch_date"] for row in read_rows(lake, "decisions", ["batch_date"])]
    days = [drop for drop in decided if drop <= until]
    if not days:
        return None
    newest = max(days)
    judged = {row["as_of"] for row in read_rows(lake, "champion", ["as_of"]) if row["as_of"] <= until}
    since = max(spec.calendar.earlier(newest, spec.retraining.replay_every), max(judged, default=EARLIEST))
    recent = [row for row in read_rows(lake, "decisions", None, (since, newest)) if row["batch_date"] > since]
    recent.sort(key=lambda row: row["batch_date"])
    row = recent[-1] if recent else read_rows(lake, "decisions", None, (newest, newest))[0]
    asked = [each for each in recent if each["action"] == "retrain"]
    found = {**row, "asked_in": newest, "is_judged": newest in judged}
    if row["action"] != "nothing" or not asked:
        return found
    request = asked[-1]
    taken = {name: request[name] for name in ("action", "trigger", "monitor", "measurement", "threshold")}
    return {**found, **taken, "asked_in": request["batch_date"],
            "reason": f"{request['reason']} (asked for in drop {request['batch_date']})"}  # fmt: skip
