"""Connections to one node of a cluster: made beside those to another, and written to before others are read from."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import redis

from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.providers.redis.connections import Connections, where
from staleproof.providers.redis.pool import Pool

if TYPE_CHECKING:
    from staleproof.providers.redis.exchange import Exchange
    from staleproof.providers.redis.topology import Address
    from staleproof.providers.redis.wire import Wire


def address_of(kwargs: dict[str, Any]) -> Address:
    """Return host and port of the connections that *kwargs* make.

    Raises:
        ConfigurationError: nothing of a cluster can be there.
    """
    if "path" in kwargs:
        raise ConfigurationError(f"cache URL: {where(kwargs)} is a socket of this machine, and no cluster")
    if kwargs.get("db"):
        raise ConfigurationError(
            f"cache URL: a cluster has no database {kwargs['db']}; end it in /0, or leave that out"
        )
    return str(kwargs.get("host", "localhost")), int(kwargs.get("port", 6379))


class NodeConnections(Connections):
    """`Connections` to one node; the arguments are the same."""

    @property
    def address(self) -> Address:
        """Host and port."""
        return address_of(self._pool.connection_kwargs)

    def beside(self, host: str, port: int) -> NodeConnections:
        """Return connections to another node, with the same options and credentials."""
        kwargs = {**self._pool.connection_kwargs, "host": host, "port": port}
        other = copy.copy(self)
        other._pool = redis.ConnectionPool(self._pool.connection_class, **kwargs)  # noqa: SLF001 - our own twin's
        Pool.__init__(other, where(kwargs), self._timeout, self._max)
        return other

    def outcome(self, exchange: Exchange) -> list[Any] | ProviderUnavailableError:
        """Send *exchange*; return its replies, or the error if the node cannot be reached."""
        try:
            return self.exchange(exchange)
        except ProviderUnavailableError as error:
            return error

    def outcome_anew(self, exchange: Exchange) -> list[Any] | ProviderUnavailableError:
        """Send *exchange*, which was sent before, on a new connection; unless it must not be."""
        if exchange.once:
            self.doubt()
        try:
            answer: list[Any] = self._anew(exchange.packed, exchange.replies)
        except ProviderUnavailableError as error:
            return error
        return answer

    def lend(self) -> Wire:
        """Return a wire for one exchange; it goes back by `take_back` or `lost`.

        Raises:
            ProviderUnavailableError: all stayed busy.
        """
        try:
            return self._idle.pop()
        except IndexError:
            return self._grow()

    def take_back(self, wire: Wire) -> None:
        """Take a wire back, closed or with nothing left to read."""
        self._give_back(wire)

    def lost(self, wire: Wire, error: BaseException, *, again: bool) -> None:
        """Take back a wire that failed with *error*; raise what a new connection cannot mend."""
        self._lost(wire, error, again=again)


class Post:
    """What is sent to a node and not yet answered: to be sent first, then read or dropped."""

    def __init__(self, node: NodeConnections, exchange: Exchange) -> None:
        self._node = node
        self._exchange = exchange
        self._wire: Wire | None = None
        self._reused = False
        self._error: ProviderUnavailableError | None = None

    def send(self) -> None:
        """Send it. That the node cannot be reached is for `outcome` to say."""
        try:
            wire = self._node.lend()
        except ProviderUnavailableError as error:
            self._error = error
            return
        self._wire, self._reused = wire, wire.opened
        try:
            wire.send(self._exchange.packed)
        except BaseException as error:  # noqa: BLE001 - `_fail` raises what a new connection cannot mend
            self._fail(error)

    def outcome(self) -> list[Any] | ProviderUnavailableError:
        """Return the replies, or the error if the node cannot be reached."""
        if self._error is not None:
            return self._error
        wire = self._wire
        if wire is None:
            return self._node.outcome_anew(self._exchange)
        try:
            replies = wire.receive(self._exchange.replies)
        except BaseException as error:  # noqa: BLE001 - see `send`
            self._fail(error)
            return self.outcome()  # the error, or by a new connection
        self._wire = None
        self._node.take_back(wire)
        return replies

    def drop(self) -> None:
        """Give up what was not read: its late replies must not answer another question."""
        if self._wire is not None:
            self._wire.close()
            self._node.take_back(self._wire)
            self._wire = None

    def _fail(self, error: BaseException) -> None:
        wire, self._wire = self._wire, None
        if wire is None:
            raise error
        try:
            self._node.lost(wire, error, again=self._reused)
        except ProviderUnavailableError as unavailable:
            self._error = unavailable
