"""`Connections` for asyncio: the same exchanges, with all nodes at once.

A connection belongs to the event loop that made it. Where each invocation runs a loop of its own (`asyncio.run` in a
Lambda handler), a new loop starts with no connections instead of another loop's dead sockets.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ProviderError, ProviderUnavailableError
from staleproof.providers.memcached import discovery
from staleproof.providers.memcached.failures import TIMEOUTS, LostError, busy, pieces, records, translate
from staleproof.providers.memcached.health import Health, was_silent
from staleproof.providers.memcached.wire import Replies
from staleproof.providers.snapstart import close_before_snapshot

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Sequence

    from staleproof.providers.memcached.address import Limits
    from staleproof.providers.memcached.discovery import Listing
    from staleproof.providers.memcached.members import Member
    from staleproof.providers.memcached.settlement import Talk
    from staleproof.providers.memcached.wire import Reply

BUFFER_BYTES = 65_536


class Wire(NamedTuple):
    """Both directions of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tls: bool = False

    async def exchange(self, requests: Sequence[bytes]) -> list[Reply]:
        """Send *requests*; return their replies."""
        found: list[Reply] = []
        for piece in pieces(requests):
            for record in records(piece) if self.tls else [b"".join(piece)]:
                self.writer.write(record)
            await self.writer.drain()
            replies = Replies(len(piece))
            while not replies.feed(await self.receive()):
                pass
            found += replies.found
        return found

    async def receive(self) -> bytes:
        """Return what comes next."""
        data = await self.reader.read(BUFFER_BYTES)
        if not data:
            raise LostError("the server closed the connection")
        return data


async def connect(member: Member, tls: ssl.SSLContext | None) -> Wire:
    """Return a connection to the address that discovery told, or else to the name."""
    options: dict[str, Any] = {} if tls is None else {"ssl": tls, "server_hostname": member.host}
    if member.ip and member.ip != member.host:
        try:
            return Wire(
                *await asyncio.open_connection(member.ip, member.port, **options), tls=tls is not None
            )
        except TimeoutError:
            raise
        except OSError:
            pass
    return Wire(*await asyncio.open_connection(member.host, member.port, **options), tls=tls is not None)


class Pool:
    """The connections to one node."""

    def __init__(self, member: Member, limits: Limits, tls: ssl.SSLContext | None, clock: Clock) -> None:
        self.member = member
        self.health = Health(member.name, clock)
        self._limits = limits
        self._tls = tls
        self._idle: list[tuple[Wire, float]] = []
        self._turns = asyncio.Semaphore(limits.max_connections)

    async def exchange(self, requests: Sequence[bytes]) -> list[Reply]:
        """Send *requests* over one connection; return their replies.

        Raises:
            ProviderUnavailableError: the node cannot be reached, or every connection stayed busy.
            ProviderRejectedError: it does not understand us.
        """
        self.health.check()
        if self._turns.locked():
            await self._wait_for_turn()
        else:
            await self._turns.acquire()
        try:
            replies = await self._through(requests)
        except (OSError, ProviderError) as error:
            self.health.fails()
            raise translate(error, self.member.name) from error
        finally:
            self._turns.release()
        self.health.works()
        return replies

    async def _wait_for_turn(self) -> None:
        try:
            await asyncio.wait_for(self._turns.acquire(), self._limits.timeout)
        except TimeoutError as error:
            raise busy(self.member.name, self._limits.max_connections, self._limits.timeout) from error

    async def _through(self, requests: Sequence[bytes]) -> list[Reply]:
        wire = self._young()
        if wire is not None:
            try:
                return await self._attempt(wire, requests)
            except OSError as error:
                if isinstance(error, TIMEOUTS):
                    raise
                self.close()  # the idle ones may be as dead as the first
        return await self._attempt(None, requests)

    def _young(self) -> Wire | None:
        """Return an idle connection that was not silent for too long, None if there is none."""
        if not self._idle:
            return None
        wire, since = self._idle.pop()
        if not was_silent(since):
            return wire
        wire.writer.close()
        self.close()  # all others lay idle for longer
        return None

    async def _attempt(self, wire: Wire | None, requests: Sequence[bytes]) -> list[Reply]:
        try:
            async with asyncio.timeout(self._limits.timeout):
                if wire is None:
                    wire = await connect(self.member, self._tls)
                replies = await wire.exchange(requests)
        except BaseException:
            # Cancelled in mid-exchange: unread replies would answer somebody else's question.
            if wire is not None:
                wire.writer.close()
            raise
        self._idle.append((wire, time()))
        return replies

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop()[0].writer.close()

    def shut(self) -> None:
        """Close what is idle, whether its loop still runs or not."""
        idle, self._idle = self._idle, []
        for wire, _ in idle:
            sock = wire.writer.get_extra_info("socket")
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


class AsyncConnections:
    """See `Connections`."""

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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pools: dict[Member, Pool] = {}
        close_before_snapshot(self)

    def abandon(self) -> None:
        """See `Connections.abandon`."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.shut()

    async def talk(self, talk: Talk) -> dict[str, list[Reply] | ProviderError]:
        """See `Connections.talk`."""
        self._enter_loop()
        if len(talk.requests) == 1 and not talk.tolerant:
            ((member, requests),) = talk.requests.items()
            return {member.name: await self.pool(member).exchange(requests)}
        exchanges = [self._outcome(member, requests) for member, requests in talk.requests.items()]
        found = dict(await asyncio.gather(*exchanges))
        if not talk.tolerant:
            for each in found.values():
                if isinstance(each, ProviderError):
                    raise each
        return found

    async def _outcome(
        self, member: Member, requests: Sequence[bytes]
    ) -> tuple[str, list[Reply] | ProviderError]:
        try:
            return member.name, await self.pool(member).exchange(requests)
        except ProviderError as error:
            return member.name, error

    def _enter_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._pools = {}

    def pool(self, member: Member) -> Pool:
        """Return the pool of *member*."""
        pool = self._pools.get(member)
        if pool is None:
            pool = self._pools[member] = Pool(member, self._limits, self._tls, self._clock)
        return pool

    def keep(self, members: Iterable[Member]) -> None:
        """See `Connections.keep`."""
        here = set(members)
        for member in [each for each in self._pools if each not in here]:
            self._pools.pop(member).close()

    async def ask(self, members: Iterable[Member]) -> Listing:
        """See `Connections.ask`."""
        asked = [] if self._endpoint is None else [self._endpoint]
        failure: Exception = ProviderUnavailableError("there is nobody to ask for the list of nodes")
        for member in [*asked, *members]:
            try:
                async with asyncio.timeout(self._limits.timeout):
                    return await self._listing(member)
            except (OSError, ProviderError) as error:
                failure = failure if asked and member is not self._endpoint else translate(error, member.name)
        raise failure

    async def _listing(self, member: Member) -> Listing:
        wire = await connect(member, self._tls)
        try:
            for request in (discovery.REQUEST, discovery.OLDER_REQUEST):
                try:
                    return await _conversation(wire, request)
                except discovery.NotUnderstoodError:
                    continue
        finally:
            wire.writer.close()
        raise discovery.malformed(b"ERROR", "the server knows no auto discovery")

    async def close(self) -> None:
        """Close idle connections; the next talk reconnects."""
        pools, self._pools = self._pools, {}
        if asyncio.get_running_loop() is self._loop:
            for pool in pools.values():
                pool.close()


async def _conversation(wire: Wire, request: bytes) -> Listing:
    wire.writer.write(request)
    await wire.writer.drain()
    received = b""
    while True:
        received += await wire.receive()
        listing = discovery.answer(received)
        if listing is not None:
            return listing
