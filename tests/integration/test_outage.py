"""A cache server that is away for ten seconds, under load: nobody notices who asked not to, and P1 holds afterwards."""

from __future__ import annotations

import gc
import resource
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.conditions import wait_until
from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof import AsyncCache, Cache, Policy
from staleproof.policies.breaker import Breaker
from staleproof.providers.redis import AsyncRedisProvider, Connections, RedisProvider
from staleproof.providers.redis.async_connections import AsyncConnections
from tests.integration.outage_stand import KEYS, AsyncReader, Crew, Outage, Reader, Source, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.redis, pytest.mark.slow]

AWAY, BEFORE, AFTER = 10.0, 1.0, 2.5
TIMEOUT, FAILURES, COOLDOWN = 0.4, 3, 1.0
STALE = 4.0
"""For how long a stale copy is good enough: less than the outage, so that the bound is seen to bite."""

MAX_GROWTH = 24 * 2**20

LOAD = Policy(ttl="1m")
NEAR = Policy(ttl="1m", staleness=0.3)
KEPT = Policy(ttl="1m", fallback="stale", stale_if_error=STALE)
STRICT = Policy(ttl="1m", fallback="error")
TIMED = Policy(ttl="1m", hard_timeout="20s")
POLICIES = {"load": LOAD, "near": NEAR, "stale": KEPT, "error": STRICT, "timed": TIMED}


class Scene:
    """A server of the test's own, everybody who uses it, and the outage."""

    def __init__(self, valkey: Valkey, namespace: str, **options: Any) -> None:
        self.valkey, self._namespace, self._options = valkey, namespace, options
        self.source, self.outage = Source(), Outage()
        self.readers = [self.reader(name, policy) for name, policy in POLICIES.items()]
        self.readers += [self.async_reader(f"async {name}", policy) for name, policy in POLICIES.items()]
        self.writer = Writer(self.cache(), self.source)
        self.deferring = self.cache(unreachable="defer")
        self.promised = Source()
        """Rows of the deferring cache alone: what it was told counts for itself at once."""
        self.deferred_reader = Reader("deferring", self.deferring, LOAD, self.promised, self.outage, COOLDOWN)
        self.deferred_writer = Writer(self.deferring, self.promised)

    def cache(self, **options: Any) -> Cache:
        connections = Connections(self.valkey.url, timeout=TIMEOUT)
        provider = RedisProvider(
            connections, self._namespace + options.get("unreachable", ""), **self._options
        )
        return Cache(provider, breaker=Breaker(FAILURES, COOLDOWN), **options)

    def reader(self, name: str, policy: Policy) -> Reader:
        return Reader(name, self.cache(), policy, self.source, self.outage, COOLDOWN)

    def async_reader(self, name: str, policy: Policy) -> AsyncReader:
        connections = AsyncConnections(self.valkey.url, timeout=TIMEOUT)
        provider = AsyncRedisProvider(connections, self._namespace, **self._options)
        cache = AsyncCache(provider, breaker=Breaker(FAILURES, COOLDOWN))
        return AsyncReader(name, cache, policy, self.source, self.outage, COOLDOWN)

    @property
    def everybody(self) -> list[Reader]:
        return [*self.readers, self.deferred_reader]

    @property
    def caches(self) -> list[Any]:
        return [self.writer.cache, *(reader.cache for reader in self.everybody)]

    def play(self, server: Server) -> None:
        """Run the crew before, during and after the outage."""
        writers = [self.writer.run, self.deferred_writer.run]
        crew = Crew([*(reader.run for reader in self.everybody), *writers])
        try:
            time.sleep(BEFORE)
            server.prepare()
            gc.collect()
            self.resident = resident()
            self.outage.began = time.monotonic()
            server.go()
            time.sleep(AWAY)
            server.come()
            self.outage.ended = time.monotonic()
            time.sleep(AFTER)
        finally:
            crew.stop()
        self.quiet_since = time.monotonic()
        gc.collect()
        self.grown = resident() - self.resident
        assert crew.faults == []

    def close(self) -> None:
        for reader in self.everybody:
            reader.close()
        self.writer.cache.close()


class Server:
    """A way to be away."""

    def __init__(self, valkey: Valkey) -> None:
        self.valkey = valkey

    def prepare(self) -> None:
        """Do what must be done just before."""

    def go(self) -> None:
        """Die."""
        self.valkey.kill()

    def come(self) -> None:
        """Come back with what is on the disk, if anything."""
        self.valkey.start()


class Hanging(Server):
    """It takes connections and commands, and answers none; when it is back it executes what it was sent."""

    def go(self) -> None:
        """Freeze."""
        self.valkey.signal(signal.SIGSTOP)

    def come(self) -> None:
        """Thaw."""
        self.valkey.signal(signal.SIGCONT)


