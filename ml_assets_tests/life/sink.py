"""Where alerts are delivered: a receiver on this machine that takes them, refuses them, or hangs."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

_ID = re.compile(r"^\s*id: (\S+)$", re.MULTILINE)
_HANG_S = 12.0  # longer than the relay waits


@dataclass
class Sink:
    """A receiver of Apprise's JSON messages. `titles` holds what each id was delivered as, in order."""

    mode: Literal["takes", "fails", "hangs"] = "takes"
    bodies: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    refused: int = 0

    def start(self) -> str:
        """Listen, and give the URL that alerts are sent to."""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if sink.mode == "hangs":
                    sink.mode = "fails"  # one pass finds out; the next ones are refused at once
                    sink.refused += 1
                    time.sleep(_HANG_S)
                    return
                if sink.mode == "takes":
                    message = json.loads(content)
                    sink.bodies.append((message["title"], message["message"]))
                else:
                    sink.refused += 1
                self.send_response(200 if sink.mode == "takes" else 500)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"json://127.0.0.1:{self._server.server_address[1]}/"

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def delivered_ids(self) -> list[str]:
        """Give the id of every message taken, as often as it was; a digest holds several."""
        return [found for _, body in self.bodies for found in _ID.findall(body)]
