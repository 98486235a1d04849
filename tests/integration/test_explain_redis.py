"""Explaining over a real server: what the journal of a region tells, on both faces, and when the server is away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof import AsyncCache, Cache, Policy
from staleproof.events.invalidation import Cause, Invalidation
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.cache.explanation import Explanation

pytestmark = pytest.mark.redis

KEY = "product:42"
TAGS = ("product:42", "catalog")
POLICY = Policy(ttl="10m", staleness=0, patience=0)


class Process:
    """One face of a cache over a server, and another process beside it."""

    def __init__(self, url: str, namespace: str, awaits: bool) -> None:
        self.awaits = awaits
        self.runner = asyncio.Runner() if awaits else None
        make: Any = AsyncCache if awaits else Cache
        provider: Any = AsyncRedisProvider if awaits else RedisProvider
        self.cache = make(
            provider.from_url(url, namespace=namespace, timeout=0.5), policy=POLICY, region="eu-west-1"
        )
        self.elsewhere = Cache(
            RedisProvider.from_url(url, namespace=namespace, timeout=0.5), policy=POLICY, region="us-east-1"
        )
        self.namespace = namespace

    def do(self, result: Any) -> Any:
        return result if self.runner is None else self.runner.run(result)

    def read(self) -> Any:
        async def load() -> str:
            return "value"

        return self.do(
            self.cache.get_or_load(
                KEY, load if self.awaits else lambda: "value", tags=TAGS, tags_from=lambda _: ["brand:7"]
            )
        )

    def explain(self) -> Explanation:
        found: Explanation = self.do(self.cache.explain(KEY, tags=TAGS))
        return found

    def close(self) -> None:
        self.do(self.cache.close())
        self.elsewhere.close()
        if self.runner is not None:
            self.runner.close()


@pytest.fixture(params=[False, True], ids=["blocking", "awaiting"])
def process(request: pytest.FixtureRequest, valkey_url: str, fresh_namespace: str) -> Iterator[Process]:
    it = Process(valkey_url, fresh_namespace, request.param)
    yield it
    it.close()


def everything(url: str, namespace: str) -> dict[bytes, tuple[Any, bool]]:
    """Return every key of the namespace with what it holds, and whether it ends."""
    with redis.Redis.from_url(url) as client:
        names = list(client.scan_iter(f"sp:{namespace}:*"))
        return {name: (client.dump(name), client.pttl(name) > 0) for name in names}


def test_a_rotated_tag_is_explained_by_the_journal(process: Process) -> None:
    """Event, rule, entity, origin and trace come back from the region's stream; a revealed tag gets its text there."""
    process.read()
    assert str(process.explain()).startswith("L1 HIT, after a check of the journal -> L2 HIT, ")
    why = Cause(source="dynamodb:Products", rules=("price-change",), entity="42", operation="modify")
    record = Invalidation(
        id="01JC",
        origin="eu-west-1",
        namespace=process.namespace,
        tags=("brand:7",),
        trace="1-2",
        cause=why,
    )
    process.elsewhere.provider.invalidate([record])
    told = process.explain()
    assert str(told).startswith("L1 DROPPED -> L2 HIT, ")
    assert str(told).endswith("STALE: tag 'brand:7' rotated by evt 01JC (rule 'price-change', eu-west-1)")
    (cause,) = told.causes
    assert (cause.entity, cause.operation, cause.trace, cause.place) == (
        "42",
        "modify",
        "1-2",
        f"{cause.place.partition('#')[0]}#01JC",
    )
    assert (told.outcome, told.reason, told.near.cause) == ("load", "tag", "01JC")


def test_soft_hard_and_cleared_are_told_apart(process: Process) -> None:
    """The server keeps what softly ended; what is gone is gone, and the newest record says why."""
    process.read()
    process.elsewhere.invalidate("catalog", soft=True)
    assert "tag 'catalog' softly invalidated by" in str(process.explain())
    assert process.explain().tags[2].verdict == "soft"
    process.elsewhere.clear()
    assert "the namespace cleared by" in str(process.explain())
    process.elsewhere.evict(KEY)
    assert "nothing is stored; last evicted by evt" in str(process.explain())


def test_the_search_goes_back_over_many_pages(process: Process) -> None:
    """Behind a thousand records of others the one that matters is found, in a few questions."""
    process.read()
    process.elsewhere.invalidate("catalog")
    (wanted,) = process.explain().causes
    for start in range(0, 1_500, 100):
        process.elsewhere.provider.invalidate(
            [process.elsewhere.invalidation(tags=[f"other:{n}"]) for n in range(start, start + 100)]
        )
    told = process.explain()
    assert [each.event for each in told.causes] == [wanted.event]
    assert told.search is not None
    assert 1_500 <= told.search.records <= 1_600


def test_explaining_leaves_the_server_as_it_is(process: Process, valkey_url: str) -> None:
    """Every key of the namespace holds the same bytes afterwards; an empty namespace stays empty."""
    process.explain()
    assert everything(valkey_url, process.namespace) == {}
    process.read()
    process.elsewhere.invalidate("catalog")
    before = everything(valkey_url, process.namespace)
    assert len(before) >= 4
    counted = process.cache.statistics.as_dict()
    process.explain()
    assert everything(valkey_url, process.namespace) == before
    assert process.cache.statistics.as_dict() == counted


@pytest.mark.parametrize("awaits", [False, True], ids=["blocking", "awaiting"])
def test_a_server_that_died_is_explained(awaits: bool, fresh_namespace: str) -> None:
    """No exception and no failure counted while it is away; the same process explains again once it is back."""
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-explain")
        server.start()
        it = Process(server.url, fresh_namespace, awaits)
        it.read()
        server.kill()
        told = it.explain()
        assert str(told).startswith("L1 UNCHECKED -> L2 AWAY: ProviderUnavailableError: ")
        assert (told.outcome, told.reason, told.outage.in_a_row) == ("load", "unreachable", 0)
        server.start()
        assert it.explain().reason == "absent"
        it.close()
