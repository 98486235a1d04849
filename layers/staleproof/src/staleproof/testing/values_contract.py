"""`ValuesContract`: single values are read, written, counted and prolonged; a part of `CacheContract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.cache.missing import MISSING
from staleproof.errors import ConfigurationError
from staleproof.testing.cache_case import CacheCase

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.testing.cache_case import MakeCache, Source
    from staleproof.testing.examples import Elapse

VALUES: tuple[Any, ...] = (
    None,
    False,
    0,
    "",
    [],
    {},
    b"\x00",
    "ü",
    2**63,
    -1.5,
    [1, [2]],
    {"a": {"b": None}},
    "x" * 100_000,
)
"""Values that must not be mistaken for nothing, nor for one another."""


class ValuesContract(CacheCase):
    """What a user does with one key."""

    def test_nothing_is_missing(self, here: Any) -> None:
        """A key that was never stored is no value, not even None."""
        assert here.get("key") is MISSING
        assert not here.exists("key")
        assert here.ttl("key") == 0

    def test_every_value_is_a_value(self, here: Any, there: Any) -> None:
        """What was put is read by everybody, also what is false or None; loads keep it likewise."""
        for at, value in enumerate(VALUES):
            here.put(f"put:{at}", value)
            assert here.get_or_load(f"loaded:{at}", lambda value=value: value) == value
            for cache in (here, there):
                assert cache.get(f"put:{at}") == cache.get(f"loaded:{at}") == value
                assert type(cache.get(f"put:{at}")) is type(value)
            assert here.exists(f"put:{at}")

    def test_a_value_is_loaded_once(self, here: Any, there: Any, source: Source) -> None:
        """Later reads, here and in other processes, take what the first one loaded."""
        assert [cache.get_or_load("key", source.load) for cache in (here, here, there, there)] == [1] * 4
        assert source.loads == 1

    def test_a_put_replaces(self, here: Any, there: Any, settle: Any, source: Source) -> None:
        """The last value put counts, also against one that was loaded, also for those who hold a copy."""
        assert there.get_or_load("key", source.load) == 1
        here.put("key", 2)
        assert here.get_or_load("key", source.load) == 2
        settle()
        assert there.get_or_load("key", source.load) == 2

    def test_tags_are_part_of_the_question(self, here: Any) -> None:
        """A read that names other tags is no hit: what it would be invalidated by is not what was stored."""
        here.put("key", 1, tags=["a", "b"])
        assert here.get("key", tags=["a", "b"]) == 1
        for others in ([], ["a"], ["b", "c"], ["a", "b", "c"]):
            assert here.get("key", tags=others) is MISSING

    def test_kinds_are_part_of_the_question(self, here: Any, source: Source) -> None:
        """A stored value that is not of the type asked for is loaded anew, in the asker's type."""
        here.put("key", "text")
        assert here.get("key", kind=str) == "text"
        assert here.get("key", kind=int) is MISSING
        assert here.get_or_load("key", source.load, kind=int) == 1

    def test_one_of_several_puts_if_absent(self, here: Any, there: Any) -> None:
        """Whoever is first succeeds, and what is invalidated is absent again."""
        assert here.put_if_absent("key", 1)
        assert not there.put_if_absent("key", 2)
        assert there.get("key") == 1
        there.evict("key")
        assert there.put_if_absent("key", 2)
        outcomes = self.together(lambda number: (here, there)[number % 2].put_if_absent("race", number), 6)
        assert sorted(outcomes) == [False] * 5 + [True]
        assert here.get("race") == outcomes.index(True)

    def test_compare_and_set(self, here: Any, there: Any, settle: Any) -> None:
        """A value is replaced only by those who know it, and copies of the old one go everywhere."""
        assert here.compare_and_set("key", MISSING, None)
        assert not here.compare_and_set("key", MISSING, 1)
        assert not here.compare_and_set("key", 0, 1)
        assert there.get_or_load("key", lambda: "loaded") is None
        assert here.compare_and_set("key", None, 1)
        settle()
        assert there.get_or_load("key", lambda: "loaded") == 1
        assert here.get_or_load("key", lambda: "loaded") == 1

    def test_counting_loses_nothing(self, here: Any, there: Any) -> None:
        """Concurrent increments of several processes add up."""
        assert here.increment("n") == 1
        assert here.decrement("n", 2, initial=9) == -1
        assert here.increment("f", 0.5, initial=1) == 1.5
        self.together(lambda number: [(here, there)[number % 2].increment("race") for _ in range(4)], 6)
        assert here.get("race") == 24
        here.put("text", "x")
        with pytest.raises(ConfigurationError, match="cannot be counted up"):
            here.increment("text")
        assert here.get("text") == "x"

    def test_an_update_sees_what_is_stored(self, here: Any) -> None:
        """It gets the value or `MISSING`, stores what it returns, and leaves everything for `MISSING`."""
        seen: list[Any] = []

        def append(stored: Any) -> Any:
            seen.append(stored)
            return [1] if stored is MISSING else [*stored, len(stored) + 1]

        assert here.update("key", append) == [1]
        assert here.update("key", append) == [1, 2]
        assert here.update("key", lambda _: MISSING) == [1, 2]
        assert here.get("key") == [1, 2]
        assert seen == [MISSING, [1]]

    def test_a_failed_update_changes_nothing(self, here: Any) -> None:
        """Its exception passes through, and the key is free for the next one."""
        here.put("key", 1)

        def fail(_: Any) -> Any:
            raise LookupError

        with pytest.raises(LookupError):
            here.update("key", fail)
        assert here.increment("key") == 2

    def test_a_value_ends(self, make_cache: MakeCache, elapse: Elapse, source: Source) -> None:
        """After its time to live it is loaded anew, near copies included; one without an end stays."""
        brief, lasting = make_cache(ttl=self.brief), make_cache(ttl=None)
        brief.get_or_load("brief", source.load)
        lasting.get_or_load("lasting", source.load)
        assert lasting.ttl("lasting") is None
        elapse(self.over)
        source.value = 2
        assert brief.get_or_load("brief", source.load) == 2
        assert lasting.get_or_load("lasting", source.load) == 1

    def test_a_touch_prolongs(self, make_cache: MakeCache, elapse: Elapse) -> None:
        """A touched value outlives its first end, without being moved; what is not there is not touched."""
        cache = make_cache(ttl=self.brief)
        cache.put("key", 1, tags=["a"])
        touched = cache.touch("key", "10m", tags=["a"])
        assert not cache.touch("none")
        elapse(self.over)
        assert cache.exists("key", tags=["a"]) is touched
        lasting = make_cache(ttl="10m")
        lasting.put("lasting", 1)
        assert lasting.touch("lasting", "20m")
        assert 600 < lasting.ttl("lasting") <= 1_200
        lasting.invalidate("a")
        assert not lasting.touch("key", tags=["a"])

    def test_evicting_forgets_one_key(self, here: Any, there: Any) -> None:
        """The key is gone for everybody, the others stay."""
        for key in ("gone", "stays"):
            here.put(key, 1)
        there.evict("gone")
        assert [here.get(key) for key in ("gone", "stays")] == [MISSING, 1]

    def test_wrong_input_is_refused_by_name(self, here: Any) -> None:
        """Whatever cannot be right raises before anything is asked, and says what to write."""
        wrongs: list[Callable[[], Any]] = [
            lambda: here.get("key", tags="text"),
            lambda: here.put("key", 1, tags=[""]),
            lambda: here.put("k" * 5_000, 1),
            lambda: here.invalidate("a", keys="key"),
            lambda: here.invalidate("a", row_version=-1),
            lambda: here.get_or_load("key", lambda: 1, policy="nobody called it so"),
        ]
        for wrong in wrongs:
            with pytest.raises(ConfigurationError):
                wrong()
