"""Connections that carry exchanges: a bounded pool of wires (`staleproof.providers.redis.wire`) to one server.

Theory of operation: a connection is idle (in `_idle`) or lent to exactly one exchange. `deque.pop` and
`append` are atomic, so the common path takes no lock. One that fails in mid-exchange is closed, never returned
half-read. A connection that had been idle may have been closed by the server, or by a freeze longer than
its time-out: a failure on such a one is tried once more on a new connection, which is safe because
every step may run twice. A fork gets none of the parent's sockets.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import redis
from redis.exceptions import RedisError

from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.providers.redis.failures import TIMEOUTS, TRANSPORT, translate
from staleproof.providers.redis.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from staleproof.providers.redis.steps import Exchange

    R = TypeVar("R")

DEFAULT_TIMEOUT = 1.0
DEFAULT_MAX_CONNECTIONS = 64
CLIENT_NAME = "staleproof"

OPTIONS: dict[str, Any] = {"protocol": 2, "client_name": CLIENT_NAME, "driver_info": None}
"""RESP2: no push messages can arrive between our replies. No handshake beyond what the server needs."""


_POOLS: WeakSet[Connections] = WeakSet()


def _forget_parents() -> None:
    for pool in _POOLS:
        pool._reset()  # noqa: SLF001 - a child of a fork must not speak on its parent's sockets


os.register_at_fork(after_in_child=_forget_parents)


def where(kwargs: dict[str, Any]) -> str:
    """Return the server's address for messages, without credentials."""
    return str(kwargs.get("path") or f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}")


class Connections:
    """A bounded pool of connections to one server.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py reads it.
        timeout: seconds to wait for a connection, and for each reply.
        max_connections: how many exchanges may be under way at once; the next waits *timeout* for its turn.

    Raises:
        ConfigurationError: the URL cannot be read.
    """

    def __init__(
        self, url: str, *, timeout: float = DEFAULT_TIMEOUT, max_connections: int = DEFAULT_MAX_CONNECTIONS
    ) -> None:
        try:
            self._pool = redis.ConnectionPool.from_url(
                url, socket_timeout=timeout, socket_connect_timeout=timeout, **OPTIONS
            )
        except ValueError as error:
            raise ConfigurationError(
                f"cache URL: {error}; write redis://host:port/0, or rediss:// for TLS"
            ) from error
        self.where = where(self._pool.connection_kwargs)
        self._timeout = timeout
        self._max = max_connections
        self._reset()
        _POOLS.add(self)

    def _reset(self) -> None:
        self._idle: deque[Wire] = deque()
        self._turns = threading.Condition()
        self._made = 0

    def exchange(self, exchange: Exchange) -> list[Any]:
        """Send the commands and return one reply a command; an error reply is returned as an exception.

        Raises:
            ProviderUnavailableError: the server cannot be reached, or every connection stayed busy.
            ProviderRejectedError: the handshake was refused.
        """
        return self._on_a_wire(lambda wire: wire.exchange(exchange.packed, exchange.replies))

    def ask(self, packed: bytes) -> Any:
        """Send one command and return its reply, as `exchange` does: the hot path, unrolled."""
        try:
            wire = self._idle.pop()
        except IndexError:
            return self._on_a_wire(lambda wire: wire.ask(packed))
        opened = wire.opened
        try:
            reply = wire.ask(packed)
        except BaseException as error:  # noqa: BLE001 - `_lost` raises what it cannot mend
            self._lost(wire, error, again=opened)
            return self._on_a_wire(lambda wire: wire.ask(packed))
        self._idle.append(wire)
        if self._made >= self._max:
            self._announce()
        return reply

    def _on_a_wire(self, use: Callable[[Wire], R]) -> R:
        """Use a wire; once more on a new connection if an idle one turns out to be dead."""
        wire = self._take()
        if wire.opened:
            try:
                return self._attempt(wire, use)
            except TRANSPORT as error:
                if isinstance(error, TIMEOUTS):
                    raise translate(error, self.where) from error
                wire = self._take()
                wire.close()
        try:
            return self._attempt(wire, use)
        except (RedisError, OSError) as error:
            raise translate(error, self.where) from error

    def _attempt(self, wire: Wire, use: Callable[[Wire], R]) -> R:
        try:
            return use(wire)
        except BaseException:
            wire.close()  # half an exchange may be under way: its replies must not answer the next one
            raise
        finally:
            self._idle.append(wire)
            self._announce()

    def _lost(self, wire: Wire, error: BaseException, *, again: bool) -> None:
        """Close a wire that failed in mid-exchange; raise whatever trying *again* cannot mend."""
        wire.close()
        self._idle.append(wire)
        self._announce()
        if not isinstance(error, RedisError | OSError):
            raise error
        if not again or isinstance(error, TIMEOUTS):
            raise translate(error, self.where) from error

    def _take(self) -> Wire:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        with self._turns:
            if self._made < self._max:
                self._made += 1
                return Wire(self._pool.make_connection(), self._timeout)
            if self._turns.wait_for(lambda: bool(self._idle), self._timeout):
                return self._idle.pop()
        raise ProviderUnavailableError(
            f"all {self._max} connections to {self.where} stayed busy for {self._timeout} s; "
            "raise max_connections or lower the concurrency, then retry"
        )

    def _announce(self) -> None:
        """Tell whoever waits for a turn that a wire is idle."""
        if self._made >= self._max:
            with self._turns:
                self._turns.notify()

    def close(self) -> None:
        """Close idle connections; the next exchange reconnects."""
        for wire in list(self._idle):
            wire.close()
