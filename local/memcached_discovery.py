"""ElastiCache's configuration endpoint for Memcached, byte for byte: `config get cluster`, and its older form.

The nodes are real ones from `local.memcached`; Debian's server knows no such command itself.
"""

from __future__ import annotations

import socketserver
import threading
from typing import TYPE_CHECKING

from local.loopback import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

CONFIG = b"config get cluster"
OLDER = b"get AmazonElastiCache:cluster"


class DiscoveryEndpoint:
    """Tells which nodes a cluster has. The version grows with every change, as ElastiCache's does.

    Args:
        nodes: `host:port` of each.
        older: know only the form of engines before 1.4.14.
        addresses: tell each node's address; without, the place between the pipes is empty.
    """

    def __init__(self, nodes: Iterable[str], *, older: bool = False, addresses: bool = True) -> None:
        self._nodes = sorted(nodes)
        self._older = older
        self._addresses = addresses
        self._lock = threading.Lock()
        self.version = 1
        self.asked = 0
        endpoint = self

        class Handler(socketserver.StreamRequestHandler):
            """One connection."""

            def handle(self) -> None:
                """Answer line by line."""
                for line in self.rfile:
                    self.wfile.write(endpoint.answer(line.strip()))

        self._server = socketserver.ThreadingTCPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.server_address[1]
        return port

    @property
    def url(self) -> str:
        """The cache URL of the cluster."""
        return f"memcached+discovery://{HOST}:{self.port}/"

    def change(self, nodes: Iterable[str]) -> None:
        """Let the cluster have these nodes from now on."""
        with self._lock:
            self._nodes = sorted(nodes)
            self.version += 1

    def answer(self, line: bytes) -> bytes:
        """Return what the endpoint says to one line."""
        if line not in {CONFIG, OLDER}:
            return b"ERROR\r\n"
        with self._lock:
            self.asked += 1
            block = self.block()
        if line == OLDER:
            return b"VALUE AmazonElastiCache:cluster 0 %d\r\n%b\r\nEND\r\n" % (len(block), block)
        if self._older:
            return b"ERROR\r\n"
        return b"CONFIG cluster 0 %d\r\n%b\r\nEND\r\n" % (len(block), block)

    def block(self) -> bytes:
        """Return the data block: the version, and the nodes."""
        return b"%d\n%b\n" % (self.version, " ".join(map(self._node, self._nodes)).encode())

    def _node(self, node: str) -> str:
        host, _, port = node.rpartition(":")
        return f"{host}|{host if self._addresses else ''}|{port}"
