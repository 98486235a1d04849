"""A name or an ARN finds one cache, whatever kind it is, or says why not."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, NoRegionError

from staleproof import AsyncCache, Cache, ConfigurationError, ProviderUnavailableError
from staleproof.aws import describe
from staleproof.aws.description import CacheUser, Endpoint, Membership
from staleproof.aws.iam import IamCredentials
from staleproof.providers.redis.async_cluster_connections import AsyncClusterConnections
from staleproof.providers.redis.cluster_connections import ClusterConnections
from tests.unit.aws_shapes import Recording, refusal
from tests.unit.elasticache_account import (
    DOMAIN,
    Account,
    arn,
    cluster,
    datastore,
    group,
    serverless,
    sharded,
    user,
)


def found(name: str, *held: dict[str, Any], **options: Any) -> Any:
    return describe(name, client=Account(*held, **options).client)


def test_a_replication_group_is_found() -> None:
    """Without cluster mode clients connect to the primary, and may read from replicas."""
    cache = found("Shop", group("shop"), group("other"))
    assert (cache.name, cache.kind, cache.engine, cache.region) == (
        "shop",
        "replicationgroup",
        "valkey",
        "eu-west-1",
    )
    assert cache.endpoint == Endpoint(f"master.shop.{DOMAIN}", 6379)
    assert cache.reader == Endpoint(f"replica.shop.{DOMAIN}", 6379)
    assert (cache.cluster, cache.tls, cache.failover, cache.nodes) == (False, True, True, 2)
    assert (cache.authentication, cache.users, cache.membership) == ("none", (), None)
    assert cache.writable


def test_a_group_without_replicas_has_no_reader() -> None:
    """Its reader endpoint leads to the primary, so it is no second place."""
    assert found("shop", group("shop", MemberClusters=["shop-001"])).reader is None


def test_a_group_of_an_older_answer_is_redis() -> None:
    """Where AWS tells no engine of a group, it is Redis OSS, which was the only one."""
    answer = group("shop", TransitEncryptionEnabled=False, AuthTokenEnabled=False)
    del answer["Engine"]
    cache = found("shop", answer)
    assert (cache.engine, cache.tls, cache.authentication) == ("redis", False, "none")


def test_a_sharded_group_is_found() -> None:
    """In cluster mode clients connect to the configuration endpoint."""
    cache = found("shop", sharded("shop"))
    assert (cache.cluster, cache.endpoint.host, cache.reader) == (True, f"clustercfg.shop.{DOMAIN}", None)


def test_a_serverless_cache_is_found() -> None:
    """It is encrypted and in cluster mode, always; replicas answer at another port."""
    cache = found("shop", serverless("shop"))
    assert (cache.kind, cache.cluster, cache.tls, cache.version, cache.status) == (
        "serverlesscache",
        True,
        True,
        "8.1",
        "available",
    )
    assert cache.serverless
    assert (cache.endpoint.port, cache.reader and cache.reader.port) == (6379, 6380)


def test_a_memcached_cluster_is_found() -> None:
    """Clients connect to its configuration endpoint, which tells them the nodes."""
    cache = found("sessions", cluster("sessions"))
    assert (cache.engine, cache.kind, cache.version, cache.nodes) == ("memcached", "cluster", "1.6.22", 2)
    assert cache.endpoint == Endpoint("sessions.abc123.cfg.euw1.cache.amazonaws.com", 11211)
    assert not cache.cluster


def test_serverless_memcached_is_found() -> None:
    """It has one endpoint, and no shards that a client would see."""
    cache = found("sessions", serverless("sessions", Engine="memcached"))
    assert (cache.engine, cache.cluster, cache.tls) == ("memcached", False, True)


def test_a_single_node_is_found() -> None:
    """A node of Valkey or Redis that belongs to no group is its own endpoint."""
    cache = found("shop", cluster("shop", "redis", NumCacheNodes=1))
    assert (cache.engine, cache.endpoint.host) == ("redis", "shop.abc123.0001.euw1.cache.amazonaws.com")


def test_users_of_the_user_group_are_found() -> None:
    """All pages of users are read, and those of other groups left out."""
    users = [user(f"u{n}", "iam", "shop-users" if n % 2 else "other") for n in range(7)]
    cache = found("shop", group("shop", UserGroupIds=["shop-users"]), *users)
    assert cache.authentication == "users"
    assert cache.users == tuple(CacheUser(f"u{n}", f"u{n}", "iam", "on ~* +@all") for n in (1, 3, 5))


def test_users_that_may_not_be_read_are_unknown() -> None:
    """Discovery goes on without the permission to read users; who is there stays open."""
    account = Account(serverless("shop", UserGroupId="shop-users"), user("app", "iam", "shop-users"))
    account.denied.add("DescribeUsers")
    assert describe("shop", client=account.client).users is None


def test_an_auth_token_is_told() -> None:
    """A group with one password for everybody says so."""
    assert found("shop", group("shop", AuthTokenEnabled=True)).authentication == "token"


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        ("replicationgroup", group("shop")),
        ("serverlesscache", serverless("shop")),
        ("cluster", cluster("shop")),
    ],
)
def test_an_arn_is_asked_for_once(kind: str, held: dict[str, Any]) -> None:
    """An ARN says what it is, so nothing else is asked, and a namesake does not matter."""
    account = Account(held, *(each for each in (group("shop"), serverless("shop")) if each != held))
    assert describe(arn(kind, "shop"), client=account.client).kind == kind
    assert len(account.client.calls) == 1


def test_a_name_of_several_caches_is_refused() -> None:
    """A name may mean two caches; the error lists the ARNs, one of which will do."""
    with pytest.raises(ConfigurationError, match="belongs to several caches") as raised:
        found("shop", group("shop"), serverless("shop"), cluster("shop"))
    for kind in ("replicationgroup", "serverlesscache", "cluster"):
        assert arn(kind, "shop") in str(raised.value)


def test_a_node_of_a_group_is_refused() -> None:
    """A node's endpoint leads to a replica after the next failover."""
    with pytest.raises(ConfigurationError, match="name the group"):
        found("shop-001", cluster("shop-001", "valkey", ReplicationGroupId="shop"))


