"""Units of work: nothing is invalidated before the commit, everything at it, and nothing without one."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import MISSING, ConfigurationError, ProviderUnavailableError, after_commit, commit_with
from tests.unit.both_faces import Face

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def blocking() -> Face:
    """A blocking cache that knows two keys."""
    face = Face(awaited=False)
    for name in "ab":
        face.cache.put(name, name)
    face.cache.statistics.invalidations = 0
    return face


@pytest.fixture
def awaiting() -> Face:
    """An asyncio cache."""
    return Face(awaited=True)


@pytest.fixture(autouse=True)
def _no_registrar() -> Iterator[None]:
    yield
    commit_with(None)


def evicting(face: Face, **options: Any) -> Any:
    """A function that evicts its argument at the commit."""

    def change(name: str) -> None:
        """Nothing."""

    return face.cache.evicts("{name}", timing="commit", **options)(face.coloured(change))


def held(face: Face) -> list[str]:
    return [name for name in "ab" if face.cache.get(name) is not MISSING]


class TestBlocks:
    """`with cache.transaction():`."""

    def test_everything_goes_out_as_one(self, blocking: Face) -> None:
        """Of functions, and of the block itself; duplicates once."""
        change = evicting(blocking)
        with blocking.cache.transaction() as it:
            for name in "aab":
                change(name)
            it.invalidate("t", keys=["c"])
            assert held(blocking) == ["a", "b"]
        assert held(blocking) == []
        assert blocking.cache.statistics.invalidations == 1

    def test_a_block_that_fails_invalidates_nothing(self, blocking: Face) -> None:
        """And the next one begins anew."""
        change = evicting(blocking)

        def fail() -> None:
            with blocking.cache.transaction():
                change("a")
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        with blocking.cache.transaction():
            change("b")
        assert held(blocking) == ["a"]

    def test_inner_blocks_join_the_outer_one(self, blocking: Face) -> None:
        """Of whatever cache: the outermost commits, each cache once."""
        other = blocking.another("other")
        change = evicting(blocking)
        with blocking.cache.transaction():
            with other.transaction() as inner:
                change("a")
                inner.invalidate(keys=["x"])
            assert held(blocking) == ["a", "b"]
            assert other.statistics.invalidations == 0
        assert held(blocking) == ["b"]
        assert (blocking.cache.statistics.invalidations, other.statistics.invalidations) == (1, 1)

    def test_what_an_inner_block_collected_stays(self, blocking: Face) -> None:
        """It failed, the outer one went on: an invalidation too many costs a load."""
        change = evicting(blocking)

        def fail() -> None:
            with blocking.cache.transaction():
                change("a")
                raise KeyError

        with blocking.cache.transaction():
            with pytest.raises(KeyError):
                fail()
            change("b")
        assert held(blocking) == []

    def test_manners_are_kept_apart(self, blocking: Face) -> None:
        """Soft ones, and those with a row's version, go out by themselves; hard ones stay hard."""
        records: list[Any] = []
        provider = blocking.cache.provider
        applied = provider.invalidate

        def recording(batch: Any) -> Any:
            records.extend(batch)
            return applied(batch)

        provider.invalidate = recording
        with blocking.cache.transaction() as it:
            it.invalidate("t", soft=True)
            it.invalidate("t")
            it.invalidate("u", row_version=3, lag="2s")
            it.invalidate("v")
        assert [(each.tags, each.soft, each.row_version) for each in records] == [
            (("t",), True, None),
            (("t", "v"), False, None),
            (("u",), False, 3),
        ]

    def test_outside_of_blocks_it_is_at_once(self, blocking: Face) -> None:
        """There is nothing to wait for."""
        evicting(blocking)("a")
        assert held(blocking) == ["b"]

    def test_everything(self, blocking: Face) -> None:
        """`all=True` waits too."""

        def reset() -> None:
            """Nothing."""

        resetting = blocking.cache.evicts(all=True, timing="commit")(reset)
        with blocking.cache.transaction():
            resetting()
            assert held(blocking) == ["a", "b"]
        assert held(blocking) == []

    def test_a_commit_that_fails_is_told_and_goes_on(self, blocking: Face) -> None:
        """The change is committed, so whoever made it must know; other caches are invalidated all the same."""
        other = blocking.another("other")
        other.put("x", 1)

        def away(batch: Any) -> Any:
            raise ProviderUnavailableError("away")

        def fail() -> None:
            with blocking.cache.transaction() as it:
                it.invalidate("t")
                with other.transaction() as inner:
                    inner.invalidate(keys=["x"])

        blocking.cache.provider.invalidate = away
        with pytest.raises(ProviderUnavailableError):
            fail()
        assert other.get("x") is MISSING

    def test_bad_targets_are_refused_at_once(self, blocking: Face) -> None:
        """While the transaction can still be given up."""
        with blocking.cache.transaction() as it:
            with pytest.raises(ConfigurationError, match="pass a list"):
                it.invalidate(keys="abc")
            with pytest.raises(ConfigurationError, match="no text"):
                it.invalidate(7)
        with pytest.raises(ConfigurationError, match="not open"):
            it.invalidate("t")

    def test_threads_have_their_own(self, blocking: Face) -> None:
        """A bare thread is outside; one with the context belongs to the block, and is at once once that has ended."""
        change = evicting(blocking)

        def elsewhere(run: Callable[[], Any]) -> None:
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()

        with blocking.cache.transaction():
            context = copy_context()
            elsewhere(lambda: change("a"))
            assert held(blocking) == ["b"]
            elsewhere(lambda: context.run(change, "b"))
            assert held(blocking) == ["b"]
        assert held(blocking) == []
        blocking.cache.put("a", "a")
        elsewhere(lambda: context.run(change, "a"))
        assert held(blocking) == []


