"""Tables of a use case that has served for some weeks, with values that can be worked out by hand.

Two examples a drop, one of them positive, of flight_delays from 2013-02-05 on. From the third week on the champion says
the opposite of the outcome; a retraining is refused then, and the baseline serves from the fourth week on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from ml_assets.decisions.incidents import Finding
from ml_assets.spec.tables.models import CHAMPION
from ml_assets.spec.tables.monitoring import DECISIONS, PERFORMANCE_VERDICTS
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.lake import Lake
from ml_assets.stores.paths import StatePaths
from ml_assets.stores.table_rows import arrow_rows

NAME = "flight_delays"
FIRST = date(2013, 2, 5)
NOW = datetime(2026, 1, 5, tzinfo=UTC)
FAILED_AFTER = date(2013, 2, 25)
WHY = "m1 has failed: it has done worse than the baseline since drop 2013-02-19; the baseline serves"


def drops_of(weeks: int) -> list[date]:
    return [FIRST + timedelta(days=number) for number in range(7 * weeks)]


def write_served(root: Path, weeks: int, *, verdict: dict[str, Any] | None = None) -> None:
    """Write what so many weeks leave; the newest drop is two days after them, when all of it has matured."""
    lake, drops = Lake(root / "lake" / NAME), drops_of(weeks)
    newest = drops[-1] + timedelta(days=2)
    write_decisions(root, [*drops, newest])
    scored = [(drop, f"{drop}{label}", label) for drop in drops for label in (0, 1)]
    _replace(lake, "predictions", [
        {"batch_date": drop, "example_id": name, "score": score_of(drop, label), "baseline_score": 0.5,
         "model_version": "m1"}
        for drop, name, label in scored
    ])  # fmt: skip
    _replace(lake, "shadow_predictions", [
        {"batch_date": drop, "example_id": name, "role": "first_champion", "score": 0.6 if label else 0.4}
        for drop, name, label in scored
    ])  # fmt: skip
    _replace(lake, "labels", [
        {"batch_date": drop + timedelta(days=1), "example_id": name, "label": label,
         "known_at": datetime(drop.year, drop.month, drop.day, tzinfo=UTC)}
        for drop, name, label in scored
    ])  # fmt: skip
    judged = {
        "batch_date": newest, "model_version": "m1", "state": "ok", "prior_state": "cannot tell", "n": 28, "n_days": 14,
        "window_from": drops[-1] - timedelta(days=13), "window_until": drops[-1], "loss_now": 0.22,
        "loss_at_gate": 0.2, "gain": 0.6, "gain_lower": 0.5, "gain_upper": 0.7, "threshold": 0.15,
    }  # fmt: skip
    row = judged | (verdict or {})
    lake.replace_drops("performance_verdicts", arrow_rows(PERFORMANCE_VERDICTS, [row]), [row["batch_date"]])
    _write_record(lake, drops[-1])
    risen = Finding("performance", "loss_risen", "error", "the loss has risen", 9.0, 5.0, "it retrains", "here")
    outbox = AlertOutbox(StatePaths(root))
    for drop in drops[::7]:
        outbox.reconcile(NAME, ("performance",), str(drop), [risen] if drop >= date(2013, 2, 19) else [], NOW)


def score_of(drop: date, label: int) -> float:
    """Give what served: 0.8 for what comes true, in the third week for what does not, then the baseline."""
    if drop > FAILED_AFTER:
        return 0.5
    return 0.8 if bool(label) == (drop < date(2013, 2, 19)) else 0.2


def write_decisions(root: Path, drops: list[date], **columns: Any) -> None:
    """Write a decision to do nothing of each drop."""
    Lake(root / "lake" / NAME).replace_drops("decisions", decision_rows(drops, **columns), drops)


def decision_rows(drops: Sequence[date], **columns: Any) -> pa.Table:
    """Give a decision to do nothing of each drop."""
    nothing = {"action": "nothing", "reason": "no trigger fires", "would_change": "a trigger", "evidence": []}
    nothing |= {"is_scored": True, "is_reported": True}
    return arrow_rows(DECISIONS, [{"batch_date": drop, **nothing, **columns} for drop in drops])


def _write_record(lake: Lake, last: date) -> None:
    promoted = {"as_of": FIRST - timedelta(days=1), "verdict": "promoted", "decided_by": "gate", "model_version": "m1",
                "serves": "model", "asked_by": "by hand",
                "gate": "disabled", "reasons": []}  # fmt: skip
    broken = {"code": "gain_too_small", "passed": False, "message": "0.1 %, at least 0.2 % is asked"}
    refused = {"as_of": date(2013, 2, 22), "verdict": "refused", "model_version": "m2",
               "asked_by": "performance", "gate": "enabled",
               "reasons": [broken]}  # fmt: skip
    fallback = {"serves_after": FAILED_AFTER, "decided_by": "fallback", "serves": "baseline", "note": WHY,
                "asked_by": None}  # fmt: skip
    rows = [promoted, promoted | refused, promoted | fallback]
    common = {"candidate": "xgboost", "artifact_sha256": "", "_recorded_at": NOW, "_run_id": ""}
    kept = [
        {**common, "serves_after": row["as_of"], "sequence": number, **row}
        for number, row in enumerate(rows, 1) if row["as_of"] <= last and row.get("serves_after", FIRST) <= last
    ]  # fmt: skip
    lake.replace("champion", arrow_rows(CHAMPION, kept))


def _replace(lake: Lake, table: str, rows: list[dict[str, Any]]) -> None:
    lake.replace_drops(table, pa.Table.from_pylist(rows), sorted({row["batch_date"] for row in rows}))
