"""`ml-assets ui` for real: attacked from other sites in a real browser, and killed.

The attacks are first tried on Dagster's webserver without the guard, where they succeed: so they do attack.
"""

from __future__ import annotations

import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from ml_assets.graph.runs.launch import make_instance
from ml_assets.stores.paths import StatePaths
from ml_assets_tests.browser import needs_browser, visit

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui")]  # real webservers, a daemon, a browser

PATIENCE = 240.0  # seconds until a UI answers: 25 on two quiet cores
PROTOCOL = Subprotocol("graphql-ws")
MUTATION = "mutation { setAutoMaterializePaused(paused: %s) }"
# Each way in which a page of another site can try to change something, or to read something.
ATTACKS = """<!doctype html><title>attack</title><iframe name="sink"></iframe>
<iframe src="{ui}/runs"></iframe>
<img src="{ui}/graphql?query={get}"><form action="{ui}/graphql?query={get}" method="post" target="sink"
 enctype="text/plain"><input name="x" value="y"></form>
<ul></ul><script>
const tell = text => {{
  const item = document.createElement("li");
  item.textContent = text;
  document.querySelector("ul").append(item);
}};
document.forms[0].submit();
const body = JSON.stringify({{query: "{mutation}"}});
for (const [mode, type] of [["no-cors", "text/plain"], ["cors", "application/json"]])
  fetch("{ui}/graphql", {{method: "POST", mode, credentials: "include", headers: {{"Content-Type": type}}, body}})
    .then(answer => answer.text()).then(text => tell("fetched:" + text)).catch(() => tell("blocked"));
const opened = new WebSocket("{socket}/graphql", "graphql-ws");
opened.onmessage = event => tell("socket:" + event.data);
opened.onerror = () => tell("socket refused");
opened.onopen = () => opened.send(JSON.stringify({{type: "connection_init"}}));
</script>"""


