"""`FreshnessContract`: P1, what no read may return after an invalidation; a part of `CacheContract`.

Each law holds for every way to invalidate: by a tag named beforehand, by one that only the value or the loader named,
by key, and whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from staleproof.cache.loading import depends, loading
from staleproof.cache.missing import MISSING
from staleproof.testing.abilities import needs
from staleproof.testing.cache_case import CacheCase

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.testing.cache_case import MakeCache, Source

HOWS: Final = ("tag", "revealed", "added", "key", "clear")


class FreshnessContract(CacheCase):
    """What was loaded before an invalidation is not returned after it."""

    @staticmethod
    def read(cache: Any, source: Source, key: str = "key") -> Any:
        """Read *key*, with tags of every origin."""

        def load() -> Any:
            loading().add_tags("added")
            return source.load()

        return cache.get_or_load(key, load, tags=["tag", "other"], tags_from=lambda _: ["revealed"])

    @staticmethod
    def forget(cache: Any, how: str, *, soft: bool = False) -> None:
        """Invalidate what `read` reads."""
        if how == "key":
            cache.evict("key", soft=soft)
        elif how == "clear":
            cache.clear(soft=soft)
        else:
            cache.invalidate(how, soft=soft)

    # --- after an invalidation ----------------------------------------------------------------------

    @pytest.mark.parametrize("how", HOWS)
    def test_no_read_after_an_invalidation_sees_what_was_before(
        self, here: Any, there: Any, source: Source, settle: Callable[[], None], how: str
    ) -> None:
        """Not here, where it was invalidated, at once; nor anywhere else, after the bound of near copies."""
        assert [self.read(cache, source) for cache in (here, there)] == [1, 1]
        source.value = 2
        self.forget(here, how)
        assert self.read(here, source) == 2
        settle()
        assert self.read(there, source) == 2
        assert source.loads == 2

    def test_what_was_not_named_stays(self, here: Any, there: Any, source: Source) -> None:
        """An invalidation reloads nothing that it does not name."""
        self.read(here, source)
        there.invalidate("unheard of", "tag2", keys=["key2", "ke", "key:"])
        assert self.read(here, source) == self.read(there, source) == 1
        assert source.loads == 1

    @pytest.mark.parametrize("how", HOWS)
    def test_an_invalidation_of_nothing_is_harmless(self, here: Any, source: Source, how: str) -> None:
        """It is acknowledged, and what is loaded afterwards is stored."""
        self.forget(here, how)
        assert [self.read(here, source) for _ in range(2)] == [1, 1]
        assert source.loads == 1

    # --- during a load ------------------------------------------------------------------------------

    @pytest.mark.parametrize("how", HOWS)
    @pytest.mark.parametrize("by", ["another", "itself"])
    def test_what_an_invalidation_outdates_during_its_load_is_served_and_never_stored(
        self, here: Any, there: Any, source: Source, settle: Callable[[], None], how: str, by: str
    ) -> None:
        """The reader gets what he asked for; nobody after him does (fenced fill)."""

        def meanwhile() -> None:
            source.then = lambda: None
            source.value = 2
            self.forget(there if by == "another" else here, how)

        source.then = meanwhile
        assert self.read(here, source) == 1
        if by == "another":
            settle()
        assert self.read(here, source) == 2
        assert self.read(there, source) == 2
        assert source.loads == 2

    def test_a_put_during_a_load_wins(self, here: Any, there: Any, source: Source) -> None:
        """A load in flight never overwrites what was put meanwhile."""

        def meanwhile() -> None:
            source.then = lambda: None
            there.put("key", "put")

        source.then = meanwhile
        assert here.get_or_load("key", source.load) == 1
        assert there.get("key") == here.get("key") == "put"

    def test_a_load_reads_no_copy_that_may_lag(
        self, make_cache: MakeCache, there: Any, staleness: float | None
    ) -> None:
        """Inside a load nothing is older than the versions under which the result is stored, whatever the bound."""
        inner = {"value": 1}
        cache = make_cache(staleness=None if staleness is None else 3_600)

        def load_inner() -> int:
            return inner["value"]

        def outer() -> Any:
            return cache.get_or_load(
                "outer", lambda: cache.get_or_load("inner", load_inner, tags=["t"]), tags=["t"]
            )

        assert cache.get_or_load("inner", load_inner, tags=["t"]) == 1
        inner["value"] = 2
        there.invalidate("t")
        assert outer() == 2
        assert there.get("outer", tags=["t"]) == 2

    # --- what the loader says -----------------------------------------------------------------------

    def test_tags_from_inside_reach_every_load_around(
        self, here: Any, there: Any, settle: Callable[[], None]
    ) -> None:
        """`depends` in an inner function invalidates the outer value, too."""
        loads: list[str] = []

        def team() -> str:
            depends("team:7")
            loads.append("team")
            return "team"

        def page() -> str:
            loads.append("page")
            return f"page of {here.get_or_load('team', team)}"

        for _ in range(2):
            assert here.get_or_load("page", page) == "page of team"
        assert loads == ["page", "team"]
        there.invalidate("team:7")
        settle()
        assert here.get_or_load("page", page) == "page of team"
        assert loads == ["page", "team"] * 2

    def test_a_loader_may_decline_to_store(self, here: Any, there: Any, source: Source) -> None:
        """`skip` serves the value, and the next reader loads."""

        def load() -> Any:
            loading().skip()
            return source.load()

        assert [cache.get_or_load("key", load) for cache in (here, here, there)] == [1] * 3
        assert source.loads == 3
        assert here.get("key") is MISSING

    def test_a_loader_may_set_the_life(self, here: Any, source: Source) -> None:
        """Its own time to live counts for this value."""

        def load() -> Any:
            loading().ttl = "2m"
            return source.load()

        here.get_or_load("key", load)
        assert 60 < here.ttl("key") <= 120

    def test_not_modified_keeps_the_old_value(
        self, make_cache: MakeCache, elapse: Callable[[float], None], source: Source
    ) -> None:
        """A loader that learns that the old value is right need not bring it again."""
        cache = make_cache(ttl=self.brief, stale_if_error="1h", stale_while_revalidate=0)
        seen: list[Any] = []

        def load() -> Any:
            seen.append(loading().stale)
            if loading().stale is not MISSING:
                loading().not_modified()
            return source.load()

        assert cache.get_or_load("key", load) == 1
        elapse(self.over)
        assert cache.get_or_load("key", load) == 1
        assert (seen, source.loads) == ([MISSING, 1], 1)

    def test_a_failed_load_stores_nothing(self, here: Any, source: Source) -> None:
        """Its exception passes through unchanged, and the next reader loads and stores at once."""

        def fail() -> Any:
            raise LookupError("from the source")

        for _ in range(2):
            with pytest.raises(LookupError, match="from the source"):
                here.get_or_load("key", fail)
        assert [here.get_or_load("key", source.load) for _ in range(2)] == [1, 1]
        assert source.loads == 1

    # --- a source that lags ---------------------------------------------------------------------------

    @needs("row fences")
    def test_an_old_row_from_a_replica_is_served_and_not_stored(self, here: Any, there: Any) -> None:
        """While the source is known to lag, only rows that are new enough are stored."""
        row = {"version": 4}

        def read(cache: Any) -> Any:
            return cache.get_or_load("key", lambda: row["version"], tags=["t"], row_version=int)

        assert read(here) == 4
        there.invalidate("t", row_version=6, lag="10m")
        assert [read(there), read(there)] == [4, 4]
        assert there.get("key", tags=["t"]) is MISSING
        row["version"] = 6
        assert [read(there), there.get("key", tags=["t"])] == [6, 6]

    # --- switched off -----------------------------------------------------------------------------------

    def test_off_is_off(self, here: Any, there: Any, source: Source, settle: Callable[[], None]) -> None:
        """Within, every read loads and nothing is stored; invalidations still reach everybody."""
        there.get_or_load("key", source.load, tags=["t"])
        with here.off():
            assert [here.get_or_load("key", source.load, tags=["t"]) for _ in range(2)] == [1, 1]
            assert here.get_or_load_many(["a"], source.load_many) == {"a": 1}
            here.put("b", 1)
            source.value = 2
            here.invalidate("t")
        assert source.loads == 4
        settle()
        assert there.get_or_load("key", source.load, tags=["t"]) == 2
        assert there.get_many(["a", "b"]) == {}
        assert here.get_or_load("key", source.load, tags=["t"]) == 2
        assert source.loads == 5
