"""A tracked near cache: reads ask nothing, copies go by the server's push, and every doubt ends in asking."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof import Cache, ConfigurationError, NearCache, Policy
from staleproof.providers.redis import RedisProvider, Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis

BOUND = 0.6


def wait_until(condition: Callable[[], bool], patience: float = 10.0) -> None:
    """Return as soon as *condition* holds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)


class Stand:
    """A service with a tracked near cache, and another process that changes what it reads."""

    def __init__(self, url: str, namespace: str) -> None:
        self.near = NearCache()
        self.cache = Cache(
            RedisProvider.from_url(url, namespace=namespace, timeout=0.5),
            policy=Policy(staleness=BOUND, fallback="error"),
            near=self.near,
        )
        self.other = Cache(RedisProvider.from_url(url, namespace=namespace), near=False)
        self.following = RedisProvider.from_url(url, namespace=namespace, timeout=0.5)
        self.tracker = Tracker(self.following, self.near, interval=BOUND / 6)
        self.row = 0

    def read(self, key: str = "row") -> int:
        return self.cache.get_or_load(key, lambda: self.row, tags=["rows"])

    def change(self, **what: Any) -> None:
        self.row += 1
        self.other.invalidate(*what.get("tags", ["rows"]), keys=what.get("keys", ()))

    def close(self) -> None:
        self.tracker.stop()
        self.following.close()
        self.cache.close()
        self.other.close()


@pytest.fixture
def stand(valkey_url: str, fresh_namespace: str) -> Iterator[Stand]:
    stand = Stand(valkey_url, fresh_namespace)
    yield stand
    stand.close()


def test_tracked_reads_ask_nothing(stand: Stand, valkey_url: str) -> None:
    """For longer than the bound, every read is a near hit, and the reader sends the server not one command."""
    stand.tracker.start()
    wait_until(lambda: stand.tracker.confirmations > 0)
    stand.read()
    hits, asked = stand.cache.statistics.near_hits, stand.tracker.confirmations
    with redis.Redis.from_url(valkey_url) as client:
        reads: Any = client.info("commandstats")
        before = reads["cmdstat_mget"]["calls"], reads["cmdstat_xrange"]["calls"]
        deadline = time.monotonic() + 2 * BOUND
        count = 0
        while time.monotonic() < deadline:
            assert stand.read() == 0
            count += 1
        reads = client.info("commandstats")
    assert (reads["cmdstat_mget"]["calls"], reads["cmdstat_xrange"]["calls"]) == before
    assert stand.cache.statistics.near_hits - hits == count > 0
    assert stand.tracker.confirmations > asked


@pytest.mark.parametrize("what", [{"tags": ["rows"]}, {"tags": [], "keys": ["row"]}])
def test_a_copy_goes_by_push(stand: Stand, what: dict[str, Any]) -> None:
    """After another process's invalidation, of a tag or a key, the copy goes although nobody reads."""
    stand.tracker.start()
    wait_until(lambda: stand.tracker.confirmations > 0)
    stand.read()
    assert "row" in stand.near.copies
    stand.change(**what)
    wait_until(lambda: "row" not in stand.near.copies)
    assert stand.tracker.pushes > 0
    assert stand.read() == 1


def test_a_lost_connection_ends_in_asking_and_comes_back(stand: Stand, valkey_url: str) -> None:
    """While the server pushes nothing, the bound holds all the same; then it is tracked again."""
    stand.tracker.start()
    wait_until(lambda: stand.tracker.confirmations > 0)
    stand.read()
    with redis.Redis.from_url(valkey_url) as client:
        for entry in client.client_list():
            if "t" in entry["flags"]:
                client.client_kill_filter(_id=entry["id"])
    stand.change()
    deadline = time.monotonic() + BOUND
    while time.monotonic() <= deadline:
        stand.read()
    assert stand.read() == 1
    before = stand.tracker.confirmations
    wait_until(lambda: stand.tracker.confirmations > before)


def test_a_flushed_server_empties_the_near_cache(stand: Stand, valkey_url: str) -> None:
    """A journal that is gone is a gap: everything goes, and the following begins anew."""
    stand.tracker.start()
    wait_until(lambda: stand.tracker.confirmations > 0)
    stand.read()
    with redis.Redis.from_url(valkey_url) as client:
        client.delete(f"sp:{stand.cache.namespace}:journal")
    wait_until(lambda: "row" not in stand.near.copies)
    stand.read()
    stand.change()
    wait_until(lambda: "row" not in stand.near.copies)


@pytest.mark.slow
def test_a_frozen_server_confirms_nothing(fresh_namespace: str) -> None:
    """While the server hangs, copies grow too old to be served; when it goes on, so does the tracking."""
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-frozen")
        server.start()
        stand = Stand(server.url, fresh_namespace)
        stand.tracker.start()
        wait_until(lambda: stand.tracker.confirmations > 0)
        stand.read()
        server.signal(signal.SIGSTOP)
        wait_until(lambda: stand.near.clock.now().elapsed(stand.near.synced) > BOUND)
        server.signal(signal.SIGCONT)
        before = stand.tracker.confirmations
        wait_until(lambda: stand.tracker.confirmations > before)
        assert stand.read() == 0
        stand.close()


def test_an_interval_of_nothing_is_refused(stand: Stand) -> None:
    """It would ask the server without a pause."""
    with pytest.raises(ConfigurationError, match="interval=0"):
        Tracker(RedisProvider.from_url("redis://127.0.0.1:1/0", namespace="n"), stand.near, interval=0)
