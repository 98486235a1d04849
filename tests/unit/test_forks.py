"""A forked child begins anew: no lock, load or copy of a parent's thread that it does not have."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Cache, NearCache, Policy
from staleproof.cache import nesting
from staleproof.providers.memory import MemoryProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

ALARM = 5
"""Seconds after which a child that hangs is ended by the kernel."""


def in_child(work: Callable[[], bool]) -> int:
    """Return how a forked child ends that does *work*: 0 if it was true, -SIGALRM if it hung."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(ALARM)
        right = False
        try:
            right = work()
        finally:
            os._exit(0 if right else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def held(lock: AbstractContextManager[Any]) -> Iterator[None]:
    """Have another thread hold *lock* meanwhile, as it may at any moment."""
    taken, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            enough.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        yield
    finally:
        enough.set()
        thread.join()


@pytest.fixture
def cache() -> Cache:
    """A cache with near copies and one value."""
    cache = Cache(MemoryProvider("forks"), policy=Policy(staleness="1m"))
    cache.get_or_load("k", lambda: 1)
    return cache


def near(cache: Cache) -> NearCache:
    """Return the near cache that *cache* certainly has."""
    assert cache.core.near is not None
    return cache.core.near


def works(cache: Cache) -> bool:
    """Read, invalidate, load and serve a near copy."""
    first = cache.get_or_load("k", lambda: 2)
    cache.invalidate(keys=["k"])
    rest = [cache.get_or_load("k", lambda: 3) for _ in range(3)]
    return [first, *rest] == [1, 3, 3, 3] and cache.statistics.near_hits > 0


@pytest.mark.parametrize("whose", ["near", "provider", "nesting"])
def test_a_lock_that_was_held_at_the_fork_is_free_in_the_child(cache: Cache, whose: str) -> None:
    """Whichever of the parent's threads held a lock, the child reads and writes."""
    provider: Any = cache.provider
    locks = {"near": near(cache)._lock, "provider": provider._lock, "nesting": nesting._lock}
    with held(locks[whose]):
        assert in_child(lambda: works(cache)) == 0
    assert works(cache)


def test_a_fork_under_load_leaves_every_child_able_to_read(cache: Cache) -> None:
    """Threads that hammer the near cache's lock hang no child, at whatever instant it is forked."""
    enough = threading.Event()

    def hammer() -> None:
        while not enough.is_set():
            near(cache).position()

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        assert [in_child(lambda: cache.get_or_load("k", lambda: 2) == 1) for _ in range(25)] == [0] * 25
    finally:
        enough.set()
        sys.setswitchinterval(interval)
        for thread in threads:
            thread.join()


def test_a_fork_while_another_thread_loads_opens_the_hit_path(cache: Cache) -> None:
    """A load of the parent's other thread does not go on in the child, where nobody would ever end it."""
    loading, enough = threading.Event(), threading.Event()

    def load() -> int:
        loading.set()
        enough.wait()
        return 1

    thread = threading.Thread(target=lambda: cache.get_or_load("slow", load))
    thread.start()
    loading.wait()
    try:
        assert near(cache)._hidden
        assert in_child(lambda: works(cache) and not near(cache)._hidden) == 0
    finally:
        enough.set()
        thread.join()
    assert not near(cache)._hidden


def test_a_fork_inside_a_load_opens_the_hit_path_when_the_load_ends(cache: Cache) -> None:
    """A loader that forks ends twice, once in each process, and neither keeps its hit path closed."""
    children: list[int] = []

    def load() -> int:
        children.append(os.fork())
        return 5

    value = cache.get_or_load("forking", load)
    if not children[0]:
        right = False
        try:
            signal.alarm(ALARM)
            hits = cache.statistics.near_hits
            reads = [cache.get_or_load("k", lambda: 2) for _ in range(3)]
            again = cache.statistics.near_hits > hits and not near(cache)._hidden and not nesting.inside()
            right = value == 5 and reads == [1, 1, 1] and again
        finally:
            os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert value == 5
    assert not near(cache)._hidden
    assert not nesting.inside()


def test_a_child_serves_no_copies_that_it_cannot_vouch_for(cache: Cache) -> None:
    """What a thread of the parent was in the middle of changing is dropped in the child: it asks anew."""
    near(cache).advance(near(cache).position(), cache.provider.journal("", 10))
    assert near(cache).copies
    assert in_child(lambda: not near(cache).copies and not near(cache)._held._by_tag) == 0
    assert near(cache).copies


def test_a_memory_provider_is_usable_in_the_child(cache: Cache) -> None:
    """Parent and child go on with tables of their own."""

    def stored() -> Any:
        return cache.get("k")

    def child() -> bool:
        cache.put("k", "child")
        return bool(stored() == "child")

    assert in_child(child) == 0
    assert stored() == 1
