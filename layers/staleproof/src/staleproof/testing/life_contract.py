"""`LifeContract`: how long values are fresh, and when a stale one is served; a part of `CacheContract`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from staleproof.cache.loading import loading
from staleproof.cache.missing import MISSING
from staleproof.errors import LoadTimeoutError
from staleproof.testing.abilities import needs
from staleproof.testing.cache_case import PATIENCE, CacheCase

if TYPE_CHECKING:
    from staleproof.testing.cache_case import MakeCache, Source
    from staleproof.testing.examples import Elapse


def fail() -> Any:
    """Fail as a source may."""
    raise LookupError("the source is away")


class LifeContract(CacheCase):
    """What the policy says about time."""

    # --- lives ------------------------------------------------------------------------------------------

    def test_a_stored_none_may_live_shorter(self, make_cache: MakeCache, elapse: Elapse) -> None:
        """`negative_ttl` ends what was not found, and nothing else."""
        cache = make_cache(negative_ttl=self.brief)
        assert cache.get_or_load("none", lambda: None) is None
        assert cache.get_or_load("zero", lambda: 0) == 0
        elapse(self.over)
        assert cache.get_or_load("none", lambda: "found") == "found"
        assert cache.get_or_load("zero", lambda: "found") == 0

    def test_a_value_may_say_how_long_it_lives(self, make_cache: MakeCache) -> None:
        """`ttl_from` sets the life of each value, `None` leaves it to `ttl`; jitter only ever shortens."""
        cache = make_cache(ttl="10m", ttl_from=lambda value: value)
        for value, low, high in ((60, 50, 60), (None, 590, 600)):
            cache.get_or_load(f"key:{value}", lambda value=value: value)
            assert low < cache.ttl(f"key:{value}") <= high
        spread = make_cache(ttl="10m", jitter=0.5)
        lives = [spread.get_or_load(f"n:{n}", lambda: 1) and spread.ttl(f"n:{n}") for n in range(20)]
        assert all(290 < life <= 600 for life in lives)
        assert len({round(life) for life in lives}) > 5

    @needs("idle")
    def test_what_nobody_reads_goes(self, make_cache: MakeCache, elapse: Elapse, source: Source) -> None:
        """An idle value is gone after its idle time and a quarter, whatever is left of its life."""
        cache = make_cache(ttl=None, idle=self.brief)
        cache.get_or_load("key", source.load)
        elapse(2 * self.over)
        cache.get_or_load("key", source.load)
        assert source.loads == 2

    def test_large_and_cheap_and_rare_values_may_be_kept_out(
        self, make_cache: MakeCache, source: Source
    ) -> None:
        """What the policy does not admit is served, and not stored."""
        large = make_cache(max_bytes=100, compress_above=None)
        assert large.get_or_load("large", lambda: "x" * 1_000) == "x" * 1_000
        assert large.get("large") is MISSING
        assert large.get_or_load("small", lambda: "x") == large.get("small") == "x"
        rare = make_cache(min_uses=2)
        assert [rare.get_or_load("rare", source.load) for _ in range(3)] == [1] * 3
        assert source.loads == 2
        picky = make_cache(admit=lambda key, _size, _seconds: key != "secret")
        picky.get_or_load("secret", source.load)
        assert picky.get("secret") is MISSING

    def test_compressed_values_are_values(self, make_cache: MakeCache, there: Any) -> None:
        """What is compressed comes back as it was, also to those who compress nothing."""
        text = "all work and no play " * 1_000
        packing = make_cache(compress_above=100)
        assert packing.get_or_load("key", lambda: text) == text
        assert packing.get("key") == there.get("key") == text
        assert packing.statistics.bytes_written < len(text) / 2

    # --- stale ------------------------------------------------------------------------------------------

    def test_a_value_that_is_over_is_served_while_it_is_loaded_anew(
        self, make_cache: MakeCache, elapse: Elapse, source: Source
    ) -> None:
        """`stale_while_revalidate`: nobody waits, and soon everybody has the new value; only one loads it."""
        cache = make_cache(ttl=self.brief, stale_while_revalidate="1h")

        def load() -> Any:
            loading().ttl = self.brief if source.loads == 0 else "1h"
            return source.load()

        assert cache.get_or_load("key", load) == 1
        elapse(self.over)
        source.value = 2
        assert cache.get_or_load("key", load) in {1, 2}
        self.eventually(lambda: cache.get_or_load("key", load) == 2)
        assert source.loads == 2
        assert cache.statistics.stale >= 1

    @needs("soft")
    @pytest.mark.parametrize("how", ["tag", "key", "clear"])
    def test_what_was_invalidated_softly_is_served_while_it_is_loaded_anew(
        self, make_cache: MakeCache, there: Any, settle: Any, source: Source, how: str
    ) -> None:
        """By those whose policy serves stale values; the others load."""
        patient = make_cache(stale_while_revalidate="1h")
        assert patient.get_or_load("key", source.load, tags=["tag"]) == 1
        source.value = 2
        {"tag": there.invalidate, "key": there.evict}.get(how, lambda _, soft: there.clear(soft=soft))(
            how, soft=True
        )
        settle()
        self.eventually(lambda: patient.get_or_load("key", source.load, tags=["tag"]) == 2)
        assert source.loads == 2
        source.value = 3
        there.invalidate("tag", soft=True)
        assert there.get_or_load("key", source.load, tags=["tag"]) == 3

    @needs("soft")
    def test_a_hard_invalidation_leaves_nothing_stale(
        self, make_cache: MakeCache, there: Any, settle: Any, source: Source
    ) -> None:
        """Before or after soft ones, or during the refresh that one caused: what was before the hard one is gone."""
        cache = make_cache(stale_while_revalidate="1h", stale_if_error="1h")
        for order in ((False,), (True, False), (False, True)):
            cache.get_or_load("key", source.load, tags=["tag"])
            source.value += 1
            for soft in order:
                there.invalidate("tag", soft=soft)
            settle()
            assert cache.get_or_load("key", source.load, tags=["tag"]) == source.value
            there.invalidate("tag")
            settle()
            with pytest.raises(LookupError):
                cache.get_or_load("key", fail, tags=["tag"])

    def test_a_failed_load_may_serve_what_is_over(self, make_cache: MakeCache, elapse: Elapse) -> None:
        """`stale_if_error` serves the old value for its window; without it the failure passes through."""
        kind, strict = make_cache(ttl=self.brief, stale_if_error="1h"), make_cache(ttl=self.brief)
        for cache in (kind, strict):
            cache.get_or_load(str(id(cache)), lambda: "old")
        elapse(self.over)
        assert kind.get_or_load(str(id(kind)), fail) == "old"
        with pytest.raises(LookupError):
            strict.get_or_load(str(id(strict)), fail)

    def test_a_window_closes(self, make_cache: MakeCache, elapse: Elapse) -> None:
        """Once the window is over, too, there is nothing stale to serve."""
        cache = make_cache(ttl=self.brief, stale_if_error=self.brief)
        cache.get_or_load("key", lambda: "old")
        elapse(2 * self.over)
        with pytest.raises(LookupError):
            cache.get_or_load("key", fail)

    def test_a_value_is_loaded_anew_ahead_of_its_end(
        self, make_cache: MakeCache, elapse: Elapse, source: Source
    ) -> None:
        """`refresh_ahead`: once its share of the life is over, a read brings the next value, and nobody waits."""
        cache = make_cache(ttl=1_000 * self.brief, refresh_ahead=0.001)
        assert cache.get_or_load("key", source.load) == 1
        elapse(self.over)
        source.value = 2
        self.eventually(lambda: cache.get_or_load("key", source.load) == 2)
        assert cache.statistics.misses["expired"] == 0

    # --- loads that take long ---------------------------------------------------------------------------

    def test_a_load_that_takes_too_long_is_left(self, make_cache: MakeCache) -> None:
        """`hard_timeout` raises; the load goes on, and what it brings is stored for the next reader."""
        cache, done = make_cache(hard_timeout=0.05), threading.Event()

        def slow() -> str:
            assert done.wait(PATIENCE)
            return "late"

        with pytest.raises(LoadTimeoutError):
            cache.get_or_load("key", slow)
        done.set()
        self.eventually(lambda: cache.get("key") == "late")

    def test_a_slow_load_may_serve_what_is_over(self, make_cache: MakeCache, elapse: Elapse) -> None:
        """`soft_timeout`: where there is a stale value, nobody waits longer than that."""
        cache, done = make_cache(ttl=self.brief, stale_if_error="1h", soft_timeout=0.05), threading.Event()
        cache.get_or_load("key", lambda: "old")
        elapse(self.over)

        def slow() -> str:
            loading().ttl = "1h"
            assert done.wait(PATIENCE)
            return "late"

        assert cache.get_or_load("key", slow) == "old"
        done.set()
        self.eventually(lambda: cache.get_or_load("key", slow) == "late")
