"""From the answers of the ElastiCache API to `CacheDescription`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.aws.description import MEMCACHED, CacheDescription, CacheUser, Endpoint
from staleproof.errors import ConfigurationError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staleproof.aws.description import Authentication, Engine, Membership

    Answer = Mapping[str, Any]

ENGINES: Mapping[str, Engine] = {"valkey": "valkey", "redis": "redis", "memcached": "memcached"}


def replication_group(
    answer: Answer, users: tuple[CacheUser, ...] | None, membership: Membership | None
) -> CacheDescription:
    """Return what *answer*, a `ReplicationGroup`, describes."""
    cluster = bool(answer.get("ClusterEnabled"))
    shards = answer.get("NodeGroups") or [{}]
    nodes = len(answer.get("MemberClusters") or ())
    what = f"cache {answer['ReplicationGroupId']}"
    endpoint = answer.get("ConfigurationEndpoint") if cluster else shards[0].get("PrimaryEndpoint")
    replicas = not cluster and nodes > 1
    return CacheDescription(
        name=answer["ReplicationGroupId"],
        arn=answer["ARN"],
        region=_region(answer["ARN"]),
        kind="replicationgroup",
        status=answer["Status"],
        engine=_engine(answer.get("Engine") or "redis", what),
        version="",
        cluster=cluster,
        endpoint=_endpoint(endpoint, what, answer["Status"]),
        reader=_reader(shards[0].get("ReaderEndpoint")) if replicas else None,
        nodes=nodes,
        tls=bool(answer.get("TransitEncryptionEnabled")),
        authentication=_authentication(answer, answer.get("UserGroupIds")),
        users=users,
        membership=membership,
        failover=answer.get("AutomaticFailover") in {"enabled", "enabling"},
    )


def serverless_cache(answer: Answer, users: tuple[CacheUser, ...] | None) -> CacheDescription:
    """Return what *answer*, a `ServerlessCache`, describes."""
    what = f"cache {answer['ServerlessCacheName']}"
    engine = _engine(answer["Engine"], what)
    return CacheDescription(
        name=answer["ServerlessCacheName"],
        arn=answer["ARN"],
        region=_region(answer["ARN"]),
        kind="serverlesscache",
        status=answer["Status"].lower(),
        engine=engine,
        version=answer.get("FullEngineVersion") or answer.get("MajorEngineVersion") or "",
        cluster=engine != MEMCACHED,
        endpoint=_endpoint(answer.get("Endpoint"), what, answer["Status"]),
        reader=_reader(answer.get("ReaderEndpoint")),
        tls=True,
        authentication=_authentication(answer, answer.get("UserGroupId")),
        users=users,
        failover=True,
    )


def cache_cluster(answer: Answer) -> CacheDescription:
    """Return what *answer*, a `CacheCluster` that is no node of a replication group, describes."""
    what = f"cache {answer['CacheClusterId']}"
    engine = _engine(answer["Engine"], what)
    nodes = answer.get("CacheNodes") or [{}]
    endpoint = answer.get("ConfigurationEndpoint") if engine == MEMCACHED else nodes[0].get("Endpoint")
    return CacheDescription(
        name=answer["CacheClusterId"],
        arn=answer["ARN"],
        region=_region(answer["ARN"]),
        kind="cluster",
        status=answer["CacheClusterStatus"],
        engine=engine,
        version=answer.get("EngineVersion") or "",
        cluster=False,
        endpoint=_endpoint(endpoint, what, answer["CacheClusterStatus"]),
        nodes=answer.get("NumCacheNodes") or len(nodes),
        tls=bool(answer.get("TransitEncryptionEnabled")),
        authentication=_authentication(answer, None),
    )


def user(answer: Answer) -> CacheUser:
    """Return the user that *answer*, a `User`, describes."""
    kind = answer.get("Authentication", {}).get("Type", "")
    return CacheUser(answer["UserId"], answer["UserName"], kind, answer.get("AccessString", ""))


def _engine(engine: str, what: str) -> Engine:
    known = ENGINES.get(engine.lower())
    if known is None:
        raise ConfigurationError(f"{what} has the engine {engine!r}; this release knows {', '.join(ENGINES)}")
    return known


def _authentication(answer: Answer, groups: Any) -> Authentication:
    if groups:
        return "users"
    return "token" if answer.get("AuthTokenEnabled") else "none"


def _reader(answer: Answer | None) -> Endpoint | None:
    return Endpoint(answer["Address"], answer["Port"]) if answer and answer.get("Address") else None


def _endpoint(answer: Answer | None, what: str, status: str) -> Endpoint:
    found = _reader(answer)
    if found is None:
        raise ProviderUnavailableError(
            f"{what} has no endpoint yet: it is {status.lower()}; retry when it is available"
        )
    return found


def _region(arn: str) -> str:
    return arn.split(":")[3]
