"""Operations where it is rough: threads that race, holders that are killed, scripts that are flushed, servers away."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.supervisor import Supervisor
from local.valkey import Valkey
from local.valkey_cluster import ValkeyPair
from staleproof import AsyncCache, Cache, LockBusyError, LockLostError, ProviderUnavailableError
from staleproof.cache.operations.filters import digest
from staleproof.ports import operations as ops
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis

HOLDER = Path(__file__).parent / "programs" / "lock_holder.py"
THREADS = 8


def together(work: Callable[[int], Any]) -> list[Any]:
    """Do *work* in threads that begin at once; return what each returned."""
    gate, found = threading.Barrier(THREADS), [None] * THREADS

    def run(number: int) -> None:
        gate.wait(30)
        found[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.fixture(params=["memory", "redis"])
def provider(request: pytest.FixtureRequest, valkey_url: str, fresh_namespace: str) -> Iterator[Any]:
    if request.param == "memory":
        made: Any = MemoryProvider(fresh_namespace)
    else:
        made = RedisProvider.from_url(valkey_url, namespace=fresh_namespace)
    yield made
    made.close()


def test_threads_never_get_more_than_limit_and_burst(provider: Any) -> None:
    """However many threads ask at once, so many calls are let through as limit and burst say, and not one more."""
    limiter = Cache(provider).rate_limit("login:{user}", limit=20, per="1d", burst=7)
    granted = together(lambda _: sum(bool(limiter.take(user="ada")) for _ in range(30)))
    assert sum(granted) == 27


def test_a_steady_stream_keeps_to_the_rate(provider: Any) -> None:
    """Over any time t, at most limit + burst + limit * t / per calls are let through."""
    limiter = Cache(provider).rate_limit("api", limit=50, per="1s")
    began = time.monotonic()
    granted = together(
        lambda _: sum(bool(limiter.take()) for _ in iter(lambda: time.monotonic() - began < 0.5, False))
    )
    assert 50 <= sum(granted) <= 50 + 50 * (time.monotonic() - began) + 1


def test_a_lock_excludes_and_its_tokens_rise(provider: Any) -> None:
    """Of many threads one at a time is inside, and the tokens rise in the order in which they were."""
    cache = Cache(provider)
    inside, tokens, overlaps = [0], [], [0]

    def work(_: int) -> None:
        for _ in range(5):
            with cache.lock("report", ttl="30s", wait="60s") as lock:
                inside[0] += 1
                overlaps[0] += inside[0] > 1
                tokens.append(lock.token)
                time.sleep(0.001)
                inside[0] -= 1

    together(work)
    assert overlaps == [0]
    assert len(tokens) == 5 * THREADS
    assert tokens == sorted(set(tokens))


def hold(url: str, namespace: str, ttl: str, renew: str = "") -> tuple[subprocess.Popen[str], int]:
    """Start a process that holds the lock; return it, and its token."""
    process = subprocess.Popen(
        [sys.executable, str(HOLDER), url, namespace, ttl, renew], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.slow
def test_a_killed_holder_is_followed_within_its_time(valkey_url: str, fresh_namespace: str) -> None:
    """When a holder is killed that was prolonging its lock, the next one has it within the ttl, with a higher token."""
    process, token = hold(valkey_url, fresh_namespace, "1500ms", "10m")
    cache = Cache(RedisProvider.from_url(valkey_url, namespace=fresh_namespace))
    with pytest.raises(LockBusyError), cache.lock("report", ttl="1s", wait="2s"):
        pass  # it is prolonged for as long as its holder lives
    process.kill()
    process.communicate()  # waits for its end, and closes the pipe
    killed = time.monotonic()
    with cache.lock("report", ttl="5s", wait="60s") as lock:
        assert time.monotonic() - killed < 1.5 + 2.0  # and what a busy machine adds
        assert lock.token > token
    cache.close()


def test_one_who_was_stopped_for_too_long_is_told(valkey_url: str, fresh_namespace: str) -> None:
    """A holder whose time is over learns it at the latest when he leaves; his token is below the new holder's."""
    cache = Cache(RedisProvider.from_url(valkey_url, namespace=fresh_namespace))
    late, theirs = cache.lock("report", ttl="50ms"), cache.lock("report", ttl="30s", wait="30s")
    with pytest.raises(LockLostError, match="another may have had it"), late:  # noqa: PT012 - in the block's end
        token = late.token
        assert theirs.acquire()
        with pytest.raises(LockLostError):
            late.check()
        assert theirs.token > token
    assert theirs.release()
    cache.close()


