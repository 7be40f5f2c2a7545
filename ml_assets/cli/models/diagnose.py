"""Why a champion's quality changed and what would help, from the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ml_assets.cli.console import console, fail, next_steps, print_json, say
from ml_assets.cli.progress import progress_bar
from ml_assets.decisions.remedy import Remedy
from ml_assets.pipeline.diagnosis.diagnose import LEVEL, ChampionDiagnosis, diagnose
from ml_assets.spec.drop import DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stats.block_bootstrap import Interval
from ml_assets.stats.loss_change import ChangePart
from ml_assets.stats.tasks import task_of
from ml_assets.stores.use_case_state import UseCaseState

_MEANINGS = {
    "covariate": "other examples come",
    "label": "one shift of all scores explains it: the base rate moved",
    "concept": "like examples have other outcomes",
}


def run_diagnose(spec: UseCaseSpec, state: UseCaseState, drop: DropKey, *, as_json: bool) -> None:
    """Diagnose what serves after a drop, and print it.

    Its parts are those of an outcome that comes or does not: of other tasks it is refused.
    """
    if spec.task != "binary" or not spec.calendar.has_dates:
        found = spec.task if spec.task != "binary" else "several drops a day"
        raise fail(f"{spec.name}: a change is split into parts for the task binary and drops of a day or longer; "
                   f"found {found}")  # fmt: skip
    with progress_bar() as progress:
        task = progress.add_task(f"diagnosis of {spec.name} as of {drop}", total=None, now="")
        found = diagnose(spec, state, drop, lambda now: progress.update(task, advance=1, now=now[:100]))
    if as_json:
        print_json(_as_json(found))
        return
    _show(spec, found)


def _show(spec: UseCaseSpec, found: ChampionDiagnosis) -> None:
    console.print(f"\n[bold]{spec.name}[/] {found.model_version}, as of drop {found.drop}", highlight=False)
    for line in (*_change_lines(spec, found), _feature_line(found), *_shadow_lines(spec, found)):
        say(line)
    say(f"intervals are at {LEVEL:.0%}, from resampled days")
    console.print(f"[bold]{found.remedy.answer}[/]: ", end="")
    said = f"{found.remedy.reason}; this changes with {found.remedy.would_change}"
    console.print(said, markup=False, highlight=False)
    next_steps(_next(spec, found.remedy, found.drop))


def _change_lines(spec: UseCaseSpec, found: ChampionDiagnosis) -> Iterator[str]:
    loss, change = task_of(spec.task).loss_metric, found.change
    what = f"since the change of {found.since}" if found.is_found else f"in the last matured window, from {found.since}"
    if change is None:
        yield f"no matured rows on both sides of {found.since}: the change of the {loss} is not known"
        return
    yield (
        f"{loss} {change.before:.4f} from {found.before_from} to {found.before_until} ({found.n_before:,} rows that it "
        f"had not seen), {change.now:.4f} {what} ({found.n_now:,} rows)"
    )
    yield f"change     {_part(change.total)}"
    for name, meaning in _MEANINGS.items():
        part: ChangePart | None = getattr(change, name)
        unknown = "cannot tell: the rows of before say too little of those of now"
        yield f"{name:<10} {unknown if part is None else f'{_part(part)}; {meaning}'}"
    yield f"cause      {found.cause}"


def _feature_line(found: ChampionDiagnosis) -> str:
    if found.domain is None:
        return "features   too few days on a side to compare all features together"
    auc, usual = found.domain.auc, found.domain.usual
    named = ", ".join(f"{name} ({share:.0%})" for name, share in found.domain.drivers)
    said = "are others than before" if found.domain.is_sure else "differ no more than weeks before did"
    beside = "" if math.isnan(usual) else f", {usual:.3f} between weeks before"
    return f"features   {said}: AUC {auc.estimate:.3f} ({auc.lower:.3f} to {auc.upper:.3f}{beside}); most: {named}"


def _shadow_lines(spec: UseCaseSpec, found: ChampionDiagnosis) -> Iterator[str]:
    loss, shadow = task_of(spec.task).loss_metric, found.shadow
    if shadow is None:
        yield "shadow     none could be fitted: too little has matured, or its kind of labels cannot be drawn again"
    else:
        yield (
            f"shadow     {shadow.candidate} trained until {shadow.trained_until:%Y-%m-%d} saves {_share(shadow.gain)} "
            f"of the {loss} on {shadow.gain.n:,} rows of {shadow.gain.n_days} days that neither saw"
        )
    if found.shift is not None:
        yield f"shift      one shift of the champion's scores saves {_share(found.shift)}"


def _next(spec: UseCaseSpec, remedy: Remedy, drop: DropKey) -> dict[str, str]:
    if remedy.answer == "retrain":
        return {f"ml-assets retrain {spec.name} --as-of {drop}": "train a candidate; the gate still decides"}
    if remedy.answer == "fix upstream":
        return {f"ml-assets drift {spec.name} --drop {drop}": "which feed, and since when"}
    return {f"ml-assets performance {spec.name}": "quality over time"}


def _part(part: ChangePart) -> str:
    return f"{part.estimate:+.4f} ({part.lower:+.4f} to {part.upper:+.4f})"


def _share(gain: Interval) -> str:
    return f"{gain.estimate:+.1%} ({gain.lower:+.1%} to {gain.upper:+.1%})"


def _as_json(found: ChampionDiagnosis) -> dict[str, Any]:
    shadow, domain = found.shadow, found.domain
    return {
        "drop": found.drop,
        "model_version": found.model_version,
        "since": found.since,
        "is_found": found.is_found,
        "rows": {"before": found.n_before, "now": found.n_now, "before_from": found.before_from,
                 "before_until": found.before_until, "now_until": found.now_until},
        "change": None if found.change is None else asdict(found.change),
        "cause": found.cause,
        "features": None if domain is None else {"auc": asdict(domain.auc), "drivers": dict(domain.drivers),
                                                 "usual": None if math.isnan(domain.usual) else domain.usual},
        "shadow": None if shadow is None else {"candidate": shadow.candidate, "trained_until": shadow.trained_until,
                                               "gain": asdict(shadow.gain)},
        "shift": None if found.shift is None else asdict(found.shift),
        "answer": asdict(found.remedy),
    }  # fmt: skip
