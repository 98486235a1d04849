"""`CacheDescription`: what AWS says about a cache, as data. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Engine: TypeAlias = Literal["valkey", "redis", "memcached"]
Authentication: TypeAlias = Literal["none", "token", "users"]
Role: TypeAlias = Literal["primary", "secondary"]

MEMCACHED: Engine = "memcached"


class Endpoint(msgspec.Struct, frozen=True):
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class CacheUser(msgspec.Struct, frozen=True):
    """A user of a cache's user group.

    Attributes:
        id: what ElastiCache calls it.
        name: what the server calls it; for IAM the same.
        authentication: `iam`, `password` or `no-password`.
        access: its access string, as `ACL SETUSER` takes it.
    """

    id: str
    name: str
    authentication: str
    access: str


class Membership(msgspec.Struct, frozen=True):
    """A cache's place in a global datastore.

    Attributes:
        datastore: id of the global datastore.
        role: `primary` takes writes; `secondary` is a read-only copy of it.
        primary_region: where the primary is, "" if it could not be read.
    """

    datastore: str
    role: Role
    primary_region: str


class CacheDescription(msgspec.Struct, frozen=True, kw_only=True):
    """One cache in one region.

    Attributes:
        name: id of the replication group or cache cluster, or name of the serverless cache.
        arn: its ARN.
        region: where it is.
        kind: `replicationgroup`, `serverlesscache` or `cluster`.
        status: as AWS says it: `available`, `modifying` ...
        engine: `valkey`, `redis` or `memcached`.
        version: of the engine, "" where AWS tells it of nodes only.
        cluster: whether keys are spread over shards (cluster mode); serverless caches always are.
        endpoint: where clients connect: the primary, the configuration endpoint, or the serverless cache's.
        reader: where replicas answer, None without any.
        nodes: how many nodes it has, 0 for a serverless cache.
        tls: whether connections are encrypted.
        authentication: `none`, `token` (one password for everybody) or `users` (a user group).
        users: who is in the user group; None if that could not be read.
        membership: its place in a global datastore, None outside of one.
        failover: whether a replica takes over by itself.
    """

    name: str
    arn: str
    region: str
    kind: Literal["replicationgroup", "serverlesscache", "cluster"]
    status: str
    engine: Engine
    version: str
    cluster: bool
    endpoint: Endpoint
    reader: Endpoint | None = None
    nodes: int = 0
    tls: bool
    authentication: Authentication
    users: tuple[CacheUser, ...] | None = ()
    membership: Membership | None = None
    failover: bool = False

    @property
    def serverless(self) -> bool:
        """Whether it is a serverless cache."""
        return self.kind == "serverlesscache"

    @property
    def writable(self) -> bool:
        """Whether it takes writes: a secondary of a global datastore takes none."""
        return self.membership is None or self.membership.role == "primary"
