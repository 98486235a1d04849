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
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import redis
from redis.exceptions import RedisError

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.providers.redis.credentials import AgeingWire
from staleproof.providers.redis.failures import REFUSED, TIMEOUTS, TRANSPORT, translate
from staleproof.providers.redis.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from staleproof.providers.redis.credentials import Credentials
    from staleproof.providers.redis.exchange import Exchange

    Greeting: TypeAlias = Callable[[Callable[[bytes, int], Any]], object]

DEFAULT_TIMEOUT = 1.0
DEFAULT_MAX_CONNECTIONS = 64
MIN_TIMEOUT, MAX_TIMEOUT = 0.001, 3_600.0
CLIENT_NAME = "staleproof"

OPTIONS: dict[str, Any] = {"protocol": 2, "client_name": CLIENT_NAME, "driver_info": None}
"""RESP2: no push messages can arrive between our replies. No handshake beyond what the server needs."""


_POOLS: WeakSet[Connections] = WeakSet()


def _forget_parents() -> None:
    for pool in _POOLS:
        pool._reset()  # noqa: SLF001 - a child of a fork must not speak on its parent's sockets


os.register_at_fork(after_in_child=_forget_parents)


def checked_timeout(timeout: float) -> float:
    """Return *timeout*, in seconds.

    Raises:
        ConfigurationError: it is no time that one could wait.
    """
    given: object = timeout
    if not isinstance(given, int | float) or not MIN_TIMEOUT <= timeout <= MAX_TIMEOUT:
        raise ConfigurationError(f"timeout={timeout!r}: use {MIN_TIMEOUT} to {MAX_TIMEOUT} seconds")
    return float(timeout)


def where(kwargs: dict[str, Any]) -> str:
    """Return the server's address for messages, without credentials."""
    return str(kwargs.get("path") or f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}")


def authenticate(kwargs: dict[str, Any], credentials: Credentials | None) -> None:
    """Have the connections that *kwargs* make say who they are with *credentials*.

    Raises:
        ConfigurationError: the URL holds credentials of its own.
    """
    if credentials is None:
        return
    if kwargs.get("username") or kwargs.get("password"):
        raise ConfigurationError(
            f"cache URL: {where(kwargs)} has a user or password in its URL, and credentials beside it; keep one"
        )
    kwargs["credential_provider"] = credentials


