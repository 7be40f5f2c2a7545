from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ml_assets.decisions.incidents import Finding
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.alert_relay import (
    RelayResult,
    masked,
    relay,
    send_test,
    url_key_of,
    urls_from_environment,
    without_secrets,
)
from ml_assets.stores.paths import StatePaths

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TIMEOUT_S = 0.6

# apprise 2.2: its e-mail service loads imghdr for pgpy, which Python 3.13 will not have
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

RELAY_AND_DIE = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from ml_assets.stores.alert_outbox import AlertOutbox
from ml_assets.stores.alert_relay import relay
from ml_assets.stores.paths import StatePaths

AlertOutbox.record_delivery = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
relay(AlertOutbox(StatePaths(Path(sys.argv[1]))), [sys.argv[2]], datetime.fromisoformat(sys.argv[3]))
"""


class Receiver:
    """A real receiver on this machine: answers as told, then 200, and keeps what it got."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.got: list[tuple[str, dict[str, str]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                letter = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = receiver.answers.pop(0) if receiver.answers else "200"
                receiver.got.append((answer, letter))
                if answer == "hang":
                    time.sleep(TIMEOUT_S * 2)
                    return
                if answer == "drip":
                    for _ in range(30):
                        self.wfile.write(b"H")
                        time.sleep(TIMEOUT_S / 6)
                    return
                self.send_response(int(answer))
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                receiver.got.append(("redirected", {}))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a caller that gave up
        self.port = self.server.server_address[1]
        self.url = f"json://127.0.0.1:{self.port}/"

    def taken(self) -> list[str]:
        """Give the bodies that it answered with 200."""
        return [letter["message"] for answer, letter in self.got if answer == "200"]


@contextmanager
def receiving(*answers: str) -> Iterator[Receiver]:
    receiver = Receiver(*answers)
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()


@pytest.fixture
def outbox(tmp_path: Path) -> AlertOutbox:
    return AlertOutbox(StatePaths(tmp_path))


def fill(outbox: AlertOutbox, count: int, use_case: str = "flights") -> list[str]:
    """Open incidents, and give the ids of their messages."""
    found = [Finding(f"drop/s{n:04}", "missing_drop", "error", f"late {n}", 3, 1, "", "") for n in range(count)]
    outbox.reconcile(use_case, ("drop/",), "2013-07-01", found, NOW)
    return [message.message_id for message in outbox.messages(use_case)]


def ids_in(bodies: list[str]) -> list[str]:
    return [found for body in bodies for found in re.findall(r"id: ([0-9a-f]{16}:\w+)", body)]


def test_a_message_arrives_whole_with_its_id_at_the_end(outbox: AlertOutbox) -> None:
    (message_id,) = fill(outbox, 1)

    with receiving() as receiver:
        assert relay(outbox, [receiver.url], NOW) == RelayResult(sent=1, failed=0, pending=0)
        assert relay(outbox, [receiver.url], NOW) == RelayResult(0, 0, 0)

    ((_, letter),) = receiver.got
    assert (letter["title"], letter["type"]) == ("flights: missing drop (drop/s0000)", "failure")
    assert letter["message"] == (
        f"late 0\nseverity: error\nsince: 2013-07-01\nmeasured: 3, threshold 1\nid: {message_id}"
    )
    assert outbox.messages()[0].sent_at == "2026-01-05T09:00:00.000+00:00"


def test_through_errors_and_hangs_each_incident_arrives_with_at_most_one_duplicate(outbox: AlertOutbox) -> None:
    expected = fill(outbox, 3)
    now, results, took_s = NOW, [], []

    with receiving("500", "hang") as receiver:
        while outbox.unsent():
            began = time.monotonic()
            results.append(relay(outbox, [f"{receiver.url}?rto=30"], now, timeout_s=TIMEOUT_S))
            took_s.append(time.monotonic() - began)
            now += timedelta(seconds=30)

    assert [(result.sent, result.failed, result.pending) for result in results] == [(0, 1, 3), (0, 1, 3), (3, 0, 0)]
    assert "500" in results[0].reasons[0]
    assert "Connection error" in results[1].reasons[0]  # Apprise itself gave up: no thread is left behind
    assert max(took_s) < TIMEOUT_S + 1
    assert sorted(ids_in(receiver.taken())) == sorted(expected)
    hung = ids_in([letter["message"] for answer, letter in receiver.got if answer == "hang"])
    assert len(hung) == 1
    assert hung[0] in expected