def test_nothing_is_told_with_its_region() -> None:
    """Most often the region or account is wrong."""
    with pytest.raises(ConfigurationError, match="no cache 'shop' in region eu-central-1"):
        found("shop", group("other"), region="eu-central-1")


def test_what_may_not_be_asked_is_told() -> None:
    """Nothing was found, but not everything was seen: the error names the permissions."""
    account = Account(serverless("shop"))
    account.denied |= {"DescribeServerlessCaches", "DescribeGlobalReplicationGroups"}
    with pytest.raises(ConfigurationError, match="denied to DescribeServerlessCaches"):
        describe("shop", client=account.client)
    account = Account(group("shop"))
    account.denied |= {"DescribeServerlessCaches", "DescribeCacheClusters", "DescribeGlobalReplicationGroups"}
    assert describe("shop", client=account.client).name == "shop"


@pytest.mark.parametrize(
    "held",
    [
        group("shop", Status="creating", NodeGroups=[]),
        sharded("shop", Status="creating") | {"ConfigurationEndpoint": {}},
        serverless("shop", Status="CREATING") | {"Endpoint": {}},
        cluster("shop", CacheClusterStatus="creating") | {"ConfigurationEndpoint": {}},
    ],
)
def test_a_cache_in_the_making_is_to_be_waited_for(held: dict[str, Any]) -> None:
    """Without an endpoint there is nothing to connect to yet."""
    with pytest.raises(ProviderUnavailableError, match="it is creating; retry"):
        found("shop", held)


