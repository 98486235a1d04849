"""Two processes with eight workers each count up one number: none of their steps is lost, none is made twice."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from staleproof import AsyncCache, Cache
from staleproof.keys import Keyspace
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.testing import Blocking
from staleproof.testing.blocking import BlockingCache
from tests.architecture.tree import ROOT
from tests.integration.programs.counting import PATIENT
from tests.integration.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.redis

PROCESSES, WORKERS, STEPS = 2, 8, 60


class Counting:
    """A process that counts."""

    def __init__(self, url: str, namespace: str, face: str) -> None:
        numbers = [str(WORKERS), str(STEPS)]
        command = [
            sys.executable,
            "-m",
            "tests.integration.programs.counting",
            url,
            namespace,
            face,
            *numbers,
        ]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def wait_ready(self) -> None:
        """Wait until all of its workers are there."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def sums(self) -> list[int]:
        """Let it count, and return what its workers were told."""
        output, _ = self._process.communicate("go\n", timeout=60)
        sums: list[int] = json.loads(output)
        return sums

    def stop(self) -> None:
        """End it, if it still runs."""
        self._process.kill()
        self._process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    "faces", [("blocking",) * 2, ("awaiting",) * 2, ("blocking", "awaiting")], ids="+".join
)
def test_no_step_of_several_processes_is_lost(valkey_url: str, fresh_namespace: str, faces: Any) -> None:
    """Every step is told a sum of its own, and the last one is the number of steps."""
    processes = [Counting(valkey_url, fresh_namespace, face) for face in faces]
    sums: list[int] = []
    try:
        for process in processes:
            process.wait_ready()
        began = time.monotonic()
        threads = [threading.Thread(target=lambda each=each: sums.extend(each.sums())) for each in processes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
    finally:
        for process in processes:
            process.stop()
    steps = PROCESSES * WORKERS * STEPS
    assert sorted(sums) == list(range(1, steps + 1))
    print(f"\n{'+'.join(faces)}: {steps} steps in {took:.2f} s, {steps / took:.0f} a second")


@pytest.fixture(params=["blocking", "awaiting"])
def counting(request: pytest.FixtureRequest, fresh_namespace: str) -> Any:
    """Make a cache of one face, in blocking words."""
    opened: list[Any] = []

    def make(url: str) -> Any:
        if request.param == "blocking":
            opened.append(RedisProvider.from_url(url, namespace=fresh_namespace))
            return Cache(opened[-1], policy=PATIENT)
        opened.append(Blocking(AsyncRedisProvider.from_url(url, namespace=fresh_namespace)))
        return BlockingCache(AsyncCache(opened[-1].behind, policy=PATIENT), opened[-1].portal)

    yield make
    for each in opened:
        getattr(each, "shut", each.close)()


def test_a_step_whose_reply_was_lost_is_made_once(
    counting: Callable[[str], Any], valkey_url: str, fresh_namespace: str
) -> None:
    """The connection breaks between the server's work and its reply: the number is right all the same."""
    port = int(valkey_url.rsplit(":", 1)[1].partition("/")[0])
    staged = Keyspace(fresh_namespace).entry("number") + b":s"
    with Proxy(port) as line, redis.Redis.from_url(valkey_url) as admin:
        cache = counting(line.url)
        assert cache.increment("number") == 1
        line.lose_reply(lambda request: staged in request)
        assert cache.increment("number") == 2
        assert line.lost == 1
        assert cache.increment("number") == 3
        assert cache.get("number") == 3
        assert not admin.exists(Keyspace(fresh_namespace).lease("number"))
