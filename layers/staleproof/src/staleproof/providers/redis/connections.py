"""Connections that carry exchanges: redis-py's own `Connection`, driven without its command layer.

redis-py keeps what it is good at (URL, TLS, credentials, handshake, reconnect); a command's way from bytes
to bytes is ours, because on the hot path `client.get` spends more time around the socket than in it.

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

import redis
from redis.exceptions import RedisError, ResponseError

from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.providers.redis.failures import TRANSPORT, translate

if TYPE_CHECKING:
    from staleproof.providers.redis.steps import Exchange

DEFAULT_TIMEOUT = 1.0
DEFAULT_MAX_CONNECTIONS = 64
CLIENT_NAME = "staleproof"

OPTIONS: dict[str, Any] = {"protocol": 2, "client_name": CLIENT_NAME, "driver_info": None}
"""RESP2: no push messages can arrive between our replies. No handshake beyond what the server needs."""


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
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._idle: deque[Any] = deque()
        self._turns = threading.Condition()
        self._made = 0

    def exchange(self, exchange: Exchange) -> list[Any]:
        """Send the commands and return one reply a command; an error reply is returned as an exception.

        Raises:
            ProviderUnavailableError: the server cannot be reached, or every connection stayed busy.
            ProviderRejectedError: the handshake was refused.
        """
        try:
            connection, reused = self._idle.pop(), True
        except IndexError:
            connection, reused = self._grow()
        try:
            return self._attempt(connection, exchange)
        except TRANSPORT as error:
            if not reused:
                raise translate(error, self.where) from error
        except RedisError as error:
            raise translate(error, self.where) from error
        return self._again(exchange)

    def _attempt(self, connection: Any, exchange: Exchange) -> list[Any]:
        try:
            connection.send_packed_command([exchange.packed], check_health=False)
            replies = [self._reply(connection) for _ in range(exchange.replies)]
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._give_back(connection)
        return replies

    @staticmethod
    def _reply(connection: Any) -> Any:
        try:
            return connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return error

    def _again(self, exchange: Exchange) -> list[Any]:
        connection, _ = self._idle_or_grown()
        try:
            connection.disconnect()
            return self._attempt(connection, exchange)
        except (RedisError, OSError) as error:
            raise translate(error, self.where) from error

    def _idle_or_grown(self) -> tuple[Any, bool]:
        try:
            return self._idle.pop(), True
        except IndexError:
            return self._grow()

    def _grow(self) -> tuple[Any, bool]:
        with self._turns:
            if self._made < self._max:
                self._made += 1
                return self._pool.make_connection(), False
            if self._turns.wait_for(lambda: bool(self._idle), self._timeout):
                return self._idle.pop(), True
        raise ProviderUnavailableError(
            f"all {self._max} connections to {self.where} stayed busy for {self._timeout} s; "
            "raise max_connections or lower the concurrency, then retry"
        )

    def _give_back(self, connection: Any) -> None:
        self._idle.append(connection)
        if self._made >= self._max:
            with self._turns:
                self._turns.notify()

    def close(self) -> None:
        """Close idle connections; the next exchange reconnects."""
        for connection in list(self._idle):
            connection.disconnect()
