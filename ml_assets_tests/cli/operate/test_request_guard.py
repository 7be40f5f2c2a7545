"""What the guard of the UI lets through, over real HTTP, before an application that would do whatever it is asked."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from ml_assets.cli.operate.request_guard import GuardRules, RequestGuard, TokenError

TOKEN = "0123456789abcdef-token"  # noqa: S105 - of this test
RULES = GuardRules(TOKEN, 3000, ("ml.example.org",))
BEARER = {"Authorization": f"Bearer {TOKEN}"}
JSON = {"Content-Type": "application/json"}
COOKIE = {"Cookie": f"{RULES.cookie_name}={RULES.cookie_value}"}
HOST = "127.0.0.1:3000"  # what a browser sends; the test's own port plays no part
MUTATION = b'{"query": "mutation { wipeAssets }"}'


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]


class Client:
    """Sends requests as they are given: nothing is normalised on the way."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": HOST, "Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        found = connection.getresponse()
        answer = Answer(found.status, found.read().decode(), dict(found.getheaders()))
        connection.close()
        return answer

    def get(self, path: str, headers: Mapping[str, str] = {}) -> Answer:
        return self.ask("GET", path, headers)

    def subscribe(self, headers: Mapping[str, str]) -> str:
        """Open a websocket as a browser does, and give its first message."""
        sent = {"Host": HOST, **headers}
        with socket.create_connection(("127.0.0.1", self.port)) as plain:
            address = f"ws://{sent.pop('Host')}/graphql"
            with connect(address, sock=plain, additional_headers=sent, proxy=None) as opened:
                return str(opened.recv(timeout=10))


async def do_it(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"did {request.method} {request.url.path}")


async def subscribe(opened: WebSocket) -> None:
    await opened.accept()
    await opened.send_text("subscribed")
    await opened.close()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    routes = [
        WebSocketRoute("/graphql", subscribe),
        Route("/{path:path}", do_it, methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(partial(RequestGuard, rules=RULES))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="websockets-sansio"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Client(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join(10)


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:8080", "[::1]:3000", "ml.example.org", "ML.EXAMPLE.ORG"])
def test_this_machine_and_declared_hosts_are_answered(client: Client, host: str) -> None:
    answer = client.get("/runs", {**BEARER, "Host": host})

    assert (answer.status, answer.text) == (200, "did GET /runs")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "127.0.0.1:3000/x", "[", ""]
)
def test_other_hosts_are_refused_and_the_message_says_how_to_declare_one(client: Client, host: str) -> None:
    answer = client.get("/runs", {**BEARER, "Host": host})

    assert answer.status == 403
    assert "allowed: 127.0.0.1, localhost, ::1, ml.example.org" in answer.text
    assert "--allow-host" in answer.text


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://127.0.0.1:8888", "null", "", "file://127.0.0.1:3000", "http://localhost:3000"],
)
def test_post_from_another_origin_is_refused(client: Client, origin: str) -> None:
    answer = client.ask("POST", "/graphql", {**BEARER, **JSON, "Origin": origin}, MUTATION)

    assert answer.status == 403
    assert "Origin: found" in answer.text


def test_post_from_the_ui_itself_passes_also_behind_a_proxy_with_tls(client: Client) -> None:
    own = client.ask("POST", "/graphql", {**BEARER, **JSON, "Origin": "http://127.0.0.1:3000"}, MUTATION)
    proxied = {**BEARER, **JSON, "Host": "ml.example.org", "Origin": "https://ml.example.org"}

    assert own.text == "did POST /graphql"
    assert client.ask("POST", "/graphql", proxied, MUTATION).text == "did POST /graphql"


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "//graphql", "/%67raphql", "/graphql%0A", "/GraphQL"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_graphql_by_get_is_refused_however_the_path_is_written(client: Client, method: str, path: str) -> None:
    answer = client.ask(method, f"{path}?query=mutation+%7Bwipe%7D", BEARER)

    assert answer.status == 405


def test_playground_page_opens(client: Client) -> None:
    assert client.get("/graphql", {**BEARER, "Accept": "text/html"}).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_graphql_in_what_a_form_can_send_is_refused(client: Client, kind: str) -> None:
    answer = client.ask("POST", "/graphql", {**BEARER, "Content-Type": kind}, MUTATION)

    assert answer.status == 415
    assert "allowed: application/json" in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_methods_that_the_ui_does_not_use_are_refused(client: Client, method: str) -> None:
    assert client.ask(method, "/graphql", BEARER).status == 405


def test_without_a_token_nothing_is_answered(client: Client) -> None:
    for path in ("/", "/server_info", "/logs/x", "/static/a.js", "/download_debug/1"):
        assert client.get(path).status == 401
    assert client.ask("POST", "/report_asset_materialization/a").status == 401
    assert client.get("/", {"Authorization": "Bearer wrong"}).status == 401
    assert client.get("/", {"Cookie": f"{RULES.cookie_name}={TOKEN}"}).status == 401


def test_person_without_a_token_is_told_where_it_stands(client: Client) -> None:
    answer = client.get("/", {"Accept": "text/html"})

    assert answer.status == 401
    assert "ml-assets ui" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_token_of_the_url_becomes_a_cookie_and_leaves_the_url(client: Client) -> None:
    first = client.get(f"/runs?token={TOKEN}&status=a%26b")

    assert (first.status, first.headers["location"]) == (303, "/runs?status=a%26b")
    assert first.headers["set-cookie"].startswith(f"{RULES.cookie_name}={RULES.cookie_value};")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {
        part.strip() for part in first.headers["set-cookie"].split(";")
    }
    assert TOKEN not in first.headers["set-cookie"]
    assert client.get(first.headers["location"], COOKIE).text == "did GET /runs"


def test_redirect_that_takes_the_token_away_stays_on_this_host(client: Client) -> None:
    for path in ("//evil.example/x", "/%5Cevil.example/x", "///evil.example/x"):
        answer = client.get(f"{path}?token={TOKEN}")

        assert answer.headers["location"].lstrip("/").startswith(("evil.example/x", "%5Cevil.example"))
        assert not answer.headers["location"].startswith(("//", "/\\"))


def test_wrong_token_in_the_url_sets_no_cookie(client: Client) -> None:
    answer = client.get("/?token=wrong-but-long-enough")

    assert answer.status == 401
    assert "set-cookie" not in answer.headers


def test_every_answer_forbids_frames_and_reading_by_other_sites(client: Client) -> None:
    for answer in (client.get("/", BEARER), client.get("/")):
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_websocket_of_the_ui_passes(client: Client) -> None:
    assert client.subscribe({"Origin": f"http://{HOST}", **COOKIE}) == "subscribed"
    assert client.subscribe(BEARER) == "subscribed"


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example", **COOKIE}, {"Host": "evil.example", **BEARER}, {"Origin": f"http://{HOST}"}],
)
def test_websocket_of_another_site_or_without_a_token_is_refused(client: Client, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        client.subscribe(headers)


@pytest.mark.parametrize("token", ["short", "0123456789abcde", "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ", "0123456789abcdef\n"])
def test_token_that_guards_nothing_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(TokenError, match=r"ML_ASSETS_UI_TOKEN: found \d+ characters; allowed: at least 16") as found:
        GuardRules(token, 3000)
    assert token not in str(found.value)
