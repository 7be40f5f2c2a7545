"""What is known of one use case in one drop, put together for the retraining decision.

The sensors act on decisions made of stored tables; the policy backtest makes the same decisions of models that never
served. Both call `known_state`, so that a policy sees in a backtest what it would have seen in production.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ml_assets.decisions.failure import ScoredDrop, failure_of
from ml_assets.decisions.retraining import (
    TRIGGERS,
    Alarm,
    ChangeState,
    Performance,
    RetrainingState,
    Trigger,
)
from ml_assets.monitoring.performance import judged_window
from ml_assets.pipeline.champion.record import FALLBACK, PROMOTED
from ml_assets.spec.drop import EARLIEST, DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.model_store import ModelBundle

Entry = Mapping[str, Any]
LOOKED_BACK = 200  # newest drops that tell whether a champion has failed; thin ones are taken together
LONG_HISTORY = 80  # drops, or days of several, since a change from which on more of them are no reason to retrain


@dataclass(frozen=True)
class ChampionFacts:
    """What a decision asks of a champion's model.

    Attributes
    ----------
    trained_until
        The newest `prediction_at` among its training rows.
    history_after
        What its training rows begin after, where they were cut; None where they hold all.
    is_baseline
        Whether it is the baseline itself, which has nothing to fall back to.
    """

    trained_until: datetime
    history_after: datetime | None
    is_baseline: bool


@dataclass(frozen=True)
class DropReadings:
    """What monitors and ledger say in a drop.

    Attributes
    ----------
    alarms
        Each alarm with its kind: broken_feed, drift or abrupt.
    unfinished
        Sources without a final state.
    scored
        How the champion's model scored the drops up to this one, in order.
    """

    performance: Performance
    alarms: Sequence[tuple[str, Alarm]] = ()
    unfinished: tuple[str, ...] = ()
    scored: Sequence[ScoredDrop] = ()


def facts_of(bundle: ModelBundle) -> ChampionFacts:
    """Give what a decision asks of a model."""
    is_baseline = bundle.candidate == bundle.recipe.baseline.name
    return ChampionFacts(datetime.fromisoformat(bundle.trained_until), bundle.recipe.history_after, is_baseline)


def known_state(
    spec: UseCaseSpec,
    drop: DropKey,
    champion: tuple[Entry, ChampionFacts] | None,
    attempts: Sequence[Entry],
    found: DropReadings,
) -> RetrainingState:
    """Put together what is known in `drop`.

    Parameters
    ----------
    champion
        The entry of the record that serves the drop, and what is asked of its model; None before the first.
    attempts
        Verdicts of the gate in the record, in order; those as of `drop` or later do not count.
    """
    before = [row for row in attempts if row["as_of"] < drop]
    entry, model = (None, None) if champion is None else champion
    last_attempts = _last_attempts(before)
    broken = tuple(alarm for kind, alarm in found.alarms if kind == "broken_feed")
    is_sound = not broken and not found.unfinished  # otherwise the source is at fault
    is_fallback = entry is not None and entry["decided_by"] == FALLBACK
    return RetrainingState(
        drop=drop,
        history=spec.calendar.span(spec.calendar.first_drop, drop),
        champion_as_of=entry["as_of"] if entry else None,
        last_attempts=last_attempts,
        broken_feeds=broken,
        drifts=tuple(alarm for kind, alarm in found.alarms if kind in ("drift", "abrupt")),
        performance=found.performance,
        unfinished=found.unfinished,
        training_age=_training_age(spec, drop, model),
        change=_change(spec, drop, found.performance.since, model, last_attempts.get("performance")),
        refused_gains=_refused_gains(before),
        poor_gains=poor_gains(before, spec.model.gate.min_gain),
        failure=_failure(drop, champion, found) if is_sound else None,
        later=lambda key, length: spec.calendar.earlier(key, -length),
        fallback_since=spec.calendar.next_drop(entry["serves_after"]) if entry and is_fallback else None,
    )


def _failure(drop: DropKey, champion: tuple[Entry, ChampionFacts] | None, found: DropReadings) -> str | None:
    """Return why the champion of a drop has failed. A champion that is the baseline has nothing to fall back to."""
    if champion is None or champion[0]["serves"] != "model" or champion[1].is_baseline:
        return None
    own = [each for each in found.scored if champion[0]["serves_after"] < each.drop <= drop]
    return failure_of([each for each in own if each.n][-LOOKED_BACK:], found.performance.behind_since)


def _last_attempts(attempts: Sequence[Mapping[str, Any]]) -> dict[Trigger, DropKey]:
    """Give, by trigger, as of which drop its cooldown began: its own newest candidate, or the newest promotion."""
    found: dict[Trigger, DropKey] = {}
    for trigger in TRIGGERS:
        asked = (trigger, None, "schedule") if trigger == "staleness" else (trigger, None)  # None: older records
        own = [row["as_of"] for row in attempts if row["verdict"] == PROMOTED or row["asked_by"] in asked]
        if own:
            found[trigger] = max(own)
    return found


def _change(
    spec: UseCaseSpec, drop: DropKey, since: DropKey | None, model: ChampionFacts | None, last_attempt: DropKey | None
) -> ChangeState | None:
    """Give the change that a retraining of `drop` can learn: a rise of the loss, or what the champion was cut to."""
    history_after = model.history_after if model is not None else None
    is_learned = since is None and history_after is not None
    if is_learned and history_after is not None and not isinstance(spec.model.history, timedelta):
        since = spec.calendar.drop_receiving(history_after + timedelta(microseconds=1))
    if since is None:
        return None
    matured = _matured_drops(spec, since, drop)
    if is_learned and matured > LONG_HISTORY:
        return None
    at_attempt = 0 if last_attempt is None else _matured_drops(spec, since, last_attempt)
    needed = 2 * spec.calendar.days_in(spec.model.holdout)
    unit = "drops" if spec.calendar.has_dates else "days"
    return ChangeState(since, matured, at_attempt, needed, is_learned, unit)


def _matured_drops(spec: UseCaseSpec, since: DropKey, drop: DropKey) -> int:
    """Count the drops, or the days of several, from `since` of which every example has matured by `drop`."""
    newest = judged_window(spec, drop)[1]
    return max(0, spec.calendar.days_since_start(newest) - spec.calendar.days_since_start(since) + 1)


def _refused_gains(attempts: Sequence[Mapping[str, Any]]) -> tuple[float | None, ...]:
    """Give what the candidates refused since the last promotion gained, a drop once, in order."""
    promoted = max((row["as_of"] for row in attempts if row["verdict"] == "promoted"), default=EARLIEST)
    gains = {row["as_of"]: row["gain"] for row in attempts if row["verdict"] == "refused" and row["as_of"] > promoted}
    return tuple(gains[as_of] for as_of in sorted(gains))


def poor_gains(attempts: Sequence[Mapping[str, Any]], least: float) -> tuple[float | None, ...]:
    """Give what the newest candidates gained, in order, back to the last one that was promoted for `least` or more.

    One that was promoted for less, because it knows newer rows, has not shown that retraining pays.
    """
    newest = {row["as_of"]: row for row in attempts if row["verdict"] in (PROMOTED, "refused")}
    gains: list[float | None] = []
    for as_of in sorted(newest, reverse=True):
        gain = newest[as_of]["gain"]
        if newest[as_of]["verdict"] == PROMOTED and (gain is None or gain >= least):
            break  # the first champion has no gain: there was nothing to compare it with
        gains.append(gain)
    return tuple(reversed(gains))


def _training_age(spec: UseCaseSpec, drop: DropKey, model: ChampionFacts | None) -> timedelta | None:
    """How much younger the newest matured example is than the champion's newest training row, never below zero.

    A model that was not refitted is as old as its holdout on its first day.
    """
    if model is None:
        return None
    return max(timedelta(0), spec.matured_by(drop) - model.trained_until)
