"""Checks every request to the UI before Dagster's webserver sees it.

Dagster's webserver has no password, takes mutations by GET and answers any host. This ASGI middleware refuses

- a `Host` that is not this machine's or declared: another site's name that was pointed to 127.0.0.1,
- an `Origin` other than the UI's own: a form, a fetch or a websocket of another site,
- GraphQL by GET, and by POST with a content type that a form can send: an `<img>` or a form of another site,
- whoever does not know the token: another user or program of this machine.

The token comes in the URL once, as in Jupyter. It is then kept in a cookie that scripts cannot read and that other
sites cannot send. Programs send `Authorization: Bearer <token>`.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
LEAST_TOKEN_LENGTH = 16
TOKEN_VARIABLE = "ML_ASSETS_UI_TOKEN"  # noqa: S105 - its name, not the token
_COOKIE_AGE_S = 7 * 24 * 3600
_METHODS = ("GET", "HEAD", "POST")
_GRAPHQL_TYPES = ("application/json", "application/graphql")  # a form cannot send them
_HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_LOGIN_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>COMMAND: token needed</title></head>
<body><h1>Token needed</h1>
<p>Open the address that <code>COMMAND</code> printed when it started: it ends with <code>?token=…</code>.
Or paste the token here.</p>
<form method="get"><input name="token" type="password" autofocus autocomplete="off"> <button>Open</button></form>
</body></html>
"""


class TokenError(ValueError):
    """A token of the environment that is too weak to guard anything."""


@dataclass(frozen=True)
class GuardRules:
    """Who may ask: the token, the port (it names the cookie, since ports share cookies), and further host names.

    `command` is what serves, for messages.
    """

    token: str
    port: int
    hosts: tuple[str, ...] = ()
    command: str = "ml-assets ui"

    def __post_init__(self) -> None:
        if len(self.token) < LEAST_TOKEN_LENGTH or not self.token.isascii() or not self.token.isprintable():
            found = f"found {len(self.token)} characters"
            allowed = f"at least {LEAST_TOKEN_LENGTH} printable ASCII characters"
            raise TokenError(f"${TOKEN_VARIABLE}: {found}; allowed: {allowed}, such as those of `openssl rand -hex 24`")

    @property
    def cookie_name(self) -> str:
        """Name the cookie, by port: cookies of one host are shared by all its ports."""
        return f"ml_assets_ui_{self.port}"

    @property
    def cookie_value(self) -> str:
        """Give what the cookie holds: a proof of the token that is not the token."""
        return hmac.new(self.token.encode(), b"ml-assets ui cookie", hashlib.sha256).hexdigest()

    def is_known_host(self, netloc: str) -> bool:
        """Say whether a `Host` names this machine or a declared host, at any port.

        Examples
        --------
        >>> rules = GuardRules("0123456789abcdef", 3000, ("ml.example.org",))
        >>> hosts = ("localhost:3000", "[::1]:3000", "ML.example.org", "127.0.0.1.evil.org", "a@localhost", "")
        >>> [rules.is_known_host(host) for host in hosts]
        [True, True, True, False, False, False]
        """
        if not netloc or any(mark in netloc for mark in "@/\\?# \t"):
            return False
        try:
            name = urlsplit(f"//{netloc}").hostname
        except ValueError:
            return False
        return name in {*LOOPBACK_NAMES, *(host.lower() for host in self.hosts)}


