"""Which of several endpoints is asked: the nearest, without taking turns at every hiccup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.clock import ManualClock
from staleproof.errors import ProviderUnavailableError
from staleproof.providers.redis.nearest_reader import AsyncNearestReader, NearestReader
from staleproof.providers.redis.routes import EXPLORE_SECONDS, FIRST_REST, LONGEST_REST, Routes

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def ask(
    routes: Routes, clock: ManualClock, took: Sequence[float], times: int = 1, every: float = 0.1
) -> list[int]:
    """Ask so often, where each place takes its time; return which were asked."""
    asked = []
    for _ in range(times):
        at = routes.choose()
        asked.append(at)
        routes.answered(at, took[at])
        clock.advance(every)
    return asked


def test_each_place_is_tried_once_and_the_nearest_preferred(clock: ManualClock) -> None:
    """Then the others are asked seldom, each in its turn."""
    routes = Routes(3, clock)
    took = [0.003, 0.001, 0.002]
    assert ask(routes, clock, took, 3) == [0, 1, 2]
    asked = ask(routes, clock, took, 600)
    assert routes.preferred == 1
    assert asked.count(1) > 500
    assert {0, 2} <= set(asked)


def test_two_that_are_about_as_far_do_not_take_turns(clock: ManualClock) -> None:
    """A little faster is not enough, and neither is once."""
    routes = Routes(2, clock)
    ask(routes, clock, [0.001, 0.001], 2)
    for turn in range(2_000):
        ask(routes, clock, [0.001, 0.0009 if turn % 2 else 0.0011])
        assert routes.preferred == 0
    routes.answered(1, 0.0001)
    assert routes.preferred == 0


def test_a_place_that_becomes_clearly_faster_is_found(clock: ManualClock) -> None:
    """Within some explorations, and the other way round when it becomes slow."""
    routes = Routes(2, clock)
    ask(routes, clock, [0.001, 0.002], 10)
    assert routes.preferred == 0
    ask(routes, clock, [0.004, 0.001], round(10 * EXPLORE_SECONDS / 0.1))
    assert routes.preferred == 1
    ask(routes, clock, [0.001, 0.010], round(10 * EXPLORE_SECONDS / 0.1))
    assert routes.preferred == 0


def test_a_place_that_does_not_answer_rests(clock: ManualClock) -> None:
    """Longer each time; when it answers again it is a place like any other."""
    routes = Routes(2, clock)
    ask(routes, clock, [0.001, 0.002], 10)
    rests = []
    for _ in range(8):
        routes.failed(0)
        began = clock.monotonic()
        while routes.choose() == 1 and clock.monotonic() - began < 2 * LONGEST_REST:
            routes.answered(1, 0.002)
            clock.advance(0.5)
        rests.append(clock.monotonic() - began)
    assert rests == sorted(rests)
    assert rests[0] <= FIRST_REST + EXPLORE_SECONDS + 1
    assert rests[-1] <= LONGEST_REST + EXPLORE_SECONDS + 1
    ask(routes, clock, [0.001, 0.002], 200)
    assert routes.preferred == 0


def test_if_all_rest_the_one_that_is_done_first_is_asked(clock: ManualClock) -> None:
    """Somebody has to be."""
    routes = Routes(3, clock)
    for at in (2, 0, 1):
        routes.failed(at)
        clock.advance(0.1)
    assert routes.choose() == 2


class Reader:
    """Answers with its name, or not at all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.away = False
        self.led = self.closed = 0

    def read_following(self, *_: Any) -> Any:
        if self.away:
            raise ProviderUnavailableError("away")
        return self.name, None

    def lead_to_replicas(self) -> None:
        self.led += 1

    def close(self) -> None:
        self.closed += 1


class AsyncReader(Reader):
    """The same, awaited."""

    async def read_following(self, *arguments: Any) -> Any:
        return super().read_following(*arguments)

    async def close(self) -> None:  # type: ignore[override]
        super().close()


def test_a_reader_that_is_away_is_passed_over(clock: ManualClock) -> None:
    """Once; if the next one is away too, the primary answers."""
    readers: list[Any] = [Reader("a"), Reader("b")]
    nearest: Any = NearestReader(readers, clock)
    assert nearest.read_following("k", [], "", 1)[0] == "a"
    readers[0].away = True
    readers[1].away = False
    clock.advance(1)
    assert nearest.read_following("k", [], "", 1)[0] == "b"
    readers[1].away = True
    with pytest.raises(ProviderUnavailableError):
        nearest.read_following("k", [], "", 1)
    nearest.lead_to_replicas()
    nearest.close()
    assert [(reader.led, reader.closed) for reader in readers] == [(1, 1)] * 2


async def test_the_asyncio_face_does_the_same(clock: ManualClock) -> None:
    """Awaited."""
    readers: list[Any] = [AsyncReader("a"), AsyncReader("b")]
    nearest: Any = AsyncNearestReader(readers, clock)
    assert (await nearest.read_following("k", [], "", 1))[0] == "a"
    readers[0].away = True
    assert (await nearest.read_following("k", [], "", 1))[0] == "b"
    readers[1].away = True
    with pytest.raises(ProviderUnavailableError):
        await nearest.read_following("k", [], "", 1)
    nearest.lead_to_replicas()
    await nearest.close()
    assert [(reader.led, reader.closed) for reader in readers] == [(1, 1)] * 2