@pytest.mark.parametrize(
    "name",
    [
        "arn:aws:elasticache:eu-west-1:123456789012:snapshot:shop",
        "arn:aws:s3:::shop",
        "arn:aws:elasticache:eu-west-1:123456789012:replicationgroup",
        "master.shop.abc123.euw1.cache.amazonaws.com:6379",
        "redis://shop",
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    """An endpoint or another thing's ARN is told before anybody is asked."""
    with pytest.raises(ConfigurationError, match=r"write (the name or ARN|arn:)"):
        describe(name, client=Account().client)


# --- global datastores -----------------------------------------------------------------------------------


def member(name: str, role: str) -> dict[str, Any]:
    info = {"GlobalReplicationGroupId": "ldgnf-world", "GlobalReplicationGroupMemberRole": role}
    return group(name, GlobalReplicationGroupInfo=info)


WORLD = datastore("ldgnf-world", us_east_1=("PRIMARY", "shop-us"), eu_west_1=("SECONDARY", "shop-eu"))


@pytest.mark.parametrize(
    "name", ["world", "ldgnf-world", "shop-eu", WORLD["ARN"], arn("replicationgroup", "shop-eu")]
)
def test_a_global_datastore_is_its_member_here(name: str) -> None:
    """By its id, the part that people chose, its ARN, or the member's own: the cache of this region."""
    cache = found(name, datastore("ldgnf-moon"), WORLD, member("shop-eu", "SECONDARY"))
    assert cache.name == "shop-eu"
    assert cache.membership == Membership("ldgnf-world", "secondary", "us-east-1")
    assert not cache.writable


def test_a_primary_is_writable() -> None:
    """The datastore's primary takes writes like any other cache."""
    cache = found(
        "world", datastore("ldgnf-world", eu_west_1=("primary", "shop-eu")), member("shop-eu", "primary")
    )
    assert cache.membership == Membership("ldgnf-world", "primary", "eu-west-1")
    assert cache.writable


def test_a_datastore_without_a_member_here_is_told() -> None:
    """Its members are listed, with region and role."""
    with pytest.raises(
        ConfigurationError, match=r"has no member in region eu-central-1.*shop-us in us-east-1 \(primary\)"
    ):
        found("world", WORLD, region="eu-central-1")


def test_a_datastore_and_its_member_may_have_one_name() -> None:
    """A name that means a datastore and that datastore's member here means one cache."""
    world = datastore("ldgnf-shop", eu_west_1=("PRIMARY", "shop"))
    info = {"GlobalReplicationGroupId": "ldgnf-shop", "GlobalReplicationGroupMemberRole": "PRIMARY"}
    assert found("shop", world, group("shop", GlobalReplicationGroupInfo=info)).name == "shop"


# --- caches of our own -----------------------------------------------------------------------------------

ENVIRON = {"STALEPROOF_NAMESPACE": "shop", "STALEPROOF_TTL": "7s"}
FACES = pytest.mark.parametrize("face", [Cache, AsyncCache])


def made(face: Any, account: Account, name: str = "shop", **options: Any) -> Any:
    return face.from_aws(name, client=account.client, environ=ENVIRON, file="none", **options)


@FACES
def test_a_cache_is_made_of_a_name(face: Any) -> None:
    """Endpoint, encryption, replicas and user are AWS's, everything else is the settings'."""
    account = Account(
        group("shop", UserGroupIds=["g"]), user("app", "iam", "g"), user("default", "no-password", "g")
    )
    cache = made(face, account, near={"enabled": False})
    assert (cache.namespace, cache.core.policy.ttl, cache.core.near) == ("shop", 7.0, None)
    connections = cache.provider.connections
    assert connections.where == f"master.shop.{DOMAIN}:6379"
    assert isinstance(connections._credentials, IamCredentials)
    assert (connections._credentials.cache, connections._credentials.user) == ("shop", "app")
    assert cache.provider.reader.connections.where == f"replica.shop.{DOMAIN}:6379"


@FACES
@pytest.mark.parametrize("held", [sharded("shop", UserGroupIds=["g"]), serverless("shop", UserGroupId="g")])
def test_a_cluster_is_made_of_a_name(face: Any, held: dict[str, Any]) -> None:
    """Shards and serverless caches are asked as clusters, with the same credentials for every node."""
    cache = made(face, Account(held, user("app", "iam", "g")))
    connections: Any = cache.provider.connections
    kind = ClusterConnections if face is Cache else AsyncClusterConnections
    credentials: Any = connections._endpoint._credentials
    assert type(connections) is kind
    assert credentials.serverless is ("ServerlessCacheName" in held)


@FACES
def test_a_secondary_is_refused(face: Any) -> None:
    """Nothing can be stored or invalidated in it; the error says so, and what to use instead."""
    with pytest.raises(
        ConfigurationError, match=r"secondary of global datastore ldgnf-world.*read-only.*us-east-1"
    ):
        made(face, Account(WORLD, member("shop-eu", "SECONDARY")), "world")


# --- AWS itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (refusal("Throttling"), ProviderUnavailableError),
        (refusal("InternalFailure", 500), ProviderUnavailableError),
        (ConnectTimeoutError(endpoint_url="https://elasticache"), ProviderUnavailableError),
        (refusal("ExpiredToken", 403), ConfigurationError),
        (NoRegionError(), ConfigurationError),
    ],
)
def test_a_service_that_fails_is_told(error: Exception, raised: type[Exception]) -> None:
    """The class says whether to retry."""

    def fail(**_: Any) -> Any:
        raise error

    client = Recording("elasticache", {"describe_replication_groups": fail})
    with pytest.raises(raised, match="cache shop: "):
        describe(arn("replicationgroup", "shop"), client=client)


def test_a_bug_is_not_translated() -> None:
    """What is none of AWS's passes as it is."""
    client = Recording("elasticache", {"describe_replication_groups": lambda **_: 1 / 0})
    with pytest.raises(ZeroDivisionError):
        describe("shop", client=client)
