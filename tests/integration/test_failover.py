"""A failover: the node that a name led to is demoted, and the name leads to another. Two real servers, one proxy."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import redis

from local.conditions import wait_until
from local.loopback import HOST, free_port
from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof import Cache, ProviderUnavailableError
from staleproof.keys import Keyspace
from staleproof.providers.redis import RedisProvider
from staleproof.tags import ROOT, tag_id
from staleproof.testing.examples import MINE, MINUTE, invalidation
from tests.integration.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis


class Pair(NamedTuple):
    """Two nodes, as an administrator sees them, and the name under which clients know the primary."""

    first: redis.Redis
    second: redis.Redis
    first_port: int
    second_port: int
    name: Proxy

    def fail_over(self) -> None:
        """Promote the second node, make the first its replica, and point the name at the new primary."""
        self.second.replicaof("no", "one")
        self.first.replicaof(HOST, self.second_port)
        self.name.target = self.second_port


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Valkey]]:
    """Two servers of this module's own."""
    with Supervisor() as owner:
        servers = [Valkey(owner, f"valkey-failover-{number}") for number in (1, 2)]
        for server in servers:
            server.start()
            with redis.Redis.from_url(server.url) as client:
                client.config_set("repl-diskless-sync-delay", 0)
        yield servers


@pytest.fixture
def pair(nodes: list[Valkey]) -> Iterator[Pair]:
    """The first node is the primary, the second its replica in step, the name leads to the first."""
    first, second = (redis.Redis.from_url(node.url) for node in nodes)
    first.replicaof("no", "one")
    first.config_set("replica-serve-stale-data", "yes")
    first.flushall()
    second.replicaof(HOST, nodes[0].port)
    wait_until(lambda: second.info("replication")["master_link_status"] == "up", "the replica is in step")
    with first, second, Proxy(nodes[0].port) as name:
        yield Pair(first, second, nodes[0].port, nodes[1].port, name)


def test_the_new_primary_is_found_at_the_next_call(connect: Callable[[str], Any], pair: Pair) -> None:
    """The call that meets the demoted node fails as unavailable; its repetition reaches the new primary."""
    provider = connect(pair.name.url)
    assert provider.invalidate([invalidation("before")])
    pair.fail_over()
    with pytest.raises(ProviderUnavailableError):
        provider.invalidate([invalidation("after")])
    provider.snapshot([tag_id("after")], MINUTE, guard=False)
    keys = Keyspace(provider.namespace)
    assert pair.second.exists(keys.version(tag_id("after")))
    (place,) = provider.invalidate([invalidation("after")])
    assert not pair.second.exists(keys.version(tag_id("after")))
    assert provider.journal_end() == place


def test_no_connection_of_the_pool_leads_to_the_old_primary_any_more(
    pair: Pair, fresh_namespace: str
) -> None:
    """All that were idle lead to the demoted node: one refusal is enough to leave it with all of them."""
    provider = RedisProvider.from_url(pair.name.url, namespace=fresh_namespace)
    pool: Any = provider.connections
    crowd = 6
    together = threading.Barrier(crowd)

    def warm() -> None:
        wire = pool._grow()
        wire.exchange(b"*1\r\n$4\r\nPING\r\n", 1)
        together.wait(10)
        pool._give_back(wire)

    threads = [threading.Thread(target=warm) for _ in range(crowd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pool._idle) == crowd
    pair.fail_over()
    with pytest.raises(ProviderUnavailableError):
        provider.put("k", b"1", MINUTE)
    for number in range(2 * crowd):
        provider.put(f"k{number}", b"1", MINUTE)
    provider.close()


def test_each_refused_write_is_unavailable(connect: Callable[[str], Any], pair: Pair) -> None:
    """A read-only node says no to every step that writes, and each is worth a retry, for the name may move on."""
    primary = connect(f"redis://{HOST}:{pair.first_port}/0")
    primary.begin("key", [ROOT], MINE, MINUTE, MINUTE, guard=True)
    pair.first.wait(1, 5_000)
    replica = connect(f"redis://{HOST}:{pair.second_port}/0")
    writes: dict[str, Callable[[], Any]] = {
        "begin": lambda: replica.begin("other", [ROOT], MINE, MINUTE, MINUTE, guard=True),
        "snapshot": lambda: replica.snapshot([tag_id("new")], MINUTE, guard=True),
        "store": lambda: replica.store("key", b"1", MINUTE, MINE),
        "put": lambda: replica.put("key", b"1", MINUTE),
        "release": lambda: replica.release("key", MINE),
        "invalidate": lambda: replica.invalidate([invalidation("a")]),
        "invalidate rows": lambda: replica.invalidate([invalidation("a", row_version=3, lag_ms=MINUTE)]),
        "journal_end": replica.journal_end,
    }
    for name, write in writes.items():
        with pytest.raises(ProviderUnavailableError):
            pytest.fail(f"{name} returned {write()!r}")
    with pytest.raises(ProviderUnavailableError, match="leads to a replica"):
        replica.read("key", [ROOT])


def test_a_read_refused_by_a_cut_off_replica_moves_on_too(connect: Callable[[str], Any], pair: Pair) -> None:
    """A demoted node that has lost its primary, and will not serve what it has, is left at the next call."""
    provider = connect(pair.name.url)
    provider.put("key", b"1", MINUTE)
    pair.first.wait(1, 5_000)
    pair.fail_over()
    pair.first.config_set("replica-serve-stale-data", "no")
    pair.first.replicaof(HOST, free_port())
    with pytest.raises(ProviderUnavailableError, match=r"is not ready.*retry"):
        provider.read("key", [])
    assert provider.read("key", []).entry == b"1"


def test_a_retried_invalidation_is_seen_by_all(connect: Callable[[str], Any], pair: Pair) -> None:
    """After the failover, what is acknowledged holds for the process that was there before and for a new one (P1)."""
    cache = Cache(connect(pair.name.url))
    assert cache.get_or_load("k", lambda: "old", tags=["t"]) == "old"
    pair.first.wait(1, 5_000)
    pair.fail_over()
    for _ in range(2):
        try:
            cache.invalidate("t")
        except ProviderUnavailableError:
            continue
        break
    newcomer = Cache(connect(pair.name.url))
    assert newcomer.get_or_load("k", lambda: "new", tags=["t"]) == "new"
    assert cache.get_or_load("k", lambda: "new", tags=["t"]) == "new"
    newcomer.invalidate("t")
    assert cache.get_or_load("k", lambda: "newer", tags=["t"]) == "newer"