class Connections:
    """A bounded pool of connections to one server.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py reads it.
        timeout: seconds to wait for a connection, and for each send and receive.
        max_connections: how many exchanges may be under way at once; the next waits *timeout* for its turn.
        credentials: who the connections are, if the URL does not say it.
        clock: tells how old a connection is whose credentials end.

    Raises:
        ConfigurationError: the URL cannot be read, or names credentials beside *credentials*.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        credentials: Credentials | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        options = {**OPTIONS, "socket_timeout": timeout, "socket_connect_timeout": timeout}
        try:
            self._pool = redis.ConnectionPool.from_url(url, **options)
        except ValueError as error:
            raise ConfigurationError(
                f"cache URL: {error}; write redis://host:port/0, or rediss:// for TLS"
            ) from error
        authenticate(self._pool.connection_kwargs, credentials)
        self.where = where(self._pool.connection_kwargs)
        self._timeout = checked_timeout(timeout)
        self._max = max_connections
        self._credentials = credentials
        self._clock = clock
        self._greetings: list[Greeting] = []
        self._reset()
        _POOLS.add(self)

    def _reset(self) -> None:
        self._idle: deque[Wire] = deque()
        self._handed: list[Wire] = []
        self._turns = threading.Condition()
        self._made = self._waiting = 0

    def greet(self, greeting: Greeting) -> None:
        """Have *greeting* speak first on every connection.

        Raises:
            ConfigurationError: there are connections already, which it has not greeted.
        """
        if self._made:
            raise ConfigurationError(
                "connections that are in use cannot be greeted; set restarts= before the first use"
            )
        self._greetings.append(greeting)

    def apart(self, **options: Any) -> Any:
        """Return a connection of redis-py's, not yet open, that is none of the pool's; *options* over its own."""
        return self._pool.connection_class(**{**self._pool.connection_kwargs, **options})

    def exchange(self, exchange: Exchange) -> list[Any]:
        """Send the commands and return one reply a command; an error reply is returned as an exception.

        Raises:
            ProviderUnavailableError: the server cannot be reached, or every connection stayed busy.
            ProviderRejectedError: the handshake was refused.
        """
        replies: list[Any] = self._through(exchange.packed, exchange.replies)
        return replies

    def ask(self, packed: bytes) -> Any:
        """Send one command and return its one reply, not in a list; raises as `exchange` does."""
        return self._through(packed, None)

    def _through(self, packed: bytes, replies: int | None) -> Any:
        try:
            wire = self._idle.pop()
        except IndexError:
            wire = self._grow()
        opened = wire.opened
        try:
            answer = wire.exchange(packed, replies)
        except BaseException as error:  # noqa: BLE001 - `_lost` raises what a new connection cannot mend
            self._lost(wire, error, again=opened)
        else:
            self._idle.append(wire)
            if self._waiting:
                self._call_next()
            return answer
        return self._anew(packed, replies)

    def _lost(self, wire: Wire, error: BaseException, *, again: bool) -> None:
        """Close a wire that failed in mid-exchange: its late replies must not answer the next question."""
        wire.close()
        self._give_back(wire)
        if not isinstance(error, RedisError | OSError):
            raise error
        if self._credentials is not None and isinstance(error, REFUSED):
            self._credentials.rejected()  # and once more, with what it is told next
            return
        if not again or not isinstance(error, TRANSPORT) or isinstance(error, TIMEOUTS):
            raise translate(error, self.where) from error

    def _anew(self, packed: bytes, replies: int | None) -> Any:
        """Try once more, on a connection made for it: the idle ones may be as dead as the first."""
        try:
            wire = self._idle.pop()
        except IndexError:
            wire = self._grow()
        wire.close()
        try:
            return wire.exchange(packed, replies)
        except (RedisError, OSError) as error:
            wire.close()
            raise translate(error, self.where) from error
        except BaseException:
            wire.close()
            raise
        finally:
            self._give_back(wire)

    def _give_back(self, wire: Wire) -> None:
        self._idle.append(wire)
        self._call_next()

    def _call_next(self) -> None:
        """Hand an idle wire to whoever waits longest, past those who come by just now."""
        if not self._waiting:
            return
        with self._turns:
            with suppress(IndexError):
                self._handed.append(self._idle.pop())
            self._turns.notify()

    def _grow(self) -> Wire:
        """Make a wire, or wait for one if there are as many as there may be."""
        with self._turns:
            if self._made < self._max:
                # Not by the pool's `make_connection`, which counts for itself, also what a fork left behind.
                wire = self._wire()
                self._made += 1
                return wire
            self._waiting += 1
            try:
                self._turns.wait_for(self._offer, self._timeout)
                return self._handed.pop()
            except IndexError:
                pass
            finally:
                self._waiting -= 1
        raise ProviderUnavailableError(
            f"all {self._max} connections to {self.where} stayed busy for {self._timeout} s; "
            "raise max_connections or lower the concurrency, then retry"
        )

    def _wire(self) -> Wire:
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        lifetime = self._credentials.lifetime if self._credentials is not None else None
        if lifetime is None:
            wire = Wire(connection, self._timeout)
        else:
            wire = AgeingWire(connection, self._timeout, lifetime, self._clock)
        wire.greetings = self._greetings
        return wire

    def _offer(self) -> bool:
        """Say whether a wire was handed over, or lies idle: one may have come back before we began to wait."""
        if not self._handed:
            with suppress(IndexError):
                self._handed.append(self._idle.pop())
        return bool(self._handed)

    def renew(self) -> None:
        """Close idle connections, so that the next exchanges look the server up again: it was demoted or replaced."""
        closed = []
        while self._idle:
            with suppress(IndexError):  # another thread may take the last one
                closed.append(self._idle.pop())
        for wire in closed:
            wire.close()
            self._give_back(wire)

    def close(self) -> None:
        """Close idle connections; the next exchange reconnects."""
        self.renew()
