"""Whether a model behaves as declared, tried on rows it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.spec.behaviours import Behaviour
from ml_assets.training.behaviour_kind import BehaviourTrial, Judged, added_behaviour_kind

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from ml_assets.training.applicability_domain import Envelope
    from ml_assets.training.model_kind import FittedModel

FloatArray = NDArray[np.float64]
UNSEEN = "never seen"


@dataclass(frozen=True)
class TrialOfBehaviour:
    """What a behaviour measured against what was declared.

    Attributes
    ----------
    state
        `kept`, `broken`, or `not enough data` where no row is left to try it on: never a pass.
    measured, threshold
        The mean change of the score, or the share of rows that behaved; NaN when nothing was measured.
    """

    name: str
    kind: str
    severity: str
    state: str
    n: int
    measured: float
    threshold: float
    message: str


def try_behaviours(
    behaviours: Sequence[Behaviour],
    model: FittedModel,
    envelope: Envelope | None,
    rows: pd.DataFrame,
    connection: duckdb.DuckDBPyConnection,
    seed: int,
) -> list[TrialOfBehaviour]:
    """Try each behaviour; one that ends in an error is broken, and says the error.

    Parameters
    ----------
    rows
        Labelled rows that the model has not seen: its features.
    connection
        For the SQL of the behaviours, shut in: it sees the rows and nothing else.
    """
    return [_tried(each, model, envelope, rows, connection, np.random.default_rng(seed)) for each in behaviours]


def _tried(
    behaviour: Behaviour,
    model: FittedModel,
    envelope: Envelope | None,
    rows: pd.DataFrame,
    connection: duckdb.DuckDBPyConnection,
    rng: np.random.Generator,
) -> TrialOfBehaviour:
    try:
        chosen, changed = _select(behaviour, rows, connection)
        if chosen.empty:
            return _result(behaviour, "not enough data", 0, float("nan"), "no row of the window is as `where` says")
        judge = _JUDGES.get(behaviour.kind) or added_behaviour_kind(behaviour.kind).judge
        found = judge(BehaviourTrial(behaviour, model, envelope, chosen, changed, rng))
    except Exception as error:  # noqa: BLE001 - whatever a change of inputs raises is what is looked for
        return _result(behaviour, "broken", len(rows), float("nan"), f"{type(error).__name__}: {error}")
    state = "kept" if found.is_kept else "broken"
    return _result(behaviour, state, found.n, found.measured, found.message, found.threshold)


def _select(
    behaviour: Behaviour, rows: pd.DataFrame, connection: duckdb.DuckDBPyConnection
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the rows it is tried on, as they are and as changed, in one order."""
    where = f"WHERE ({behaviour.where}\n)" if behaviour.where else ""
    connection.register("_window", rows.assign(_row=np.arange(len(rows))))
    try:
        described = connection.sql("SELECT column_name, column_type FROM (DESCRIBE _window)").fetchall()
        types = {name: "VARCHAR" if kind == '"NULL"' else kind for name, kind in described}  # texts, all unknown here
        # a feature keeps its type: what a change computes is cast to what the model was fitted on
        replaced = ", ".join(f'CAST(({sql}\n) AS {types[name]}) AS "{name}"' for name, sql in behaviour.change.items())
        kept = connection.sql(f"SELECT _row FROM _window {where} ORDER BY _row").fetchall()
        chosen = rows.iloc[[row for (row,) in kept]]
        if not replaced or chosen.empty:
            return chosen, chosen
        columns = ", ".join(f'"{name}"' for name in behaviour.change)
        new = connection.sql(
            f"SELECT {columns} FROM (SELECT * REPLACE ({replaced}) FROM _window {where}) ORDER BY _row"
        ).df()
    finally:
        connection.unregister("_window")
    changed = chosen.copy()
    for name in behaviour.change:
        changed[name] = new[name].to_numpy()
    return chosen, changed


