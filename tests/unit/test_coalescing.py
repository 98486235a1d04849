"""Exchanges that are asked for at once go together, and everybody gets their own answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof.errors import ProviderUnavailableError
from staleproof.providers.redis.coalescing import MOST, Coalescer
from staleproof.providers.redis.exchange import Exchange


class Server:
    """Answers each byte with itself, when it is let.

    Attributes:
        sent: what came in one write each.
    """

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.error: BaseException | None = None
        self.free = asyncio.Event()
        self.free.set()

    async def exchange(self, exchange: Exchange) -> list[Any]:
        self.sent.append(exchange.packed)
        await asyncio.sleep(0)  # as a socket does
        await self.free.wait()
        if self.error is not None:
            raise self.error
        assert len(exchange.packed) == exchange.replies
        return list(exchange.packed)


def word(text: bytes) -> Exchange:
    return Exchange(text, len(text))


async def test_one_alone_goes_at_once() -> None:
    """Nobody waits for others who do not come."""
    server = Server()
    together = Coalescer(server.exchange)
    for text in (b"a", b"bc"):
        assert await together.exchange(word(text)) == list(text)
    assert server.sent == [b"a", b"bc"]
    assert together.shared == 0


@given(st.lists(st.binary(min_size=1, max_size=5), min_size=2, max_size=3 * MOST))
def test_those_who_ask_at_once_share_a_write(texts: list[bytes]) -> None:
    """The first goes alone, the others together, in bounded batches; the answers are theirs."""

    async def scenario() -> None:
        server = Server()
        together = Coalescer(server.exchange)
        answers = await asyncio.gather(*(together.exchange(word(text)) for text in texts))
        assert answers == [list(text) for text in texts]
        assert b"".join(server.sent) == b"".join(texts)
        assert len(server.sent) == 1 + -(-(len(texts) - 1) // MOST)

    asyncio.run(scenario())


async def test_who_gives_up_leaves_the_others_their_answers() -> None:
    """A reader that is cancelled, in a batch that was sent or not."""
    server = Server()
    together = Coalescer(server.exchange)
    for turns in (1, 3):
        server.free.clear()
        tasks = [asyncio.create_task(together.exchange(word(b"%c" % letter))) for letter in b"abcd"]
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.sleep(0)
        server.free.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [answers[at] for at in (0, 1, 3)] == [[97], [98], [100]]
        assert isinstance(answers[2], asyncio.CancelledError)


async def test_everybody_is_told_of_a_failure() -> None:
    """Each by an error of their own."""
    server = Server()
    server.error = ProviderUnavailableError("away")
    together = Coalescer(server.exchange)
    answers = await asyncio.gather(*(together.exchange(word(b"x")) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(answer, ProviderUnavailableError) and str(answer) == "away" for answer in answers)
    assert len(set(map(id, answers))) == len(answers)
    server.error = None
    assert await together.exchange(word(b"x")) == [120]


async def test_an_interrupted_batch_leaves_nobody_waiting() -> None:
    """What ends a batch without an answer cancels those who wait for it."""
    server = Server()
    server.error = asyncio.CancelledError()
    together = Coalescer(server.exchange)
    answers = await asyncio.wait_for(
        asyncio.gather(*(together.exchange(word(b"x")) for _ in range(3)), return_exceptions=True), 5
    )
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers)


def test_another_loop_begins_anew() -> None:
    """What a loop that is over left behind holds up nobody."""
    servers: list[Server] = []

    async def current(exchange: Exchange) -> list[Any]:
        return await servers[-1].exchange(exchange)

    together = Coalescer(current)

    async def leave() -> None:
        servers.append(Server())
        servers[-1].free.clear()
        for _ in range(3):
            asyncio.create_task(together.exchange(word(b"x")))  # noqa: RUF006 - left behind on purpose
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def ask() -> Any:
        servers.append(Server())
        return await together.exchange(word(b"y"))

    asyncio.run(leave())
    assert asyncio.run(ask()) == [121]
    assert servers[-1].sent == [b"y"]


@pytest.mark.parametrize("many", [1, 2, 50])
async def test_a_batch_is_sent_after_the_last_of_its_members_has_asked(many: int) -> None:
    """So no reader is answered with what was read before it asked."""
    server = Server()
    together = Coalescer(server.exchange)
    asked: list[int] = []

    async def ask(number: int) -> None:
        asked.append(number)
        await together.exchange(word(b"%c" % number))

    async def watch(exchange: Exchange) -> list[Any]:
        assert all(number in asked for number in exchange.packed)
        return list(exchange.packed)

    together._exchange = watch
    await asyncio.gather(*(ask(number) for number in range(many)))