def test_a_receiver_that_drips_does_not_hold_the_caller(outbox: AlertOutbox) -> None:
    fill(outbox, 1)

    with receiving("drip") as receiver:
        began = time.monotonic()
        result = relay(outbox, [receiver.url], NOW, timeout_s=TIMEOUT_S)
        took_s = time.monotonic() - began

    assert (result.sent, result.failed) == (0, 1)
    assert result.reasons == (f"{masked(receiver.url)}: no answer within 0.6 s",)
    assert took_s < TIMEOUT_S + 1


def test_a_redirected_message_does_not_count_as_sent(outbox: AlertOutbox) -> None:
    fill(outbox, 1)

    with receiving("302") as receiver:
        result = relay(outbox, [receiver.url], NOW)

    assert (result.sent, result.failed) == (0, 1)
    assert [answer for answer, _ in receiver.got] == ["302"]


def test_a_thousand_findings_are_a_few_digests_that_hold_every_id(outbox: AlertOutbox) -> None:
    expected = fill(outbox, 1000)

    with receiving() as receiver:
        assert relay(outbox, [receiver.url], NOW) == RelayResult(1000, 0, 0)

    bodies = receiver.taken()
    assert len(bodies) == 20
    assert ids_in(bodies) == expected
    assert max(len(body) for body in bodies) <= 3_500
    assert all(re.search(r"id: [0-9a-f]{16}:opened$", body) for body in bodies)
    assert receiver.got[0][1]["title"] == "flights: 1,000 alerts (1 of 20)"


def test_up_to_five_messages_of_a_use_case_go_one_by_one(outbox: AlertOutbox) -> None:
    fill(outbox, 5, "flights")
    fill(outbox, 6, "trips")

    with receiving() as receiver:
        relay(outbox, [receiver.url], NOW)

    sent_titles = [letter["title"] for _, letter in receiver.got]
    assert sent_titles == [*(f"flights: missing drop (drop/s000{n})" for n in range(5)), "trips: 6 alerts"]


def test_a_digest_that_did_not_go_out_leaves_all_of_it_pending(outbox: AlertOutbox) -> None:
    fill(outbox, 6)

    with receiving("503") as receiver:
        first = relay(outbox, [receiver.url], NOW)
        early = relay(outbox, [receiver.url], NOW + timedelta(seconds=29))
        second = relay(outbox, [receiver.url], NOW + timedelta(seconds=30))

    assert (first.sent, first.failed, first.pending) == (0, 6, 6)
    assert early == RelayResult(0, 0, 6)
    assert (second, len(receiver.got)) == (RelayResult(6, 0, 0), 2)


def test_a_url_that_fails_brings_the_others_no_duplicates(outbox: AlertOutbox) -> None:
    expected = fill(outbox, 2)

    with receiving() as sound, receiving("500", "500") as broken:
        urls = [broken.url, sound.url]
        results = [relay(outbox, urls, NOW + timedelta(minutes=n)) for n in range(4)]

    assert [result.sent for result in results] == [0, 0, 2, 0]
    assert ids_in(sound.taken()) == expected
    assert sorted(ids_in(broken.taken())) == sorted(expected)
    assert len(broken.got) == 4


def test_killed_between_sending_and_recording_sends_one_duplicate_with_the_same_id(
    outbox: AlertOutbox, tmp_path: Path
) -> None:
    first, second = fill(outbox, 2)

    with receiving() as receiver:
        command = [sys.executable, "-c", RELAY_AND_DIE, str(tmp_path), receiver.url, NOW.isoformat()]
        killed = subprocess.run(command, check=False)
        result = relay(outbox, [receiver.url], NOW)

    assert killed.returncode == -signal.SIGKILL
    assert result == RelayResult(2, 0, 0)
    assert ids_in(receiver.taken()) == [first, first, second]


def test_without_urls_messages_stay_readable_and_go_out_later(outbox: AlertOutbox) -> None:
    fill(outbox, 2)

    assert relay(outbox, [], NOW) == RelayResult(0, 0, 2)
    assert [(message.attempts, message.last_error) for message in outbox.messages()] == [(0, None), (0, None)]
    with receiving() as receiver:
        assert relay(outbox, [receiver.url], NOW).sent == 2


