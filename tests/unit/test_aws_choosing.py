"""The address of a described cache says who to be, and guesses nothing."""

from __future__ import annotations

from typing import Any

import pytest

from staleproof import AsyncCache, Cache, ConfigurationError
from staleproof.aws import address_of, describe, parse
from staleproof.config import kinds
from staleproof.providers.memcached.members import Member
from tests.unit.elasticache_account import (
    Account,
    cluster,
    group,
    serverless,
    sharded,
    user,
)

HOST = "master.shop.abc123.euw1.cache.amazonaws.com:6379"
READER = "reader=replica.shop.abc123.euw1.cache.amazonaws.com:6379"


def address(*held: dict[str, Any], **options: Any) -> str:
    return address_of(describe("shop", client=Account(*held).client), **options)


def in_group(*users: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return group("shop", UserGroupIds=["g"]), *users


def test_without_users_it_is_the_endpoint() -> None:
    """A cache that lets everybody in needs no more than its place."""
    assert address(group("shop")) == f"rediss://{HOST}/0?{READER}"
    plain = group("shop", TransitEncryptionEnabled=False, MemberClusters=["shop-001"])
    assert address(plain) == f"redis://{HOST}/0"


def test_the_only_user_of_iam_is_taken() -> None:
    """One user whom IAM lets in is who to be; the token is for the cache's own name and region."""
    held = in_group(user("app", "iam", "g"), user("admin", "password", "g"), user("default", "password", "g"))
    assert address(*held) == f"rediss://app@{HOST}/0?iam=shop&region=eu-west-1&{READER}"


def test_a_serverless_cache_has_tokens_of_its_own() -> None:
    """The token of a serverless cache says what it is for."""
    made = address(serverless("shop", UserGroupId="g"), user("app", "iam", "g"))
    assert "iam=shop&serverless=true&region=eu-west-1" in made
    assert repr(parse(made).credentials).endswith("serverless=True)")


def test_a_user_may_be_named() -> None:
    """By id, whatever its case; of several whom IAM lets in, one must be."""
    held = in_group(user("app", "iam", "g"), user("batch", "iam", "g"))
    assert address(*held, user="Batch").startswith("rediss://batch@")
    with pytest.raises(ConfigurationError, match=r"give user=.*app \(iam\), batch \(iam\)"):
        address(*held)
    with pytest.raises(ConfigurationError, match=r"no user 'other'; it has app, batch"):
        address(*held, user="other")


def test_a_password_lies_in_a_secret() -> None:
    """Users and tokens with a password are told where it is; nothing takes it as an argument."""
    held = in_group(user("app", "password", "g"))
    assert address(*held, user="app", secret_id="prod/cache") == (  # noqa: S106 - a name
        f"rediss://app@{HOST}/0?secret=prod/cache&{READER}"
    )
    with pytest.raises(ConfigurationError, match="give secret_id="):
        address(*held, user="app")
    with pytest.raises(ConfigurationError, match="AUTH token"):
        address(group("shop", AuthTokenEnabled=True))
    token = address(group("shop", AuthTokenEnabled=True), secret_id="prod/cache")  # noqa: S106
    assert token == f"rediss://{HOST}/0?secret=prod/cache&{READER}"


def test_an_open_default_user_will_do() -> None:
    """Where nobody needs a password, nobody needs to be anybody."""
    assert address(*in_group(user("default", "no-password", "g"))) == f"rediss://{HOST}/0?{READER}"
    with pytest.raises(ConfigurationError, match=r"default \(password\)"):
        address(*in_group(user("default", "password", "g")))


def test_id_and_name_of_a_user_of_iam_are_one() -> None:
    """The token names the id, AUTH the name: the server refuses it where they differ."""
    with pytest.raises(ConfigurationError, match="has the name 'application'"):
        address(*in_group(user("app", "iam", "g", name="application")))


def test_unknown_users_are_believed() -> None:
    """Without the permission to read users, who is named is taken for one of IAM's; nobody is guessed."""
    account = Account(*in_group(user("app", "iam", "g")))
    account.denied.add("DescribeUsers")
    cache = describe("shop", client=account.client)
    assert address_of(cache, user="App").startswith("rediss://app@")
    with pytest.raises(ConfigurationError, match="DescribeUsers"):
        address_of(cache)


def test_who_nobody_can_be_is_told() -> None:
    """A user of a cache without users is a mistake, and so is a token in clear text."""
    with pytest.raises(ConfigurationError, match="no user group"):
        address(group("shop"), user="app")
    with pytest.raises(ConfigurationError, match="encryption in transit"):
        address(group("shop", UserGroupIds=["g"], TransitEncryptionEnabled=False), user("app", "iam", "g"))


def test_a_cluster_says_that_it_is_one() -> None:
    """Its address names no reader, for a shard's replica cannot show how fresh it is."""
    assert address(sharded("shop")) == (
        "rediss://clustercfg.shop.abc123.euw1.cache.amazonaws.com:6379/0?cluster=true"
    )
    assert address(serverless("shop")).endswith(".serverless.euw1.cache.amazonaws.com:6379/0?cluster=true")


def test_memcached_has_addresses_of_its_own() -> None:
    """The configuration endpoint names the nodes; a serverless cache is its own only one, over TLS."""
    endpoint = "shop.abc123.cfg.euw1.cache.amazonaws.com:11211"
    assert address(cluster("shop")) == f"memcached+discovery://{endpoint}/"
    assert address(cluster("shop", TransitEncryptionEnabled=True)) == f"memcacheds+discovery://{endpoint}/"
    made = address(serverless("shop", Engine="memcached", Endpoint={"Address": "shop.cache", "Port": 11211}))
    assert made == "memcacheds://shop.cache:11211/"
    with pytest.raises(ConfigurationError, match="has no users"):
        address(cluster("shop"), user="app")


@pytest.mark.parametrize("face", [Cache, AsyncCache])
@pytest.mark.parametrize(
    ("held", "where"),
    [
        (cluster("shop"), ("shop.abc123.cfg.euw1.cache.amazonaws.com", True, False)),
        (
            cluster("shop", TransitEncryptionEnabled=True),
            ("shop.abc123.cfg.euw1.cache.amazonaws.com", True, True),
        ),
        (
            serverless("shop", Engine="memcached", Endpoint={"Address": "shop.cache", "Port": 11211}),
            ("shop.cache", False, True),
        ),
    ],
    ids=["nodes", "nodes by TLS", "serverless"],
)
def test_a_cache_is_made_of_memcached(face: Any, held: dict[str, Any], where: tuple[str, bool, bool]) -> None:
    """By its name alone: the endpoint that names the nodes is followed, a serverless cache is its own only node."""
    made = face.from_aws("shop", client=Account(held).client, environ={}, file="none", namespace="n")
    host, discovers, encrypted = where
    connections, endpoint = made.provider.connections, Member(host, 11211)
    assert connections._endpoint == (endpoint if discovers else None)
    assert (connections._tls is not None) == encrypted
    assert made.namespace == "n"
    for who in ({"user": "app"}, {"secret_id": "prod/cache"}):
        with pytest.raises(ConfigurationError, match="is Memcached, which has no users"):
            face.from_aws("shop", client=Account(held).client, environ={}, file="none", namespace="n", **who)


@pytest.mark.parametrize(
    "held",
    [
        (group("shop"),),
        in_group(user("app", "iam", "g")),
        (serverless("shop", UserGroupId="g"), user("app", "iam", "g")),
        (sharded("shop", UserGroupIds=["g"]), user("app", "iam", "g")),
    ],
)
def test_settings_take_what_discovery_makes(held: tuple[dict[str, Any], ...]) -> None:
    """Every address passes the check of `cache_url`, which shows all but the user."""
    made = address(*held)
    checked = kinds.url(made, "cache_url")
    assert checked.reveal() == made
    assert "iam=" not in made or "iam=shop" in str(checked)
