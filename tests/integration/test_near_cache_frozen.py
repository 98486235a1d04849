"""P2 with real processes: a near cache that was frozen serves nothing staler than its bound when it is thawed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from staleproof import Cache
from staleproof.keys import Keyspace
from staleproof.providers.redis import RedisProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).with_name("near_process.py")
BOUND = 0.2


class NearProcess:
    """The program, with a pipe to each end."""

    def __init__(self, url: str, namespace: str, staleness: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), url, namespace, str(staleness)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)
        while Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            os.sched_yield()

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.redis
@pytest.mark.parametrize("staleness", [0.0, BOUND])
class TestFrozen:
    @pytest.fixture
    def frozen(self, valkey_url: str, fresh_namespace: str, staleness: float) -> Iterator[NearProcess]:
        """A process that holds version 1 near, and is stopped."""
        with redis.Redis.from_url(valkey_url) as client:
            client.set(f"{fresh_namespace}:source", 1)
        process = NearProcess(valkey_url, fresh_namespace, staleness)
        try:
            assert process.read() == {"value": 1, "near_hits": 0}
            assert process.read() == {"value": 1, "near_hits": 1}
            process.freeze()
            yield process
        finally:
            process.thaw()
            process.stop()

    @pytest.fixture
    def changed(self, frozen: NearProcess, valkey_url: str, fresh_namespace: str) -> RedisProvider:
        """The source changed and the change was acknowledged, while the process was frozen."""
        provider = RedisProvider.from_url(valkey_url, namespace=fresh_namespace)
        with redis.Redis.from_url(valkey_url) as client:
            client.set(f"{fresh_namespace}:source", 2)
        Cache(provider).invalidate("row")
        return provider

    def thawed_after_the_bound(self, frozen: NearProcess, staleness: float) -> int:
        acknowledged = time.monotonic()
        while time.monotonic() - acknowledged <= staleness:
            os.sched_yield()
        frozen.thaw()
        return int(frozen.read()["value"])

    def test_the_journal_names_what_was_missed(
        self, frozen: NearProcess, changed: RedisProvider, staleness: float
    ) -> None:
        """A plain thaw: the cursor finds the invalidation."""
        assert self.thawed_after_the_bound(frozen, staleness) == 2

    def test_a_journal_trimmed_beyond_the_cursor_clears(
        self, frozen: NearProcess, changed: RedisProvider, staleness: float, valkey_url: str
    ) -> None:
        """It slept past the horizon: what it missed cannot be known, so everything goes."""
        Cache(changed).invalidate("something else")
        with redis.Redis.from_url(valkey_url) as client:
            assert client.xtrim(Keyspace(changed.namespace).journal, maxlen=1, approximate=False) >= 1
        assert self.thawed_after_the_bound(frozen, staleness) == 2

    @pytest.mark.parametrize("again", [False, True], ids=["deleted", "begun anew"])
    def test_a_deleted_journal_clears(
        self, frozen: NearProcess, changed: RedisProvider, staleness: float, valkey_url: str, again: bool
    ) -> None:
        """The stream is gone, or another has taken its place."""
        with redis.Redis.from_url(valkey_url) as client:
            client.delete(Keyspace(changed.namespace).journal)
        if again:
            Cache(changed).invalidate("something else")
        assert self.thawed_after_the_bound(frozen, staleness) == 2
        assert frozen.read()["value"] == 2
