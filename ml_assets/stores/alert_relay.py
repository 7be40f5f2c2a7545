"""Sends the messages of the outbox to people, through Apprise: its one home.

What a receiver took is recorded right after it answered, a URL at a time. A process killed in between sends that one
message again, under the same id; nothing else is sent twice, and nothing is lost.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Iterable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ml_assets.decisions.incidents import RANK_OF_SEVERITY, Severity
from ml_assets.stores.alert_outbox import AlertOutbox, Message
from ml_assets.stores.write_lock import write_lock

if TYPE_CHECKING:
    from apprise import NotifyBase

URLS_VARIABLE = "ML_ASSETS_ALERT_URLS"
PASS_S = 20  # a sensor has a minute for all that it does
SINGLE_MESSAGES = 5  # of a use case in one pass; more go as a digest
LONGEST_BODY = 3_500  # characters: what chats still show whole
LONGEST_LINE = 160


@dataclass(frozen=True)
class RelayResult:
    """What one pass did, in messages: sent to every URL, failed at one, and not sent yet; and why they failed."""

    sent: int
    failed: int
    pending: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Letter:
    """What goes out in one piece: one message, or a digest of some."""

    ids: tuple[str, ...]
    title: str
    body: str
    severity: Severity


@dataclass(frozen=True)
class DeliveryTest:
    """Whether a test message went out to one URL, named without its secrets; error is None when it did."""

    url: str
    error: str | None


def urls_from_environment() -> list[str]:
    """Read the Apprise URLs of $ML_ASSETS_ALERT_URLS, separated by white space; none when it is not set.

    Commas do not separate: they occur inside URLs. One target a URL keeps retries from repeating the others.
    """
    return list(dict.fromkeys(os.environ.get(URLS_VARIABLE, "").split()))


def url_key_of(url: str) -> str:
    """Name a URL by its content, so that records of it hold no secret."""
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def masked(url: str) -> str:
    """Name a URL for people: its service, and the key that tells it from others.

    Examples
    --------
    >>> masked("slack://TokenA/TokenB/#alerts")
    'slack://… (52245ebc0737)'
    """
    scheme, found, _ = url.partition("://")
    return f"{scheme if found and scheme.isalnum() else '?'}://… ({url_key_of(url)})"


def relay(outbox: AlertOutbox, urls: Sequence[str], now: datetime, *, timeout_s: float = 10) -> RelayResult:
    """Send what is due to each URL that does not have it yet; one pass at a time, others wait.

    URLs are sent to side by side: one that hangs keeps none of the others waiting. A URL that fails is left alone for
    the rest of the pass, and none gets new messages after `PASS_S` seconds, so a pass ends within `PASS_S` and
    `timeout_s`. What failed is due again later (see AlertOutbox.mark_failed), also what waits behind it. Without URLs
    nothing is sent.

    Raises
    ------
    AlertOutboxError
        When the outbox cannot be used. A receiver never raises: its failure is recorded, without secrets.
    """
    if not urls or not outbox.pending(now):
        return RelayResult(0, 0, outbox.unsent())
    with write_lock(outbox.folder, "relay"):
        due, delivered = outbox.pending(now), outbox.deliveries()
        errors: dict[str, list[str]] = {}
        receivers = [Receiver(url, timeout_s) for url in urls]
        _load_apprise()
        with ThreadPoolExecutor(len(receivers)) as pool:
            passes = pool.map(lambda receiver: _send_due(outbox, receiver, due, delivered, now), receivers)
            for receiver, (taken, failed, error) in zip(receivers, passes, strict=True):
                delivered |= {(message_id, receiver.key) for message_id in taken}
                for message_id in failed:
                    errors.setdefault(message_id, []).append(f"{receiver.label}: {error}")
        keys = [url_key_of(url) for url in urls]
        sent = [one.message_id for one in due if all((one.message_id, key) in delivered for key in keys)]
        outbox.mark_sent(sent, now)
        failed_with: dict[str, list[str]] = {}
        for message_id, found in errors.items():
            failed_with.setdefault("; ".join(found), []).append(message_id)
        for reason, message_ids in failed_with.items():
            outbox.mark_failed(message_ids, now, reason)
        if errors:
            outbox.postpone([one.message_id for one in due if one.message_id not in {*sent, *errors}], now)
    return RelayResult(len(sent), len(errors), outbox.unsent(), tuple(failed_with))


def _send_due(
    outbox: AlertOutbox, receiver: Receiver, due: Sequence[Message], delivered: Set[tuple[str, str]], now: datetime
) -> tuple[list[str], tuple[str, ...], str]:
    """Send one URL what it does not have; give what it took, what failed, and why."""
    missing = [message for message in due if (message.message_id, receiver.key) not in delivered]
    taken: list[str] = []
    begun = time.monotonic()
    for letter in letters_of(missing):
        if time.monotonic() - begun > PASS_S:
            break
        error = receiver.send(letter)
        if error is not None:
            return taken, letter.ids, error
        outbox.record_delivery(letter.ids, receiver.key, now)
        taken += letter.ids
    return taken, (), ""


def send_test(urls: Sequence[str], *, timeout_s: float = 10) -> list[DeliveryTest]:
    """Send a test message to each URL, and say what became of each."""
    letter = Letter((), "ml-assets: test", "This is a test. Alerts of ml-assets will arrive here.\nid: test", "info")
    return [DeliveryTest(masked(url), Receiver(url, timeout_s).send(letter)) for url in urls]


def letters_of(messages: Iterable[Message]) -> list[Letter]:
    """Put messages into as few pieces as people can live with: each alone, or a digest where a use case has many."""
    by_use_case: dict[str, list[Message]] = {}
    for message in messages:
        by_use_case.setdefault(message.use_case, []).append(message)
    letters: list[Letter] = []
    for use_case, found in by_use_case.items():
        letters += [_letter(one) for one in found] if len(found) <= SINGLE_MESSAGES else _digest(use_case, found)
    return letters


class Receiver:
    """One URL, for one pass."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.key, self.label = url_key_of(url), masked(url)
        self._url, self._timeout_s = url, timeout_s
        self._service: NotifyBase | None = None

    def send(self, letter: Letter) -> str | None:
        """Send one letter, and give the reason where it did not go out; it takes `timeout_s` at most.

        Apprise's own limits are the ones of its `?cto=` and `?rto=`: for connecting, and for each read. A receiver
        that answers a byte at a time keeps to them for ever, so the whole of it runs in a thread that is given up.
        """
        outcome: list[str | None] = []
        _quiet_apprise()
        try:
            self._service = self._service or _service_of(self._url, self._timeout_s)
        except Exception as error:  # noqa: BLE001  # any of some hundred services reads the URL
            return without_secrets(f"{type(error).__name__}: {error}", self._url)
        if self._service is None:
            return f"it is not a URL that Apprise understands; see {URLS_VARIABLE}"
        deliver = partial(_deliver, self._service, letter)
        thread = threading.Thread(target=lambda: outcome.append(deliver()), daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        if not outcome:
            return f"no answer within {self._timeout_s:g} s"
        return outcome[0] and without_secrets(outcome[0], self._url)


def without_secrets(text: str, url: str) -> str:
    """Cut from a text every part of a URL that could be a secret, and all of it that is long.

    Examples
    --------
    >>> without_secrets("no route to hooks.example for bob", "json://bob:hunter2@hooks.example/T0KEN")
    'no route to … for …'
    """
    _, _, rest = url.partition("://")
    parts = {part for whole in (rest or url, unquote(rest or url)) for part in re.split(r"[/:@?&=#,+]+", whole)}
    for part in sorted((part for part in parts if len(part) >= 3), key=lambda part: (-len(part), part)):
        text = re.sub(re.escape(part), "…", text, flags=re.IGNORECASE)
    return text[:300]


def _deliver(service: NotifyBase, letter: Letter) -> str | None:
    from apprise import Apprise, NotifyFormat, NotifyType

    types = {"error": NotifyType.FAILURE, "warning": NotifyType.WARNING, "info": NotifyType.INFO}
    try:
        sender = Apprise(asset=service.asset)
        sender.add(service)
        result = sender.notify(
            body=letter.body,
            title=letter.title,
            notify_type=types[letter.severity],
            body_format=NotifyFormat.TEXT.value,
        )
    except Exception as error:  # noqa: BLE001  # as above: a failure is recorded, not raised
        return f"{type(error).__name__}: {error}"
    return None if result else " ".join(entry.message for entry in result.logs()) or "it was not accepted"


def _service_of(url: str, timeout_s: float) -> NotifyBase | None:
    from apprise import Apprise, AppriseAsset, OverflowMode

    # A redirected POST becomes a GET that says 200: such a message would count as sent. 0: no threads of its own.
    asset = AppriseAsset(app_id="ml-assets", async_mode=False, service_timeout=0, http_redirects=False)
    service = Apprise.instantiate(url, asset=asset)
    if service is not None:
        service.socket_connect_timeout = min(service.socket_connect_timeout, timeout_s / 2)
        service.socket_read_timeout = min(service.socket_read_timeout, timeout_s / 2)
        if "overflow=" not in url:
            service.overflow_mode = OverflowMode.SPLIT
    return service


def _load_apprise() -> None:
    """Import Apprise once, before threads that would import it at the same time."""
    import apprise  # noqa: F401


def _quiet_apprise() -> None:
    """Keep Apprise's own log, which may name targets, out of ours for good: its reasons are in its results."""
    log = logging.getLogger("apprise")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def _letter(message: Message) -> Letter:
    end = f"\nid: {message.message_id}"
    body = message.body
    if len(body) + len(end) > LONGEST_BODY:
        body = body[: LONGEST_BODY - len(end) - 1] + "…"
    return Letter((message.message_id,), message.title, body + end, message.severity)


def _digest(use_case: str, messages: Sequence[Message]) -> list[Letter]:
    pages: list[list[tuple[Message, str]]] = [[]]
    room = LONGEST_BODY
    for message in messages:
        title = message.title.removeprefix(f"{use_case}: ")
        said = f"{message.at} {title}"
        line = f"- {said if len(said) <= LONGEST_LINE else said[: LONGEST_LINE - 1] + '…'}\n  id: {message.message_id}"
        if room < len(line) + 1:
            pages.append([])
            room = LONGEST_BODY
        pages[-1].append((message, line))
        room -= len(line) + 1
    letters: list[Letter] = []
    for number, page in enumerate(pages, start=1):
        title = f"{use_case}: {len(messages):,} alerts" + (f" ({number} of {len(pages)})" if len(pages) > 1 else "")
        severities: list[Severity] = [message.severity for message, _ in page]
        worst = min(severities, key=RANK_OF_SEVERITY.__getitem__)
        ids = tuple(message.message_id for message, _ in page)
        letters.append(Letter(ids, title, "\n".join(line for _, line in page), worst))
    return letters
