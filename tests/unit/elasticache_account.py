"""What one account has in ElastiCache, as the API tells it; every call and answer fits botocore's shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.aws_shapes import Recording, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT = "123456789012"
DOMAIN = "abc123.euw1.cache.amazonaws.com"
USERS_PER_PAGE = 2


def arn(kind: str, name: str, region: str = "eu-west-1") -> str:
    return f"arn:aws:elasticache:{region}:{ACCOUNT}:{kind}:{name}"


def group(name: str, **given: Any) -> dict[str, Any]:
    """A `ReplicationGroup` of a primary and a replica, without cluster mode, encrypted, without users."""
    shard = {
        "NodeGroupId": "0001",
        "Status": "available",
        "PrimaryEndpoint": {"Address": f"master.{name}.{DOMAIN}", "Port": 6379},
        "ReaderEndpoint": {"Address": f"replica.{name}.{DOMAIN}", "Port": 6379},
    }
    return {
        "ReplicationGroupId": name,
        "ARN": arn("replicationgroup", name),
        "Status": "available",
        "Engine": "valkey",
        "ClusterEnabled": False,
        "NodeGroups": [shard],
        "MemberClusters": [f"{name}-001", f"{name}-002"],
        "TransitEncryptionEnabled": True,
        "AutomaticFailover": "enabled",
        **given,
    }


def sharded(name: str, **given: Any) -> dict[str, Any]:
    """A `ReplicationGroup` in cluster mode."""
    endpoint = {"Address": f"clustercfg.{name}.{DOMAIN}", "Port": 6379}
    shards = [{"NodeGroupId": f"{n:04}", "Status": "available"} for n in (1, 2, 3)]
    return group(name, ClusterEnabled=True, ConfigurationEndpoint=endpoint, NodeGroups=shards, **given)


def serverless(name: str, **given: Any) -> dict[str, Any]:
    """A `ServerlessCache`."""
    host = f"{name}-abc123.serverless.euw1.cache.amazonaws.com"
    return {
        "ServerlessCacheName": name,
        "ARN": arn("serverlesscache", name),
        "Status": "AVAILABLE",
        "Engine": "valkey",
        "MajorEngineVersion": "8",
        "FullEngineVersion": "8.1",
        "Endpoint": {"Address": host, "Port": 6379},
        "ReaderEndpoint": {"Address": host, "Port": 6380},
        **given,
    }


def cluster(name: str, engine: str = "memcached", **given: Any) -> dict[str, Any]:
    """A `CacheCluster` of its own."""
    nodes = [
        {
            "CacheNodeId": f"{n:04}",
            "Endpoint": {"Address": f"{name}.abc123.{n:04}.euw1.cache.amazonaws.com", "Port": 11211},
        }
        for n in (1, 2)
    ]
    config = {"Address": f"{name}.abc123.cfg.euw1.cache.amazonaws.com", "Port": 11211}
    return {
        "CacheClusterId": name,
        "ARN": arn("cluster", name),
        "CacheClusterStatus": "available",
        "Engine": engine,
        "EngineVersion": "1.6.22" if engine == "memcached" else "7.1.0",
        "NumCacheNodes": len(nodes),
        "CacheNodes": nodes,
        "TransitEncryptionEnabled": False,
        **({"ConfigurationEndpoint": config} if engine == "memcached" else {}),
        **given,
    }


def datastore(identity: str, **members: tuple[str, str]) -> dict[str, Any]:
    """A `GlobalReplicationGroup`; *members* are role and replication group by region, with `_` for `-`."""
    return {
        "GlobalReplicationGroupId": identity,
        "ARN": f"arn:aws:elasticache::{ACCOUNT}:globalreplicationgroup:{identity}",
        "Status": "available",
        "Members": [
            {
                "ReplicationGroupId": name,
                "ReplicationGroupRegion": region.replace("_", "-"),
                "Role": role,
                "Status": "associated",
            }
            for region, (role, name) in members.items()
        ],
    }


def user(identity: str, kind: str = "iam", *groups: str, name: str | None = None) -> dict[str, Any]:
    """A `User` in user groups."""
    return {
        "UserId": identity,
        "UserName": name or identity,
        "Status": "active",
        "Engine": "valkey",
        "AccessString": "on ~* +@all",
        "UserGroupIds": list(groups),
        "Authentication": {"Type": kind},
    }


class Account:
    """Everything in one region.

    Attributes:
        denied: operations, by their API names, that may not be used.
    """

    def __init__(self, *held: dict[str, Any], region: str = "eu-west-1") -> None:
        self.held = held
        self.denied: set[str] = set()
        answers: dict[str, Callable[..., Any]] = {
            "describe_replication_groups": self._groups,
            "describe_serverless_caches": self._serverless,
            "describe_cache_clusters": self._clusters,
            "describe_global_replication_groups": self._datastores,
            "describe_users": self._users,
        }
        self.client = Recording("elasticache", answers, region)

    def _groups(self, ReplicationGroupId: str) -> Any:  # noqa: N803 - as the API writes it
        return self._one("ReplicationGroup", "ReplicationGroupId", ReplicationGroupId, "NotFoundFault")

    def _serverless(self, ServerlessCacheName: str) -> Any:  # noqa: N803
        return self._one("ServerlessCache", "ServerlessCacheName", ServerlessCacheName, "NotFoundFault")

    def _clusters(self, CacheClusterId: str, ShowCacheNodeInfo: bool) -> Any:  # noqa: N803
        assert ShowCacheNodeInfo
        return self._one("CacheCluster", "CacheClusterId", CacheClusterId, "NotFound")

    def _datastores(self, ShowMemberInfo: bool, Marker: str = "") -> Any:  # noqa: N803
        assert ShowMemberInfo
        self._check("DescribeGlobalReplicationGroups")
        return self._page("GlobalReplicationGroups", "GlobalReplicationGroupId", Marker, 1)

    def _users(self, Marker: str = "") -> Any:  # noqa: N803
        self._check("DescribeUsers")
        return self._page("Users", "UserId", Marker, USERS_PER_PAGE)

    def _page(self, field: str, key: str, marker: str, size: int) -> Any:
        held = [each for each in self.held if key in each]
        start = int(marker or 0)
        more = {"Marker": str(start + size)} if start + size < len(held) else {}
        return {field: held[start : start + size], **more}

    def _one(self, kind: str, key: str, name: str, absent: str) -> Any:
        self._check(f"Describe{kind}s")
        found = [each for each in self.held if each.get(key) == name]
        if not found:
            raise refusal(f"{kind}{absent}", 404, f"Describe{kind}s")
        return {f"{kind}s": found}

    def _check(self, operation: str) -> None:
        if operation in self.denied:
            raise refusal(
                "AccessDenied", 403, operation, f"not authorized to perform: elasticache:{operation}"
            )
