"""The doctor examines Memcached: real nodes, nodes that are away, and what is no Memcached at all."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from local.loopback import HOST, free_port
from local.memcached import Memcached
from local.memcached_discovery import DiscoveryEndpoint
from local.supervisor import Supervisor
from staleproof.cli.program import program

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Memcached]]:
    """An ordinary node, and one that evicts nothing."""
    with Supervisor() as owner:
        found = [Memcached(owner, "doctor-1"), Memcached(owner, "doctor-2", options=("-M",))]
        for node in found:
            node.start()
        yield found


def examined(url: str, code: int) -> dict[str, list[str]]:
    """Examine, expect an exit code, and return the severities found by their check."""
    ran = CliRunner().invoke(program, ["doctor", url, "--samples", "3", "--timeout", "0.5", "--json"])
    assert ran.exit_code == code, ran.output
    found: dict[str, list[str]] = {}
    for each in json.loads(ran.stdout)["findings"]:
        found.setdefault(each["check"], []).append(each["severity"])
    return found


def test_a_node_that_is_well(nodes: list[Memcached]) -> None:
    """Reached, of the right release, and measured."""
    found = examined(nodes[0].url, 0)
    assert (found["tls"], found["reach"]) == (["ok"], ["ok"])
    assert found["latency"] in (["ok"], ["warning"])


def test_a_memcached_that_is_away_fails_the_examination() -> None:
    """A deployment must not pass by a cache that nobody can reach."""
    assert examined(f"memcached://{HOST}:{free_port()}/", 2)["reach"] == ["error"]
    assert examined(f"memcached+discovery://{HOST}:{free_port()}/", 2)["reach"] == ["error"]


def test_every_node_of_the_list_is_examined(nodes: list[Memcached]) -> None:
    """One that is away, and one that evicts nothing, are told apart from one that is well."""
    listed = [node.host_and_port for node in nodes]
    with DiscoveryEndpoint([*listed, f"{HOST}:{free_port()}"]) as endpoint:
        found = examined(endpoint.url, 2)
    assert sorted(found["reach"]) == ["error", "ok", "ok"]
    assert (found["discovery"], found["memory"]) == (["ok"], ["error"])


@pytest.mark.parametrize(
    "answer",
    [
        b"ERROR\r\n",
        b"VERSION 1.5.22\r\n",
        b"VERSION \xff\xfe\r\n",
        b"HTTP/1.1 400 No\r\n\r\n",
        b"",
        b"x" * 70_000,
    ],
)
def test_what_is_no_memcached_of_ours_is_told(answer: bytes) -> None:
    """Whatever it answers, there is an end, and an exit code."""
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=speak, args=(listener, answer), daemon=True).start()
        assert "error" in examined(f"memcached://{HOST}:{listener.getsockname()[1]}/", 2)["reach"]


def speak(listener: socket.socket, answer: bytes) -> None:
    """Give one caller the same answer to everything; without one, hang up."""
    with suppress(OSError):
        line, _ = listener.accept()
        with line:
            while answer and line.recv(1 << 16):
                line.sendall(answer)
