"""What is wrong now, what was said about it, and whether it went out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich.text import Text

from ml_assets.cli.console import console, fail, next_steps, print_json, printable, say, use_case_names
from ml_assets.cli.tables import TableColumn, print_table
from ml_assets.decisions.alert_precision import AlertPrecision, Judgement, precision_sentence
from ml_assets.decisions.incidents import Incident, measured_against
from ml_assets.pipeline.monitoring.incident_judgements import (
    judgement_sentence,
    open_for_people,
    plain_usefulness,
    usefulness,
)
from ml_assets.spec.drop import is_key
from ml_assets.spec.use_case import did_you_mean
from ml_assets.stores.alert_file import AlertOutboxError
from ml_assets.stores.alert_outbox import MOST_TRIES, AlertOutbox, Message
from ml_assets.stores.alert_relay import (
    URLS_VARIABLE,
    DeliveryTest,
    RelayResult,
    masked,
    relay,
    send_test,
    urls_from_environment,
)
from ml_assets.stores.paths import StatePaths

LAST_MESSAGES = 10
HOW_TO_SET = f"export {URLS_VARIABLE}='mailto://… slack://…'"


@dataclass(frozen=True)
class AlertOptions:
    """What the options of the command ask for."""

    everything: bool = False
    test: bool = False
    send: bool = False
    as_json: bool = False


def run_alerts(paths: StatePaths, use_case: str | None, asked: AlertOptions, now: datetime) -> bool:
    """Try the URLs, send what is due, or show what is open, as asked; say whether all that was tried went out."""
    outbox, urls = AlertOutbox(paths), urls_from_environment()
    try:
        _check_use_case(outbox, use_case)
        if asked.test or asked.send:
            _need_urls(urls)
        trials = send_test(urls) if asked.test else None
        result = _send(outbox, urls, now) if asked.send else None
        incidents = outbox.incidents(use_case) if asked.everything else open_for_people(outbox, use_case)
        judgements, useful = outbox.judgements(), usefulness(paths, use_case)
        messages = outbox.messages(use_case)
        known = {incident.incident_id: incident for incident in outbox.incidents(use_case)}
        unsent, dead = outbox.unsent(), len(outbox.dead_letters())
    except AlertOutboxError as error:
        raise fail(str(error)) from error
    if asked.as_json:
        facts: dict[str, Any] = {
            "incidents": _as_rows(incidents, judgements),
            "usefulness": plain_usefulness(useful),
            "messages": [asdict(message) for message in (messages if asked.everything else messages[-LAST_MESSAGES:])],
            "unsent": unsent,
            "dead_letters": dead,
            "urls": [masked(url) for url in urls],
            **({} if trials is None else {"test": [asdict(trial) for trial in trials]}),
            **({} if result is None else {"relay": asdict(result)}),
        }
        print_json(facts)
    elif trials is None and result is None:
        _show_alerts(incidents, judgements, everything=asked.everything)
        _show_usefulness(useful["all"])
        _show_messages(messages, known, urls, everything=asked.everything)
        next_steps(_next(unsent, incidents, urls, use_case))
    else:
        _show_trials(trials or [])
        _show_relayed(result)
        next_steps({"ml-assets alerts": "open incidents, and whether their messages were sent"})
    return not any(trial.error for trial in trials or []) and not (result and result.failed)


def _as_rows(incidents: Sequence[Incident], judgements: Mapping[str, Judgement]) -> list[dict[str, Any]]:
    found = [(each, judgements.get(each.incident_id)) for each in incidents]
    return [{**asdict(each), "judgement": asdict(said) if said else None} for each, said in found]


def _send(outbox: AlertOutbox, urls: Sequence[str], now: datetime) -> RelayResult:
    outbox.retry_dead_letters(now)
    return relay(outbox, urls, now)


def _check_use_case(outbox: AlertOutbox, use_case: str | None) -> None:
    """End the command when there is no such use case, declared or with alerts left from before."""
    if use_case is None:
        return
    names = sorted({*use_case_names(), *(incident.use_case for incident in outbox.incidents())})
    if use_case not in names:
        raise fail(f"there is no use case {use_case!r}; allowed: {', '.join(names)}{did_you_mean(use_case, names)}")


def _show_alerts(incidents: Sequence[Incident], judgements: Mapping[str, Judgement], *, everything: bool) -> None:
    if not incidents:
        console.print("no incident yet" if everything else "no open incident")
    for incident in incidents:
        _show_incident(incident, judgements.get(incident.incident_id), everything=everything)


def _show_usefulness(found: AlertPrecision) -> None:
    """Say how many alerts were useful, once a person judged one."""
    if found.judged:
        console.print()
        say(precision_sentence(found))


def _show_messages(
    messages: Sequence[Message], known: Mapping[str, Incident], urls: Sequence[str], *, everything: bool
) -> None:
    """Print messages in the order of drops; times of the wall are shown with everything else alone."""
    if not messages:
        return
    told = sorted(((_when_told(message, known.get(message.incident_id)), message) for message in messages),
                  key=lambda each: each[0])  # fmt: skip
    columns = ["drop", TableColumn("message", 1, is_text=True), TableColumn("sent", 2, is_text=True)]
    rows = [[drop, message.title, _fate(message, urls, with_times=everything)] for drop, message in told]
    if everything:
        columns.append("written")
        rows = [[*row, _moment(message.created_at)] for row, (_, message) in zip(rows, told, strict=True)]
    print_table("messages" if everything else "last messages", columns, rows if everything else rows[-LAST_MESSAGES:])


def _when_told(message: Message, incident: Incident | None) -> str:
    if incident is None:
        return _moment(message.at)
    is_closed = ":closed" in message.message_id
    return _moment((incident.until if is_closed else incident.since) or message.at)


def _moment(at: str) -> str:
    """Write a drop as it is, and a moment of the wall to the minute."""
    return at if is_key(at) else f"{at[:10]} {at[11:16]}Z"


def _show_trials(trials: Sequence[DeliveryTest]) -> None:
    for trial in trials:
        outcome = ("sent", "green") if trial.error is None else ("failed", "red")
        say(Text.assemble(outcome, " ", printable(trial.url + (f": {trial.error}" if trial.error else ""))))


def _show_relayed(result: RelayResult | None) -> None:
    if result is None:
        return
    console.print(f"{result.sent} sent, {result.failed} failed, {result.pending} not sent yet", highlight=False)
    for reason in result.reasons:
        say(reason, indent=2)


def _need_urls(urls: Sequence[str]) -> None:
    if not urls:
        raise fail(
            f"{URLS_VARIABLE} is not set: messages stay here, readable. Set it to Apprise URLs, separated by spaces "
            f"(https://appriseit.com/services/): {HOW_TO_SET}"
        )


def _show_incident(incident: Incident, judgement: Judgement | None, *, everything: bool) -> None:
    colour = {"error": "red", "warning": "yellow", "info": "dim"}[incident.severity]
    kind = incident.kind.replace("_", " ")
    say(Text.assemble((incident.severity, f"bold {colour}"), f" {incident.use_case}: {kind} ({incident.monitor})"))
    until = f"; closed {_moment(incident.until)}" if incident.until and not incident.is_event else ""
    is_told_apart = everything and incident.opened_at != incident.since
    lines = {
        "what": incident.message,
        "at" if incident.is_event else "since": _moment(incident.since) + until,
        "recorded": _moment(incident.opened_at) if is_told_apart else "",
        "measured": measured_against(incident),
        "by itself": incident.doing,
        "look at": incident.look_at,
        "judged": "" if judgement is None else judgement_sentence(judgement),
        "id": incident.incident_id,
    }
    for label, text in lines.items():
        if text:
            say(f"{label:<10} {text}", indent=2, hanging=13)


def _fate(message: Message, urls: Sequence[str], *, with_times: bool) -> str:
    if message.sent_at is not None:
        return f"yes, {_moment(message.sent_at)}" if with_times else "yes"
    if message.attempts >= MOST_TRIES:
        return f"given up after {message.attempts} tries, `alerts --send` tries again: {message.last_error}"
    if message.last_error is not None:
        again = f"next try {_moment(message.next_try_at)}" if with_times else "tried again later"
        return f"failed {message.attempts}x, {again}: {message.last_error}"
    return "not yet" if urls else f"no: {URLS_VARIABLE} is not set"


def _next(unsent: int, incidents: Sequence[Incident], urls: Sequence[str], use_case: str | None) -> dict[str, str]:
    steps: dict[str, str] = {}
    if not urls:
        steps[HOW_TO_SET] = "where alerts go; then ml-assets alerts --test"
    elif unsent:
        steps["ml-assets alerts --send"] = f"send what is due of {unsent} messages"
    broken = [incident for incident in incidents if incident.closed_at is None]
    if broken:
        steps[f"ml-assets status {broken[0].use_case}"] = "what landed, what serves, what is missing"
        close = f"ml-assets incident close {broken[0].incident_id[:8]} --useful yes --note TEXT"
        steps[close] = "when it is dealt with: say whether the alert helped"
    else:
        steps[f"ml-assets alerts {use_case + ' ' if use_case else ''}--all"] = "closed incidents too"
    return steps
