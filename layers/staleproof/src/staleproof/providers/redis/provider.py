"""The blocking Redis/Valkey provider: the steps of `steps` and `journal` over `Connections`."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from staleproof.events.invalidation import in_parts
from staleproof.keys import Keyspace
from staleproof.ports import (
    JOURNAL_HORIZON_MS,
    Begun,
    Claim,
    Deposit,
    JournalId,
    JournalPage,
    Observed,
    Snapshot,
    Want,
    observed,
)
from staleproof.ports.operations import TakeLock
from staleproof.providers.redis.cluster_connections import ClusterConnections
from staleproof.providers.redis.connections import DEFAULT_MAX_CONNECTIONS, DEFAULT_TIMEOUT, Connections
from staleproof.providers.redis.durability import checked as replicated
from staleproof.providers.redis.failures import (
    MOST_RUNS,
    UnsureError,
    check,
    failed,
    go_on,
    is_foreign,
    translate,
)
from staleproof.providers.redis.follower import RedisFollower
from staleproof.providers.redis.incarnation import checked, vouch
from staleproof.providers.redis.nearest_reader import NearestReader
from staleproof.providers.redis.opening import Kinds, opened
from staleproof.providers.redis.operations import Performance
from staleproof.providers.redis.proof import WATCH, checked_watch
from staleproof.providers.redis.structures import RedisStructures
from staleproof.providers.trimming import Trimming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from staleproof.events import Invalidation
    from staleproof.policies.duration import Duration
    from staleproof.ports.operations import Operation
    from staleproof.providers.redis.credentials import Credentials
    from staleproof.providers.redis.durability import Durability
    from staleproof.providers.redis.exchange import Exchange
    from staleproof.providers.redis.incarnation import Restarts
    from staleproof.providers.redis.journal import JournalSteps
    from staleproof.providers.redis.steps import Step
    from staleproof.tags import TagId

    R = TypeVar("R")


KINDS = Kinds(Connections, ClusterConnections, NearestReader)


class RedisProvider(RedisFollower):
    """One namespace on a Redis or Valkey server or cluster; implements `Provider` and `Follower`.

    Args:
        connections: to one server or a cluster; shared by the providers of several namespaces if you like.
        namespace: the namespace it serves.
        horizon_ms: how long the journal keeps a record that no link needs any more.
        reader: the same namespace at the reader endpoint, or at several; for policies with `reader`; None without one.
        restarts: what to do when another server process answers than before: `"trust"` what it has, or `"clear"` the
            namespace first, for servers that may come back with older data (see `incarnation`). All processes that
            share the namespace must say the same.
        durability: when an invalidation is acknowledged: when the `"primary"` has it, or when it is `"replicated"` to
            all replicas that are online, and so outlives a failover (see `durability`); None for what the URL says.
        watch: seconds after which a connection asks again whether it leads to a primary (see `proof`), `math.inf` for
            never; for one server only.
    """

    def __init__(
        self,
        connections: Connections | ClusterConnections,
        namespace: str,
        *,
        horizon_ms: int = JOURNAL_HORIZON_MS,
        reader: RedisProvider | NearestReader | None = None,
        restarts: Restarts = "trust",
        durability: Durability | None = None,
        watch: float = WATCH,
    ) -> None:
        self.namespace = namespace
        self.reader = reader
        self.keys = Keyspace(namespace)
        self.connections = connections
        self._exchange: Callable[[Any], Any] = connections.exchange
        self._ask: Callable[[Any], Any] = connections.ask
        self._steps: JournalSteps = connections.steps(self.keys)
        self._look = self._steps.look
        self._scripted: JournalSteps = connections.steps(self.keys, scripted=True)
        self._replicated = replicated(durability or connections.durability)
        connections.watch = checked_watch(watch)
        if reader is not None:
            reader.lead_to_replicas()
        self._horizon_ms = horizon_ms
        self._trimming = Trimming(namespace)
        self.structures = RedisStructures(self.keys, self.read, self._run)
        if checked(restarts) == "clear":
            connections.greet(self._vouch)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        namespace: str,
        timeout: Duration = DEFAULT_TIMEOUT,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        reader_url: str | Sequence[str] | None = None,
        credentials: Credentials | None = None,
        cluster: bool = False,
        restarts: Restarts = "trust",
        durability: Durability | None = None,
    ) -> RedisProvider:
        """Connect (at first use) to *url*; *timeout*, seconds or `"1s"`, bounds connecting and each reply.

        *reader_url* is the endpoint of its replicas, for policies with `reader`; of several the nearest is asked. With
        *cluster*, or `cluster=true` in the URL's query, *url* is a cluster's endpoint, or any of its nodes.

        Raises:
            ConfigurationError: the URL cannot be read, or two arguments do not go together.
        """
        connections, reader = opened(
            KINDS,
            url,
            reader_url,
            lambda connections: cls(connections, namespace),
            cluster=cluster,
            timeout=timeout,
            max_connections=max_connections,
            credentials=credentials,
        )
        return cls(connections, namespace, reader=reader, restarts=restarts, durability=durability)

    def _run(
        self, step: Callable[[JournalSteps], Step[R]], via: Callable[[Exchange], Any] | None = None
    ) -> R:
        steps, left = self._steps, MOST_RUNS
        while True:
            left -= 1
            try:
                return self._drive(step(steps), via)
            except (NoScriptError, UnsureError) as error:
                if left <= 0:
                    raise translate(error, self.connections.where) from error
                steps = self._scripted if isinstance(error, NoScriptError) else steps

    def _vouch(self, converse: Callable[[bytes, int], Any]) -> None:
        self._drive(vouch(self._steps), lambda exchange: converse(exchange.packed, exchange.replies))

    def _drive(self, step: Step[R], via: Callable[[Exchange], Any] | None = None) -> R:
        replies: Any = None
        while True:
            try:
                exchange = go_on(step, replies, self.connections.where)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            replies = (via or self._exchange)(exchange)
            check(replies, self.connections, foreign=exchange.foreign)

    def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `Provider.read`; the hot path, so without a generator."""
        reply = self._ask(self._look(key, tags))
        if isinstance(reply, list) and len(reply) > len(tags):
            return observed((reply.pop(0), reply))
        raise failed(reply, self.connections)

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `Provider.read_following`."""
        return self._run(lambda steps: steps.read_following(key, tags, cursor, limit))

    def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """See `Provider.read_many`."""
        return self._run(lambda steps: steps.read_many(wants))

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `Provider.begin`."""
        return self._run(lambda steps: steps.begin(key, tags, lease, lease_ms, tag_ttl_ms, guard=guard))

    def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """See `Provider.begin_many`."""
        return self._run(lambda steps: steps.begin_many(claims, lease_ms, tag_ttl_ms, guard=guard))

    def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """See `Provider.snapshot`."""
        return self._run(lambda steps: steps.snapshot(tags, tag_ttl_ms, guard=guard))

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """See `Provider.store`."""
        return self._run(lambda steps: steps.store(key, entry, ttl_ms, lease))

    def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """See `Provider.store_many`."""
        return self._run(lambda steps: steps.store_many(deposits))

    def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """See `Provider.expire`."""
        return self._run(lambda steps: steps.expire(key, seen_ms, expires_ms, ttl_ms))

    def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `Provider.put`."""
        self._run(lambda steps: steps.put(key, entry, ttl_ms))

    def release(self, key: str, lease: bytes) -> None:
        """See `Provider.release`."""
        self._run(lambda steps: steps.release(key, lease))

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `Provider.invalidate`."""
        parts = in_parts(invalidations)
        exchange = self._steps.invalidate(invalidations, parts)
        replies = self._apply(exchange)
        if any(isinstance(reply, Exception) for reply in replies):
            replies = self._applied(exchange, replies)
        if self._trimming.due():
            with self._trimming:
                self.trim(self._horizon_ms)
        return self._steps.placed(parts, replies)

    def _applied(self, exchange: Any, replies: list[Any]) -> list[Any]:
        """Return the replies to what was refused in part, now that nothing foreign lies in the guard's place."""
        if any(isinstance(reply, Exception) and is_foreign(reply) for reply in replies):
            self._exchange(self._steps.drop_guard())
            replies = self._apply(exchange)
        check(replies, self.connections)
        return replies

    def _apply(self, exchange: Any) -> list[Any]:
        if self._replicated and exchange.any:
            return self.connections.settled(exchange, self.keys)
        return self._exchange(exchange)  # type: ignore[no-any-return]

    def perform(self, operation: Operation) -> Any:
        """See `Operator.perform`."""
        waits = self._replicated and isinstance(operation, TakeLock)
        return self._run(Performance(operation), self._apply if waits else None)

    def lead_to_replicas(self) -> None:
        """Have connections made from now on not ask whether they lead to a primary."""
        self.connections.watch = inf

    def close(self) -> None:
        """Close idle connections; the next call reconnects."""
        self.connections.close()
        if self.reader is not None:
            self.reader.close()
