"""A worker's health over HTTP, for whoever restarts it.

=========  ==========================================================================================
`/live`    200 while the loop turns; 503 when nothing turned for `stuck` seconds: restart it
`/ready`   200 while it takes and applies; 503 at the start and while something is away: wait
=========  ==========================================================================================

Both answer with the same JSON object: source, error, seconds since the last progress, backlog, pending, counts.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class Health(NamedTuple):
    """How a worker is.

    Attributes:
        live: its loop turns.
        ready: it takes and applies.
        told: what else is to be known, as JSON.
    """

    live: bool
    ready: bool
    told: dict[str, Any]


class HealthServer:
    """Answers in a thread of its own; use it as a context manager.

    Args:
        look: returns how the worker is; called in that thread.
        host: the interface.
        port: 0 takes a free one.

    Attributes:
        address: `host:port`, as it listens.
    """

    def __init__(self, look: Callable[[], Health], host: str, port: int) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(look))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.1], daemon=True)
        bound = self._server.server_address
        self.address = f"{host}:{bound[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(look: Callable[[], Health]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            health = look()
            well = {"/live": health.live, "/ready": health.ready}.get(self.path.partition("?")[0])
            if well is None:
                self._answer(404, {"error": "there are /live and /ready"})
            else:
                self._answer(
                    200 if well else 503, {"live": health.live, "ready": health.ready, **health.told}
                )

        do_HEAD = do_GET  # noqa: N815 - the standard library's own names

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            raw = json.dumps(body).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
            """A question every few seconds is no news."""

    return Handler
