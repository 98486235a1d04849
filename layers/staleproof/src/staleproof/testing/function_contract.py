"""`FunctionContract`: cached functions, and what a cache counts; a part of `CacheContract`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from staleproof.cache.missing import MISSING
from staleproof.testing.cache_case import CacheCase

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.testing.cache_case import Source


@dataclass
class Product:
    """A value with a type of its own."""

    number: int
    price: float | None = None


class FunctionContract(CacheCase):
    """A decorated function is called as before, and loads once."""

    @staticmethod
    def decorated(cache: Any, source: Source) -> Any:
        """Return a cached function."""

        def product(number: int, currency: str = "EUR") -> Product | None:
            source.load()
            return None if number == 0 else Product(number, len(currency))

        return cache.cacheable("product:{number}:{currency}", tags=["product:{number}", "catalog"])(product)

    def test_a_function_is_called_as_before(self, here: Any, there: Any, source: Source) -> None:
        """Positional, by keyword and by default: one key; the result has its type everywhere, and None is one."""
        mine, theirs = self.decorated(here, source), self.decorated(there, source)
        assert [mine(1), mine(number=1), mine(1, "EUR"), theirs(1, currency="EUR")] == [Product(1, 3)] * 4
        assert [mine(0), theirs(0)] == [None, None]
        assert mine(1, "US") == Product(1, 2)
        assert source.loads == 3

    def test_a_function_has_handles(
        self, here: Any, there: Any, source: Source, settle: Callable[[], None]
    ) -> None:
        """`key`, `tags`, `peek`, `invalidate` and `refresh` take its arguments."""
        mine, theirs = self.decorated(here, source), self.decorated(there, source)
        assert mine.key(1) == "product:1:EUR"
        assert mine.tags(1) == ("product:1", "catalog")
        assert mine.peek(1) is MISSING
        mine(1)
        assert theirs.peek(1) == Product(1, 3)
        assert source.loads == 1
        theirs.invalidate(1)
        settle()
        assert mine.peek(1) is MISSING
        mine(1)
        assert theirs.refresh(1) == Product(1, 3)
        assert source.loads == 3

    def test_a_functions_results_are_invalidated(
        self, here: Any, there: Any, source: Source, settle: Callable[[], None]
    ) -> None:
        """By a tag that the template rendered, and by one that all share."""
        mine = self.decorated(here, source)
        for tag, expected in (("product:1", 3), ("catalog", 5)):
            mine(1)
            mine(2)
            there.invalidate(tag)
            settle()
            mine(1)
            mine(2)
            assert source.loads == expected

    def test_a_functions_exception_passes_through(self, here: Any) -> None:
        """Nothing is stored, and nothing is left behind."""

        def fail(number: int) -> int:
            raise LookupError(number)

        cached = here.cacheable("fail:{number}")(fail)
        for _ in range(2):
            with pytest.raises(LookupError):
                cached(1)

    def test_what_is_counted_adds_up(self, here: Any, there: Any, source: Source) -> None:
        """Each read is counted once, and so is what became of each value."""
        mine = self.decorated(here, source)
        for number in (0, 1, 1, 2):
            mine(number)
        there.invalidate("catalog")
        mine(1)
        here.put("put", 1)
        here.get_or_load_many(["put", "a"], source.load_many)
        counted = here.statistics
        assert counted.reads == 7
        assert counted.loaded + counted.puts == counted.stored + sum(counted.unstored.values())
        assert counted.reads == counted.near_hits + counted.hits + sum(counted.misses.values())
        assert counted.loads == source.loads
        assert there.statistics.invalidations == 1
