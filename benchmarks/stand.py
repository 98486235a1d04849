"""The stand: what every row measures against, a server of its own on the loopback and a cache over it.

The reference of most rows is *our own raw path*: the same pool of connections that carries the cache's exchanges,
carrying one packed GET or SET of a value of 1 kB. So a row says what tags cost, not what a client library costs.
"""

from __future__ import annotations

import random
from functools import cached_property
from typing import TYPE_CHECKING, Any

import redis
from hiredis import pack_command

from benchmarks.measurement import Subject, repeated
from staleproof import Cache, Policy
from staleproof.providers.redis import Connections, RedisProvider
from staleproof.providers.redis.exchange import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAMESPACE = "bench"
RAW_KEY = b"bench:raw"
VALUE = random.Random(1).randbytes(1_000)
"""Of 1 kB, and incompressible."""

POLICY = Policy(ttl="1h")


class BenchmarkError(RuntimeError):
    """A row did not measure what it claims to measure: its figures mean nothing."""


class Stand:
    """One server's address, with our cache, our raw path and redis-py's client on it.

    Args:
        url: a server that nobody else uses.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.connections = Connections(url, timeout=10.0)
        self.provider = RedisProvider(self.connections, NAMESPACE)
        self.cache = Cache(self.provider, policy=POLICY)

    @cached_property
    def client(self) -> redis.Redis:
        """redis-py's client as its users make it, with hiredis installed."""
        client = redis.Redis.from_url(self.url)
        client.set(RAW_KEY, VALUE)
        return client

    def send(self, *each: Sequence[Any]) -> list[Any]:
        """Send commands in one exchange over our pool, and return their replies."""
        return self.connections.exchange(commands(tuple(one) for one in each))

    def raw_get(self, prepare: Callable[[int], object] | None = None, number: int = 0) -> Subject:
        """Our raw GET of 1 kB, packed anew each time."""
        return self._raw(("GET", RAW_KEY), prepare, number)

    def raw_set(self, prepare: Callable[[int], object] | None = None, number: int = 0) -> Subject:
        """Our raw SET of 1 kB, packed anew each time."""
        return self._raw(("SET", RAW_KEY, VALUE), prepare, number)

    def _raw(self, command: tuple[Any, ...], prepare: Callable[[int], object] | None, number: int) -> Subject:
        self.send(("SET", RAW_KEY, VALUE))
        ask = self.connections.ask
        subject = Subject(repeated(lambda: ask(pack_command(command))), number=number)
        return subject._replace(prepare=prepare) if prepare else subject

    def round_trips(self, operation: Callable[[], object]) -> int:
        """Say how often *operation* makes the server read from a socket, by the server's own count."""
        before = self._socket_reads()
        operation()
        return self._socket_reads() - before - 1  # one is the second question's own

    def _socket_reads(self) -> int:
        (text,) = self.send(("INFO", "stats"))
        fields = dict(line.split(b":", 1) for line in text.splitlines() if b":" in line)
        return int(fields[b"total_reads_processed"])

    def close(self) -> None:
        """Close the connections."""
        self.cache.close()
        if "client" in vars(self):
            self.client.close()