def test_tokens_rise_over_a_flush(valkey_url: str) -> None:
    """After all data was lost the next token is still above those before."""
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-flushed")
        server.start()
        cache = Cache(RedisProvider.from_url(server.url, namespace="flushed"))
        tokens = []
        for _ in range(3):
            with cache.lock("report", ttl="1m") as lock:
                tokens.append(lock.token)
            with redis.Redis.from_url(server.url) as client:
                client.flushall()
                client.script_flush()
        assert tokens == sorted(set(tokens))
        cache.close()


def test_a_lock_outlives_a_failover_where_replicas_have_it() -> None:
    """With `durability="replicated"` a promoted replica knows the holder; without replicas no lock is given at all."""
    with Supervisor() as owner:
        pair = ValkeyPair(owner, "locks").start()
        url = f"redis://127.0.0.1:{pair.primary.port}/0"
        cache = Cache(RedisProvider.from_url(url, namespace="kept", durability="replicated"))
        lock = cache.lock("report", ttl="5m")
        assert lock.acquire()
        pair.hand_over()
        after = Cache(RedisProvider.from_url(f"redis://127.0.0.1:{pair.primary.port}/0", namespace="kept"))
        assert not after.lock("report", ttl="5m").acquire()
        alone = Valkey(owner, "valkey-alone")
        alone.start()
        lonely = Cache(RedisProvider.from_url(alone.url, namespace="kept", durability="replicated"))
        with pytest.raises(ProviderUnavailableError, match="no replica is online"):
            lonely.lock("report", ttl="5m").acquire()
        assert lonely.rate_limit("api", limit=1, per="1h").take()
        for each in (cache, after, lonely):
            each.close()


def test_flushed_scripts_are_sent_anew(valkey_url: str, fresh_namespace: str) -> None:
    """A server that has forgotten all scripts runs every operation all the same, once."""
    cache = Cache(RedisProvider.from_url(valkey_url, namespace=fresh_namespace))
    latest = cache.latest("seen", keep=9, kind=int)
    with redis.Redis.from_url(valkey_url) as client:
        for number in range(3):
            client.script_flush()
            latest.push(number)
    assert latest.values() == [2, 1, 0]
    cache.close()


def test_a_build_that_begins_late_a_second_time_loses_nothing(valkey_url: str, fresh_namespace: str) -> None:
    """What was sent again may be executed twice, the second time behind what was filled: no item may go by it."""
    provider = RedisProvider.from_url(valkey_url, namespace=fresh_namespace)
    build = b"build-01"
    begin = ops.FilterBegin("rows", build, 1_000, 3, None)
    for operation in (begin, ops.FilterFill("rows", build, [digest("ada")], False), begin):
        assert provider.perform(operation)
    assert provider.perform(ops.FilterSwap("rows", build, 0, False))
    assert provider.perform(ops.FilterLook("rows", [digest("ada"), digest("bob")], False)) == [True, False]
    provider.close()


def test_waiting_is_no_storm(valkey_url: str, fresh_namespace: str) -> None:
    """Those who wait for a lock ask a bounded number of times: some at first, then about ten times a second."""
    provider = RedisProvider.from_url(valkey_url, namespace=fresh_namespace)
    asked = []
    perform = provider.perform

    def counted(operation: Any) -> Any:
        asked.append(operation)
        return perform(operation)

    provider.perform = counted  # type: ignore[method-assign]
    cache = Cache(provider)
    with cache.lock("report", ttl="1m"):
        assert not cache.lock("report", ttl="1m").acquire(wait="1s")
    assert len(asked) < 40
    cache.close()


def test_a_push_whose_answer_was_lost_is_not_repeated(fresh_namespace: str) -> None:
    """A connection that broke around a push is told of, and never pushed to a second time."""
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-broken")
        server.start()
        cache = Cache(RedisProvider.from_url(server.url, namespace=fresh_namespace))
        latest = cache.latest("seen", keep=9)
        latest.push(1)
        with redis.Redis.from_url(server.url) as client:
            client.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(ProviderUnavailableError, match="look at the newest"):
            latest.push(2)
        assert latest.push(3) == 0
        assert latest.values() == [3, 1]
        cache.close()


def test_a_cancelled_task_gives_back_what_it_waited_for(valkey_url: str, fresh_namespace: str) -> None:
    """Cancelled while it waits for a lock, a task ends at once and holds nothing."""

    async def tried() -> None:
        cache = AsyncCache(AsyncRedisProvider.from_url(valkey_url, namespace=fresh_namespace))
        async with cache.lock("report", ttl="1m") as held:
            waiting = [
                asyncio.create_task(cache.lock("report", ttl="1m", wait="1h").acquire()) for _ in range(20)
            ]
            await asyncio.sleep(0.05)
            for task in waiting:
                task.cancel()
            outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
            assert {type(each) for each in outcomes} == {asyncio.CancelledError}
            assert held.remaining > 0
        async with cache.lock("report", ttl="1m"):
            pass  # nobody else has it
        await cache.close()

    asyncio.run(tried())
