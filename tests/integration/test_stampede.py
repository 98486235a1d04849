"""A stampede of processes: one cold key, 20 processes with 100 callers each, one load.

The loads are counted outside of the cache, on the server, and a load lasts until every caller of every process is known
to have found nothing. So "one load" says that they all waited for it, not that they came too late.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from local.conditions import wait_until
from tests.architecture.tree import ROOT
from tests.integration.programs.crowd import LIMIT, Meeting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.redis, pytest.mark.slow]

PROCESSES, CALLERS = 20, 100
LEASE, PATIENCE = 4.0, 6.0
"""In the proportion of the defaults: a reader outwaits a lease whose holder is dead."""

FACES = pytest.mark.parametrize("face", ["blocking", "awaiting"])


class Stampede:
    """A crowd, as the test sees it."""

    def __init__(self, url: str, namespace: str, face: str) -> None:
        self.meeting = Meeting(url, namespace)
        numbers = map(str, (PROCESSES, CALLERS, LEASE, PATIENCE))
        command = [sys.executable, "-m", "tests.integration.programs.crowd", url, namespace, face, *numbers]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def counted(self, what: str) -> int:
        """Return how many of *what* were counted."""
        return int(self.meeting.server.get(self.meeting.name(what)) or 0)

    def wait_for(self, what: str, times: int) -> None:
        """Wait until *what* was counted so often."""
        wait_until(lambda: self.counted(what) >= times, f"{times} times {what}", timeout=LIMIT)

    def begin(self) -> None:
        """Let all callers of all processes go at once."""
        self.wait_for("ready", PROCESSES)
        for _ in range(PROCESSES):
            self.meeting.tell(f"go:{self.meeting.hear('pids')}", "go")

    def finish_loads(self) -> None:
        """Let the load under way return, and any further one that there should not be."""
        for _ in range(PROCESSES):
            self.meeting.tell("finish", "now")

    def results(self, processes: int) -> list[Any]:
        """Return what the callers of so many processes got, once all have ended."""
        found = [self.meeting.hear("results") for _ in range(processes)]
        self.process.wait(LIMIT)
        return found

    def ends(self) -> list[int]:
        """Return how the processes ended."""
        assert self.process.stdout is not None
        return sorted(json.load(self.process.stdout).values())

    def stop(self) -> None:
        """End whatever still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self.meeting.server.close()


@pytest.fixture
def stampede(valkey_url: str, fresh_namespace: str) -> Iterator[Callable[[str], Stampede]]:
    """Start a crowd with one face, and end it after the test."""
    started: list[Stampede] = []

    def start(face: str) -> Stampede:
        started.append(Stampede(valkey_url, fresh_namespace, face))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def values(results: list[Any]) -> dict[int, int]:
    """Return how many callers got each value."""
    return {
        int(value): sum(result["values"].get(value, 0) for result in results)
        for value in {value for result in results for value in result["values"]}
    }


@FACES
def test_a_cold_key_is_loaded_once(stampede: Callable[[str], Stampede], face: str) -> None:
    """100 callers in each of 20 processes cause exactly one load, and all 2,000 get its value."""
    crowd = stampede(face)
    crowd.begin()
    crowd.wait_for("missed", PROCESSES)
    crowd.finish_loads()
    results = crowd.results(PROCESSES)

    assert [error for result in results for error in result["errors"]] == []
    assert values(results) == {1: PROCESSES * CALLERS}
    assert crowd.counted("loads") == 1
    assert [result["unstored"] for result in results] == [{}] * PROCESSES
    assert crowd.ends() == [0] * PROCESSES


@FACES
def test_a_killed_leaseholder_is_replaced_once(stampede: Callable[[str], Stampede], face: str) -> None:
    """Killed in mid-load, its lease runs out and one of the others loads: two loads, and no caller notices."""
    crowd = stampede(face)
    crowd.begin()
    os.kill(crowd.meeting.hear("loading"), signal.SIGKILL)
    killed = time.monotonic()
    crowd.meeting.hear("loading")
    took_over = time.monotonic() - killed
    crowd.wait_for("missed", PROCESSES - 1)
    crowd.finish_loads()
    results = crowd.results(PROCESSES - 1)

    assert [error for result in results for error in result["errors"]] == []
    assert values(results) == {2: (PROCESSES - 1) * CALLERS}
    assert crowd.counted("loads") == 2
    assert [result["unstored"] for result in results] == [{}] * (PROCESSES - 1)
    assert took_over < LEASE + 1
    assert crowd.ends() == [-signal.SIGKILL] + [0] * (PROCESSES - 1)
