"""A server that refuses what ElastiCache Serverless refuses: commands of 4,000 arguments, and some by name.

It stands before a real one and passes commands on one by one; what it refuses never gets there.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import hiredis

from local.loopback import HOST
from staleproof.providers.redis.exchange import commands

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

MOST_ARGUMENTS = 3_999
REFUSED = (
    b"SELECT",
    b"CONFIG",
    b"DEBUG",
    b"SAVE",
    b"REPLICAOF",
    b"SLAVEOF",
    b"SHUTDOWN",
    b"SYNC",
    b"MIGRATE",
)
CHUNK = 1 << 16


class FussyServer:
    """Passes commands on to a server.

    Attributes:
        target: the port of the server.
        port: where clients connect.
        refused: the commands that were refused, by name and number of arguments.
        longest: the most arguments that a command had.
    """

    def __init__(self, target: int = 0) -> None:
        self.target = target
        self.refused: list[tuple[bytes, int]] = []
        self.longest = 0
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://{HOST}:{self.port}/0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for end in (*self._ends, self._listener):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((HOST, self.target))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends += (client, server)
            self._threads.append(threading.Thread(target=self._serve, args=(client, server)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        replies = _Replies(server)
        with suppress(OSError):
            for command in _commands(client):
                self.longest = max(self.longest, len(command))
                if len(command) > MOST_ARGUMENTS or command[0].upper() in REFUSED:
                    self.refused.append((command[0], len(command)))
                    client.sendall(b"-ERR this server does not take that\r\n")
                    continue
                server.sendall(commands([tuple(command)]).packed)
                client.sendall(replies.next())
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _commands(client: socket.socket) -> Iterator[list[bytes]]:
    reader = hiredis.Reader()
    while received := client.recv(CHUNK):
        reader.feed(received)
        while (command := reader.gets()) is not False:
            yield command


class _Replies:
    """A server's replies, as the bytes that they came in: one command is asked at a time."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server

    def next(self) -> bytes:
        """Return the reply to the command that was sent."""
        reader, raw = hiredis.Reader(), b""
        while True:
            received = self._server.recv(CHUNK)
            if not received:
                raise ConnectionError
            raw += received
            reader.feed(received)
            if reader.gets() is not False:
                return raw