def test_two_relays_at_once_send_each_message_once(outbox: AlertOutbox) -> None:
    expected = fill(outbox, 3)

    with receiving() as receiver:
        threads = [threading.Thread(target=relay, args=(outbox, [receiver.url], NOW)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert ids_in(receiver.taken()) == expected


def test_a_reason_holds_no_secret(outbox: AlertOutbox) -> None:
    fill(outbox, 1)
    nobody, broken = "json://bob:hunter2@127.0.0.1:1/hooks/T0KEN", "nonsense://T0KEN/hunter2"

    with receiving("403") as receiver:
        url = f"json://bob:hunter2@127.0.0.1:{receiver.port}/hooks/T0KEN?+X-Key=s3same"
        result = relay(outbox, [url, nobody, broken], NOW)
        trials = send_test([nobody, broken])

    message = outbox.messages()[0]
    said = f"{message.last_error} {result} {trials}"
    assert f"json://… ({url_key_of(url)}): Failed to send JSON POST notification:" in said
    assert "error=403" in said
    assert f"json://… ({url_key_of(nobody)}): A Connection error occurred sending JSON notification to …" in said
    assert f"nonsense://… ({url_key_of(broken)}): it is not a URL that Apprise understands" in said
    for secret in ("bob", "hunter2", "T0KEN", "s3same", "127.0.0.1"):
        assert secret not in said


def test_the_log_of_apprise_which_spells_urls_out_is_not_printed() -> None:
    script = (
        "import logging, sys; logging.basicConfig(); "
        "from ml_assets.stores.alert_relay import send_test; send_test(sys.argv[1:])"
    )

    command = [sys.executable, "-c", script, "nonsense://T0KEN/hunter2", "json://bob:hunter2@127.0.0.1:1/"]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)

    assert (ended.stdout, ended.stderr) == ("", "")


def test_parts_of_a_url_are_cut_also_when_spelt_in_another_way() -> None:
    text = without_secrets("POST https://hooks.example/a b/T0ken failed", "jsons://hooks.example/a%20b/t0KEN")

    assert text == "POST https://…/…/… failed"


def test_test_message_is_tried_at_each_url() -> None:
    with receiving() as sound, receiving("500") as broken:
        trials = send_test([sound.url, broken.url])

    assert [(trial.url, trial.error is None) for trial in trials] == [
        (masked(sound.url), True),
        (masked(broken.url), False),
    ]
    assert sound.got[0][1]["title"] == "ml-assets: test"


def test_urls_are_separated_by_white_space_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_ALERT_URLS", " mailto://a@b.c?to=x,y\n\tjson://h/  json://h/ ")
    assert urls_from_environment() == ["mailto://a@b.c?to=x,y", "json://h/"]

    monkeypatch.delenv("ML_ASSETS_ALERT_URLS")
    assert urls_from_environment() == []


def test_urls_that_hang_keep_no_other_waiting_and_are_tried_later_and_later(outbox: AlertOutbox) -> None:
    expected, now = fill(outbox, 3), NOW
    with receiving(*["hang"] * 9) as first, receiving(*["hang"] * 9) as second, receiving() as third:
        urls = [f"{each.url}?rto=30" for each in (first, second, third)]
        began = time.monotonic()
        result = relay(outbox, urls, now, timeout_s=TIMEOUT_S)
        took_s = time.monotonic() - began
        soon = relay(outbox, urls, now + timedelta(seconds=29), timeout_s=TIMEOUT_S)

        assert sorted(ids_in(third.taken())) == sorted(expected)
    assert took_s < 2 * TIMEOUT_S + 1  # side by side: not the sum
    assert result.failed == 1
    assert soon == RelayResult(0, 0, pending=3)  # nothing is tried before its time
    assert {message.next_try_at for message in outbox.messages()} == {"2026-01-05T09:00:30.000+00:00"}
    assert sorted(message.attempts for message in outbox.messages()) == [0, 0, 1]


def test_message_that_fails_for_two_days_is_a_dead_letter_until_it_is_asked_for(outbox: AlertOutbox) -> None:
    (message_id,) = fill(outbox, 1)
    now = NOW
    while outbox.pending(now):
        outbox.mark_failed([message_id], now, "no answer")
        now = datetime.fromisoformat(outbox.messages()[0].next_try_at)

    assert timedelta(days=1) < now - NOW < timedelta(days=3)
    assert [message.message_id for message in outbox.dead_letters()] == [message_id]
    assert outbox.unsent() == 1
    with receiving() as receiver:
        assert relay(outbox, [receiver.url], now + timedelta(days=9)) == RelayResult(0, 0, pending=1)

        assert outbox.retry_dead_letters(now) == 1
        assert relay(outbox, [receiver.url], now) == RelayResult(sent=1, failed=0, pending=0)
    assert outbox.dead_letters() == []