class RequestGuard:
    """ASGI middleware that lets through what `GuardRules` allow, and answers the rest itself."""

    def __init__(self, app: ASGIApp, rules: GuardRules) -> None:
        self.app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request or websocket, or hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] not in {"http", "websocket"}:
            raise ValueError(f"found the ASGI scope {scope['type']!r}; allowed: http, websocket, lifespan")
        connection = HTTPConnection(scope)
        answer = self._refusal(connection) or self._login(connection)
        if answer is None:
            await self.app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)
        elif scope["type"] == "http":
            await answer(scope, receive, _with_headers(send))
        else:
            await send({"type": "websocket.close", "code": 1008})  # before it was accepted: a 403 for the client

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        """Refuse what comes from elsewhere, and what could change something unasked."""
        hosts = connection.headers.getlist("host")
        if len(hosts) != 1 or not self.rules.is_known_host(hosts[0]):
            allowed = ", ".join([*LOOPBACK_NAMES, *self.rules.hosts])
            more = ". `ml-assets ui --allow-host` adds a name" if self.rules.command == "ml-assets ui" else ""
            return _refuse(403, f"Host: found {hosts!r}; allowed: {allowed}{more}")
        for origin in connection.headers.getlist("origin"):
            parts = urlsplit(origin)
            if parts.scheme not in {"http", "https"} or parts.netloc.lower() != hosts[0].lower():
                return _refuse(403, f"Origin: found {origin!r}; allowed: the address of the UI itself, {hosts[0]}")
        if connection.scope["type"] == "websocket":
            return None
        return _refused_method(connection)

    def _login(self, connection: HTTPConnection) -> Response | None:
        """Ask for the token; take it from the URL and put it into a cookie."""
        rules, is_page = self.rules, connection.scope["type"] == "http" and connection.scope["method"] == "GET"
        given = connection.query_params.get("token")
        if is_page and given is not None and _same(given, rules.token):
            return self._without_token(connection)
        scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(secret.strip(), rules.token):
            return None
        if _same(connection.cookies.get(rules.cookie_name, ""), rules.cookie_value):
            return None
        if is_page and "text/html" in connection.headers.get("accept", ""):
            policy = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            return HTMLResponse(
                _LOGIN_PAGE.replace("COMMAND", rules.command),
                401,
                {"Content-Security-Policy": policy, "Cache-Control": "no-store"},
            )
        how = f"open the address that `{rules.command}` printed, or send `Authorization: Bearer <token>`"
        return _refuse(401, f"no token, or another one than it was started with; {how}")

    def _without_token(self, connection: HTTPConnection) -> Response:
        rest = [(name, value) for name, value in connection.query_params.multi_items() if name != "token"]
        path = "/" + connection.url.path.lstrip("/\\")  # //elsewhere would leave this host
        answer = RedirectResponse(path + ("?" + urlencode(rest) if rest else ""), 303, {"Cache-Control": "no-store"})
        is_secure = connection.scope["scheme"] == "https"
        answer.set_cookie(
            self.rules.cookie_name, self.rules.cookie_value, _COOKIE_AGE_S, httponly=True, samesite="strict",
            secure=is_secure,
        )  # fmt: skip
        return answer


def _refused_method(connection: HTTPConnection) -> Response | None:
    """Refuse requests that may change something although their method or content type promises otherwise."""
    method = connection.scope["method"]
    if method not in _METHODS:
        return _refuse(405, f"found the method {method}; allowed: {', '.join(_METHODS)}")
    # Dagster's router takes "/graphql\n" for /graphql
    is_graphql = connection.scope["path"].strip().strip("/").lower().rpartition("/")[2] == "graphql"
    if not is_graphql:
        return None
    if method == "POST":
        kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _GRAPHQL_TYPES:
            return _refuse(415, f"Content-Type: found {kind!r}; allowed: {', '.join(_GRAPHQL_TYPES)}")
    elif "text/html" not in connection.headers.get("accept", ""):  # with it, Dagster answers the playground page
        return _refuse(405, f"found GraphQL by {method}; allowed: POST, so that no link or image changes anything")
    return None


def _refuse(status: int, reason: str) -> Response:
    return PlainTextResponse(f"ml-assets refused this request: {reason}\n", status)


def _same(found: str, wanted: str) -> bool:
    return hmac.compare_digest(found.encode(), wanted.encode())


def _with_headers(send: Send) -> Send:
    """Add the headers that keep other sites from framing, reading and guessing what the UI answers."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return send_with_headers
