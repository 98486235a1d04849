"""`SeveralContract`: many keys at once are as many single ones, in few round trips; a part of `CacheContract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.cache.bulk import Item, Progress
from staleproof.cache.missing import MISSING
from staleproof.testing.abilities import needs
from staleproof.testing.cache_case import CacheCase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staleproof.testing.cache_case import Source

CROWD = 1_200
"""Keys of one call: above what goes in one round trip."""


class SeveralContract(CacheCase):
    """What a user does with many keys."""

    def test_many_are_put_and_read(self, here: Any, there: Any) -> None:
        """What is there comes by key, None included; what is not is left out."""
        assert here.put_many({"a": 1, "b": None}, tags=["t"]) == 2
        assert there.get_many(["a", "none", "b", "a"], tags=["t"]) == {"a": 1, "b": None}
        assert there.get_many([]) == {}
        there.evict_many(["a", "none"])
        assert here.get_many(["a", "b"], tags=["t"]) == {"b": None}

    def test_only_what_is_missing_is_loaded(self, here: Any, there: Any) -> None:
        """The loader is called once, with the missing keys alone; what it leaves out is left out, and asked again."""
        asked: list[list[str]] = []

        def load(keys: list[str]) -> dict[str, Any]:
            asked.append(list(keys))
            return {key: None if key == "none" else key.upper() for key in keys if key != "absent"}

        here.put("a", "stored")
        wanted = ["a", "b", "absent", "none", "b"]
        expected = {"a": "stored", "b": "B", "none": None}
        assert here.get_or_load_many(wanted, load) == expected
        assert there.get_or_load_many(wanted, load) == expected
        assert asked == [["b", "absent", "none"], ["absent"]]
        assert here.get_or_load_many([], load) == {}

    def test_many_and_one_share_what_they_store(self, here: Any, there: Any, source: Source) -> None:
        """A key is the same whether it is read alone or among others."""
        here.get_or_load_many(["a", "b"], source.load_many, tags=["t"])
        assert there.get_or_load("a", source.load, tags=["t"]) == 1
        there.get_or_load("c", source.load, tags=["t"])
        assert here.get_or_load_many(["a", "b", "c"], source.load_many, tags=["t"]) == dict.fromkeys("abc", 1)
        assert source.loads == 2

    def test_members_are_invalidated_one_by_one(self, here: Any, there: Any, settle: Any) -> None:
        """By the tag that its own value named, by its key, or all by the tag that they share."""
        version = {"now": 1}

        def load(keys: list[str]) -> dict[str, Any]:
            return dict.fromkeys(keys, version["now"])

        def read() -> list[Any]:
            version["now"] += 1
            found = here.get_or_load_many(["a", "b", "c"], load, tags=["all"], tags_from=lambda _: ["named"])
            return list(found.values())

        assert read() == [2, 2, 2]
        there.evict("a")
        settle()
        assert read() == [3, 2, 2]
        there.invalidate("named")
        settle()
        assert read() == [4, 4, 4]
        there.invalidate("all")
        settle()
        assert read() == [5, 5, 5]

    def test_an_invalidation_during_a_load_of_many_fences_what_it_names(self, here: Any, there: Any) -> None:
        """All are served; what was evicted meanwhile is not stored, what was not is."""

        def load(keys: list[str]) -> dict[str, str]:
            there.evict("evicted")
            return dict.fromkeys(keys, "old")

        assert here.get_or_load_many(["evicted", "kept"], load) == dict.fromkeys(["evicted", "kept"], "old")
        assert there.get_many(["evicted", "kept"]) == {"kept": "old"}

        def load_tagged(keys: list[str]) -> dict[str, str]:
            there.invalidate("tag")
            return dict.fromkeys(keys, "old")

        here.get_or_load_many(["x", "y"], load_tagged, tags=["tag"])
        assert there.get_many(["x", "y"], tags=["tag"]) == {}

    def test_a_failed_load_of_many_leaves_nothing_behind(self, here: Any, source: Source) -> None:
        """The loader's exception passes through, and the keys are free for the next reader at once."""

        def fail(_: list[str]) -> dict[str, Any]:
            raise LookupError

        with pytest.raises(LookupError):
            here.get_or_load_many(["a", "b"], fail)
        assert here.get_or_load_many(["a", "b"], source.load_many) == {"a": 1, "b": 1}
        assert here.get_many(["a", "b"]) == {"a": 1, "b": 1}

    @needs("large")
    def test_a_crowd_of_keys(self, here: Any, there: Any) -> None:
        """More keys than go in one round trip are loaded in one call, stored, read and evicted."""
        keys = [f"key:{number}" for number in range(CROWD)]
        calls: list[int] = []

        def load(missing: list[str]) -> dict[str, str]:
            calls.append(len(missing))
            return {key: key for key in missing}

        expected = {key: key for key in keys}
        assert here.get_or_load_many(keys, load) == expected
        assert there.get_or_load_many(keys, load) == expected
        assert calls == [CROWD]
        there.evict_many(keys)
        assert there.get_many(keys) == {}

    def test_bulk_loading_takes_a_batch_ahead_at_most(self, here: Any, there: Any) -> None:
        """An endless producer is held back by the server: nothing is taken before the last batch was stored."""
        taken: list[int] = []
        heard: list[Progress] = []

        def items() -> Iterator[Item | tuple[str, Any]]:
            for number in range(25):
                taken.append(len(heard))
                tags = ["even"] if number % 2 == 0 else []
                yield Item(f"item:{number}", number, tags) if tags else (f"item:{number}", number)

        progress = here.load_all(items(), batch=10, on_progress=heard.append)
        assert (progress.taken, progress.stored) == (25, 25)
        assert [each.taken for each in heard] == [10, 20, 25]
        assert all(batches >= at // 10 - 1 for at, batches in enumerate(taken))
        there.invalidate("even")
        assert here.get("item:3") == 3
        assert here.get("item:4", tags=["even"]) is MISSING

    @needs("scan")
    def test_a_scan_finds_keys_by_prefix(self, here: Any, there: Any) -> None:
        """Each stored key that begins so comes once; what was evicted does not."""
        here.put_many({f"order:{number}": number for number in range(30)})
        here.put("customer:1", 1)
        here.evict("order:7")
        expected = sorted(f"order:{number}" for number in range(30) if number != 7)
        assert sorted(there.scan("order:")) == expected
        assert set(there.scan()) == {*expected, "customer:1"}