class Restored(Server):
    """It comes back with a snapshot older than what it has acknowledged since."""

    def prepare(self) -> None:
        """Save, and let the crew work on: what it invalidates now will be forgotten."""
        with redis.Redis.from_url(self.valkey.url) as client:
            client.save()
        time.sleep(BEFORE)


def resident() -> int:
    """Return how much memory this process has, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as owner:
        yield owner


def played(valkey: Valkey, kind: type[Server], namespace: str, **options: Any) -> Scene:
    """Return a scene that was played on *valkey*."""
    valkey.start()
    threads = threading.active_count()
    scene = Scene(valkey, namespace, **options)
    scene.play(kind(valkey))
    wait_until(lambda: threading.active_count() <= threads + 8, "no thread is left behind")
    return scene


def check(scene: Scene) -> None:
    """What holds whatever the outage was."""
    assert [wrong for reader in scene.everybody for wrong in reader.wrong] == []
    assert [fault for reader in scene.everybody for fault in reader.faults] == []
    assert scene.writer.faults == scene.deferred_writer.faults == []
    assert scene.writer.refused > 0
    assert scene.deferred_writer.refused == 0
    for reader in scene.everybody:
        strict = reader.policy.fallback == "error"
        assert (reader.raised["during"] > 0) == strict, reader.name
        assert strict or sum(reader.raised.values()) == 0, reader.name
        assert reader.calls["during"] > 30 * AWAY, reader.name
        assert reader.recovered is not None, reader.name
        assert reader.recovered <= COOLDOWN + 1, reader.name
        check_breaker(reader.cache)
    for reader in scene.readers:
        assert (reader.fell_back["during"] > 0) == (reader.policy.fallback == "stale"), reader.name
    check_drained(scene)
    # Whatever happened: who reads now, past every bound, sees the newest version of everything.
    wait_until(lambda: time.monotonic() > scene.quiet_since + (NEAR.staleness or 0), "the bound is over")
    for reader in scene.readers:
        assert {key: reader.read(key) for key in KEYS} == {key: scene.source.newest(key) for key in KEYS}
    record(scene)
    scene.close()


def record(scene: Scene) -> None:
    """Print what was measured; `pytest -s` shows it."""
    print(f"\nmemory {scene.grown / 2**20:+.1f} MiB; loads {scene.source.loads}")
    for reader in scene.everybody:
        misses = reader.cache.statistics.misses
        print(
            f"{reader.name:12} reads/s before {reader.calls['before'] / BEFORE:5.0f}, "
            f"during {reader.calls['during'] / AWAY:5.0f}; waited for the server {misses['unreachable']}, "
            f"spared {misses['breaker']}; stale {reader.fell_back['during']}, "
            f"raised {reader.raised['during']}, answered again after {reader.recovered:.2f} s"
        )


def check_breaker(cache: Any) -> None:
    """It opened and closed, and few reads waited for a server that was away: the first ones, and the probes."""
    breaker, misses = cache.core.breaker, cache.statistics.misses
    assert breaker.opened >= 1
    assert not breaker.is_open
    assert 0 < misses["unreachable"] <= 2 * FAILURES + AWAY / COOLDOWN + 2
    assert misses["breaker"] > misses["unreachable"]


def check_drained(scene: Scene) -> None:
    """Nothing is left over: no flight, no thread, no record, and no memory to speak of."""
    for cache in scene.caches:
        assert len(cache.driver.flights) == 0
        assert cache.core.breaker.in_a_row == 0
        workers = getattr(cache.driver, "workers", None)
        assert workers is None or (workers.busy, workers.detached) == (0, 0)
    deferring = scene.deferring
    assert deferring.statistics.fallbacks["deferred"] > 0
    assert len(deferring.core.deferred or ()) == 0
    assert scene.grown < MAX_GROWTH


def test_a_server_that_hangs(supervisor: Supervisor, fresh_namespace: str) -> None:
    """Frozen for ten seconds under load, then thawed, with all that was sent to it meanwhile."""
    check(played(Valkey(supervisor, "valkey-outage"), Hanging, fresh_namespace))


def test_a_server_that_comes_back_empty(supervisor: Supervisor, fresh_namespace: str) -> None:
    """Killed under load, and started anew after ten seconds without any data."""
    check(played(Valkey(supervisor, "valkey-outage"), Server, fresh_namespace))


def test_a_server_that_comes_back_as_it_was(
    supervisor: Supervisor, fresh_namespace: str, tmp_path: Path
) -> None:
    """Killed under load, and started anew after ten seconds with every write from its append-only file."""
    check(played(Valkey(supervisor, "valkey-outage", persist=tmp_path), Server, fresh_namespace))


def test_a_server_that_comes_back_with_an_older_snapshot(
    supervisor: Supervisor, fresh_namespace: str
) -> None:
    """Killed under load, and started anew from a snapshot older than what it acknowledged: it is cleared first."""
    server = Valkey(supervisor, "valkey-outage")
    check(played(server, Restored, fresh_namespace, restarts="clear"))
