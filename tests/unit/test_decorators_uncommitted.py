"""What a transaction loads of its own changes reaches nobody else: neither before the commit nor after a rollback."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from staleproof import AsyncCache, Cache, Policy
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider


class World:
    """A row, a cached reader of it, and a writer that evicts at the commit."""

    def __init__(self, timing: Any = "commit") -> None:
        self.row = 1
        self.cache: Any = Cache(MemoryProvider("shop"))
        self.read = self.cache.cacheable("row", tags=["rows"])(self._read)
        self.write = self.cache.evicts(tags=["rows"], timing=timing)(self._write)

    def _read(self) -> int:
        return self.row

    def _write(self, row: int) -> None:
        self.row = row


@pytest.mark.parametrize("timing", ["commit", "after", "before"])
def test_a_rolled_back_change_is_never_stored(timing: str) -> None:
    """Whatever the transaction read of its change, readers behind the rollback see the old row."""
    world = World(timing)

    def fail() -> None:
        with world.cache.transaction():
            world.write(2)
            assert world.read() == 2
            world.row = 1
            raise OSError("rollback")

    with pytest.raises(OSError, match="rollback"):
        fail()
    assert world.cache.statistics.unstored == {"transaction": 1}
    assert world.read() == 1


def test_many_loaded_after_a_change_are_not_stored() -> None:
    """Reads of many keys neither."""
    world = World()
    with world.cache.transaction():
        world.write(2)
        assert world.cache.get_or_load_many(["a", "b"], lambda keys: dict.fromkeys(keys, world.row)) == {
            "a": 2,
            "b": 2,
        }
        assert world.cache.get_many(["a", "b"]) == {}


def test_a_transaction_that_has_changed_nothing_stores_what_it_loads() -> None:
    """Up to its first change it is a reader like any other; behind its commit too."""
    world = World()
    with world.cache.transaction():
        world.read()
        assert world.read.peek() == 1
        world.write(2)
    assert world.read() == 2
    assert world.read.peek() == 2
    assert world.cache.statistics.unstored == {}


def test_others_do_not_join_the_load_of_a_transaction() -> None:
    """A reader outside, at the same time, loads for itself what is committed."""
    world, inside, found = World(), threading.Event(), list[int]()
    policy = Policy(ttl="1h", patience=0.01)

    def read_outside() -> None:
        inside.wait(5)
        found.append(world.cache.get_or_load("k", lambda: 1, policy=policy))

    outside = threading.Thread(target=read_outside)
    outside.start()

    def load() -> int:
        inside.set()
        outside.join(5)
        return 2

    with world.cache.transaction() as it:
        it.invalidate("rows")
        assert world.cache.get_or_load("k", load, policy=policy) == 2
    assert found == [1]


async def test_an_awaited_change_rolled_back_is_never_stored() -> None:
    """The asyncio face too."""
    cache, row = AsyncCache(AsyncMemoryProvider("shop")), [1]

    @cache.cacheable("row", tags=["rows"])
    async def read() -> int:
        return row[0]

    @cache.evicts(tags=["rows"], timing="commit")
    async def write(new: int) -> None:
        row[0] = new

    async def fail() -> None:
        async with cache.transaction():
            await write(2)
            assert await read() == 2
            row[0] = 1
            raise OSError("rollback")

    with pytest.raises(OSError, match="rollback"):
        await fail()
    assert await read() == 1