def _perturbed(behaviour: Behaviour, rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    changed = rows.copy()
    if behaviour.noise:
        for name in rows.columns:
            if rows[name].dtype.kind == "f":
                finite = rows[name][np.isfinite(rows[name])]
                spread = float(finite.std(ddof=0)) if finite.size else 0.0
                changed[name] = rows[name] + rng.normal(0, behaviour.noise * spread, len(rows))
    for name in behaviour.missing:
        changed[name] = None if rows[name].dtype.kind not in "fiu" else np.nan
    for name in behaviour.unseen:
        changed[name] = UNSEEN
    return changed


def _judge_perturbation(trial: BehaviourTrial) -> Judged:
    return _judge_move(replace(trial, changed=_perturbed(trial.behaviour, trial.rows, trial.rng)))


def _judge_move(trial: BehaviourTrial) -> Judged:
    """Judge how far the score moves in the mean."""
    before, after = trial.model.predict(trial.rows), trial.model.predict(trial.changed)
    moved = float(np.abs(after - before).mean())
    allowed = trial.behaviour.max_change if trial.behaviour.max_change is not None else 0.0
    message = f"the score moves by {moved:.4f} in the mean, allowed are {allowed:.4f}"
    return Judged(moved <= allowed, before.size, moved, allowed, message)


def _judge_direction(trial: BehaviourTrial) -> Judged:
    behaviour = trial.behaviour
    if behaviour.direction is None:
        return _judge_move(trial)
    before, after = trial.model.predict(trial.rows), trial.model.predict(trial.changed)
    sign = 1 if behaviour.direction == "up" else -1
    share = float((sign * (after - before) >= -behaviour.tolerance).mean())
    message = f"{share:.1%} of the scores do not go {'down' if sign > 0 else 'up'}, asked are {behaviour.share:.1%}; "
    message += f"mean change {float((after - before).mean()):+.4f}"
    return Judged(share >= behaviour.share, before.size, share, behaviour.share, message)


def _judge_cases(trial: BehaviourTrial) -> Judged:
    import pandas as pd

    behaviour, model, rows = trial.behaviour, trial.model, trial.rows
    usual = {name: _usual(rows[name]) for name in rows.columns}
    frame = pd.DataFrame([usual | case.values for case in behaviour.cases], columns=list(rows.columns))
    typed = frame.astype({name: rows[name].dtype for name in rows.columns if rows[name].dtype.kind in "fiu"})
    middle = float(np.median(model.predict(rows)))
    is_high = model.predict(typed) >= middle
    right = [high == (case.label == "high") for high, case in zip(is_high.tolist(), behaviour.cases, strict=True)]
    wrong = [str(number + 1) for number, each in enumerate(right) if not each]
    share = sum(right) / len(right)
    message = f"{sum(right)} of {len(right)} cases are on their side of the median score {middle:.4f}"
    message += f"; not case {', '.join(wrong)}" if wrong else ""
    return Judged(share >= behaviour.share, len(right), share, behaviour.share, message)


def _judge_abstaining(trial: BehaviourTrial) -> Judged:
    wanted = trial.behaviour.share
    if trial.envelope is None:
        message = "the model never abstains: model.abstain is not declared"
        return Judged(False, len(trial.changed), 0.0, wanted, message)
    outside = trial.envelope.outside(trial.changed)
    share = sum(each is not None for each in outside) / len(outside)
    message = f"it abstains from {share:.1%} of the rows, asked are {wanted:.1%}"
    return Judged(share >= wanted, len(outside), share, wanted, message)


_JUDGES: Mapping[str, Callable[[BehaviourTrial], Judged]] = {
    "invariance": _judge_direction,
    "direction": _judge_direction,
    "labelled_cases": _judge_cases,
    "perturbation": _judge_perturbation,
    "out_of_range": _judge_abstaining,
}


def _usual(column: pd.Series) -> object:
    known = column.dropna()
    if known.empty:
        return None
    return known.median() if known.dtype.kind in "fiu" else known.mode().iloc[0]


def _result(
    behaviour: Behaviour, state: str, n: int, measured: float, message: str, threshold: float = float("nan")
) -> TrialOfBehaviour:
    return TrialOfBehaviour(behaviour.name, behaviour.kind, behaviour.severity, state, n, measured, threshold, message)
