"""A consumer that dies without warning, at any point, loses nothing: what it did not acknowledge comes again."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from staleproof.providers.redis import RedisProvider
from staleproof.tags import tag_id
from staleproof_pipeline.replication.follow import Followed
from staleproof_pipeline.sources import dynamodb_streams
from tests.integration.programs.pipeline_regions import CHUNK, HOME, PeerLink, follower, invalidator
from tests.unit.change_records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.redis

COUNT = 3 * CHUNK
TAGS = [tag_id(f"flight:f{n}") for n in range(COUNT)]
IDS = {f"event-{n}" for n in range(COUNT)}
BATCH = [record(n) for n in range(COUNT)]


class Regions(NamedTuple):
    """Two regions whose caches hold every flight; each has a database of the server to itself."""

    home_url: str
    peer_url: str
    namespace: str
    home: RedisProvider
    peer: RedisProvider

    def kill_consumer(self, point: str) -> None:
        """Let a consumer take the batch, and kill it at *point*."""
        arguments = [self.home_url, self.peer_url, self.namespace, point]
        program = "tests.integration.programs.pipeline_regions"
        consumer = subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with consumer:
            assert consumer.stdin is not None
            assert consumer.stdout is not None
            consumer.stdin.write(json.dumps({"Records": BATCH}))
            consumer.stdin.close()
            reached = consumer.stdout.readline()
            consumer.kill()
        assert reached == "here\n"

    def redeliver(self) -> None:
        """Deliver the batch again, as Lambda does with what was not acknowledged."""
        again = invalidator(self.home_url, self.namespace, HOME, [self.link()])
        assert again.apply(BATCH, dynamodb_streams.SOURCE).failure() is None

    def follow(self) -> Followed:
        """Run the safety net once."""
        return follower(self.home_url, self.namespace, self.link()).run(10)

    def link(self) -> PeerLink:
        """The way to the peer."""
        return PeerLink(self.peer_url, self.namespace)


@pytest.fixture
def regions(valkey_url: str, fresh_namespace: str) -> Iterator[Regions]:
    home_url, peer_url = (valkey_url.removesuffix("/0") + f"/{database}" for database in (1, 2))
    home, peer = (RedisProvider.from_url(url, namespace=fresh_namespace) for url in (home_url, peer_url))
    for provider in (home, peer):
        provider.snapshot(TAGS, 60_000, guard=False)
    yield Regions(home_url, peer_url, fresh_namespace, home, peer)
    home.close()
    peer.close()


def stale(provider: RedisProvider) -> int:
    """How many flights a reader would still be served as they were."""
    return sum(version is not None for version in provider.read("", TAGS).versions)


def journaled(provider: RedisProvider) -> list[str]:
    """The ids in the journal, with repetitions."""
    page: Any = provider.journal("", 10_000)
    return [each.id for _, each in page.records if each.origin]


def test_killed_between_journal_and_push_nothing_is_lost(regions: Regions) -> None:
    """The home has everything; the follower alone brings the peer to the same."""
    regions.kill_consumer("before-push")
    assert (stale(regions.home), stale(regions.peer)) == (0, COUNT)

    assert regions.follow() == Followed(COUNT, complete=True)

    assert stale(regions.peer) == 0
    assert set(journaled(regions.peer)) == IDS
    assert regions.follow() == Followed(0, complete=True)


def test_killed_between_apply_and_acknowledge_nothing_is_lost(regions: Regions) -> None:
    """Redelivered, everything is applied a second time, which changes nothing that a reader sees."""
    regions.kill_consumer("after-push")
    assert (stale(regions.home), stale(regions.peer)) == (0, 0)
    fresh = regions.home.snapshot(TAGS[:1], 60_000, guard=False).versions

    regions.redeliver()
    regions.follow()

    assert regions.home.read("", TAGS[:1]).versions != fresh, "a repetition costs a miss, never a stale hit"
    assert (stale(regions.home), stale(regions.peer)) == (0, 0)
    assert set(journaled(regions.home)) == set(journaled(regions.peer)) == IDS


def test_killed_in_mid_batch_nothing_is_lost(regions: Regions) -> None:
    """Between two chunks only the first is done; the redelivery and the follower do the rest in both regions."""
    regions.kill_consumer("mid-batch")
    assert (stale(regions.home), stale(regions.peer)) == (COUNT - CHUNK, COUNT)

    regions.redeliver()
    assert (stale(regions.home), stale(regions.peer)) == (0, 0)
    regions.follow()

    assert set(journaled(regions.home)) == set(journaled(regions.peer)) == IDS


@pytest.mark.parametrize("point", ["before-push", "after-push", "mid-batch"])
def test_any_number_of_crashes_ends_in_the_same_state(regions: Regions, point: str) -> None:
    """Crash after crash at the same point, then one delivery: as if nothing had happened."""
    for _ in range(2):
        regions.kill_consumer(point)
    regions.redeliver()
    regions.follow()

    assert (stale(regions.home), stale(regions.peer)) == (0, 0)
    assert set(journaled(regions.peer)) == IDS
