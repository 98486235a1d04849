"""`NearContract`: P2, copies in the process lag by their bound and no more; a part of `CacheContract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.policies.policy import Policy
from staleproof.testing.abilities import needs
from staleproof.testing.async_chaos_provider import AsyncChaosProvider
from staleproof.testing.blocking import Blocking
from staleproof.testing.cache_case import CacheCase
from staleproof.testing.chaos import Chaos
from staleproof.testing.chaos_provider import ChaosProvider

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.clock import Clock
    from staleproof.testing.cache_case import MakeCache, Source
    from staleproof.testing.examples import Elapse


class NearContract(CacheCase):
    """What a near cache may serve. Without one, the same reads are answered by the server."""

    @needs("journal")
    def test_a_copy_is_served_again(self, here: Any, source: Source, staleness: float | None) -> None:
        """Later reads are near hits, if the policy has a bound, and hits on the server if not."""
        for _ in range(3):
            assert here.get_or_load("key", source.load, tags=["t"]) == 1
        counted = here.statistics
        assert (counted.near_hits, counted.hits) == ((0, 2) if staleness is None else (2, 0))
        assert source.loads == 1

    @needs("journal")
    def test_within_its_bound_a_copy_may_lag_and_not_beyond(
        self, make_cache: MakeCache, there: Any, elapse: Elapse, source: Source
    ) -> None:
        """A long bound serves the copy without asking; a short one has heard of the invalidation once it is over."""
        long, brief = make_cache(staleness=3_600), make_cache(staleness=self.brief)
        for cache in (long, brief):
            assert cache.get_or_load("key", source.load, tags=["t"]) == 1
        source.value = 2
        there.invalidate("t")
        assert long.get_or_load("key", source.load, tags=["t"]) == 1
        elapse(self.over)
        assert brief.get_or_load("key", source.load, tags=["t"]) == 2

    @pytest.mark.parametrize("how", ["tag", "revealed", "key", "clear"])
    def test_ones_own_invalidation_is_heard_at_once(
        self, make_cache: MakeCache, source: Source, how: str
    ) -> None:
        """Whatever the bound, the process that invalidated serves nothing older."""
        cache = make_cache(staleness=3_600)

        def read() -> Any:
            return cache.get_or_load("key", source.load, tags=["tag"], tags_from=lambda _: ["revealed"])

        assert read() == 1
        source.value = 2
        if how == "key":
            cache.evict("key")
        elif how == "clear":
            cache.clear()
        else:
            cache.invalidate(how)
        assert read() == 2

    def test_a_copy_ends_with_its_value(
        self, make_cache: MakeCache, elapse: Elapse, source: Source, staleness: float | None
    ) -> None:
        """A near copy does not outlive the time to live of what it was copied from."""
        cache = make_cache(ttl=self.brief, staleness=None if staleness is None else 3_600)
        cache.get_or_load("key", source.load)
        elapse(self.over)
        cache.get_or_load("key", source.load)
        assert source.loads == 2

    def test_a_copy_answers_only_its_own_question(self, make_cache: MakeCache) -> None:
        """Other tags, or another type, are not answered by a copy of the same key."""
        cache = make_cache(staleness=3_600)
        assert cache.get_or_load("key", lambda: 1, tags=["a"], kind=int) == 1
        assert cache.get_or_load("key", lambda: "text", tags=["a"], kind=str) == "text"
        assert cache.get_or_load("key", lambda: 2, tags=["b"], kind=int) == 2

    @needs("journal")
    def test_a_value_read_just_before_an_invalidation_does_not_settle_just_after(
        self, provider: Any, clock: Clock, there: Any, source: Source, elapse: Elapse
    ) -> None:
        """An invalidation between the server's answer and the insert fences the copy, though the journal was heard."""
        then: list[Callable[[], object]] = []
        cache = self.interrupted(provider, clock, then, Policy(staleness=self.brief))
        there.get_or_load("key", source.load, tags=["t"])
        cache.get_or_load("another", lambda: 0)

        def invalidate_and_hear_of_it() -> None:
            source.value = 2
            there.invalidate("t")
            elapse(self.over)
            cache.get_or_load("another", lambda: 0)

        then.append(invalidate_and_hear_of_it)
        assert cache.get_or_load("key", source.load, tags=["t"]) == 1
        assert not then
        elapse(self.over)
        assert cache.get_or_load("key", source.load, tags=["t"]) == 2

    def interrupted(
        self, provider: Any, clock: Clock, then: list[Callable[[], object]], policy: Policy
    ) -> Any:
        """Return a cache that does what *then* holds after its next answer to a read of journal and entry."""
        seen: list[str] = []

        def between(method: str) -> None:
            seen.append(method)
            answered = method == "read_following" and seen.count(method) % 2 == 0
            if answered and then:
                then.pop()()

        if isinstance(provider, Blocking):
            wrapped: Any = Blocking(
                AsyncChaosProvider(provider.behind, Chaos(1), between=between), portal=provider.portal
            )
        else:
            wrapped = ChaosProvider(provider, Chaos(1), between=between)
        return self.face(wrapped, clock, policy)
