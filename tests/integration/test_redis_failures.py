"""What the Redis provider does when the server goes, hangs, forgets or refuses. Real servers, really killed."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import hiredis
import pytest
import redis

from local.conditions import wait_until
from local.loopback import HOST
from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof import (
    AsyncCache,
    Cache,
    ConfigurationError,
    Policy,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from staleproof.keys import Keyspace
from staleproof.ports.operations import TakeLock
from staleproof.providers.memcached import MemcachedProvider
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.tags import ROOT
from staleproof.testing import Blocking
from staleproof.testing.examples import MINE, MINUTE, invalidation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis


def blocking(url: str, **options: Any) -> Any:
    return RedisProvider.from_url(url, namespace="failures", **options)


def awaiting(url: str, **options: Any) -> Any:
    return Blocking(AsyncRedisProvider.from_url(url, namespace="failures", **options))


@pytest.fixture(params=[blocking, awaiting], ids=["blocking", "awaiting"])
def face(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Open providers of one face, and close them after the test."""
    opened = []

    def connect(url: str, **options: Any) -> Any:
        opened.append(request.param(url, **options))
        return opened[-1]

    yield connect
    for provider in opened:
        getattr(provider, "shut", provider.close)()


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server of the test's own, to be mistreated."""
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-failures")
        server.start()
        yield server


def test_a_server_that_is_away_is_unavailable_and_found_again(
    face: Callable[..., Any], server: Valkey
) -> None:
    """Every call says so at once, naming the address; after the restart the same provider works."""
    provider = face(server.url)
    provider.put("key", b"1", MINUTE)
    server.kill()
    calls: list[Callable[[], Any]] = [
        lambda: provider.read("key", [ROOT]),
        lambda: provider.begin("key", [ROOT], MINE, MINUTE, MINUTE, guard=True),
        lambda: provider.invalidate([invalidation("a")]),
        provider.journal_end,
    ]
    for call in calls:
        with pytest.raises(
            ProviderUnavailableError, match=f"127.0.0.1:{server.port} cannot be reached.*retry"
        ):
            call()
    server.start()
    assert provider.read("key", [ROOT]).entry is None
    assert provider.invalidate([invalidation("a")])


def test_a_connection_that_the_server_closed_is_replaced_unnoticed(
    face: Callable[..., Any], server: Valkey
) -> None:
    """An idle connection may have died while a function was frozen: the call is tried once more, on a new one."""
    provider = face(server.url)
    provider.put("key", b"1", MINUTE)
    with redis.Redis.from_url(server.url) as client:
        for _ in range(3):
            client.client_kill_filter(_type="normal", skipme=True)
            assert provider.read("key", []).entry == b"1"
            client.client_kill_filter(_type="normal", skipme=True)
            assert len(provider.invalidate([invalidation("a")])) == 1


def test_a_hanging_server_costs_the_timeout_and_no_more(face: Callable[..., Any], server: Valkey) -> None:
    """The call fails as unavailable, and a late reply is never taken for the answer to a later question."""
    provider = face(server.url, timeout=0.2)
    provider.put("key", b"1", MINUTE)
    server.signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(ProviderUnavailableError):
            provider.read("key", [])
        assert time.monotonic() - began < 5
    finally:
        server.signal(signal.SIGCONT)
    provider.put("other", b"2", MINUTE)
    assert provider.read("other", []).entry == b"2"
    assert provider.read("key", []).entry == b"1"


def test_a_server_that_forgot_its_scripts_is_taught_again(face: Callable[..., Any], server: Valkey) -> None:
    """A restart or a flush empties the script cache in mid-life."""
    provider = face(server.url)
    with redis.Redis.from_url(server.url) as client:
        for _ in range(2):
            client.script_flush()
            provider.begin("key", [ROOT], MINE, MINUTE, MINUTE, guard=False)
            assert provider.store("key", b"1", MINUTE, MINE)
            client.script_flush()
            provider.invalidate([invalidation("a", row_version=3, lag_ms=MINUTE)])
            client.script_flush()
            provider.release("key", MINE)


def test_wrong_credentials_are_a_rejection_without_the_password(
    face: Callable[..., Any], server: Valkey
) -> None:
    """The message says what to check, and never the secret."""
    with redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "right")
    provider = face(server.url.replace("redis://", "redis://:wrong-secret@"))
    with pytest.raises(ProviderRejectedError, match="check user, password") as caught:
        provider.read("key", [])
    assert "wrong-secret" not in str(caught.value)
    with pytest.raises(ProviderRejectedError):
        face(server.url).read("key", [])
    assert face(server.url.replace("redis://", "redis://:right@")).read("key", []).entry is None


