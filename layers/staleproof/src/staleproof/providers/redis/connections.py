"""Connections that carry exchanges: a bounded pool of wires (`pool`, `wire`) to one server.

Theory of operation: a wire is lent to exactly one exchange. One that fails in mid-exchange is closed, never returned
half-read. A connection that had been idle may have been closed by the server, or by a freeze longer than
its time-out: a failure on such a one is tried once more on a new connection, which is safe because
every step may run twice.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

import redis
from redis.exceptions import RedisError

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ConfigurationError
from staleproof.policies.duration import at_once, waited
from staleproof.providers.redis.credentials import AgeingWire
from staleproof.providers.redis.durability import Replicas, settle, told
from staleproof.providers.redis.endpoint import pooled
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
from staleproof.providers.redis.pool import Pool
from staleproof.providers.redis.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from staleproof.keys import Keyspace
    from staleproof.policies.duration import Duration
    from staleproof.providers.redis.credentials import Credentials
    from staleproof.providers.redis.durability import Durability
    from staleproof.providers.redis.exchange import Exchange

    Greeting: TypeAlias = Callable[[Callable[[bytes, int], Any]], object]

DEFAULT_TIMEOUT = 1.0
DEFAULT_MAX_CONNECTIONS = 64
MIN_TIMEOUT, MAX_TIMEOUT = 0.001, 3_600.0
CLIENT_NAME = "staleproof"

OPTIONS: dict[str, Any] = {"protocol": 2, "client_name": CLIENT_NAME, "driver_info": None}
"""RESP2: no push messages can arrive between our replies. No handshake beyond what the server needs."""


def checked_timeout(timeout: Duration) -> float:
    """Return *timeout* in seconds.

    Raises:
        ConfigurationError: it is no time that one could wait.
    """
    return waited(timeout, "timeout", MIN_TIMEOUT, MAX_TIMEOUT)


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


class Connections(Pool):
    """A bounded pool of connections to one server.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py reads it.
        timeout: seconds to wait for a connection, and for each send and receive.
        max_connections: how many exchanges may be under way at once; the next waits *timeout* for its turn.
        credentials: who the connections are, if the URL does not say it.
        clock: tells how old a connection is whose credentials end.

    Attributes:
        where: the server's address, without credentials.
        durability: what the URL's query says of it, `durability=replicated`; "primary" if nothing.
        watch: seconds after which connections made from now on ask again whether they lead to a primary.

    Raises:
        ConfigurationError: the URL cannot be read, or names credentials beside *credentials*.
    """

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
        self._pool = pooled(redis.ConnectionPool.from_url, url, options)
        self.durability: Durability = told(self._pool.connection_kwargs)
        authenticate(self._pool.connection_kwargs, credentials)
        most = at_once(max_connections, "max_connections")
        super().__init__(where(self._pool.connection_kwargs), timeout, most)
        self._credentials = credentials
        self._clock = clock
        self._greetings: list[Greeting] = []
        self._replicas = Replicas(self.where, timeout)
        self.watch = inf

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

    def apart(self, *, name: bytes = b"", **options: Any) -> Any:  # noqa: ARG002 - one server has every key
        """Return a connection of redis-py's, not yet open, that is none of the pool's; *options* over its own.

        It leads to where the key *name* is.
        """
        return self._pool.connection_class(**{**self._pool.connection_kwargs, **options})

    def exchange(self, exchange: Exchange) -> list[Any]:
        """Send the commands and return one reply a command; an error reply is returned as an exception.

        Raises:
            ProviderUnavailableError: the server cannot be reached, or every connection stayed busy.
            ProviderRejectedError: the handshake was refused.
            UnsureError: what must not be sent twice was perhaps executed.
        """
        replies: list[Any] = self.ask(exchange.packed, exchange.replies, exchange.once)
        return replies

    def settled(self, exchange: Exchange, keys: Keyspace) -> list[Any]:
        """Exchange, and return the replies when all replicas that are online have what was written.

        Raises:
            ProviderUnavailableError: they do not have it; do it again.
        """
        settling = settle(exchange, self._replicas, keys.mark(keys.journal))
        wanted = next(settling)
        while True:
            try:
                wanted = settling.send(self.exchange(wanted))
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def ask(self, packed: bytes, replies: int | None = None, once: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Send one command and return its one reply, not in a list, or so many; raises as `exchange` does.

        The hot path of everything: so its arguments go by their places, and it calls nothing that it need not.
        """
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
        if once:
            self.doubt()
        return self._anew(packed, replies)

    def doubt(self) -> NoReturn:
        """Close idle connections, which may be as dead as one that broke, and say that a step must be run anew.

        Raises:
            UnsureError: always.
        """
        self.renew()
        raise UnsureError(f"a connection to {self.where} broke")

    def _lost(self, wire: Wire, error: BaseException, *, again: bool) -> None:
        """Close a wire that failed in mid-exchange: its late replies must not answer the next question."""
        wire.close()
        self._give_back(wire)
        if not isinstance(error, (RedisError, OSError, *UNREADABLE)):
            raise error
        if self._credentials is not None and isinstance(error, REFUSED):
            self._credentials.rejected()  # and once more, with what it is told next
            return
        if isinstance(error, DEMOTED):
            self.renew()
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
        except (RedisError, OSError, *UNREADABLE) as error:
            wire.close()
            raise translate(error, self.where) from error
        except BaseException:
            wire.close()
            raise
        finally:
            self._give_back(wire)

    def _wire(self) -> Wire:
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        lifetime = self._credentials.lifetime if self._credentials is not None else None
        if lifetime is None:
            wire = Wire(connection, self._timeout, self.watch)
        else:
            wire = AgeingWire(connection, self._timeout, lifetime, self._clock, self.watch)
        wire.greetings = self._greetings
        return wire
