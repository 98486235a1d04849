"""One node's connections, blocking: a bounded pool, and an exchange over one of them."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections import deque
from time import time
from typing import TYPE_CHECKING

from staleproof.errors import ProviderError, ProviderUnavailableError
from staleproof.providers.memcached.failures import TIMEOUTS, LostError, busy, pieces, records, translate
from staleproof.providers.memcached.health import Health, was_silent
from staleproof.providers.memcached.wire import Replies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.clock import Clock
    from staleproof.providers.memcached.address import Limits
    from staleproof.providers.memcached.members import Member
    from staleproof.providers.memcached.wire import Reply

BUFFER_BYTES = 65_536


def connect(member: Member, timeout: float, tls: ssl.SSLContext | None) -> socket.socket:
    """Return a connected socket; *timeout* in seconds bounds each of its operations."""
    sock = _open(member, timeout)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            return tls.wrap_socket(sock, server_hostname=member.host)
        # The kernel's own time-outs: with Python's, each send and receive is preceded by a poll.
        sock.settimeout(None)
        limit = struct.pack("ll", int(timeout), int(timeout % 1 * 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    except BaseException:
        sock.close()
        raise
    return sock


def _open(member: Member, timeout: float) -> socket.socket:
    """Connect to the address that discovery told, or else to the name: a replaced node has another address."""
    if member.ip and member.ip != member.host:
        try:
            return socket.create_connection((member.ip, member.port), timeout)
        except TimeoutError:
            raise
        except OSError:
            pass
    return socket.create_connection((member.host, member.port), timeout)


class Pool:
    """The connections to one node."""

    def __init__(self, member: Member, limits: Limits, tls: ssl.SSLContext | None, clock: Clock) -> None:
        self.member = member
        self.health = Health(member.name, clock)
        self._limits = limits
        self._tls = tls
        self._idle: deque[tuple[socket.socket, float]] = deque()
        self._turns = threading.BoundedSemaphore(limits.max_connections)

    def take(self) -> socket.socket | None:
        """Take a turn, and an idle connection if there is one; give it back with `give` or `drop`."""
        self.health.check()
        if not self._turns.acquire(timeout=self._limits.timeout):
            raise busy(self.member.name, self._limits.max_connections, self._limits.timeout)
        try:
            sock, since = self._idle.pop()
        except IndexError:
            return None
        if was_silent(since):
            sock.close()
            self.close()  # all others lay idle for longer
            return None
        return sock

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return connect(self.member, self._limits.timeout, self._tls)

    def give(self, sock: socket.socket) -> None:
        """Give back a connection that has nothing left to read."""
        self._idle.append((sock, time()))
        self._turns.release()

    def drop(self, sock: socket.socket | None) -> None:
        """Give back the turn, and close the connection."""
        if sock is not None:
            sock.close()
        self._turns.release()

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            try:
                self._idle.pop()[0].close()
            except IndexError:
                return


class Exchange:
    """One node's part of a talk."""

    def __init__(self, pool: Pool, requests: Sequence[bytes]) -> None:
        self._pool = pool
        self._pieces = pieces(requests)
        self._socket: socket.socket | None = None
        self._reused = self._sent = False
        self.error: Exception | None = None

    def begin(self) -> None:
        """Send the first piece; what goes wrong is kept for `finish`."""
        try:
            self._socket = self._pool.take()
        except ProviderUnavailableError as error:
            self.error = error
            return
        self._reused = self._socket is not None
        try:
            self._socket = self._socket or self._pool.connect()
            _send(self._socket, self._pieces[0])
            self._sent = True
        except (OSError, ProviderError) as error:
            self._fail(error)
        except BaseException:
            self._pool.drop(self._socket)
            raise

    def finish(self) -> list[Reply]:
        """Return the replies.

        Raises:
            ProviderUnavailableError: the node cannot be reached.
            ProviderRejectedError: it does not understand us.
        """
        if self._sent:
            sock, self._sent = self._socket, False
            try:
                replies = self._rest(sock)
            except (OSError, ProviderError) as error:
                self._fail(error)
            except BaseException:
                self._pool.drop(sock)
                raise
            else:
                return self._done(sock, replies)
        if self._may_try_again():
            return self._again()
        raise translate(self.error or LostError(), self._pool.member.name) from self.error

    def drop(self) -> None:
        """Give up what was not read: its late replies must not answer another question."""
        if self._sent:
            self._sent = False
            self._pool.drop(self._socket)

    def _done(self, sock: socket.socket | None, replies: list[Reply]) -> list[Reply]:
        if sock is not None:
            self._pool.give(sock)
        self._pool.health.works()
        return replies

    def _fail(self, error: Exception) -> None:
        self._sent = False
        self.error = error
        self._pool.drop(self._socket)
        self._socket = None
        if not self._may_try_again():
            self._pool.health.fails()

    def _may_try_again(self) -> bool:
        return self._reused and isinstance(self.error, OSError) and not isinstance(self.error, TIMEOUTS)

    def _again(self) -> list[Reply]:
        """Try once more, on a connection made for it: the idle ones may be as dead as the first."""
        self._pool.close()
        self._reused = False
        once_more = Exchange(self._pool, [request for piece in self._pieces for request in piece])
        once_more.begin()
        return once_more.finish()

    def _rest(self, sock: socket.socket | None) -> list[Reply]:
        """Read the first piece's replies; send and read the others."""
        if sock is None:
            raise LostError("there is no connection")
        found = _receive(sock, len(self._pieces[0]))
        for piece in self._pieces[1:]:
            _send(sock, piece)
            found += _receive(sock, len(piece))
        return found


def _send(sock: socket.socket, piece: Sequence[bytes]) -> None:
    if not isinstance(sock, ssl.SSLSocket):
        sock.sendall(b"".join(piece))
        return
    for record in records(piece):
        sock.sendall(record)


def _receive(sock: socket.socket, wanted: int) -> list[Reply]:
    replies = Replies(wanted)
    while True:
        data = sock.recv(BUFFER_BYTES)
        if not data:
            raise LostError("the server closed the connection")
        if replies.feed(data):
            return replies.found