class TestAfterCommit:
    """`after_commit(callback)`."""

    def test_callbacks_follow_the_invalidations(self, blocking: Face) -> None:
        """In order, once, and only at a commit."""
        seen: list[Any] = []
        with blocking.cache.transaction() as it:
            after_commit(lambda: seen.append(held(blocking)))
            after_commit(lambda: seen.append("second"))
            it.invalidate(keys=["a"])
            assert seen == []
        assert seen == [["b"], "second"]

    def test_outside_it_is_at_once(self) -> None:
        """And returns what the callback does."""
        assert after_commit(lambda: 7) == 7


class TestCommitWith:
    """Somebody else knows of the commit."""

    def test_for_everything_outside_of_blocks(self, blocking: Face) -> None:
        """The hook gets a function, and calls it when it likes."""
        waiting: list[Any] = []
        commit_with(waiting.append)
        evicting(blocking)("a")
        after_commit(lambda: waiting.append("done"))
        assert (len(waiting), held(blocking)) == (2, ["a", "b"])
        for each in waiting[:]:
            each()
        assert (waiting[-1], held(blocking)) == ("done", ["b"])
        with blocking.cache.transaction():
            evicting(blocking)("b")
        assert held(blocking) == []  # a block knows for itself

    def test_for_one_block(self, blocking: Face) -> None:
        """At its end the hook gets one function for all of it; if it fails, none."""
        waiting: list[Any] = []
        change = evicting(blocking)
        with blocking.cache.transaction(commit_with=waiting.append):
            for name in "ab":
                change(name)
        assert (len(waiting), held(blocking)) == (1, ["a", "b"])
        waiting.pop()()
        assert held(blocking) == []
        with pytest.raises(KeyError), blocking.cache.transaction(commit_with=waiting.append):
            raise KeyError
        assert waiting == []


class TestAwaited:
    """The same in asyncio code."""

    async def test_a_block(self, awaiting: Face) -> None:
        """It ends by awaiting one invalidation, then its callbacks."""
        cache, seen = awaiting.cache, []
        change = evicting(awaiting)
        await cache.put("a", 1)
        cache.statistics.invalidations = 0

        async def done() -> None:
            seen.append(await cache.get("a"))

        async with cache.transaction() as it:
            after_commit(done)
            after_commit(lambda: seen.append("plain"))
            await change("a")
            it.invalidate("t")
            await asyncio.create_task(change("b"))
            assert await cache.get("a") == 1
        assert seen == [MISSING, "plain"]
        assert cache.statistics.invalidations == 1

    async def test_a_block_that_fails(self, awaiting: Face) -> None:
        """Nothing is invalidated."""

        async def fail() -> None:
            async with awaiting.cache.transaction():
                await evicting(awaiting)("a")
                raise KeyError

        await awaiting.cache.put("a", 1)
        with pytest.raises(KeyError):
            await fail()
        assert await awaiting.cache.get("a") == 1

    async def test_a_hook_for_one_block(self, awaiting: Face) -> None:
        """It gets a coroutine function, and may itself be awaited."""
        waiting: list[Any] = []

        async def soon(commit: Any) -> None:
            await commit()

        await awaiting.cache.put("a", 1)
        async with awaiting.cache.transaction(commit_with=waiting.append):
            await evicting(awaiting)("a")
        assert await awaiting.cache.get("a") == 1
        await waiting.pop()()
        assert await awaiting.cache.get("a") is MISSING
        async with awaiting.cache.transaction(commit_with=soon) as it:
            it.invalidate("t")

    async def test_a_failing_commit_is_told(self, awaiting: Face) -> None:
        """After everything else was done."""
        seen: list[str] = []

        async def fail() -> None:
            raise KeyError

        async def commit() -> None:
            async with awaiting.cache.transaction():
                after_commit(fail)
                after_commit(lambda: seen.append("done"))

        with pytest.raises(KeyError):
            await commit()
        assert seen == ["done"]

    async def test_a_task_that_outlives_its_block(self, awaiting: Face) -> None:
        """What comes late waits for nothing."""
        cache, gate = awaiting.cache, asyncio.Event()
        await cache.put("a", 1)

        async def late() -> None:
            await gate.wait()
            await evicting(awaiting)("a")

        async with cache.transaction():
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        gate.set()
        await task
        assert await cache.get("a") is MISSING

    async def test_colours_that_cannot_wait_for_each_other(self, awaiting: Face, blocking: Face) -> None:
        """A blocking block and a blocking hook cannot await: that is said, not forgotten."""
        with blocking.cache.transaction(), pytest.raises(ConfigurationError, match="cannot await"):
            await evicting(awaiting)("a")
        commit_with(lambda callback: callback())
        with pytest.raises(ConfigurationError, match="commit_with speaks for blocking code"):
            await evicting(awaiting)("a")
        async with awaiting.cache.transaction():
            evicting(blocking)("a")
            assert held(blocking) == ["a", "b"]
        assert held(blocking) == ["b"]
