"""A TCP proxy on the loopback: a name that can be pointed elsewhere, and a line that can lose a reply."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from local.loopback import HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

CHUNK = 1 << 16
MARK = b"all-of-it-is-executed"
ECHO = b"*2\r\n$4\r\nECHO\r\n$%d\r\n%b\r\n" % (len(MARK), MARK)


class Proxy:
    """Passes bytes between clients and a server.

    Attributes:
        target: the port of the server that new connections lead to; a connection keeps the one it began with.
        port: where clients connect.
        lost: how many replies were lost.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.lost = 0
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._lines: list[_Line] = []
        self._loses: Callable[[bytes], bool] = _never
        self._meanwhile: Callable[[], object] = _nothing
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://{HOST}:{self.port}/0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for line in self._lines:
            line.close()

    def lose_reply(
        self, loses: Callable[[bytes], bool], meanwhile: Callable[[], object] | None = None
    ) -> None:
        """Cut the connection of the next request for which *loses* is true, once the server has executed it.

        *meanwhile* is done between the server's work and the cut, as another process might.
        """
        self._meanwhile = meanwhile or _nothing
        self._loses = loses

    def takes(self, request: bytes) -> bool:
        """Say whether *request* is the one whose reply is to be lost."""
        if not self._loses(request):
            return False
        self._loses = _never
        return True

    def lose(self) -> None:
        """Count a lost reply, and do what happens before its sender notices."""
        self.lost += 1
        self._meanwhile()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((HOST, self.target))
            except OSError:
                client.close()  # nobody is there; the name may lead elsewhere later
                continue
            self._lines.append(_Line(self, client, server))


class _Line:
    """One client's connection, with a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client, self._server = client, server
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as servers and clients have it
        self._muted = False
        self._executed = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._up, self._down)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Cut both ends, and wait for the threads."""
        self._cut()
        for thread in self._threads:
            thread.join()
        self._client.close()
        self._server.close()

    def _cut(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _up(self) -> None:
        with suppress(OSError):
            while request := self._client.recv(CHUNK):
                if self._proxy.takes(request):
                    self._muted = True
                    self._server.sendall(request + ECHO)
                    self._executed.wait(10)
                    self._proxy.lose()
                    break
                self._server.sendall(request)
        self._cut()

    def _down(self) -> None:
        unseen = b""
        with suppress(OSError):
            while reply := self._server.recv(CHUNK):
                if not self._muted:
                    self._client.sendall(reply)
                    continue
                unseen += reply
                if MARK in unseen:
                    self._executed.set()
        self._cut()


def _never(_: bytes) -> bool:
    return False


def _nothing() -> None:
    pass
