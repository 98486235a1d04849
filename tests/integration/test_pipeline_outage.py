"""A real cache server that dies or hangs in the middle of a batch."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from redis import Redis

from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof.errors import ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.redis import Connections, RedisProvider
from staleproof_pipeline.report import Outcome
from tests.unit.change_records import record, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof.events import Invalidation
    from staleproof_pipeline.report import Report

pytestmark = pytest.mark.redis

CHUNK = 10
TIMEOUT = 0.3
BATCH = [record(n) for n in range(4 * CHUNK)]


class WatchedProvider(RedisProvider):
    """Calls *before* with the number of each invalidating call."""

    before: Callable[[int], None] = staticmethod(lambda _: None)
    calls = 0

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[str]:
        self.calls += 1
        self.before(self.calls)
        return super().invalidate(invalidations)


class Server(NamedTuple):
    """A server of this test's own, whose process the test may kill and freeze."""

    supervisor: Supervisor
    valkey: Valkey

    def signal(self, number: int) -> None:
        self.supervisor.signal(self.valkey.name, number)

    def configure(self, name: str, value: str) -> None:
        with Redis.from_url(self.valkey.url) as client:
            client.config_set(name, value)


@pytest.fixture
def server() -> Iterator[Server]:
    with Supervisor() as supervisor:
        valkey = Valkey(supervisor, "valkey")
        valkey.start()
        yield Server(supervisor, valkey)


@pytest.fixture
def provider(server: Server) -> Iterator[WatchedProvider]:
    made = WatchedProvider(Connections(server.valkey.url, timeout=TIMEOUT), "flights")
    yield made
    made.close()


def counted(report: Report) -> tuple[int, int]:
    counts = report.counts()
    assert sum(counts.values()) == len(BATCH)
    return counts["applied"], counts["failed"]


def test_a_server_killed_in_mid_batch_fails_the_rest(server: Server, provider: WatchedProvider) -> None:
    """What it acknowledged counts, everything after fails by an error that says what to check; the rest comes again."""
    provider.before = lambda call: server.valkey.kill() if call == 3 else None
    made = world(provider=provider, chunk=CHUNK)

    report = made.apply(*BATCH)

    assert counted(report) == (2 * CHUNK, 2 * CHUNK)
    assert isinstance(report.failure(), ProviderUnavailableError)
    assert "cannot be reached" in str(report.failure())
    assert "check endpoint, security group and TLS" in str(report.failure())

    provider.before = lambda _: None
    server.valkey.start()
    failed = [
        each for each, told in zip(BATCH, report.outcomes, strict=True) if told.outcome is Outcome.FAILED
    ]
    assert made.apply(*failed).failure() is None
    assert len(made.journal()) == len(failed)


def test_a_server_that_hangs_costs_one_timeout_a_batch(server: Server, provider: WatchedProvider) -> None:
    """A frozen server fails the batch after the time-out, not after one time-out a record."""
    made = world(provider=provider, chunk=CHUNK)
    made.apply(BATCH[0])
    server.signal(signal.SIGSTOP)
    try:
        start = time.monotonic()
        report = made.apply(*BATCH)
        took = time.monotonic() - start
    finally:
        server.signal(signal.SIGCONT)

    assert counted(report) == (0, len(BATCH))
    assert took < 8 * TIMEOUT
    assert made.apply(*BATCH).failure() is None


def test_a_server_without_memory_refuses_and_loses_nothing(server: Server, provider: WatchedProvider) -> None:
    """A full server rejects the journal's record, so nothing is acknowledged; with room again everything is applied."""
    made = world(provider=provider, chunk=CHUNK)
    made.apply(BATCH[0])
    server.configure("maxmemory", "1")

    report = made.apply(*BATCH)
    assert counted(report) == (0, len(BATCH))
    assert isinstance(report.failure(), ProviderRejectedError)

    server.configure("maxmemory", "0")
    assert made.apply(*BATCH).failure() is None
