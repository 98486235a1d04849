"""How messages become requests, and what is sent again: decided here once, for every transport and for both faces.

Theory of operation. `delivery` is a generator that does no I/O: it yields `Send` and `Pause` and is told what came of
them; `run` and `run_async` are the two drivers. Messages are cut into batches that the transport takes. A batch is
sent. Of what the transport took nothing is sent again; what it refused for a passing reason is sent again after a
pause, and alone. This is the only layer that retries: the clients below are told to try once.

If a request fails as a whole, its outcome may be unknown, and it is sent again: messages may then arrive twice. When it
goes on failing, nobody is there, and the batches behind it are not tried: the caller is not kept waiting for each. A
request that is refused for what one of its messages holds is sent anew message by message, so the others get through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from staleproof.errors import EventError, ProviderUnavailableError
from staleproof.ports import Receipt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence

    from staleproof.errors import CacheError
    from staleproof.events import Message
    from staleproof.publishers.backoff import Pauses


class Send(NamedTuple):
    """Send these bodies in one request; answered by a `Failure`, or a `Verdict` each, in their order."""

    bodies: list[Any]


class Pause(NamedTuple):
    """Wait; answered by None."""

    seconds: float


class Verdict(NamedTuple):
    """What became of one message.

    Attributes:
        place: where it is now.
        error: why it was not taken, or None.
        again: whether it is worth sending again.
    """

    place: str = ""
    error: CacheError | None = None
    again: bool = False


class Failure(NamedTuple):
    """What became of a request that failed as a whole.

    Attributes:
        error: why.
        again: whether it is worth sending again.
        one: it is refused for what one of its messages holds.
    """

    error: CacheError
    again: bool = False
    one: bool = False


class Limits(NamedTuple):
    """What a request may hold.

    Attributes:
        most: messages.
        most_bytes: bytes; a message that is larger goes alone.
        distinct: no two messages of the same id.
    """

    most: int
    most_bytes: int
    distinct: bool = False


class Parcel(NamedTuple):
    """A message on its way: its number, its id, and what the transport takes, with its size in bytes."""

    number: int
    id: str
    body: Any
    size: int


class Route(Protocol):
    """The pure part of a transport."""

    limits: Limits

    def pack(self, message: Message) -> tuple[Any, int]:
        """Return what the transport takes, and its size in bytes; an `EventError` says that it takes none such."""
        ...


def delivery(
    messages: Sequence[Message], route: Route, pauses: Pauses
) -> Generator[Send | Pause, Any, list[Receipt]]:
    """Send *messages* by *route*; return a receipt each, in their order."""
    told: dict[int, Verdict] = {}
    down: Verdict | None = None
    for batch in batches(_packed(messages, route, told), route.limits):
        if down is None:
            down = yield from _persist(batch, pauses, told)
        else:
            told.update((parcel.number, down) for parcel in batch)
    return [Receipt(message.id, *told[number][:2]) for number, message in enumerate(messages)]


def _packed(messages: Sequence[Message], route: Route, told: dict[int, Verdict]) -> Iterator[Parcel]:
    for number, message in enumerate(messages):
        try:
            body, size = route.pack(message)
        except EventError as error:
            told[number] = Verdict(error=error)
        else:
            yield Parcel(number, message.id, body, size)


def batches(parcels: Iterable[Parcel], limits: Limits) -> Iterator[list[Parcel]]:
    """Yield *parcels* in requests that keep to *limits*, in order."""
    batch: list[Parcel] = []
    size = 0
    ids: set[str] = set()
    for parcel in parcels:
        full = len(batch) == limits.most or size + parcel.size > limits.most_bytes
        if batch and (full or (limits.distinct and parcel.id in ids)):
            yield batch
            batch, size, ids = [], 0, set()
        batch.append(parcel)
        size += parcel.size
        ids.add(parcel.id)
    if batch:
        yield batch


def _persist(
    batch: list[Parcel], pauses: Pauses, told: dict[int, Verdict]
) -> Generator[Send | Pause, Any, Verdict | None]:
    """Send *batch* until all of it has a last word; return what every other message gets if nobody is there."""
    waiting, down = batch, None
    for pause in (0.0, *pauses.each()):
        if pause:
            yield Pause(pause)
        answer = _whole((yield Send([parcel.body for parcel in waiting])), len(waiting))
        if isinstance(answer, Failure):
            if answer.one and len(waiting) > 1:
                return (yield from _singly(waiting, pauses, told))
            down = Verdict(error=answer.error)
            told.update((parcel.number, down) for parcel in waiting)
            if not answer.again:
                return None if answer.one else down
            continue
        down = None
        told.update((parcel.number, verdict) for parcel, verdict in zip(waiting, answer, strict=True))
        waiting = [parcel for parcel, verdict in zip(waiting, answer, strict=True) if verdict.again]
        if not waiting:
            break
    return down


def _whole(answer: list[Verdict] | Failure, sent: int) -> list[Verdict] | Failure:
    """Return *answer*; one that leaves messages out says of none what became of it."""
    if isinstance(answer, Failure) or len(answer) == sent:
        return answer
    told = f"the transport answered for {len(answer)} of {sent} messages; retry, harmlessly"
    return Failure(ProviderUnavailableError(told), again=True)


def _singly(
    batch: list[Parcel], pauses: Pauses, told: dict[int, Verdict]
) -> Generator[Send | Pause, Any, Verdict | None]:
    for at, parcel in enumerate(batch):
        down = yield from _persist([parcel], pauses, told)
        if down is not None:
            told.update((other.number, down) for other in batch[at + 1 :])
            return down
    return None


def run(
    plan: Generator[Send | Pause, Any, list[Receipt]],
    send: Callable[[list[Any]], list[Verdict] | Failure],
    sleep: Callable[[float], object],
) -> list[Receipt]:
    """Run *plan* to its end, blocking."""
    answer: list[Verdict] | Failure | None = None
    while True:
        try:
            command = plan.send(answer)
        except StopIteration as end:
            receipts: list[Receipt] = end.value
            return receipts
        if isinstance(command, Pause):
            sleep(command.seconds)
            answer = None
        else:
            answer = send(command.bodies)


async def run_async(
    plan: Generator[Send | Pause, Any, list[Receipt]],
    send: Callable[[list[Any]], Awaitable[list[Verdict] | Failure]],
    sleep: Callable[[float], Awaitable[object]],
) -> list[Receipt]:
    """Run *plan* to its end in the event loop."""
    answer: list[Verdict] | Failure | None = None
    while True:
        try:
            command = plan.send(answer)
        except StopIteration as end:
            receipts: list[Receipt] = end.value
            return receipts
        if isinstance(command, Pause):
            await sleep(command.seconds)
            answer = None
        else:
            answer = await send(command.bodies)
