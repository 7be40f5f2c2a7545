"""The record of champions, and what people add to it."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape

from ml_assets.cli.console import console, fail, next_steps, print_json, say
from ml_assets.cli.progress import progress_bar
from ml_assets.pipeline.champion.decisions import PersonDecision, decide_waiting, record_of, waiting_in
from ml_assets.pipeline.champion.record import FALLBACK, champion_in
from ml_assets.pipeline.training.reproduce import reproduce
from ml_assets.spec.drop import LATEST, DropKey
from ml_assets.spec.use_case import UseCaseSpec
from ml_assets.stores.use_case_state import UseCaseState

_SHOWN = ("sequence", "verdict", "model_version", "as_of", "serves_after", "decided_by", "gate", "note")


def asked_by(by: str, reason: str, first: DropKey | None) -> PersonDecision:
    """Give a person's decision: who by, why, from which drop on, now."""
    return PersonDecision(by.strip() or getpass.getuser(), reason.strip(), datetime.now(UTC), first)


def read_moment(text: str) -> datetime:
    """Read a moment with its zone, or end the command saying what is allowed."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise fail(f"--known-at: found {text!r}; allowed: a moment, as 2013-06-16T04:00Z") from error
    if moment.tzinfo is None:
        raise fail(f"--known-at: found {text!r} without a zone; allowed: with one, as 2013-06-16T04:00Z")
    return moment


def run_champion(
    spec: UseCaseSpec, state: UseCaseState, drop: DropKey | None, known_at: datetime | None, *, as_json: bool
) -> None:
    """Print what serves a drop, or the whole record."""
    record = record_of(state, known_at)
    if drop is not None:
        found = champion_in(record, drop)
        if as_json:
            print_json(None if found is None else _plain(spec, found))
        elif found is None:
            console.print(f"nothing served {drop}: no model was promoted before it")
        else:
            console.print(f"{drop} is served by {_what(found)}, {_why(spec, found)}", markup=False, highlight=False)
        return
    if as_json:
        print_json([_plain(spec, row) for row in record])
        return
    serving = champion_in(record, LATEST)
    for row in record:
        verdict = FALLBACK if row["decided_by"] == FALLBACK else row["verdict"]
        colour = {"promoted": "green", "refused": "red"}.get(verdict, "yellow")
        mark = "  [bold]<- serves[/]" if serving is not None and row["sequence"] == serving["sequence"] else ""
        note = f": {escape(row['note'])}" if row["note"] else ""
        when = f"drops after {row['serves_after']}" if row["verdict"] == "promoted" else f"as of {row['as_of']}"
        console.print(
            f"{row['sequence']:>3}  [{colour}]{verdict:<17}[/] {_what(row)}\n"
            f"     {when}, by {escape(row['decided_by'])} (gate {row['gate']}){note}{mark}",
            highlight=False,
            soft_wrap=True,
        )
    waiting = waiting_in(record)
    steps = {f"ml-assets approve {spec.name} {row['model_version']}": "it waits for a person" for row in waiting}
    if record:
        steps |= {f"ml-assets explain {spec.name} model {record[-1]['model_version']}": "its model card"}
    next_steps(steps or {f"ml-assets retrain {spec.name}": "no verdict was given yet"})


def run_approve(
    spec: UseCaseSpec, state: UseCaseState, model_version: str, asked: PersonDecision, *, is_rejected: bool
) -> None:
    """Record the decision of a person on a candidate that waits."""
    decision = decide_waiting(spec, state, model_version, "refused" if is_rejected else "promoted", asked)
    first = spec.calendar.next_drop(decision.serves_after)
    if is_rejected:
        console.print(f"rejected by {asked.by}; the champion before it goes on serving")
        console.print("to take it back, approve it by its name with a reason", style="dim")
    else:
        console.print(f"approved by {asked.by}; it serves from {first} on")
    next_steps({f"ml-assets champion {spec.name}": "what serves, and every decision"})


def run_reproduce(state: UseCaseState, model_version: str, *, as_json: bool) -> bool:
    """Train a model again, print what is equal, and say whether all is."""
    with progress_bar() as progress:
        task = progress.add_task(f"reproduce {model_version}", total=None, now="")
        found = reproduce(state, model_version, lambda now: progress.update(task, now=now))
    if as_json:
        print_json({**vars(found), "is_equal": found.is_equal})
        return found.is_equal
    console.print(f"training set  recorded {found.recorded_training_set_hash}", highlight=False)
    console.print(f"              again    {found.training_set_hash}", highlight=False)
    if found.forgotten:
        say(f"read as stored: what {', '.join(found.forgotten)} held then is no longer kept (retention.versions)",
            indent=14)  # fmt: skip
    console.print(f"artifact      recorded {found.recorded_sha256}", highlight=False)
    console.print(f"              again    {found.sha256}", highlight=False)
    if found.is_equal:
        console.print("[green]equal[/], byte for byte")
    else:
        console.print(f"[red]different[/]: {', '.join(found.differing)}")
        for name, (then, now) in found.libraries.items():
            console.print(f"  {name} was {then} and is {now}")
    return found.is_equal


def _what(row: dict[str, Any]) -> str:
    """Name what of a model serves: itself, or its baseline in its place."""
    return f"the baseline of {row['model_version']}" if row["serves"] == "baseline" else row["model_version"]


def _why(spec: UseCaseSpec, row: dict[str, Any]) -> str:
    first = spec.calendar.next_drop(row["serves_after"])
    note = f": {row['note']}" if row["note"] else ""
    how = "as the fallback" if row["decided_by"] == FALLBACK else f"{row['verdict']} by {row['decided_by']}"
    return f"trained as of {row['as_of']}, from {first} on, {how}{note}"


def _plain(spec: UseCaseSpec, row: dict[str, Any]) -> dict[str, Any]:
    serves_from = spec.calendar.next_drop(row["serves_after"]) if row["verdict"] == "promoted" else None
    return {
        **{name: row[name] for name in _SHOWN},
        "serves_from": serves_from,
        "artifact_sha256": row["artifact_sha256"],
        "recorded_at": row["_recorded_at"],
        "reasons": row["reasons"],
    }
