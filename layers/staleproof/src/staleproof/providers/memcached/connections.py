"""Blocking connections: a bounded pool a node, and exchanges with several nodes at once.

Theory of operation: requests are written to all nodes before any reply is read, so that the nodes work at once.
Connections are taken in the order of the nodes' names; so two threads that need the same two nodes cannot wait for each
other. A connection that failed in mid-exchange is closed: its late replies must not answer the next question. One that
the server had closed while it lay idle is replaced once.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakSet

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ProviderError, ProviderUnavailableError
from staleproof.providers.memcached import discovery
from staleproof.providers.memcached.failures import TIMEOUTS, LostError, busy, pieces, records, translate
from staleproof.providers.memcached.health import Health
from staleproof.providers.memcached.wire import Replies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from staleproof.providers.memcached.address import Limits
    from staleproof.providers.memcached.discovery import Listing
    from staleproof.providers.memcached.members import Member
    from staleproof.providers.memcached.membership import Talk
    from staleproof.providers.memcached.wire import Reply

BUFFER_BYTES = 65_536

_ALL: WeakSet[Connections] = WeakSet()


def _forget_parents() -> None:
    for connections in list(_ALL):
        connections.forget()  # a child of a fork must not speak on its parent's sockets


os.register_at_fork(after_in_child=_forget_parents)


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
        self._idle: deque[socket.socket] = deque()
        self._turns = threading.BoundedSemaphore(limits.max_connections)

    def take(self) -> socket.socket | None:
        """Take a turn, and an idle connection if there is one; give it back with `give` or `drop`."""
        self.health.check()
        if not self._turns.acquire(timeout=self._limits.timeout):
            raise busy(self.member.name, self._limits.max_connections, self._limits.timeout)
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return connect(self.member, self._limits.timeout, self._tls)

    def give(self, sock: socket.socket) -> None:
        """Give back a connection that has nothing left to read."""
        self._idle.append(sock)
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
                self._idle.pop().close()
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
            sock = self._socket
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


class Connections:
    """The pools of a cluster, and the nodes that are asked for the list of nodes.

    Args:
        limits: time-outs, and connections to each node.
        tls: how to encrypt, or None.
        endpoint: the configuration endpoint, or None where the nodes are given.
        clock: tells how long a node rests that does not answer.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        tls: ssl.SSLContext | None = None,
        endpoint: Member | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._limits = limits
        self._tls = tls
        self._endpoint = endpoint
        self._clock = clock
        self.forget()
        _ALL.add(self)

    def forget(self) -> None:
        """Begin without any connection, and close none."""
        self._pools: dict[Member, Pool] = {}

    def talk(self, talk: Talk) -> dict[str, list[Reply] | ProviderError]:
        """Send every node its requests; return the replies by node.

        Raises:
            ProviderUnavailableError: a node cannot be reached, and *talk* is not tolerant.
            ProviderRejectedError: likewise, it does not understand us.
        """
        if len(talk.requests) > 1:
            return self._talk_to_several(talk)
        ((member, requests),) = talk.requests.items()
        exchange = Exchange(self.pool(member), requests)
        exchange.begin()
        return {member.name: _outcome(exchange, tolerant=talk.tolerant)}

    def _talk_to_several(self, talk: Talk) -> dict[str, list[Reply] | ProviderError]:
        exchanges: dict[str, Exchange] = {}
        found: dict[str, list[Reply] | ProviderError] = {}
        try:
            for member in sorted(talk.requests):
                exchanges[member.name] = Exchange(self.pool(member), talk.requests[member])
                exchanges[member.name].begin()
        finally:
            # Also after an interruption: what was asked must be read, before a connection is given back.
            for name, exchange in exchanges.items():
                found[name] = _outcome(exchange, tolerant=True)
        return _checked(found, tolerant=talk.tolerant)

    def pool(self, member: Member) -> Pool:
        """Return the pool of *member*."""
        pool = self._pools.get(member)
        if pool is None:
            pool = self._pools.setdefault(member, Pool(member, self._limits, self._tls, self._clock))
        return pool

    def keep(self, members: Iterable[Member]) -> None:
        """Close the connections to all other nodes: they were removed."""
        here = set(members)
        for member in [each for each in self._pools if each not in here]:
            pool = self._pools.pop(member, None)
            if pool is not None:
                pool.close()

    def ask(self, members: Iterable[Member]) -> Listing:
        """Ask the endpoint for the list of nodes, or else *members*, each of which knows it."""
        asked = [] if self._endpoint is None else [self._endpoint]
        failure: Exception = ProviderUnavailableError("there is nobody to ask for the list of nodes")
        for member in [*asked, *members]:
            try:
                return self._listing(member)
            except (OSError, ProviderError) as error:
                failure = failure if asked and member is not self._endpoint else translate(error, member.name)
        raise failure

    def _listing(self, member: Member) -> Listing:
        with connect(member, self._limits.timeout, self._tls) as sock:
            for request in (discovery.REQUEST, discovery.OLDER_REQUEST):
                try:
                    return _conversation(sock, request)
                except discovery.NotUnderstoodError:
                    continue
        raise discovery.malformed(b"ERROR", "the server knows no auto discovery")

    def close(self) -> None:
        """Close idle connections; the next talk reconnects."""
        for pool in list(self._pools.values()):
            pool.close()


def _conversation(sock: socket.socket, request: bytes) -> Listing:
    sock.sendall(request)
    received = b""
    while True:
        data = sock.recv(BUFFER_BYTES)
        if not data:
            raise LostError("the server closed the connection")
        received += data
        listing = discovery.answer(received)
        if listing is not None:
            return listing


def _outcome(exchange: Exchange, *, tolerant: bool) -> list[Reply] | ProviderError:
    try:
        return exchange.finish()
    except ProviderError as error:
        if tolerant:
            return error
        raise


def _checked(
    found: Mapping[str, list[Reply] | ProviderError], *, tolerant: bool
) -> dict[str, list[Reply] | ProviderError]:
    if not tolerant:
        for each in found.values():
            if isinstance(each, ProviderError):
                raise each
    return dict(found)
