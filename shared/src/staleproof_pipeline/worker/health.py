"""A worker's health over HTTP, for whoever restarts it.

=========  ==========================================================================================
`/live`    200 while the loop turns; 503 when nothing turned for `stuck` seconds: restart it
`/ready`   200 while it takes and applies; 503 at the start and while something is away: wait
=========  ==========================================================================================

Both answer with the same JSON object: source, error, seconds since the last progress, backlog, pending, counts.

Whoever can connect may ask, so nobody may hold anything: at most `MOST` connections at once, the others are closed; one
question a connection, which ends after `PATIENCE` seconds however slowly it drips; and nothing is written to the log.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


MOST = 32
PATIENCE = 5.0


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
        host = host.strip("[]")
        server = _SixServer if ":" in host else _Server
        self._server = server((host, port), _handler(look))
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.1], daemon=True)
        bound = self._server.server_address
        self.address = f"[{host}]:{bound[1]}" if ":" in host else f"{host}:{bound[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 4 * MOST

    def __init__(self, *arguments: Any) -> None:
        self._room = threading.BoundedSemaphore(MOST)
        super().__init__(*arguments)

    def server_bind(self) -> None:
        """Bind, and ask no name server who we are, as the standard library does: it may be silent for long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread was to be had
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = threading.Timer(PATIENCE, _cut, [request])
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news, and no client may fill the log."""


class _SixServer(_Server):
    address_family = socket.AF_INET6


def _cut(request: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        request.shutdown(socket.SHUT_RDWR)


def _handler(look: Callable[[], Health]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE
        server_version, sys_version = "staleproof", ""

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
