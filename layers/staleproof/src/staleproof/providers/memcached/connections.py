"""Blocking connections: a bounded pool a node, and exchanges with several nodes at once.

Theory of operation: requests are written to all nodes before any reply is read, so that the nodes work at once.
Connections are taken in the order of the nodes' names; so two threads that need the same two nodes cannot wait for each
other. A connection that failed in mid-exchange is closed: its late replies must not answer the next question. One that
the server had closed while it lay idle is replaced once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakSet

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ProviderError, ProviderUnavailableError
from staleproof.providers.memcached import discovery
from staleproof.providers.memcached.failures import LostError, translate
from staleproof.providers.memcached.pool import BUFFER_BYTES, Exchange, Pool, connect
from staleproof.providers.snapstart import close_before_snapshot

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterable, Mapping

    from staleproof.providers.memcached.address import Limits
    from staleproof.providers.memcached.discovery import Listing
    from staleproof.providers.memcached.members import Member
    from staleproof.providers.memcached.settlement import Talk
    from staleproof.providers.memcached.wire import Reply

_ALL: WeakSet[Connections] = WeakSet()


def _forget_parents() -> None:
    for connections in list(_ALL):
        connections.forget()  # a child of a fork must not speak on its parent's sockets


os.register_at_fork(after_in_child=_forget_parents)


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
        close_before_snapshot(self)

    def forget(self) -> None:
        """Begin without any connection, and close none."""
        self._pools: dict[Member, Pool] = {}

    def abandon(self) -> None:
        """Close all connections that are not in use."""
        self.close()

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
            for name, exchange in exchanges.items():
                found[name] = _outcome(exchange, tolerant=True)
        except BaseException:
            for exchange in exchanges.values():
                exchange.drop()
            raise
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