class Oddity:
    """A server that gives the same answer to every command, but for those that open a connection."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server((HOST, 0))
        self.url = f"redis://{HOST}:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                threading.Thread(target=self._speak, args=(line,), daemon=True).start()

    def _speak(self, line: socket.socket) -> None:
        reader = hiredis.Reader()
        with line, suppress(OSError):
            while data := line.recv(1 << 16):
                reader.feed(data)
                while (command := reader.gets()) is not False:
                    line.sendall(b"+OK\r\n" if command[0] == b"CLIENT" else self._answer)


@pytest.mark.parametrize(
    "answer",
    [b":5\r\n", b"$-1\r\n", b"*0\r\n", b"*1\r\n*1\r\n:1\r\n", b"$2\r\n\xff\xfe\r\n", b"-MOVED x\r\n"],
)
@pytest.mark.parametrize("cluster", [False, True])
def test_an_answer_of_another_shape_is_a_rejection(
    face: Callable[..., Any], answer: bytes, cluster: bool
) -> None:
    """What is no server of ours, or lies behind something that changes its answers, raises no `TypeError` deep inside.

    The connection that carried the answer is given back: there is one only.
    """
    odd = Oddity(answer)
    provider = face(odd.url, max_connections=1, timeout=2.0, cluster=cluster)
    for _ in range(3):
        with pytest.raises(ProviderError):
            provider.invalidate([invalidation("t")])
        with pytest.raises(ProviderError):
            provider.perform(TakeLock("x", "0a", 1_000))
        with suppress(ProviderError):  # if it is an error, it is one of ours
            provider.begin("k", [ROOT], b"lease", MINUTE, MINUTE, guard=True)
    odd.close()


def test_a_server_that_never_knows_a_script_is_not_asked_for_ever(face: Callable[..., Any]) -> None:
    """Some times, and then it is a rejection."""
    odd = Oddity(b"-NOSCRIPT no\r\n")
    with pytest.raises(ProviderRejectedError, match="refused a command"):
        face(odd.url).perform(TakeLock("x", "0a", 1_000))
    odd.close()


def test_a_full_server_rejects_and_acknowledges_nothing(face: Callable[..., Any], server: Valkey) -> None:
    """Out of memory, the journal cannot grow: the invalidation is not acknowledged."""
    provider = face(server.url)
    provider.journal_end()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(ProviderRejectedError, match="OOM"):
            provider.invalidate([invalidation("a")])
        client.config_set("maxmemory", "0")
    assert provider.invalidate([invalidation("a")])


def test_foreign_types_under_our_keys_are_no_hit(face: Callable[..., Any], server: Valkey) -> None:
    """A list where an entry or a version should be reads as absent."""
    provider = face(server.url)
    keys = Keyspace("failures")
    with redis.Redis.from_url(server.url) as client:
        client.lpush(keys.entry("key"), "x")
        client.lpush(keys.version(ROOT), "x")
    entry, versions = provider.read("key", [ROOT])
    assert (entry, list(versions)) == (None, [None])
    provider.invalidate([invalidation(keys=("key",), clear=True)])
    provider.put("key", b"1", MINUTE)
    assert provider.read("key", []).entry == b"1"


def test_more_threads_than_connections_take_turns(server: Valkey) -> None:
    """The pool is bounded, and everybody gets the answer to their own question."""
    provider = blocking(server.url, max_connections=3)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: provider.put(f"k{n}", b"%d" % n, MINUTE), range(100)))
        entries = list(threads.map(lambda n: provider.read(f"k{n % 100}", []).entry, range(2_000)))
    assert entries == [b"%d" % (n % 100) for n in range(2_000)]
    with redis.Redis.from_url(server.url) as client:
        assert _connections(client) <= 3


def test_more_tasks_than_connections_take_turns(server: Valkey) -> None:
    """The same under asyncio, also when some tasks are cancelled in mid-reply."""

    async def scenario() -> None:
        provider = AsyncRedisProvider.from_url(server.url, namespace="failures", max_connections=3)
        for n in range(50):
            await provider.put(f"k{n}", b"%d" % n, MINUTE)
        tasks = [asyncio.create_task(provider.read(f"k{n % 50}", [])) for n in range(600)]
        await asyncio.sleep(0)
        for task in tasks[::7]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for n, answer in enumerate(answers):
            if isinstance(answer, asyncio.CancelledError):
                assert n % 7 == 0
            else:
                assert not isinstance(answer, BaseException)
                assert answer.entry == b"%d" % (n % 50)
        await provider.close()

    asyncio.run(scenario())


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_each_event_loop_gets_connections_of_its_own(server: Valkey) -> None:
    """`asyncio.run` an invocation, as a Lambda handler does, works with a cache at module scope, and leaks nothing."""
    cache = AsyncCache(AsyncRedisProvider.from_url(server.url, namespace="failures"))

    async def load() -> int:
        return 42

    for _ in range(5):
        assert asyncio.run(cache.get_or_load("key", load)) == 42
    assert cache.statistics.loads == 1
    gc.collect()
    with redis.Redis.from_url(server.url) as client:
        wait_until(lambda: _connections(client) <= 1, "the dead loops' connections are closed")
    del cache
    gc.collect()


def _connections(client: redis.Redis) -> int:
    clients: list[dict[str, str]] = client.client_list()
    return len([each for each in clients if each["name"] == "staleproof"])


def test_a_fork_does_not_share_its_parents_sockets(server: Valkey) -> None:
    """Parent and child read at the same time and each gets its own answers."""
    provider = blocking(server.url)
    for name in ("parent", "child"):
        provider.put(name, name.encode() * 1_000, MINUTE)
    child = os.fork()
    name = "parent" if child else "child"
    right = all(provider.read(name, []).entry == name.encode() * 1_000 for _ in range(300))
    if not child:
        os._exit(0 if right else 1)
    assert right
    assert os.waitpid(child, 0)[1] == 0


def test_a_busy_pool_says_so(server: Valkey) -> None:
    """Whoever waits for a connection longer than the timeout is told what to change."""
    provider = blocking(server.url, max_connections=1, timeout=0.3)
    provider.read("key", [])
    server.signal(signal.SIGSTOP)
    errors: list[BaseException] = []

    def read() -> None:
        try:
            provider.read("key", [])
        except ProviderUnavailableError as error:
            errors.append(error)

    try:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        server.signal(signal.SIGCONT)
    assert len(errors) == 4
    assert any("raise max_connections" in str(error) for error in errors)
    provider.read("key", [])


@pytest.mark.parametrize(
    "url", ["http://x", "redis//x", "", "redis://x/0?no_such=1", "rediss://x/0?ssl_cert_reqs=NONE"]
)
def test_an_unreadable_url_is_a_configuration_error(url: str) -> None:
    """It fails when the provider is made, with the shape to write."""
    for face in (RedisProvider, AsyncRedisProvider):
        with pytest.raises(ConfigurationError, match="redis://host:port"):
            face.from_url(url, namespace="n")


@pytest.mark.parametrize("most", [0, -1, 1.5, True, None, "3", 10**9])
def test_a_number_of_connections_that_cannot_be_is_told(most: Any) -> None:
    """When the provider is made, by all of them; none would let anybody through."""
    for face, url in (
        (RedisProvider, "redis://x"),
        (AsyncRedisProvider, "redis://x"),
        (MemcachedProvider, "memcached://x"),
    ):
        with pytest.raises(ConfigurationError, match="max_connections="):
            face.from_url(url, namespace="n", max_connections=most)


def test_a_crowd_in_several_processes_loads_once(server: Valkey) -> None:
    """Forked processes, a cold key each round: one load a round in all."""
    rounds, crowd = 5, 6
    gates = [os.pipe() for _ in range(crowd)]
    children = []
    for number in range(crowd):
        child = os.fork()
        if not child:
            os.read(gates[number][0], 1)
            os._exit(_loads(server.url, rounds))
        children.append(child)
    for _, gate in gates:
        os.write(gate, b"x")
    loads = sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    for ends in gates:
        for end in ends:
            os.close(end)
    assert loads == rounds


def _loads(url: str, rounds: int) -> int:
    cache = Cache(RedisProvider.from_url(url, namespace="crowd"), policy=Policy(patience="30s"))
    for number in range(rounds):
        cache.get_or_load(f"cold:{number}", lambda: 1)
    return cache.statistics.loads
