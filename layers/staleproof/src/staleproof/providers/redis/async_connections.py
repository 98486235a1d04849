"""`Connections` for asyncio: the same exchanges over redis-py's asyncio connections.

A connection belongs to the event loop that made it. Where each invocation runs a loop of its own
(`asyncio.run` in a Lambda handler), a new loop starts with an empty pool instead of another loop's dead sockets.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial
from math import inf
from time import time
from typing import TYPE_CHECKING, Any

import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.policies.duration import at_once
from staleproof.providers.redis.coalescing import Coalescer
from staleproof.providers.redis.connections import (
    DEFAULT_MAX_CONNECTIONS,
    DEFAULT_TIMEOUT,
    OPTIONS,
    authenticate,
    checked_timeout,
    where,
)
from staleproof.providers.redis.credentials import Age
from staleproof.providers.redis.durability import Replicas, settle, told
from staleproof.providers.redis.endpoint import pooled
from staleproof.providers.redis.exchange import Exchange
from staleproof.providers.redis.failures import (
    DEMOTED,
    REFUSED,
    TIMEOUTS,
    TRANSPORT,
    UNREADABLE,
    UnsureError,
    translate,
)
from staleproof.providers.redis.journal import JournalSteps
from staleproof.providers.redis.proof import ROLE, Proof, must_be_primary
from staleproof.providers.snapstart import close_before_snapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from staleproof.keys import Keyspace
    from staleproof.policies.duration import Duration
    from staleproof.providers.redis.credentials import Credentials
    from staleproof.providers.redis.durability import Durability

    Greeting: TypeAlias = Callable[[Callable[[bytes, int], Awaitable[list[Any]]]], Awaitable[object]]


class AsyncConnections:
    """See `Connections`."""

    steps = JournalSteps

    def __init__(
        self,
        url: str,
        *,
        timeout: Duration = DEFAULT_TIMEOUT,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        credentials: Credentials | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        timeout = checked_timeout(timeout)
        options = {**OPTIONS, "socket_timeout": timeout, "socket_connect_timeout": timeout}
        pool: Any = pooled(redis.asyncio.ConnectionPool.from_url, url, options)
        self.durability: Durability = told(pool.connection_kwargs)
        authenticate(pool.connection_kwargs, credentials)
        self._pool = pool
        self._credentials = credentials
        self._clock = clock
        self.where = where(pool.connection_kwargs)
        self._timeout = timeout
        self._max = at_once(max_connections, "max_connections")
        self._greetings: list[Greeting] = []
        self._replicas = Replicas(self.where, timeout)
        self.watch = inf
        self.forget()
        close_before_snapshot(self)

    def forget(self) -> None:
        """Begin without connections, whoever has them now."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[Any] = []
        self._doomed: list[Any] = []
        self._turns = asyncio.Semaphore(self._max)
        self._together = Coalescer(self.exchange)

    def abandon(self) -> None:
        """Close all connections that are not in use, whether their loop still runs or not."""
        for connection in (*self._idle, *self._doomed):
            sock = connection._writer and connection._writer.get_extra_info("socket")  # noqa: SLF001 - no public way
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self.forget()

    def greet(self, greeting: Greeting) -> None:
        """See `Connections.greet`."""
        if self._loop is not None:
            raise ConfigurationError(
                "connections that are in use cannot be greeted; set restarts= before the first use"
            )
        self._greetings.append(greeting)

    async def exchange(self, exchange: Exchange) -> list[Any]:
        """See `Connections.exchange`."""
        self._enter_loop()
        turns = self._turns
        if turns.locked():
            await self._wait_for_turn(turns)
        else:
            await turns.acquire()
        try:
            return await self._exchange(exchange)
        finally:
            turns.release()

    async def ask(self, packed: bytes) -> Any:
        """See `Connections.ask`."""
        return (await self._together.exchange(Exchange(packed, 1)))[0]

    async def settled(self, exchange: Exchange, keys: Keyspace) -> list[Any]:
        """See `Connections.settled`."""
        settling = settle(exchange, self._replicas, keys.mark(keys.journal))
        wanted = next(settling)
        while True:
            try:
                wanted = settling.send(await self.exchange(wanted))
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def _enter_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._idle, self._doomed = [], []
            self._turns = asyncio.Semaphore(self._max)

    async def _wait_for_turn(self, turns: asyncio.Semaphore) -> None:
        try:
            await asyncio.wait_for(turns.acquire(), self._timeout)
        except TimeoutError as error:
            raise ProviderUnavailableError(
                f"all {self._max} connections to {self.where} stayed busy for {self._timeout} s; "
                "raise max_connections or lower the concurrency, then retry"
            ) from error

    async def _exchange(self, exchange: Exchange) -> list[Any]:
        while self._doomed:
            await self._doomed.pop().disconnect(nowait=True)
        connection = await self._young()
        reused = connection is not None
        try:
            return await self._attempt(connection or self._new(), exchange)
        except TRANSPORT as error:
            if isinstance(error, DEMOTED):
                self.renew()
            if self._credentials is not None and isinstance(error, REFUSED):
                self._credentials.rejected()  # and once more, with what it is told next
            elif not reused or isinstance(error, TIMEOUTS):
                raise translate(error, self.where) from error
        except (RedisError, *UNREADABLE) as error:
            raise translate(error, self.where) from error
        if exchange.once:
            self.renew()
            raise UnsureError(f"a connection to {self.where} broke")
        try:
            return await self._attempt(self._new(), exchange)
        except (RedisError, OSError, *UNREADABLE) as error:
            raise translate(error, self.where) from error

    async def _attempt(self, connection: Any, exchange: Exchange) -> list[Any]:
        try:
            fresh = not connection.is_connected
            await connection.connect()
            for greeting in self._greetings if fresh else ():
                await greeting(partial(self._converse, connection))
            replies = await self._converse(connection, exchange.packed, exchange.replies)
        except BaseException:
            # Cancelled in mid-exchange: unread replies would answer somebody else's question.
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        return replies

    async def _converse(self, connection: Any, packed: bytes, replies: int) -> list[Any]:
        now = time()
        since, until = connection.proof
        proved = since <= now < until
        watched = not proved and self.watch < inf
        await connection.send_packed_command([ROLE + packed if watched else packed], check_health=False)
        if watched:
            must_be_primary(await self._reply(connection))
        if not proved:
            connection.proof = Proof.of(now, self.watch)
        return [await self._reply(connection) for _ in range(replies)]

    @staticmethod
    async def _reply(connection: Any) -> Any:
        try:
            return await connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return error

    async def _young(self) -> Any:
        """Return an idle connection that is not too old and was not silent for too long, None if there is none."""
        while self._idle:
            connection = self._idle.pop()
            over = connection.age is not None and connection.age.over
            if not over and not connection.proof.is_old(time()):
                return connection
            await connection.disconnect(nowait=True)
        return None

    def _new(self) -> Any:
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        lifetime = self._credentials.lifetime if self._credentials is not None else None
        connection.age = None if lifetime is None else Age(lifetime, self._clock)
        connection.proof = Proof(time(), 0.0)
        return connection

    def renew(self) -> None:
        """See `Connections.renew`; the next exchange closes what was idle."""
        self._doomed += self._idle
        self._idle = []

    async def close(self) -> None:
        """Close idle connections; the next exchange reconnects."""
        idle, self._idle, self._doomed = self._idle + self._doomed, [], []
        if asyncio.get_running_loop() is self._loop:
            for connection in idle:
                await connection.disconnect()
