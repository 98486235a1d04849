"""Structures where something goes wrong: lost replies, forgotten scripts, long commands, servers that are away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.supervisor import Supervisor
from local.valkey import Valkey
from local.valkey_cluster import ValkeyCluster
from staleproof import Breaker
from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import CircuitOpenError, ProviderUnavailableError
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.testing import Blocking
from staleproof.testing.cache_case import CacheCase
from staleproof.testing.structures_case import HOUR, KINDS, StructuresCase
from tests.contract.cluster_world import Mover
from tests.integration.fussy_server import MOST_ARGUMENTS, FussyServer
from tests.integration.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis
made = StructuresCase.made

DONE_ONCE: dict[str, tuple[str, dict[str, Any], Callable[[Any], object], Callable[[Any], Any], Any]] = {
    "INCRBY": ("counter", {}, lambda it: it.incr(5), lambda it: it.get(), 5),
    "INCRBYFLOAT": ("counter", {"kind": float}, lambda it: it.incr(0.5), lambda it: it.get(), 0.5),
    "ZINCRBY": ("sorted_set", {}, lambda it: it.incr("ann", 5), lambda it: it.score("ann"), 5.0),
    "HINCRBY": ("hash", {}, lambda it: it.incr("ann", 5), lambda it: it.get("ann"), 5),
    "RPUSH": ("list", {}, lambda it: it.push_right("a", "b"), lambda it: it.range(), ["a", "b"]),
    "XADD": ("stream", {}, lambda it: it.append("a"), lambda it: it.size(), 1),
    "SADD": ("set", {}, lambda it: it.add("a"), lambda it: it.members(), {"a"}),
    "SETBIT": ("bitmap", {}, lambda it: it.set(3), lambda it: it.first(), 3),
}
DONE_AGAIN: dict[str, tuple[str, dict[str, Any], Callable[[Any], object], Callable[[Any], Any], Any]] = {
    "ZADD": ("sorted_set", {}, lambda it: it.add("ann", 5), lambda it: it.top(), [("ann", 5.0)]),
    "HSET": ("hash", {}, lambda it: it.set("ann", 5), lambda it: it.all(), {"ann": 5}),
    "SET\r\n": ("counter", {}, lambda it: it.set(5), lambda it: it.get(), 5),
    "GEOADD": ("geo", {}, lambda it: it.add("ann", 1, 2), lambda it: it.size(), 1),
    "SREM": ("set", {}, lambda it: it.remove("ann"), lambda it: it.members(), set()),
    "SMEMBERS": ("set", {}, lambda it: it.members(), lambda it: it.members(), set()),
}


@pytest.fixture
def line(valkey: Valkey) -> Iterator[Proxy]:
    """The way to the server, on which replies can be lost."""
    with Proxy(valkey.port) as line:
        yield line


@pytest.fixture(params=["blocking", "awaiting"])
def caches(request: pytest.FixtureRequest, fresh_namespace: str) -> Iterator[Callable[..., Any]]:
    """Makes caches of one face over a server's address."""
    providers: list[Any] = []

    def make(url: str, *, cluster: bool = False, breaker: Breaker | None = None) -> Any:
        options: Any = {"namespace": fresh_namespace, "cluster": cluster, "timeout": 5.0}
        provider: Any = (
            RedisProvider.from_url(url, **options)
            if request.param == "blocking"
            else Blocking(AsyncRedisProvider.from_url(url, **options))
        )
        providers.append(provider)
        return CacheCase.face(provider, SYSTEM_CLOCK, HOUR, near=False, breaker=breaker)

    yield make
    for each in providers:
        (each.shut if isinstance(each, Blocking) else each.close)()


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    """The server itself."""
    with redis.Redis.from_url(valkey_url) as client:
        yield client


def warm(cache: Any) -> None:
    """Use the cache's connection, so that a failure on it is tried once more; and have the server know the scripts."""
    made(cache, "counter", "warm:{n}")(1).incr()


@pytest.mark.parametrize("command", DONE_ONCE)
def test_a_lost_reply_is_told_and_nothing_is_doubled(
    command: str, caches: Callable[..., Any], line: Proxy
) -> None:
    """Where the reply to what must not be done twice is lost, the error says so, and it was done once."""
    kind, options, act, look, expected = DONE_ONCE[command]
    cache = caches(line.url)
    warm(cache)
    handle = made(cache, kind, **options)(1)
    line.lose_reply(lambda request: command.encode() in request)
    with pytest.raises(ProviderUnavailableError, match="not known; look before you repeat it"):
        act(handle)
    assert line.lost == 1
    assert look(handle) == expected


@pytest.mark.parametrize("command", ["LPOP", "SPOP"])
def test_what_was_popped_to_nobody_is_gone(command: str, caches: Callable[..., Any], line: Proxy) -> None:
    """A pop whose reply is lost takes one value, and the next pop the next one."""
    cache = caches(line.url)
    warm(cache)
    handle = made(cache, "list" if command == "LPOP" else "set")(1)
    (handle.push_right if command == "LPOP" else handle.add)("a", "b", "c")
    line.lose_reply(lambda request: command.encode() in request)
    with pytest.raises(ProviderUnavailableError, match="not known"):
        (handle.pop_left if command == "LPOP" else handle.pop)()
    assert handle.size() == 2


@pytest.mark.parametrize("command", DONE_AGAIN)
def test_what_may_be_done_again_is(command: str, caches: Callable[..., Any], line: Proxy) -> None:
    """Where a repetition changes nothing, a lost reply is not noticed."""
    kind, options, act, look, expected = DONE_AGAIN[command]
    cache = caches(line.url)
    warm(cache)
    handle = made(cache, kind, **options)(1)
    if command == "SREM":
        handle.add("ann")
    line.lose_reply(lambda request: b"\r\n" + command.encode() in request and b"PX" not in request)
    act(handle)
    assert line.lost == 1
    assert look(handle) == expected


