"""A tag with ten thousand keys falls under the eyes of fifty readers: the source notices little, if it falls softly."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from local.conditions import wait_until
from staleproof import Cache, Policy
from staleproof.cache.workers import DEFAULT_THREADS
from staleproof.providers.redis import RedisProvider
from staleproof_pipeline import bootstrap
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.settings import Settings
from staleproof_pipeline.sources.dynamodb_streams import SOURCE
from staleproof_pipeline.warm_requests import MemoryWarmer
from tests.unit.change_records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.redis, pytest.mark.slow]

KEYS, READERS = 10_000, 50
LATENCY = 0.002
"""Seconds that the source takes for an answer, so that loads overlap."""

RULES = """
version: 1
rules:
  - {name: mass, when: {table: Flights}, tags: ["airline:{carrier}"], soft: %s, warm: ["flight:{keys.flight_id}"]}
"""


class SourceOfTruth:
    """What the loaders ask, and how much they ask of it at once.

    Attributes:
        version: what it answers.
        most: loads that were under way at once, at most.
        loads: how many there were.
    """

    def __init__(self) -> None:
        self.version = 1
        self.most = self.loads = 0
        self.together: threading.Barrier | None = None
        self._now = 0
        self._lock = threading.Lock()

    def load(self) -> int:
        """Answer."""
        with self._lock:
            self._now += 1
            self.loads += 1
            self.most = max(self.most, self._now)
        if self.together is not None:
            self.together.wait(30)
        else:
            threading.Event().wait(LATENCY)
        version = self.version
        with self._lock:
            self._now -= 1
        return version


class Stand:
    """A cache full of keys under one tag, its source, and a pipeline."""

    def __init__(self, url: str, namespace: str) -> None:
        self.url, self.namespace = url, namespace
        self.source = SourceOfTruth()
        self.warmer = MemoryWarmer()
        policy = Policy(ttl="1h", stale_while_revalidate="1h")
        self.cache = Cache(
            RedisProvider.from_url(url, namespace=namespace), policy=policy, region="eu-west-1"
        )
        self.cache.put_many({f"flight:f{at}": 1 for at in range(KEYS)}, tags=["airline:UA"])

    def fall(self, *, soft: bool) -> None:
        """Change the source, and let the pipeline hear of it."""
        self.source.version = 2
        settings = Settings(
            cache_url=self.url,
            namespace=self.namespace,
            region="eu-west-1",
            rules_text=RULES % str(soft).lower(),
        )
        parts = {"dead_letters": MemoryDeadLetters(), "links": [], "warmer": self.warmer}
        made = bootstrap.pipeline(settings, **parts)  # type: ignore[arg-type]
        assert made.invalidator.apply([record(1)], SOURCE).failure() is None

    def read(self, number: int) -> int:
        """Read a key as the application does."""
        return self.cache.get_or_load(f"flight:f{number}", self.source.load, tags=["airline:UA"])

    def read_all(self, numbers: range) -> list[int]:
        """Read keys, with fifty readers."""
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(self.read, numbers))


@pytest.fixture
def stand(valkey_url: str, fresh_namespace: str) -> Iterator[Stand]:
    made = Stand(valkey_url, fresh_namespace)
    yield made
    made.cache.close()


def test_a_hard_invalidation_lets_every_reader_load(stand: Stand) -> None:
    """Nobody can be served, so as many load at once as read: what soft mode is compared with."""
    stand.fall(soft=False)
    stand.source.together = threading.Barrier(READERS)
    assert stand.read_all(range(READERS)) == [2] * READERS
    assert stand.source.most == READERS


def test_a_soft_invalidation_bounds_what_the_source_notices(stand: Stand) -> None:
    """Readers are served what was there; never do more loads run at once than a cache refreshes in the background."""
    stand.fall(soft=True)
    assert set(stand.read_all(range(KEYS))) <= {1, 2}
    assert 0 < stand.source.most <= DEFAULT_THREADS
    assert [each.keys for each in stand.warmer.requests] == [("flight:f1",)]

    def fresh() -> bool:
        return stand.read_all(range(200)) == [2] * 200

    wait_until(fresh, "keys that are read are fresh", timeout=60)
    assert stand.source.most <= DEFAULT_THREADS
