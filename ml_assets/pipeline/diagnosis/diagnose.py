"""Diagnose a champion: how its quality changed, which part has which cause, and whether retraining would help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.decisions.remedy import Remedy, RemedyFacts, choose_remedy, name_change
from ml_assets.monitoring.performance import judged_window
from ml_assets.pipeline.champion.record import champion_in, read_record
from ml_assets.pipeline.diagnosis.matured_rows import DAY, ScoredRows, read_matured, score_unseen
from ml_assets.pipeline.diagnosis.shadow import ShadowCandidate, fit_shadow
from ml_assets.pipeline.diagnosis.telling_features import telling_features
from ml_assets.pipeline.monitoring.feed_health import read_faults
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.block_bootstrap import Interval, paired_day_block_bootstrap
from ml_assets.stats.logit import logit, sigmoid
from ml_assets.stats.loss_change import (
    LossChange,
    LossRows,
    best_shift,
    domain_weights,
    expected_rise,
    shifted_ahead,
    split_change,
)
from ml_assets.stats.tasks import task_of
from ml_assets.stores.model_store import ModelBundle
from ml_assets.stores.rows import read_rows
from ml_assets.stores.use_case_state import UseCaseState
from ml_assets.training.domain_classifier import DomainShift, tell_apart

if TYPE_CHECKING:
    import duckdb

Tell = Callable[[str], None]
LEVEL, RESAMPLES = 0.9, 400


@dataclass(frozen=True)
class ChampionDiagnosis:
    """What was found of the champion as of a drop.

    Attributes
    ----------
    since
        The first drop of the change that the sequential test found, where it found one; else of the last matured
        window.
    is_found
        Whether that test found a change.
    before_from, before_until, now_until
        Drops of the rows that are compared.
    n_before, n_now
        How many.
    change
        None without rows on both sides.
    domain
        How far the features of both sides can be told apart, without those that act as a date; None on too few days.
    cause
        covariate, label, concept, or cannot tell.
    shadow
        None where none could be fitted.
    """

    drop: DropKey
    model_version: str
    since: DropKey
    is_found: bool
    before_from: str
    before_until: str
    now_until: str
    n_before: int
    n_now: int
    change: LossChange | None
    domain: DomainShift | None
    cause: str
    shadow: ShadowCandidate | None
    shift: Interval | None
    remedy: Remedy


def diagnose(spec: UseCaseSpec, state: UseCaseState, drop: DropKey, tell: Tell) -> ChampionDiagnosis:
    """Diagnose what serves the drops after `drop`, by what was known in it; nothing is written.

    Raises
    ------
    LookupError
        Where no champion serves yet, or the drop was not decided.
    """
    with state.connect() as connection:
        entry = champion_in(read_record(connection, state.lake), spec.calendar.next_drop(drop))
        if entry is None:
            raise LookupError(
                f"no champion serves the drops after {drop}: there is nothing to diagnose. Run `ml-assets retrain "
                f"{spec.name} --as-of {drop}` first"
            )
        bundle = state.models.load(entry["model_version"], entry["artifact_sha256"])
        found = _find_rows(connection, spec, state, bundle, entry["model_version"], drop)
    tell(f"{len(found.before.rows):,} rows of before and {len(found.now.rows):,} of now")
    domain, change = _split(spec, bundle, found, tell)
    shadow = fit_shadow(spec, state, bundle, drop, found.since if found.is_found else None, tell)
    tell("the shadow candidate is scored")
    shift, over_shift = _shifted(spec, shadow)
    rule = spec.model.gate
    facts = RemedyFacts(
        _broken(spec, state, drop), change, None if shadow is None else shadow.gain, shift, over_shift,
        rule.min_gain, rule.min_examples, rule.min_days,
    )  # fmt: skip
    before, now = (each.rows[DAY].astype(str).str.slice(0, 10) for each in (found.before, found.now))
    return ChampionDiagnosis(
        drop, entry["model_version"], found.since, found.is_found,
        str(before.min()) if len(before) else "", str(before.max()) if len(before) else "",
        str(now.max()) if len(now) else "", len(before), len(now), change, domain,
        name_change(change) if change is None or change.total.lower > 0 else "no rise", shadow, shift,
        choose_remedy(facts),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Sides:
    since: DropKey
    is_found: bool
    before: ScoredRows
    now: ScoredRows


def _find_rows(
    connection: duckdb.DuckDBPyConnection,
    spec: UseCaseSpec,
    state: UseCaseState,
    bundle: ModelBundle,
    version: str,
    drop: DropKey,
) -> _Sides:
    """Give what the champion had not seen, before and since a change; without one, since the last matured window."""
    verdicts = read_rows(state.lake, "performance_verdicts", None, (drop, drop))
    own = [row for row in verdicts if row["model_version"] == version]
    since = next((row.get(name) for row in own for name in ("loss_since", "behind_since", "prior_since")
                  if row.get(name) is not None), None)  # fmt: skip
    begins = since or judged_window(spec, drop)[0]
    first = spec.calendar.drop_receiving(datetime.fromisoformat(bundle.judged_until))
    faults = read_faults(connection, spec, state.lake, drop).broken_drops(drop)
    rows = read_matured(connection, spec, state, (first, drop), drop, faults)
    scored = score_unseen(bundle, rows)
    is_now = scored.rows[DAY].astype(str).str.slice(0, 10).to_numpy(dtype=str) >= str(begins)
    return _Sides(begins, since is not None, scored.where(~is_now), scored.where(is_now))


def _split(
    spec: UseCaseSpec, bundle: ModelBundle, found: _Sides, tell: Tell
) -> tuple[DomainShift | None, LossChange | None]:
    """Split the change of the loss; without a classifier of the sides all of it but the total is unknown."""
    before, now = found.before, found.now
    if min(len(before.rows), len(now.rows)) == 0:
        return None, None
    domain = tell_apart(
        before.rows, now.rows, telling_features(spec, bundle, before.rows, now.rows), DAY, spec.model.seed
    )
    tell("features of both sides are compared")
    n_before, n_now = len(before.rows), len(now.rows)
    weights = np.ones(n_before) if domain is None else domain_weights(domain.before, n_before, n_now)
    change = split_change(
        _losses(spec, before), _losses(spec, now), weights,
        rng=np.random.default_rng(spec.model.seed), resamples=RESAMPLES, level=LEVEL,
    )  # fmt: skip
    if domain is None:
        change = LossChange(change.before, change.now, LEVEL, change.total, None, None, None, 0.0)
    return domain, change


def _losses(spec: UseCaseSpec, rows: ScoredRows) -> LossRows:
    task = task_of(spec.task)
    shifted = shifted_ahead(rows.scores, rows.labels, rows.days)
    ones = np.ones(rows.scores.size)
    rise = expected_rise(rows.scores, shifted, task.losses(ones, rows.scores), task.losses(ones - 1, rows.scores))
    return LossRows(task.losses(rows.labels, rows.scores), rise, rows.days)


def _shifted(spec: UseCaseSpec, shadow: ShadowCandidate | None) -> tuple[Interval | None, Interval | None]:
    """Give what one shift of the champion saves on the shadow's rows, and what the shadow saves beside that.

    The shift is learned on the newest rows before those, as many drops as the shadow is scored on.
    """
    if shadow is None or not len(shadow.learned.rows):
        return None, None
    shift = best_shift(shadow.learned.scores, shadow.learned.labels)
    moved = sigmoid(logit(shadow.tested.scores) + shift)
    tested, rng = shadow.tested, np.random.default_rng
    task = task_of(spec.task)
    losses = [task.losses(tested.labels, each) for each in (tested.scores, moved, shadow.scores)]
    options: dict[str, Any] = {"resamples": RESAMPLES, "level": LEVEL}
    own = paired_day_block_bootstrap(losses[0], losses[1], tested.days, rng=rng(spec.model.seed), **options)
    beside = paired_day_block_bootstrap(losses[1], losses[2], tested.days, rng=rng(spec.model.seed), **options)
    return own, beside


def _broken(spec: UseCaseSpec, state: UseCaseState, drop: DropKey) -> tuple[str, ...]:
    """Say what looks broken upstream in a drop, by its decision."""
    decided = read_rows(state.lake, "decisions", None, (drop, drop))
    if not decided:
        raise LookupError(f"drop {drop} was not decided yet; run `ml-assets batch {spec.name} --to {drop}` first")
    return (decided[0]["reason"],) if decided[0]["action"] == "fix_upstream" else ()
