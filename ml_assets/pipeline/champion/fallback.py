"""Replace a failed champion by the declared fallback.

Input: the decision of the newest drop, or in a replay of each drop in turn. Where it says that the champion has failed,
an entry is appended to the champion's record: from the next drop on an earlier champion, or the baseline of the failed
one, gives the scores. The next promotion ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.monitoring.performance import judged_window
from ml_assets.monitoring.performance_verdict import LEVEL
from ml_assets.pipeline.champion.record import (
    FALLBACK,
    PROMOTED,
    ServingDecision,
    append_decision,
    champion_in,
    read_record,
)
from ml_assets.pipeline.features.versions import lost_features
from ml_assets.spec.drop import LATEST, DropKey
from ml_assets.spec.feature_versions import feature_definitions
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.tasks import task_of
from ml_assets.stores.model_store import ModelBundle, TamperedModelError
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.evaluation import gain_over

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

Row = Mapping[str, Any]
_EARLIER = 3  # champions before the failed one that are tried, the newest first


def apply_fallback(spec: UseCaseSpec, state: UseCaseState, decided: Row, now: datetime) -> bool:
    """Append the fallback to the record when a decision says that the champion has failed; say whether it did.

    Running it again changes nothing: a champion that is already replaced for the next drop is not replaced twice.

    Parameters
    ----------
    decided
        The row of `decisions` of the newest drop, or of the drop that a replay has come to.
    """
    drop: DropKey = decided["batch_date"]
    if spec.model.fallback == "none" or decided["failure"] is None:
        return False
    with state.connect() as connection:
        record = read_record(connection, state.lake)
        failed, next_one = champion_in(record, drop), champion_in(record, LATEST)
        if failed is None or next_one is None or failed["sequence"] != next_one["sequence"]:
            return False
        entry, serves = failed, "baseline"
        if spec.model.fallback == "last_better":
            better = _better_champion(spec, state, connection, record, failed, drop)
            entry, serves = (failed, "baseline") if better is None else (better, "model")
        instead = "the baseline serves" if serves == "baseline" else f"{entry['model_version']} serves again"
        why = f"{failed['model_version']} has failed: {decided['failure']}; {instead} until the next promotion"
        decision = ServingDecision(PROMOTED, FALLBACK, drop, why, serves)
        append_decision(connection, state.lake, entry, decision, {"_recorded_at": now, "_run_id": ""}, task=spec.task)
    state.registry.name_champion(entry["_registry_version"])
    return True


def _better_champion(
    spec: UseCaseSpec,
    state: UseCaseState,
    connection: duckdb.DuckDBPyConnection,
    record: Sequence[Row],
    failed: Row,
    drop: DropKey,
) -> Row | None:
    """Return the earlier champion with the largest gain over the baseline on the newest matured rows; None without one.

    The lower end of its interval has to be above zero, on as many rows and days as the gate asks for.
    """
    gone = {failed["model_version"], *_replaced(record)}
    promoted = [row for row in record if row["verdict"] == PROMOTED and row["serves"] == "model"]
    earlier = {row["model_version"]: row for row in promoted if row["model_version"] not in gone}
    newest_first = sorted(earlier.values(), key=lambda row: row["sequence"], reverse=True)[:_EARLIER]
    rows = _matured(connection, spec, state, drop) if newest_first else None
    if rows is None or rows.empty:
        return None
    bundle = state.models.load(failed["model_version"], failed["artifact_sha256"])
    now, gains = feature_definitions(spec), list[tuple[float, Row]]()
    for row in newest_first:
        try:
            other = state.models.load(row["model_version"], row["artifact_sha256"])
        except (TamperedModelError, ValueError):
            continue  # what cannot be loaded cannot serve
        if lost_features(connection, state.lake, row["model_version"], other.features, now):
            continue
        learned = max(map(datetime.fromisoformat, (bundle.trained_until, other.trained_until)))
        unseen = rows.loc[rows["prediction_at"] > learned]
        simple = bundle.baseline.predict(unseen)
        scores = _served_scores(other, unseen)
        rng = np.random.default_rng(spec.model.seed)
        gate = spec.model.gate.model_copy(update={"interval_level": LEVEL})
        gain = gain_over(task_of(spec.task), unseen, simple, scores, gate, rng)
        is_enough = gain is not None and gain.n >= gate.min_examples and gain.n_days >= gate.min_days
        if gain is not None and is_enough and gain.lower > 0:
            gains.append((gain.estimate, row))
    return max(gains, key=lambda each: each[0])[1] if gains else None


def _replaced(record: Sequence[Row]) -> set[str]:
    """Return the models that a fallback has replaced since the last promotion by the gate or a person."""
    by_others = [row["sequence"] for row in record if row["verdict"] == PROMOTED and row["decided_by"] != FALLBACK]
    found: set[str] = set()
    for row in record:
        if row["decided_by"] == FALLBACK and row["sequence"] > max(by_others, default=0):
            before = champion_in([each for each in record if each["sequence"] < row["sequence"]], LATEST)
            found |= set() if before is None else {before["model_version"]}
    return found


def _served_scores(bundle: ModelBundle, rows: pd.DataFrame) -> NDArray[np.float64]:
    """Score rows as the model would serve them: by its baseline where it abstains or gives no probability."""
    scores = bundle.model.predict(rows)
    abstains = ~((scores >= 0) & (scores <= 1))
    if bundle.envelope is not None:
        abstains |= np.array([each is not None for each in bundle.envelope.outside(rows)], dtype=bool)
    return np.where(abstains, bundle.baseline.predict(rows), scores)


def _matured(
    connection: duckdb.DuckDBPyConnection, spec: UseCaseSpec, state: UseCaseState, drop: DropKey
) -> pd.DataFrame:
    """Read features and label of what has matured by `drop`, in the window that performance is judged on."""
    window = judged_window(spec, drop)
    state.lake.relation(connection, "features", window).create_view("matured_features")
    state.lake.relation(connection, "labels", (window[0], drop)).create_view("known_labels")
    return connection.sql(
        "SELECT f.*, l.label FROM matured_features AS f JOIN (SELECT example_id, "
        "arg_max(label, (known_at, batch_date)) AS label FROM known_labels GROUP BY example_id) AS l "
        "USING (example_id) ORDER BY f.batch_date, f.example_id"
    ).df()
