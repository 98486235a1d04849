"""A change in place whose answer was lost: it is made once, or told to be unknown, never made twice or denied."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Cache, Policy, ProviderUnavailableError
from staleproof.entry import TIMES_BYTES
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.tiered import TieredProvider

if TYPE_CHECKING:
    from collections.abc import Callable


class Repeating(MemoryProvider):
    """A server behind a connection that breaks after each store, and asks again: the second run finds no lease."""

    def __init__(self) -> None:
        super().__init__("doubt")
        self.between: Callable[[], object] = lambda: None

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        super().store(key, entry, ttl_ms, lease)
        between, self.between = self.between, lambda: None
        between()
        return super().store(key, entry, ttl_ms, lease)


@pytest.fixture
def server() -> Repeating:
    return Repeating()


@pytest.mark.parametrize("tiered", [False, True])
def test_a_change_whose_answer_was_lost_is_made_once(server: Repeating, *, tiered: bool) -> None:
    """Also behind a tier, whose near entry is older than the change."""
    cache = Cache(TieredProvider(server, staleness="1m") if tiered else server)
    assert [cache.increment("n") for _ in range(3)] == [1, 2, 3]
    assert cache.compare_and_set("n", 3, 7)
    assert not cache.compare_and_set("n", 3, 8)
    assert cache.put_if_absent("lock", "mine")
    assert not cache.put_if_absent("lock", "yours")
    assert (cache.get("n"), cache.get("lock")) == (7, "mine")


def test_a_touch_in_between_does_not_hide_it(server: Repeating) -> None:
    """Another process prolongs what we have just stored."""
    cache = Cache(server)
    server.between = lambda: Cache(server).touch("n", "1h")
    assert cache.increment("n") == 1
    server.between = lambda: Cache(server).touch("n", "2h")
    assert cache.increment("n") == 2


def test_a_change_on_top_of_it_leaves_it_unknown(server: Repeating) -> None:
    """Nobody can tell any more: the caller is told so, and nothing is counted twice."""
    cache = Cache(server)
    cache.increment("n")
    server.between = lambda: increment_elsewhere(server)
    with pytest.raises(ProviderUnavailableError, match="is not known"):
        cache.increment("n")
    assert Cache(server).get("n") == 3


def increment_elsewhere(server: Repeating) -> None:
    """Increment as another process would, over a connection that holds."""
    other: Any = _Honest(server)
    honest = Cache(other)
    assert honest.increment("n") == 3


class _Honest:
    """The same server, its stores asked once."""

    def __init__(self, server: Repeating) -> None:
        self._server = server

    def __getattr__(self, name: str) -> Any:
        if name == "store":
            return lambda *arguments: MemoryProvider.store(self._server, *arguments)
        return getattr(self._server, name)


def test_an_eviction_in_between_begins_anew(server: Repeating) -> None:
    """What was forgotten is forgotten: the change is made of nothing."""
    cache = Cache(server)
    cache.increment("n")
    server.between = lambda: Cache(server).evict("n")
    assert cache.increment("n") == 1


def test_a_row_fence_does_not_hold_up_a_counter() -> None:
    """What is changed in place comes from no source that could lag."""
    cache = Cache(MemoryProvider("fenced"), policy=Policy(patience="50ms"))
    cache.invalidate("t", row_version=5, lag="60s")
    assert [cache.increment("n", tags=["t"]) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("left", range(TIMES_BYTES))
def test_an_entry_that_was_cut_short_is_a_miss(left: int) -> None:
    """Under a policy that looks at its end, too."""
    provider = MemoryProvider("cut")
    cache = Cache(provider, policy=Policy(stale_while_revalidate="1h"))
    cache.get_or_load("k", lambda: 1)
    raw = provider.read("k", []).entry
    assert raw is not None
    (count,) = struct.unpack_from("<H", raw, 2)
    provider.put("k", raw[: 8 + 14 * count + left], 60_000)
    assert not cache.get("k")
    assert cache.get_or_load("k", lambda: 2) == 2