def test_a_body_that_is_looked_for_twice_is_one(
    caches: Callable[..., Any], line: Proxy, valkey_url: str
) -> None:
    """Where the reply to the search for a body is lost, it is done again, and everybody finds the same one."""
    cache, other = caches(line.url), caches(valkey_url)
    warm(cache)
    line.lose_reply(lambda request: b":v:" in request)
    assert made(cache, "counter")(1).incr() == 1
    assert line.lost == 1
    assert made(other, "counter")(1).get() == 1


def test_a_server_that_forgets_its_scripts(
    caches: Callable[..., Any], valkey_url: str, client: redis.Redis
) -> None:
    """A server that does not know a script is sent its text, and nothing is done twice for it."""
    cache = caches(valkey_url)
    counter, row = made(cache, "counter")(1), made(cache, "list", "l:{n}", value=int)(1)
    for expected in range(1, 4):
        client.script_flush()
        assert counter.incr() == expected
        client.script_flush()
        assert row.push_right(*range(2_500)) == 2_500 * expected


def test_no_command_is_longer_than_serverless_takes(caches: Callable[..., Any], valkey: Valkey) -> None:
    """Whatever is asked for at once, no command has 4,000 arguments."""
    many = list(range(5_000))
    with FussyServer(valkey.port) as fussy:
        cache = caches(fussy.url)
        made(cache, "sorted_set", member=int)(1).add_many(dict.fromkeys(many, 1.0))
        made(cache, "hash", "h:{n}", field=int)(1).set_many(dict.fromkeys(many, 1))
        made(cache, "list", "l:{n}", value=int)(1).push_left(*many)
        made(cache, "geo", "g:{n}", member=int)(1).add_many(dict.fromkeys(many, (1, 2)))
        members = made(cache, "set", "s:{n}", member=int)(1)
        members.add(*many)
        assert len(members.contains_many(many)) == len(many)
        assert members.remove(*many) == len(many)
        assert fussy.refused == []
        assert fussy.longest <= MOST_ARGUMENTS


def test_nothing_is_left_for_ever(
    caches: Callable[..., Any], valkey_url: str, client: redis.Redis, fresh_namespace: str
) -> None:
    """Every key that a structure has on the server ends by itself, also of bodies that nobody finds any more."""
    cache = caches(valkey_url)
    for kind, (_, fill, _, _) in KINDS.items():
        for _ in range(2):
            fill(made(cache, kind, f"{kind}:{{n}}")(1))
            cache.evict(f"{kind}:1")
            fill(made(cache, kind, f"{kind}:{{n}}")(1))
            cache.invalidate("all")
        fill(made(cache, kind, f"{kind}:{{n}}")(1))
    one, other = (made(cache, "hyperloglog", "h:{n}")(n) for n in "xy")
    other.add("a")
    one.merge(other)
    ends = {key: client.pttl(key) for key in client.scan_iter(f"sp:{fresh_namespace}:*")}
    for kept in (b"journal", b"guard"):  # those of the cache itself
        ends.pop(f"sp:{fresh_namespace}:".encode() + kept, None)
    assert len(ends) > 3 * len(KINDS)
    assert [key for key, left in ends.items() if not 0 < left < 3_700_000 + 60_000] == []
    assert [key for key in ends if key.endswith(b":t")] == []


def test_a_server_that_is_away(caches: Callable[..., Any]) -> None:
    """Structures have no fallback: they raise, and after some failures at once, like everything else."""
    with Supervisor() as owner:
        server = Valkey(owner, "structures-away")
        server.start()
        cache = caches(server.url, breaker=Breaker(failures=3))
        handle = made(cache, "counter")(1)
        handle.incr()
        server.kill()
        for _ in range(3):
            with pytest.raises(ProviderUnavailableError):
                handle.incr()
        with pytest.raises(CircuitOpenError) as refused:
            handle.incr()
        assert "not known" not in str(refused.value)  # it was not asked


@pytest.mark.slow
def test_counts_are_exact_while_slots_move(caches: Callable[..., Any]) -> None:
    """Redirections, in the middle of a resharding, too, neither lose nor double what is counted, pushed and popped."""
    with Supervisor() as owner:
        cluster = ValkeyCluster(owner, "structures-moving").start()
        cache = caches(cluster.url, cluster=True)
        handles = [(made(cache, "counter")(n), made(cache, "list", "l:{n}", value=int)(n)) for n in range(8)]
        slots = [cluster.primaries[0].ask("CLUSTER", "KEYSLOT", f"kk:{n}") for n in range(8)]
        slots += [cluster.primaries[0].ask("CLUSTER", "KEYSLOT", f"kl:{n}") for n in range(8)]
        turns, values = iter(range(1_000_000)), list(range(120))

        def move(rest: Callable[[float], object]) -> None:
            turn = next(turns)
            target = cluster.primaries[turn // len(slots) % len(cluster.primaries)]
            cluster.move(slots[turn % len(slots)], target, meanwhile=lambda: rest(0.002))

        mover = Mover(move)
        try:
            for at in range(60):
                for counter, row in handles:
                    assert counter.incr() == at + 1
                    assert row.push_right(*values[2 * at : 2 * at + 2]) == at + 2
                    assert row.pop_left() == values[at]
        finally:
            mover.stop()
        assert mover.moves > len(slots)
        for counter, row in handles:
            assert counter.get() == 60
            assert row.range() == values[60:]
