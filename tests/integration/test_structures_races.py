"""Writers, readers and invalidations at once, on real servers: no reader sees what was emptied before."""

from __future__ import annotations

import itertools
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from local.supervisor import Supervisor
from local.valkey_cluster import ValkeyCluster
from staleproof import Cache, Policy
from staleproof.providers.redis import RedisProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.redis, pytest.mark.slow]

SECONDS = 2.0
TAGS = ("a", "b", "c")


class Span(NamedTuple):
    """When something began and was over, and what it was about."""

    began: float
    over: float
    what: Any


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """Three primaries: versions, stamp and body lie apart."""
    with Supervisor() as owner:
        yield ValkeyCluster(owner, "structures-races").start()


@pytest.fixture(params=["one server", "cluster"])
def cache(request: pytest.FixtureRequest, fresh_namespace: str) -> Iterator[Cache]:
    clustered = request.param == "cluster"
    url = request.getfixturevalue("cluster").url if clustered else request.getfixturevalue("valkey_url")
    provider = RedisProvider.from_url(url, namespace=fresh_namespace, cluster=clustered, timeout=5.0)
    cache = Cache(provider, policy=Policy(ttl="1m"), near=False)
    yield cache
    cache.close()


def recorded(work: Callable[[], Any], until: float, spans: list[Span], failures: list[BaseException]) -> None:
    """Do *work* until the time has come; note when each began and was over, and what it returned."""
    try:
        while time.monotonic() < until:
            began = time.monotonic()
            what = work()
            spans.append(Span(began, time.monotonic(), what))
    except BaseException as error:  # noqa: BLE001 - it is raised by the test
        failures.append(error)


def test_no_reader_sees_what_was_emptied_before_it_began(cache: Cache) -> None:
    """Whatever was added before an invalidation began is not seen by who begins to read after it was acknowledged."""
    made = cache.set("k", member=int, tags=TAGS)
    numbers = itertools.count()
    ends: Iterator[Callable[[], None]] = itertools.cycle(
        [*(partial(cache.invalidate, tag) for tag in TAGS), partial(cache.evict, "k")]
    )

    def add() -> int:
        number = next(numbers)
        made().add(number)
        return number

    def empty() -> float:
        next(ends)()
        acknowledged = time.monotonic()
        time.sleep(0.003)  # how often, not for how long something takes
        return acknowledged

    until = time.monotonic() + SECONDS
    added: list[Span] = []
    emptied: list[Span] = []
    read: list[Span] = []
    failures: list[BaseException] = []
    jobs: list[tuple[Callable[[], Any], list[Span]]] = [
        *[(add, added)] * 3,
        (empty, emptied),
        *[(lambda: made().members(), read)] * 2,
    ]
    threads = [threading.Thread(target=recorded, args=(work, until, spans, failures)) for work, spans in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert min(len(added), len(read)) > 50
    assert len(emptied) > 10
    assert sum(len(each.what) for each in read) > len(read) / 10
    assert violations(added, emptied, read) == []


def violations(added: list[Span], emptied: list[Span], read: list[Span]) -> list[tuple[Any, ...]]:
    """What was seen though it was over before an invalidation that was over before the reader began."""
    done = {each.what: each.over for each in added}
    found = []
    for reader in read:
        before = [each.began for each in emptied if each.what <= reader.began]
        last = max(before, default=0.0)
        found += [(reader.began, last, number) for number in reader.what if done.get(number, last) < last]
    return found
