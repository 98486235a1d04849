"""`Patient`: the cache that is examined, as the checks ask it.

Every question goes through the connections that an application would use, so what works here works there. Error replies
are answers: a check says what they mean. In cluster mode a question about a key is asked of the node that holds it.
"""

from __future__ import annotations

import secrets
from functools import cached_property
from typing import TYPE_CHECKING, Any

from redis.exceptions import MovedError, NoPermissionError, ResponseError

from staleproof import aws
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.keys import Keyspace
from staleproof.providers.redis.cluster_connections import ClusterConnections
from staleproof.providers.redis.connections import Connections
from staleproof.providers.redis.endpoint import without_cluster
from staleproof.providers.redis.exchange import commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.aws.description import CacheDescription
    from staleproof.providers.redis.exchange import Command

LOOPBACK = ("127.", "localhost", "::1", "[::1]")
MAX_CONNECTIONS = 2


class Patient:
    """One cache.

    Args:
        url: its address, which may say who to be; see `staleproof.aws.address`.
        namespace: the namespace that an application uses on it, None if none is known.
        timeout: seconds to wait for each answer.
        description: what AWS says about it, None if nobody asked.
        clock: the source of time.

    Attributes:
        url: as the client library takes it.
        clustered: whether the address says that it leads to a cluster.
        measured: figures for machines, by name.

    Raises:
        ConfigurationError: the address contradicts itself.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str | None = None,
        timeout: float = 5.0,
        description: CacheDescription | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.address = aws.parse(url)
        self.url, self.clustered = without_cluster(self.address.url)
        self.timeout = timeout
        self.namespace = namespace
        self.description = description
        self.clock = clock
        self.connections = self._connections(self.url)
        self.measured: dict[str, Any] = {}
        self._nodes: dict[str, Connections] = {}
        self.probe = f"doctor-{secrets.token_hex(6)}"

    def _connections(self, url: str) -> Connections:
        return Connections(
            url, timeout=self.timeout, max_connections=MAX_CONNECTIONS, credentials=self.address.credentials
        )

    @property
    def where(self) -> str:
        """Its place, without credentials."""
        return self.connections.where

    @property
    def tls(self) -> bool:
        """Whether it is asked over TLS."""
        return self.url.startswith("rediss://")

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return self.url.startswith("unix://") or self.where.startswith(LOOPBACK)

    @property
    def serverless(self) -> bool:
        """Whether it is ElastiCache Serverless, as AWS says or its endpoint shows."""
        return self.description.serverless if self.description else ".serverless." in self.where

    @property
    def cluster(self) -> bool:
        """Whether it runs in cluster mode."""
        return (
            self.info.get("cluster_enabled") == "1"
            or self.info.get("redis_mode") == "cluster"
            or self.serverless
        )

    @property
    def probed(self) -> Keyspace:
        """The namespace that probes write in: the application's own, which its user may be confined to."""
        return Keyspace(self.namespace or self.probe)

    def probe_key(self, name: str) -> bytes:
        """Return a key for a probe; all of them lie in one slot, and none is a name that the library uses."""
        return f"sp:{self.probed.namespace}:{{{self.probe}}}:{name}".encode()

    def ask(self, *command: Any) -> Any:
        """Return the answer to *command*, an error reply as an exception.

        Raises:
            ProviderError: there is no answer.
        """
        return self.ask_all([command])[0]

    def ask_all(self, several: Sequence[Command], key: bytes | None = None) -> list[Any]:
        """Return the answers to *several* commands in one exchange, from the node that holds *key*; raises as `ask`."""
        exchange = commands(several)
        if key is not None and self.cluster:
            return self.holder(key).exchange(exchange)
        return self.connections.exchange(exchange)

    def holder(self, key: bytes) -> Connections:
        """Return connections to the node that holds *key*, which any other node names."""
        (reply,) = self.connections.exchange(commands([("TYPE", key)]))
        if not isinstance(reply, MovedError):
            return self.connections
        place = f"{reply.host}:{reply.port}"
        if place not in self._nodes:
            self._nodes[place] = self._connections(_moved(self.url, place))
        return self._nodes[place]

    @cached_property
    def library(self) -> Connections | ClusterConnections:
        """Connections as an application would have them, to one server or to the whole cluster."""
        if not self.clustered:
            return self.connections
        return ClusterConnections(
            self.url,
            timeout=self.timeout,
            max_connections=MAX_CONNECTIONS,
            credentials=self.address.credentials,
        )

    @cached_property
    def info(self) -> dict[str, str]:
        """What INFO says, by field; nothing if it is not allowed."""
        reply = self.ask("INFO")
        if not isinstance(reply, bytes):
            return {}
        lines = [line.partition(":") for line in reply.decode(errors="replace").splitlines()]
        return {name: value for name, colon, value in lines if colon}

    def number(self, field: str) -> int | None:
        """Return a number of INFO, None if it is not told."""
        value = self.info.get(field, "")
        return int(value) if value.lstrip("-").isdigit() else None

    def close(self) -> None:
        """Close every connection."""
        for each in (self.connections, *self._nodes.values(), self.__dict__.get("library", self.connections)):
            each.close()


def _moved(url: str, place: str) -> str:
    scheme, _, rest = url.partition("://")
    netloc, slash, path = rest.partition("/")
    prefix, at, _ = netloc.rpartition("@")
    return f"{scheme}://{prefix}{at}{place}{slash}{path}"


def denied(reply: object) -> bool:
    """Say whether *reply* is that this user may not."""
    return isinstance(reply, NoPermissionError)


def unknown(reply: object) -> bool:
    """Say whether *reply* is that there is no such command here."""
    return isinstance(reply, ResponseError) and "unknown" in str(reply).lower()
