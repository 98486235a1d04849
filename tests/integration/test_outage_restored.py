"""A server that comes back with older data than it acknowledged: what that exposes, what `restarts="clear"` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.conditions import wait_until
from local.loopback import HOST
from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof import Cache, ConfigurationError, Policy, ProviderRejectedError
from staleproof.keys import Keyspace
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.providers.redis.incarnation import incarnation
from staleproof.testing import Blocking
from tests.integration.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """A server that may be killed; its last snapshot is what it comes back with."""
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-restored")
        server.start()
        yield server


@pytest.fixture
def admin(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client


@pytest.fixture(params=[RedisProvider, AsyncRedisProvider], ids=["blocking", "awaiting"])
def provider(request: pytest.FixtureRequest, fresh_namespace: str) -> Iterator[Callable[..., Any]]:
    """Open providers of one face, each a process of its own as far as the server can see."""
    opened: list[Any] = []

    def open_one(url: str, restarts: str = "clear") -> Any:
        made = request.param.from_url(url, namespace=fresh_namespace, restarts=restarts)
        opened.append(made if request.param is RedisProvider else Blocking(made))
        return opened[-1]

    yield open_one
    for each in opened:
        getattr(each, "shut", each.close)()


def read(cache: Cache, value: str, **options: Any) -> Any:
    """Return what is stored, or store *value*."""
    return cache.get_or_load("k", lambda: value, tags=["t"], **options)


def forget_an_invalidation(cache: Cache, valkey: Valkey, admin: redis.Redis) -> None:
    """Have an invalidation acknowledged that the server does not know any more when it is back."""
    assert read(cache, "old") == "old"
    admin.save()
    cache.invalidate("t")
    valkey.kill()
    valkey.start()


def test_a_server_that_is_trusted_serves_what_it_was_restored_with(
    provider: Callable[..., Any], valkey: Valkey, admin: redis.Redis
) -> None:
    """The exposure: old values under old versions fit together, and no look at them can tell."""
    cache = Cache(provider(valkey.url, "trust"))
    forget_an_invalidation(cache, valkey, admin)
    assert read(cache, "new") == "old"


@pytest.mark.parametrize("who", ["the process that knew", "another process"])
def test_a_namespace_is_cleared_before_another_incarnation_answers(
    provider: Callable[..., Any], valkey: Valkey, admin: redis.Redis, who: str
) -> None:
    """With `restarts="clear"` the first connection clears, whoever opens it: P1 holds for everybody."""
    cache = Cache(provider(valkey.url))
    forget_an_invalidation(cache, valkey, admin)
    if who == "another process":
        cache = Cache(provider(valkey.url))
    assert read(cache, "new") == "new"
    assert read(Cache(provider(valkey.url)), "newest") == "new"


def test_near_copies_go_with_it(provider: Callable[..., Any], valkey: Valkey, admin: redis.Redis) -> None:
    """A copy that was read after the snapshot was taken has no place in the restored journal."""
    cache, other = Cache(provider(valkey.url)), Cache(provider(valkey.url))
    strict = Policy(staleness=0)
    assert read(cache, "old", policy=strict) == "old"
    admin.save()
    other.invalidate("t")
    valkey.kill()
    valkey.start()
    assert read(cache, "new", policy=strict) == "new"
    assert read(cache, "newest", policy=strict) == "new"


def test_new_connections_to_the_same_server_clear_nothing(
    provider: Callable[..., Any], valkey: Valkey
) -> None:
    """It is asked once a connection, and what it has is whole."""
    assert read(Cache(provider(valkey.url)), "old") == "old"
    for _ in range(3):
        again = provider(valkey.url)
        assert read(Cache(again), "new") == "old"
        again.close() if isinstance(again, RedisProvider) else None
        assert read(Cache(again), "new") == "old"


def test_a_lost_name_clears_once(
    provider: Callable[..., Any], valkey: Valkey, admin: redis.Redis, fresh_namespace: str
) -> None:
    """Evicted, or of another type: in doubt the namespace is not whole (P6)."""
    name = Keyspace(fresh_namespace).incarnation
    assert read(Cache(provider(valkey.url)), "1") == "1"
    admin.delete(name)
    assert read(Cache(provider(valkey.url)), "2") == "2"
    admin.delete(name)
    admin.rpush(name, "foreign")
    assert read(Cache(provider(valkey.url)), "3") == "3"
    assert read(Cache(provider(valkey.url)), "4") == "3"


def test_a_replica_that_was_promoted_too_early(
    provider: Callable[..., Any], valkey: Valkey, admin: redis.Redis, fresh_namespace: str
) -> None:
    """A failover that lost an acknowledged invalidation is another incarnation, too."""
    with Supervisor() as owner:
        second = Valkey(owner, "valkey-promoted")
        second.start()
        with redis.Redis.from_url(second.url) as replica, Proxy(valkey.port) as name:
            admin.config_set("repl-diskless-sync-delay", 0)
            replica.replicaof(HOST, valkey.port)
            cache = Cache(provider(name.url))
            assert read(cache, "old") == "old"
            entry = Keyspace(fresh_namespace).entry("k")
            wait_until(lambda: replica.exists(entry), "the replica has it")
            replica.replicaof("no", "one")
            cache.invalidate("t")
            name.target = second.port
            assert read(Cache(provider(name.url, "trust")), "new") == "old"
            assert read(Cache(provider(name.url)), "new") == "new"


def test_a_server_that_does_not_tell_who_it_is(
    provider: Callable[..., Any], valkey: Valkey, admin: redis.Redis
) -> None:
    """Where INFO is not allowed, or is mute, nothing is served, and the error says why."""
    admin.acl_setuser("plain", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-info"])
    cache = Cache(provider(f"redis://plain:any@{HOST}:{valkey.port}/0"))
    with pytest.raises(ProviderRejectedError, match="'info' command"):
        read(cache, "value")
    with pytest.raises(ConfigurationError, match=r"needs INFO.*restarts='trust'"):
        incarnation(b"# Server\r\nredis_version:7.0.0\r\n", b"# Replication\r\nrole:master\r\n")


def test_it_is_set_before_the_first_use(valkey: Valkey, fresh_namespace: str) -> None:
    """Connections that were opened without the question cannot be asked it; nor is there a third way."""
    first = RedisProvider.from_url(valkey.url, namespace=fresh_namespace)
    first.journal_end()
    with pytest.raises(ConfigurationError, match="before the first use"):
        RedisProvider(first.connections, "other", restarts="clear")
    with pytest.raises(ConfigurationError, match="neither 'trust' nor 'clear'"):
        RedisProvider.from_url(valkey.url, namespace=fresh_namespace, restarts="hope")  # type: ignore[arg-type]
    first.close()
