"""Many processes with many callers each, all after one cold key: the other half of `test_stampede`.

    python -m tests.integration.programs.crowd URL NAMESPACE blocking|awaiting PROCESSES CALLERS LEASE PATIENCE

It forks PROCESSES children. What they do together goes over the server, outside of the cache: each tells that it is
`ready`, waits for its `go`, tells when all of its callers have `missed`, and pushes its `results`. The loader counts
`loads`, tells its process in `loading`, and returns when it may `finish`: so a load lasts as long as the test likes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import redis

from staleproof import AsyncCache, Cache, Policy
from staleproof.providers.redis import AsyncRedisProvider, Connections, RedisProvider
from staleproof.providers.redis.async_connections import AsyncConnections

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.ports import Observed
    from staleproof.tags import TagId

LIMIT = 60
"""Seconds after which a child ends itself, should nobody end it."""

PATIENT = 30.0
"""Seconds that the server may take to answer: thousands of threads on few cores connect to it at once."""


class Told(NamedTuple):
    """What a crowd is told on the command line."""

    url: str
    namespace: str
    face: str
    processes: int
    callers: int
    policy: Policy


class Meeting:
    """What the processes and the test tell one another, over the server."""

    def __init__(self, url: str, namespace: str) -> None:
        self.server = redis.Redis.from_url(url, socket_timeout=None)
        self._namespace = namespace

    def name(self, what: str) -> str:
        """Return the key of *what*."""
        return f"{self._namespace}:crowd:{what}"

    def count(self, what: str) -> int:
        """Count one more of *what*."""
        return int(self.server.incr(self.name(what)))

    def tell(self, what: str, message: Any) -> None:
        """Append a message to the list *what*."""
        self.server.rpush(self.name(what), json.dumps(message))

    def hear(self, what: str, timeout: float = LIMIT) -> Any:
        """Take the first message of the list *what*, as soon as there is one.

        Raises:
            TimeoutError: there is none.
        """
        found = self.server.blpop([self.name(what)], timeout)
        if found is None:
            raise TimeoutError(what)
        return json.loads(found[1])


class WatchedProvider(RedisProvider):
    """Notes which thread has found nothing."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.missed: set[Any] = set()

    def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `Provider.read`."""
        observed = super().read(key, tags)
        if observed.entry is None:
            self.missed.add(threading.current_thread())
        return observed


class AsyncWatchedProvider(AsyncRedisProvider):
    """Notes which task has found nothing."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.missed: set[Any] = set()

    async def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `Provider.read`."""
        observed = await super().read(key, tags)
        if observed.entry is None:
            self.missed.add(asyncio.current_task())
        return observed


class Crowd:
    """The callers of one process, and what they got.

    Attributes:
        callers: threads or tasks.
        got: what each of them got; a list, since threads may append to one at once.
        errors: what was raised to them.
    """

    def __init__(self, told: Told, meeting: Meeting) -> None:
        self.told = told
        self.meeting = meeting
        self.callers: set[Any] = set()
        self.got: list[int] = []
        self.errors: list[str] = []

    def load(self) -> int:
        """Load, for as long as the test likes; return which of all loads this was."""
        number = self.meeting.count("loads")
        meeting = Meeting(self.told.url, self.told.namespace)  # a connection of its own, to wait on
        meeting.tell("loading", os.getpid())
        meeting.hear("finish")
        return number

    def gather(self, missed: set[Any], go: Callable[[], object]) -> None:
        """Send the callers off when the test says so, and tell when each has found nothing."""
        self.meeting.count("ready")
        self.meeting.hear(f"go:{os.getpid()}")
        go()
        while not self.callers <= missed:
            time.sleep(0.005)
        self.meeting.count("missed")

    def report(self, cache: Cache | AsyncCache) -> None:
        """Tell what the callers got."""
        statistics = cache.statistics
        figures = {"loads": statistics.loads, "unstored": dict(statistics.unstored)}
        values = {str(value): times for value, times in Counter(self.got).items()}
        self.meeting.tell("results", {"values": values, "errors": self.errors, **figures})


def blocking(told: Told, meeting: Meeting) -> None:
    """Call from threads."""
    crowd = Crowd(told, meeting)
    provider = WatchedProvider(Connections(told.url, timeout=PATIENT), told.namespace)
    cache = Cache(provider, policy=told.policy)
    off = threading.Event()

    def call() -> None:
        off.wait()
        try:
            crowd.got.append(cache.get_or_load("cold", crowd.load, tags=["t"]))
        except Exception as error:  # noqa: BLE001 - the test judges
            crowd.errors.append(repr(error))

    threads = [threading.Thread(target=call) for _ in range(told.callers)]
    crowd.callers |= set(threads)
    for thread in threads:
        thread.start()
    crowd.gather(provider.missed, off.set)
    for thread in threads:
        thread.join()
    crowd.report(cache)


async def awaiting(told: Told, meeting: Meeting) -> None:
    """Call from tasks."""
    crowd = Crowd(told, meeting)
    provider = AsyncWatchedProvider(AsyncConnections(told.url, timeout=PATIENT), told.namespace)
    cache = AsyncCache(provider, policy=told.policy)
    loop, off = asyncio.get_running_loop(), asyncio.Event()

    async def load() -> int:
        return await asyncio.to_thread(crowd.load)

    async def call() -> None:
        await off.wait()
        try:
            crowd.got.append(await cache.get_or_load("cold", load, tags=["t"]))
        except Exception as error:  # noqa: BLE001 - the test judges
            crowd.errors.append(repr(error))

    tasks = [asyncio.create_task(call()) for _ in range(told.callers)]
    crowd.callers |= set(tasks)
    await asyncio.to_thread(crowd.gather, provider.missed, lambda: loop.call_soon_threadsafe(off.set))
    await asyncio.gather(*tasks)
    await cache.close()
    crowd.report(cache)


def child(told: Told) -> None:
    """Be one process of the crowd."""
    signal.alarm(LIMIT)
    meeting = Meeting(told.url, told.namespace)
    meeting.tell("pids", os.getpid())
    if told.face == "blocking":
        blocking(told, meeting)
    else:
        asyncio.run(awaiting(told, meeting))


def fork(told: Told) -> int:
    """Start a child; it ends here."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    with suppress(BaseException):
        child(told)
        status = 0
    os._exit(status)


def main(url: str, namespace: str, face: str, *numbers: str) -> None:
    """Fork the crowd, and print how each process ended."""
    processes, callers = map(int, numbers[:2])
    policy = Policy(ttl="1m", lease=float(numbers[2]), patience=float(numbers[3]))
    told = Told(url, namespace, face, processes, callers, policy)
    pids = [fork(told) for _ in range(processes)]
    ends = {pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids}
    print(json.dumps(ends), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