@dataclass(frozen=True)
class Webserver:
    """A webserver of a test: its port, and the token where it wants one."""

    port: int
    token: str
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, query: str) -> dict[str, object]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("POST", "/graphql", json.dumps({"query": query}), headers)
            return json.load(connection.getresponse())["data"]

    def is_paused(self) -> bool:
        found = self.ask("{ instance { autoMaterializePaused } }")["instance"]
        assert isinstance(found, dict)
        return found["autoMaterializePaused"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def started(command: list[str], port: int, root: Path, environment: dict[str, str]) -> Iterator[Webserver]:
    """Run a webserver until the test is over; it is there when it answers."""
    log = root / f"ui_{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )  # fmt: skip
    try:
        begun = time.monotonic()
        prints_token = command[-3:-1] == ["ui", "--port"]  # a moment after the server answers
        while not is_answering(port) or (prints_token and "token=" not in log.read_text()):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - begun < PATIENCE, log.read_text()
            time.sleep(0.3)
        token = re.search(r"[?]token=(\S+)", log.read_text())
        yield Webserver(port, token[1] if token else "", process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(40)


def is_answering(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/server_info")
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def user_interface(port: int) -> list[str]:
    return [sys.executable, "-c", "from ml_assets.cli.process import main; main()", "ui", "--port", str(port)]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webserver]:
    root, port = tmp_path_factory.mktemp("guarded"), free_port()
    with started(user_interface(port), port, root, {"ML_ASSETS_DATA": str(root)}) as server:
        yield server


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webserver]:
    root, port = tmp_path_factory.mktemp("unguarded"), free_port()
    paths = StatePaths(root)
    make_instance(paths)
    command = [sys.executable, "-m", "dagster_webserver", "--empty-workspace", "-p", str(port)]
    with started(command, port, root, {"DAGSTER_HOME": str(paths.dagster_home)}) as server:
        yield server


@contextmanager
def evil_site(folder: Path) -> Iterator[int]:
    """Serve the pages of another site."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def attack(server: Webserver, folder: Path, name: str) -> list[str]:
    """Visit the UI as its user does, then the page of another site under `name`; give what that page found out."""
    mutation = MUTATION % ("false" if server.is_paused() else "true")
    page = ATTACKS.format(
        ui=server.address, socket=server.address.replace("http", "ws"), mutation=mutation,
        get=quote(mutation),
    )  # fmt: skip
    (folder / "attack.html").write_text(page)
    visit(f"{server.address}/?token={server.token}", folder / "profile", wait_ms=1_000)
    with evil_site(folder) as port:
        document = visit(f"http://{name}:{port}/attack.html", folder / "profile", hosts="MAP evil.example 127.0.0.1")
    return re.findall(r"<li>([^<]*)</li>", document)


@needs_browser
def test_attacks_of_another_site_succeed_without_the_guard(unguarded: Webserver, tmp_path: Path) -> None:
    before = unguarded.is_paused()

    found = attack(unguarded, tmp_path, "127.0.0.1")

    assert unguarded.is_paused() is not before
    assert any(each.startswith("socket:") and "connection_ack" in each for each in found)


@needs_browser
@pytest.mark.parametrize("name", ["evil.example", "localhost", "127.0.0.1"])
def test_page_of_another_site_changes_and_reads_nothing(guarded: Webserver, tmp_path: Path, name: str) -> None:
    before = guarded.is_paused()

    found = attack(guarded, tmp_path, name)

    assert guarded.is_paused() is before
    assert "socket refused" in found
    assert "blocked" in found
    assert [each for each in found if "data" in each or "connection_ack" in each] == []


@needs_browser
def test_name_that_was_pointed_to_this_machine_is_not_answered(guarded: Webserver, tmp_path: Path) -> None:
    document = visit(
        f"http://rebound.example:{guarded.port}/?token={guarded.token}", tmp_path, hosts="MAP rebound.example 127.0.0.1"
    )  # fmt: skip

    assert "refused this request: Host" in document
    assert "allowed: 127.0.0.1" in document


@needs_browser
def test_person_with_the_token_sees_the_ui_and_stays_signed_in(guarded: Webserver, tmp_path: Path) -> None:
    stranger = visit(f"{guarded.address}/", tmp_path, wait_ms=500)

    first = visit(f"{guarded.address}/?token={guarded.token}", tmp_path)
    again = visit(f"{guarded.address}/runs", tmp_path)

    assert "Token needed" in stranger
    assert "Dagster" not in stranger
    for document in (first, again):
        assert "Token needed" not in document
        assert all(part in document for part in ("Deployment", "Automation", "Lineage")), "the UI was not drawn"
        assert guarded.token not in document


def test_subscription_of_the_ui_keeps_working(guarded: Webserver) -> None:
    headers = {"Authorization": f"Bearer {guarded.token}", "Origin": guarded.address}
    query = 'subscription { pipelineRunLogs(runId: "none") { __typename } }'
    with connect(
        f"ws://127.0.0.1:{guarded.port}/graphql", additional_headers=headers, subprotocols=[PROTOCOL], proxy=None
    ) as opened:  # fmt: skip
        opened.send(json.dumps({"type": "connection_init"}))
        acknowledged = json.loads(opened.recv(timeout=20))
        opened.send(json.dumps({"id": "1", "type": "start", "payload": {"query": query}}))
        answer = json.loads(opened.recv(timeout=20))

    assert acknowledged == {"type": "connection_ack"}
    assert answer["payload"]["data"]["pipelineRunLogs"]["__typename"] == "PipelineRunLogsSubscriptionFailure"


def test_second_ui_of_the_same_state_is_refused_at_any_port(guarded: Webserver) -> None:
    root = Path(f"/proc/{guarded.process.pid}/fd/1").readlink().parent

    second = subprocess.run(
        user_interface(free_port()), env={**os.environ, "ML_ASSETS_DATA": str(root)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert second.returncode == 1
    assert f"already runs: process {guarded.process.pid}, {guarded.address}" in second.stderr


def test_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            user_interface(port), env={**os.environ, "ML_ASSETS_DATA": str(tmp_path)},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.startswith(f"error --port {port}: Address already in use; allowed: a free port")


def test_killed_ui_takes_its_children_along_and_a_new_one_starts(tmp_path: Path) -> None:
    port = free_port()
    with started(user_interface(port), port, tmp_path, {"ML_ASSETS_DATA": str(tmp_path)}) as server:
        children = children_of(server.process.pid)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()

        begun = time.monotonic()
        while any(is_alive(child) for child in children):
            assert time.monotonic() - begun < 30, "a process outlived the command"
            time.sleep(0.2)

    assert len(children) == 3  # code server, webserver, daemon
    with started(user_interface(port), port, tmp_path, {"ML_ASSETS_DATA": str(tmp_path)}) as again:
        assert again.ask("{ version }")["version"]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
