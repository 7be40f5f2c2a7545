"""A real browser for tests: headless Chromium, driven by its command line, or by keys and clicks over DevTools."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: apt-get install -y chromium")
_QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
          "--disable-component-update", "--disable-sync", "--password-store=basic")  # fmt: skip


def visit(url: str, profile: Path, *, wait_ms: int = 4_000, hosts: str = "") -> str:
    """Open a page as a person does, let its scripts and requests go on for `wait_ms`, and give the document they leave.

    `profile` keeps cookies from one visit to the next; `hosts` maps names, as in `MAP evil.example 127.0.0.1`.
    """
    rules = [f"--host-resolver-rules={hosts}"] if hosts else []
    command = [
        CHROMIUM,
        *_QUIET,
        *rules,
        f"--user-data-dir={profile}",
        f"--virtual-time-budget={wait_ms}",
        "--dump-dom",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


class Tab:
    """A page that a test works with: it presses keys, and reads what is shown."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0

    def evaluate(self, expression: str) -> Any:
        """Give the value of a JavaScript expression in the page."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def go(self, url: str) -> None:
        """Open an address."""
        self._ask("Page.navigate", url=url)

    def press(self, key: str) -> None:
        """Press and release a key, as `event.key` names it."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, **(text if kind == "keyDown" else {}))

    def wait_for(self, expression: str, patience: float = 20.0) -> Any:
        """Wait until an expression is true, and give its value."""
        until = time.monotonic() + patience
        while True:
            found = self.evaluate(expression)
            if found:
                return found
            assert time.monotonic() < until, f"{expression} did not come: {self.evaluate('document.body.innerText')}"
            time.sleep(0.03)

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]


@contextmanager
def open_tab(profile: Path) -> Iterator[Tab]:
    """Start a browser with an empty page, and end it with the block."""
    command = [CHROMIUM, *_QUIET, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told, until = profile / "DevToolsActivePort", time.monotonic() + 60
        while not told.exists() or not told.read_text().strip():
            assert process.poll() is None, "the browser ended"
            assert time.monotonic() < until, "the browser did not start"
            time.sleep(0.05)
        port = int(told.read_text().split()[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
            page = next(each for each in json.load(answer) if each["type"] == "page")
        with connect(page["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        process.wait(20)
