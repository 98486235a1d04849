"""Publisher to a Kafka topic for asyncio: a `KafkaPublisher` in a thread of its own, behind a bounded queue.

Theory of operation. A task puts its messages into the queue and waits for a future; a full queue makes tasks wait, so
memory is bounded, and the loop never is held up. The thread takes whatever waits, hands it to the producer as one, and
splits the receipts: tasks that send at once share requests, and the order in which they came stays. A task that is
cancelled before its turn is left out; one that is cancelled later finds its messages sent.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.publishers.faces import AwaitingPublisher
from staleproof.publishers.figures import whole
from staleproof.publishers.kafka import KafkaPublisher
from staleproof.publishers.kafka_options import TIMEOUT
from staleproof.publishers.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.events import Message
    from staleproof.ports import Receipt

WAITING, MOST_WAITING = 1_000, 1_000_000
"""Calls of `send` that wait at once."""

TOGETHER = 5_000
"""Messages that are handed over as one."""


class _Job(NamedTuple):
    messages: Sequence[Message]
    receipts: Future[list[Receipt]]


_Jobs = queue.SimpleQueue[_Job | None]


class AsyncKafkaPublisher(AwaitingPublisher):
    """`KafkaPublisher` for asyncio; needs the extra `kafka`.

    Args:
        servers: see `KafkaPublisher`, for this and the rest.
        topic: the topic.
        timeout: seconds within which a record is acknowledged, or fails.
        producer: makes the producer.
        waiting: calls that wait in the queue at most; further ones wait for a place.
        options: further options of kafka-python's producer.
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        topic: str,
        *,
        timeout: float = TIMEOUT,
        producer: Callable[..., Any] | None = None,
        waiting: int = WAITING,
        **options: Any,
    ) -> None:
        self._behind = KafkaPublisher(servers, topic, timeout=timeout, producer=producer, **options)
        self._places = Places(whole(waiting, "waiting", 1, MOST_WAITING))
        self._jobs: _Jobs = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    async def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        import asyncio  # noqa: PLC0415 - blocking code does not load it

        if not messages:
            return []
        async with self._places.get():
            receipts: Future[list[Receipt]] = Future()
            with self._lock:
                self._start()
                self._jobs.put(_Job(list(messages), receipts))
            return await asyncio.wrap_future(receipts)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, args=[self._jobs], name="staleproof-kafka", daemon=True
            )
            self._thread.start()

    def _work(self, waiting: _Jobs) -> None:
        while (job := waiting.get()) is not None:
            jobs, end = _others(job, waiting)
            self._carry([each for each in jobs if each.receipts.set_running_or_notify_cancel()])
            if end:
                return

    def _carry(self, jobs: list[_Job]) -> None:
        try:
            receipts = self._behind.send([message for job in jobs for message in job.messages])
        except BaseException as error:  # noqa: BLE001 - it is the tasks' to see, and the thread goes on
            for job in jobs:
                job.receipts.set_exception(error)
            return
        at = 0
        for job in jobs:
            job.receipts.set_result(receipts[at : at + len(job.messages)])
            at += len(job.messages)

    async def close(self) -> None:
        """See `Publisher.close`. What waits is sent first."""
        import asyncio  # noqa: PLC0415

        with self._lock:
            thread, self._thread = self._thread, None
            self._jobs.put(
                None
            )  # the thread's end; another one, if there is to be one, has a queue of its own
            self._jobs = queue.SimpleQueue()
        if thread is not None:
            await asyncio.to_thread(thread.join)
        await asyncio.to_thread(self._behind.close)


def _others(job: _Job, waiting: _Jobs) -> tuple[list[_Job], bool]:
    """Return *job* and what waits behind it, and whether the end was among that."""
    jobs, count = [job], len(job.messages)
    while count < TOGETHER:
        try:
            other = waiting.get_nowait()
        except queue.Empty:
            break
        if other is None:
            return jobs, True
        jobs.append(other)
        count += len(other.messages)
    return jobs, False
