"""However a stack's owner ends, no process and no directory of it is left."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from local.conditions import wait_until
from local.supervisor import ROOT, Supervisor, SupervisorError
from local.valkey import Valkey
from tests.stack.processes import Process, descendants

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc"),
]

Run = Callable[..., tuple[subprocess.Popen[str], Any]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start a program; return it and the line of JSON that it says when it is up."""
    with ExitStack() as stack:

        def started(*command: str, wait: bool = True) -> tuple[subprocess.Popen[str], Any]:
            program = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            stack.enter_context(program)
            stack.callback(program.kill)
            assert program.stdout is not None
            return program, json.loads(program.stdout.readline()) if wait else None

        yield started


def assert_gone(processes: list[Process], directory: str) -> None:
    wait_until(lambda: not any(each.alive() for each in processes), f"the end of {len(processes)} processes")
    wait_until(lambda: not Path(directory).exists(), f"the removal of {directory}")


@pytest.mark.stack
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_leaves_nothing_when_interrupted(run: Run, number: int) -> None:
    """After Ctrl-C or SIGTERM the command's servers and directory are gone before it ends."""
    program, told = run("-m", "local", "up", "--no-functions", "--json")
    below = descendants(program.pid)
    assert len(below) >= 6  # the supervisor, two cache servers, the emulator, two drivers
    os.killpg(program.pid, number)

    assert program.wait(20) == 130
    assert not any(each.alive() for each in below)
    assert not Path(told["directory"]).exists()


@pytest.mark.stack
def test_interrupt_during_the_start_leaves_nothing(run: Run, tmp_path: Path) -> None:
    """Ctrl-C while servers are starting ends those that run and starts no more."""
    program, _ = run("-m", "local", "up", "--no-functions", wait=False)
    below = wait_until(lambda: (found := descendants(program.pid))[2:] and found, "the first servers")
    os.killpg(program.pid, signal.SIGINT)

    assert program.wait(20) == 130
    assert not any(each.alive() for each in below)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.stack
@pytest.mark.parametrize("way", ["wait", "hang"])
def test_killed_owner_leaves_nothing(run: Run, way: str) -> None:
    """`kill -9` of the owner ends every server and every function, one in mid-invocation included."""
    program, told = run("-m", "tests.stack.programs.two_regions", way)
    below = descendants(program.pid)
    assert len(below) >= 11  # and five functions
    program.kill()

    assert_gone(below, told["directory"])


@pytest.mark.stack
def test_forked_copy_of_the_owner_keeps_nothing_alive(run: Run) -> None:
    """A process that the owner forked holds its sockets open; the stack ends with the owner nevertheless."""
    program, told = run("-m", "tests.stack.programs.two_regions", "fork")
    below = [each for each in descendants(program.pid) if each.pid != told["forked"]]
    program.kill()
    try:
        assert_gone(below, told["directory"])
    finally:
        os.kill(told["forked"], signal.SIGKILL)


def test_killed_supervisor_takes_its_servers_along(tmp_path: Path) -> None:
    """`kill -9` of the supervising process ends the servers; the owner's close removes the directory."""
    with Supervisor(tmp_path) as supervisor:
        server = Valkey(supervisor, "valkey")
        server.start()
        below = descendants(supervisor.pid)
        os.kill(supervisor.pid, signal.SIGKILL)
        wait_until(lambda: not any(each.alive() for each in below), "the server's end")
        with pytest.raises(SupervisorError, match=r"ended|gone"):
            supervisor.running("valkey")

    assert list(tmp_path.iterdir()) == []


def test_directory_that_nobody_holds_is_removed_by_the_next(tmp_path: Path) -> None:
    """What a killed supervisor and its killed owner left is removed at the next start; what is in use stays."""
    abandoned = tmp_path / "staleproof-local-old"
    abandoned.mkdir()
    (abandoned / ".owned").touch()
    with Supervisor(tmp_path) as first, Supervisor(tmp_path) as second:
        assert sorted(tmp_path.iterdir()) == sorted([first.directory, second.directory])

    assert list(tmp_path.iterdir()) == []


def test_child_is_stopped_with_everything_that_it_started(tmp_path: Path) -> None:
    """Stopping a server ends its whole group, also what outlived the server itself."""
    program = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    )
    with Supervisor(tmp_path) as supervisor:
        supervisor.spawn("parent", [sys.executable, "-c", program + "; import time; time.sleep(600)"])
        below = wait_until(lambda: (found := descendants(supervisor.pid))[1:] and found, "two processes")
        supervisor.signal("parent", signal.SIGKILL)
        wait_until(lambda: not supervisor.running("parent"), "the parent's end")
        supervisor.stop("parent")

        assert not any(each.alive() for each in below)


def test_killed_server_comes_back_on_its_port(tmp_path: Path) -> None:
    """A cache server that was killed is started again where its clients look for it, and empty."""
    with Supervisor(tmp_path) as supervisor:
        server = Valkey(supervisor, "valkey")
        server.start()
        url = server.url
        server.kill()
        assert not server.ping()
        server.start()

        assert (server.url, server.ping()) == (url, True)


def test_persistent_server_keeps_its_data(tmp_path: Path) -> None:
    """With a folder of its own a cache server's data survives `kill -9`."""
    with Supervisor(tmp_path) as supervisor:
        server = Valkey(supervisor, "valkey", persist=tmp_path / "data")
        server.start()
        with Redis.from_url(server.url) as client:
            client.config_set("appendfsync", "always")
            client.set("kept", "yes")
        server.kill()
        server.start()
        with Redis.from_url(server.url) as client:
            assert client.get("kept") == b"yes"


def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A server that ends at once is an error that carries the end of its log."""
    with Supervisor(tmp_path) as supervisor:
        first, second = Valkey(supervisor, "first"), Valkey(supervisor, "second")
        first.start()
        second.port = first.port
        with pytest.raises(SupervisorError, match=r"second ended: (?s:.*)Failed listening"):
            second.start()
        with pytest.raises(SupervisorError, match="FileNotFoundError"):
            supervisor.spawn("absent", ["/no/such/program"])
